/* Channels that go silent: nothing comes through any more, and no error says so. */
#include "common/channel_internal.h"
#include "tests/unit/edge/client_rig.h"

/* From now on CHANNEL, the key server's end, swallows what comes, and so says nothing. */
static void mute(struct channel *channel)
{
    uv_read_stop(&channel->socket.stream);
}

static void unmute(struct channel *channel)
{
    channel_io_start(channel);
}

/* What is held on a channel that is muted now never gets an answer there. */
static void mute_all(struct peer *peer)
{
    for (size_t i = 0; i < peer->channel_count; i++)
        mute(peer->channels[i]);
}

static void requests_on_a_silent_channel_are_asked_again_on_a_second_one(void **state)
{
    (void)state;
    struct rig *rig = rig_connected(1);
    struct peer *peer = &rig->peers[0];
    unsigned changes = rig->changes;
    mute_all(peer);
    uint64_t begin = clock_ns();
    struct ask *asks = ask_many(rig, 100, LONG_MS);
    RIG_WAIT(rig, answered(asks, 100) == 100);
    uint64_t took = clock_ns() - begin;
    assert_true(took >= 900 * (uint64_t)MS);
    assert_true(took < 8000 * (uint64_t)MS); /* a second and a handshake; generous to a loaded machine */
    for (size_t i = 0; i < 100; i++)
        assert_answered(&asks[i]);
    assert_int_equal(count_of(&rig->stats[0].silent), 1);
    assert_int_equal(count_of(&rig->stats[0].retried), 100);
    assert_int_equal(peer->accepted, 2);
    assert_int_equal(rig->changes, changes); /* the server was usable all the time */
    unmute(peer->channels[0]);               /* the silent one was closed, with a close message */
    RIG_WAIT(rig, peer->channel_count == 1);
    assert_int_equal(peer->closed, ERR_CLOSED);
    free(asks);
    rig_free(rig);
}

static void a_channel_that_is_heard_again_first_stays_and_the_second_is_closed(void **state)
{
    (void)state;
    struct rig *rig = rig_connected(1);
    struct peer *peer = &rig->peers[0];
    struct ask ask;
    mute_all(peer);
    peer->silent = true; /* no hello: the second channel does not come about */
    ask_start(&ask, rig, LONG_MS);
    RIG_WAIT(rig, peer->channel_count == 2);
    unmute(peer->channels[0]);
    RIG_WAIT(rig, ask.answers);
    assert_answered(&ask);
    RIG_WAIT(rig, peer->channel_count == 1);
    assert_int_equal(count_of(&rig->stats[0].connects), 1);
    assert_int_equal(count_of(&rig->stats[0].lost), 0);
    assert_int_equal(peer->requests, 1);
    ask_start(&ask, rig, LONG_MS);
    RIG_WAIT(rig, ask.answers);
    assert_answered(&ask);
    rig_free(rig);
}

static void a_slow_vault_behind_a_live_channel_is_asked_once(void **state)
{
    (void)state;
    struct rig *rig = rig_connected(1);
    struct peer *peer = &rig->peers[0];
    struct ask ask;
    peer->habit = HOLDS;
    uint64_t begin = clock_ns();
    ask_start(&ask, rig, LONG_MS);
    RIG_WAIT(rig, clock_ns() - begin > 2500 * (uint64_t)MS);
    assert_int_equal(peer->held_count, 1);
    assert_int_equal(peer->accepted, 1);
    peer_release(peer);
    RIG_WAIT(rig, ask.answers);
    assert_answered(&ask);
    assert_int_equal(count_of(&rig->stats[0].silent), 0);
    assert_int_equal(peer->requests, 1);
    assert_int_not_equal(count_of(&rig->stats[0].rtt_ns), 0); /* it was pinged long before the interval */
    rig_free(rig);
}

static void a_channel_that_goes_silent_while_idle_is_replaced(void **state)
{
    (void)state;
    struct rig *rig = rig_new(1);
    struct peer *peer = &rig->peers[0];
    rig->settings.ping_interval_ms = 1000; /* it would be lost after 2.5 s */
    rig->client = client_new(&rig->loop, &rig->settings);
    RIG_WAIT(rig, rig->client->pool.usable == 1);
    unsigned changes = rig->changes;
    mute_all(peer);
    RIG_WAIT(rig, count_of(&rig->stats[0].connects) == 2);
    assert_int_equal(count_of(&rig->stats[0].lost), 0);
    assert_int_equal(rig->changes, changes);
    rig_free(rig);
}

static void on_turn(uv_prepare_t *turn)
{
    mute_all(turn->data);
}

/* A server whose channels all go silent right after the hello is not flooded with further ones. */
static void second_channels_back_off(void **state)
{
    (void)state;
    struct rig *rig = rig_new(1);
    struct peer *peer = &rig->peers[0];
    struct ask ask;
    uv_prepare_t turn;
    rig->settings.backoff_min_ms = 1500;
    rig->settings.backoff_max_ms = 10000;
    rig->client = client_new(&rig->loop, &rig->settings);
    RIG_WAIT(rig, rig->client->pool.usable == 1);
    uv_prepare_init(&rig->loop, &turn);
    turn.data = peer;
    uint64_t begin = clock_ns();
    ask_start(&ask, rig, 6000);
    mute_all(peer);
    RIG_WAIT(rig, count_of(&rig->stats[0].connects) == 2);
    uv_prepare_start(&turn, on_turn);
    RIG_WAIT(rig, ask.answers);
    assert_failed(&ask, STATUS_UNAVAILABLE);
    uint64_t seconds = (clock_ns() - begin) / (1000 * (uint64_t)MS);
    assert_true(peer->accepted <= 2 + seconds / 2); /* a second of silence, and at least 1.5 s of back-off */
    uv_close((uv_handle_t *)&turn, NULL);
    rig_free(rig);
}

/* Replaced in good order with a request in its hands, and silent since then. */
static void a_draining_channel_that_goes_silent_gives_its_requests_to_the_current_one(void **state)
{
    (void)state;
    struct rig *rig = rig_new(1);
    struct peer *peer = &rig->peers[0];
    struct ask ask;
    rig->settings.rehandshake_ms = 600;
    rig->client = client_new(&rig->loop, &rig->settings);
    peer->habit = HOLDS;
    RIG_WAIT(rig, rig->client->pool.usable == 1);
    ask_start(&ask, rig, LONG_MS);
    RIG_WAIT(rig, peer->held_count == 1);
    struct channel *first = peer->channels[0];
    mute(first);
    RIG_WAIT(rig, count_of(&rig->stats[0].connects) >= 2);
    peer->habit = ANSWERS;
    RIG_WAIT(rig, ask.answers);
    assert_answered(&ask);
    assert_int_equal(count_of(&rig->stats[0].lost), 0);
    unmute(first);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_on_a_silent_channel_are_asked_again_on_a_second_one),
        cmocka_unit_test(a_channel_that_is_heard_again_first_stays_and_the_second_is_closed),
        cmocka_unit_test(a_slow_vault_behind_a_live_channel_is_asked_once),
        cmocka_unit_test(a_channel_that_goes_silent_while_idle_is_replaced),
        cmocka_unit_test(second_channels_back_off),
        cmocka_unit_test(a_draining_channel_that_goes_silent_gives_its_requests_to_the_current_one),
    };
    return cmocka_run_group_tests_name("test_client_silence", tests, rig_setup, NULL);
}
