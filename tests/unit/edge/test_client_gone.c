/* Servers that are known to be gone: whether requests wait for one of them (settings.fail_when_gone). */
#include "tests/unit/edge/client_rig.h"

/* A client of COUNT servers, none of which is listening. */
static struct rig *rig_without_servers(size_t count, bool fail)
{
    struct rig *rig = rig_new(count);

    for (size_t i = 0; i < count; i++)
        peer_stop(&rig->peers[i], false);
    rig->settings.fail_when_gone = fail;
    rig->client = client_new(&rig->loop, &rig->settings);
    assert_non_null(rig->client);
    return rig;
}

static void run_for(struct rig *rig, uint64_t ms)
{
    for (uint64_t end = clock_ns() + ms * (uint64_t)MS; clock_ns() < end; uv_sleep(5))
        uv_run(&rig->loop, UV_RUN_NOWAIT);
}

static void assert_gone(const struct ask *ask)
{
    assert_failed(ask, STATUS_UNAVAILABLE);
    assert_true(ask->request.gone);
    assert_true(ask->request.answered_ns < ask->request.deadline_ns - LONG_MS / 2 * (uint64_t)MS);
}

static void requests_fail_at_once_when_every_server_is_gone(void **state)
{
    (void)state;
    struct rig *rig = rig_without_servers(2, true);
    struct ask first, more[20];
    ask_start(&first, rig, LONG_MS); /* before anything is known */
    assert_false(pool_gone(&rig->client->pool));
    RIG_WAIT(rig, first.answers);
    assert_gone(&first);
    assert_int_equal(first.request.tries, 0);
    assert_true(pool_gone(&rig->client->pool));
    assert_int_equal(count_of(&rig->stats[0].gone), 1);
    assert_int_equal(count_of(&rig->stats[1].gone), 1);
    for (size_t i = 0; i < 20; i++)
        ask_start(&more[i], rig, LONG_MS);
    RIG_WAIT(rig, answered(more, 20) == 20);
    for (size_t i = 0; i < 20; i++)
        assert_gone(&more[i]);
    rig_free(rig);
}

static void they_wait_where_that_is_wanted(void **state)
{
    (void)state;
    struct rig *rig = rig_without_servers(2, false);
    struct ask ask;
    ask_start(&ask, rig, LONG_MS);
    RIG_WAIT(rig, pool_gone(&rig->client->pool));
    run_for(rig, 300);
    assert_int_equal(ask.answers, 0);
    peer_start(&rig->peers[1]);
    RIG_WAIT(rig, ask.answers);
    assert_answered(&ask);
    assert_false(ask.request.gone);
    assert_int_equal(count_of(&rig->stats[0].gone), 1);
    assert_int_equal(count_of(&rig->stats[1].gone), 0);
    rig_free(rig);
}

static void a_server_that_is_still_tried_is_waited_for(void **state)
{
    (void)state;
    struct rig *rig = rig_new(1);
    struct peer *peer = &rig->peers[0];
    struct ask ask;
    rig->settings.fail_when_gone = true;
    peer->silent = true; /* connected, and never a hello */
    rig->client = client_new(&rig->loop, &rig->settings);
    ask_start(&ask, rig, LONG_MS);
    RIG_WAIT(rig, peer->channel_count == 1);
    run_for(rig, 300);
    assert_int_equal(ask.answers, 0);
    assert_false(pool_gone(&rig->client->pool));
    RIG_WAIT(rig, ask.answers); /* the attempt has ended */
    assert_gone(&ask);
    rig_free(rig);
}

static void one_server_that_is_there_is_enough(void **state)
{
    (void)state;
    struct rig *rig = rig_new(2);
    struct ask ask;
    rig->settings.fail_when_gone = true;
    peer_stop(&rig->peers[0], false);
    rig->client = client_new(&rig->loop, &rig->settings);
    RIG_WAIT(rig, count_of(&rig->stats[0].gone) == 1 && rig->client->pool.usable == 1);
    ask_start(&ask, rig, LONG_MS);
    RIG_WAIT(rig, ask.answers);
    assert_answered(&ask);
    rig_free(rig);
}

static void a_server_that_is_lost_is_gone_after_the_next_attempt_and_back_when_it_opens(void **state)
{
    (void)state;
    struct rig *rig = rig_new(1);
    struct peer *peer = &rig->peers[0];
    struct ask open, more;
    rig->settings.fail_when_gone = true;
    rig->client = client_new(&rig->loop, &rig->settings);
    RIG_WAIT(rig, rig->client->pool.usable == 1);
    peer->habit = HOLDS;
    ask_start(&open, rig, LONG_MS);
    RIG_WAIT(rig, peer->held_count == 1);
    peer_stop(peer, true);
    RIG_WAIT(rig, open.answers);
    assert_gone(&open);
    peer->habit = ANSWERS;
    peer_start(peer);
    RIG_WAIT(rig, rig->client->pool.usable == 1);
    assert_false(pool_gone(&rig->client->pool));
    assert_int_equal(count_of(&rig->stats[0].gone), 0);
    ask_start(&more, rig, LONG_MS);
    RIG_WAIT(rig, more.answers);
    assert_answered(&more);
    rig_free(rig);
}

/* Whoever fails brings the next attempt nearer, as whoever waits does. */
static void a_server_that_comes_back_is_found_soon(void **state)
{
    (void)state;
    struct rig *rig = rig_new(1);
    struct ask ask;
    peer_stop(&rig->peers[0], false);
    rig->settings.fail_when_gone = true;
    rig->settings.backoff_min_ms = rig->settings.backoff_max_ms = 60000;
    rig->client = client_new(&rig->loop, &rig->settings);
    RIG_WAIT(rig, pool_gone(&rig->client->pool));
    peer_start(&rig->peers[0]);
    ask_start(&ask, rig, LONG_MS);
    RIG_WAIT(rig, ask.answers);
    assert_gone(&ask);
    RIG_WAIT(rig, rig->client->pool.usable == 1);
    rig_free(rig);
}

static void on_end(struct client_epoch_wait *wait)
{
    *(bool *)wait->user = true;
}

static void nobody_waits_for_an_epoch_either(void **state)
{
    (void)state;
    struct rig *rig = rig_without_servers(1, true);
    struct client_epoch epoch;
    bool ended = false;
    struct client_epoch_wait wait = {
        .deadline_ns = clock_ns() + LONG_MS * (uint64_t)MS, .on_end = on_end, .user = &ended};
    assert_int_equal(client_choose_epoch(rig->client, &epoch), EPOCH_DUE);
    assert_int_equal(client_await_epoch(rig->client, &wait), 0);
    RIG_WAIT(rig, ended);
    assert_true(clock_ns() < wait.deadline_ns - LONG_MS / 2 * (uint64_t)MS);
    assert_int_equal(client_choose_epoch(rig->client, &epoch), EPOCH_NONE);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_fail_at_once_when_every_server_is_gone),
        cmocka_unit_test(they_wait_where_that_is_wanted),
        cmocka_unit_test(a_server_that_is_still_tried_is_waited_for),
        cmocka_unit_test(one_server_that_is_there_is_enough),
        cmocka_unit_test(a_server_that_is_lost_is_gone_after_the_next_attempt_and_back_when_it_opens),
        cmocka_unit_test(a_server_that_comes_back_is_found_soon),
        cmocka_unit_test(nobody_waits_for_an_epoch_either),
    };
    return cmocka_run_group_tests_name("test_client_gone", tests, rig_setup, NULL);
}
