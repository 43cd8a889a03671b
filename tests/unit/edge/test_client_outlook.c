/* The outlook for an epoch, as key servers have spoken. */
#include "tests/unit/edge/epoch_waits_rig.h"

#define TICK_MS 2

/* ---- what the key servers say ---- */

static void wait_none(struct rig *rig, size_t i)
{
    RIG_WAIT(rig, rig->client->epochs->server[i].none);
}

static void on_tick(uv_timer_t *timer)
{
    (void)timer;
}

/* Lets the loop turn, with nothing else to do, until the outlook is EXPECTED. */
static void wait_outlook(struct rig *rig, enum client_outlook expected)
{
    uv_timer_t tick;
    uv_timer_init(&rig->loop, &tick);
    uv_timer_start(&tick, on_tick, TICK_MS, TICK_MS);
    RIG_WAIT(rig, outlook(rig) == expected);
    uv_close((uv_handle_t *)&tick, NULL);
    uv_run(&rig->loop, UV_RUN_NOWAIT);
}

/* ---- the outlook ---- */

static void every_word_of_a_server_changes_the_outlook(void **state)
{
    struct rig *rig = rig_new(1);
    struct client_epoch epoch;
    const struct msg_epoch first = epoch_of(7, 'g', LONG_MS), second = epoch_of(8, 'g', LONG_MS);
    (void)state;
    rig->client = client_new(&rig->loop, &rig->settings);
    assert_int_equal(outlook(rig), EPOCH_DUE); /* nobody is there who could have said anything */
    RIG_WAIT(rig, rig->client->pool.usable == 1);
    assert_int_equal(outlook(rig), EPOCH_DUE); /* it has not spoken */
    say(rig, 0, 7, LONG_MS);
    RIG_WAIT(rig, client_choose_epoch(rig->client, &epoch) == EPOCH_CHOSEN);
    assert_memory_equal(epoch.key, first.key, EPOCH_KEY_SIZE);
    say_none(rig, 0); /* rsa_master was taken away */
    RIG_WAIT(rig, outlook(rig) == EPOCH_NONE);
    assert_int_equal(count_of(&rig->stats[0].epoch), 0);
    say(rig, 0, 8, LONG_MS); /* and given again */
    RIG_WAIT(rig, client_choose_epoch(rig->client, &epoch) == EPOCH_CHOSEN);
    assert_memory_equal(epoch.key, second.key, EPOCH_KEY_SIZE);
    rig_free(rig);
}

static void a_none_is_good_for_its_channel(void **state)
{
    struct rig *rig = rig_connected(1);
    (void)state;
    say_none(rig, 0);
    RIG_WAIT(rig, outlook(rig) == EPOCH_NONE);
    peer_cut(rig->peers[0].channels[0]);
    RIG_WAIT(rig, count_of(&rig->stats[0].lost) == 1);
    assert_int_equal(outlook(rig), EPOCH_DUE);
    RIG_WAIT(rig, rig->client->pool.usable == 1);
    wait_heard(rig);
    assert_int_equal(outlook(rig), EPOCH_DUE);
    say_none(rig, 0);
    RIG_WAIT(rig, outlook(rig) == EPOCH_NONE);
    rig_free(rig);
}

static void a_channel_that_takes_over_keeps_the_word_of_the_one_before(void **state)
{
    struct rig *rig = rig_new(1);
    (void)state;
    rig->settings.rehandshake_ms = 300;
    rig->client = client_new(&rig->loop, &rig->settings);
    RIG_WAIT(rig, rig->client->pool.usable == 1);
    say_none(rig, 0);
    RIG_WAIT(rig, outlook(rig) == EPOCH_NONE);
    RIG_WAIT(rig, count_of(&rig->stats[0].connects) >= 2);
    assert_int_equal(count_of(&rig->stats[0].lost), 0);
    assert_int_equal(outlook(rig), EPOCH_NONE);
    rig_free(rig);
}

static void every_connected_server_must_have_said_it(void **state)
{
    struct rig *rig = rig_connected(3);
    (void)state;
    say_none(rig, 0);
    wait_none(rig, 0);
    assert_int_equal(outlook(rig), EPOCH_DUE);
    say_none(rig, 2);
    wait_none(rig, 2);
    assert_int_equal(outlook(rig), EPOCH_DUE);
    peer_stop(&rig->peers[1], true); /* a server that is gone has no word */
    RIG_WAIT(rig, outlook(rig) == EPOCH_NONE);
    peer_start(&rig->peers[1]);
    RIG_WAIT(rig, rig->client->pool.usable == 3);
    assert_int_equal(outlook(rig), EPOCH_DUE);
    say(rig, 1, 7, LONG_MS);
    RIG_WAIT(rig, outlook(rig) == EPOCH_CHOSEN);
    rig_free(rig);
}

/* Its vault is late, but it grants bound mode. */
static void a_server_whose_epoch_is_over_has_another(void **state)
{
    struct rig *rig = rig_connected(2);
    struct vigil vigil;
    (void)state;
    say(rig, 0, 7, 30);
    RIG_WAIT(rig, count_of(&rig->stats[0].epoch) == 7);
    say_none(rig, 1);
    wait_none(rig, 1);
    wait_outlook(rig, EPOCH_DUE);
    await(&vigil, rig, LONG_MS);
    say(rig, 0, 8, LONG_MS);
    RIG_WAIT(rig, vigil.ends == 1);
    assert_ended(&vigil, EPOCH_CHOSEN);
    rig_free(rig);
}

static void the_word_of_a_stalled_server_is_not_waited_for_where_another_has_spoken(void **state)
{
    (void)state;
    for (int spoken = 0; spoken < 2; spoken++) {
        struct rig *rig = rig_connected(2);
        struct vigil vigil, guard;
        struct ask asks[8];
        rig->peers[0].habit = HOLDS; /* and says nothing of epochs either */
        if (spoken)
            say_none(rig, 1);
        await(&vigil, rig, LONG_MS);
        for (size_t i = 0; i < 8; i++) /* some of them go to the first */
            ask_start(&asks[i], rig, 4000);
        RIG_WAIT(rig, answered(asks, 8) == 8);
        assert_true(rig->peers[0].held_count > 0);
        await(&guard, rig, 50);
        RIG_WAIT(rig, guard.ends == 1);
        assert_int_equal(guard.outlook, spoken ? EPOCH_NONE : EPOCH_DUE);
        assert_int_equal(vigil.ends, spoken);
        rig_free(rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_word_of_a_server_changes_the_outlook),
        cmocka_unit_test(a_none_is_good_for_its_channel),
        cmocka_unit_test(a_channel_that_takes_over_keeps_the_word_of_the_one_before),
        cmocka_unit_test(every_connected_server_must_have_said_it),
        cmocka_unit_test(a_server_whose_epoch_is_over_has_another),
        cmocka_unit_test(the_word_of_a_stalled_server_is_not_waited_for_where_another_has_spoken),
    };
    return cmocka_run_group_tests(tests, rig_setup, NULL);
}
