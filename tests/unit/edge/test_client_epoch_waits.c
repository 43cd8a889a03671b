/* Sessions that wait for an epoch: what ends the wait, and when. */
#include "tests/unit/edge/epoch_waits_rig.h"

/* ---- ends ---- */

static void all_that_wait_end_with_the_epoch(void **state)
{
    struct rig *rig = rig_connected(2);
    struct vigil vigils[100];
    (void)state;
    for (size_t i = 0; i < 100; i++)
        await(&vigils[i], rig, LONG_MS);
    say(rig, 1, 7, LONG_MS);
    RIG_WAIT(rig, vigils[99].ends == 1);
    for (size_t i = 0; i < 100; i++)
        assert_ended(&vigils[i], EPOCH_CHOSEN);
    rig_free(rig);
}

static void a_server_that_connects_later_ends_it_with_its_word(void **state)
{
    (void)state;
    for (int grants = 0; grants < 2; grants++) {
        struct rig *rig = rig_alone(1);
        struct vigil vigil;
        rig->client = client_new(&rig->loop, &rig->settings);
        await(&vigil, rig, LONG_MS);
        RIG_WAIT(rig, count_of(&rig->stats[0].failed) >= 2);
        peer_start(&rig->peers[0]);
        RIG_WAIT(rig, rig->client->pool.usable == 1);
        wait_heard(rig);
        assert_int_equal(vigil.ends, 0); /* the hello is no word on epochs */
        if (grants)
            say(rig, 0, 7, LONG_MS);
        else
            say_none(rig, 0);
        RIG_WAIT(rig, vigil.ends == 1);
        assert_ended(&vigil, grants ? EPOCH_CHOSEN : EPOCH_NONE);
        rig_free(rig);
    }
}

static void it_ends_with_the_last_server_that_had_not_spoken(void **state)
{
    (void)state;
    for (int lost = 0; lost < 2; lost++) {
        struct rig *rig = rig_connected(2);
        struct vigil vigil;
        await(&vigil, rig, LONG_MS);
        say_none(rig, 0);
        if (lost)
            peer_stop(&rig->peers[1], true);
        else
            say_none(rig, 1);
        RIG_WAIT(rig, vigil.ends == 1);
        assert_ended(&vigil, EPOCH_NONE);
        if (lost)
            peer_start(&rig->peers[1]);
        rig_free(rig);
    }
}

/* Losing the last server makes nothing certain. */
static void losing_every_server_ends_nothing(void **state)
{
    struct rig *rig = rig_connected(1);
    struct vigil vigil, later;
    (void)state;
    await(&vigil, rig, LONG_MS);
    peer_stop(&rig->peers[0], true);
    RIG_WAIT(rig, count_of(&rig->stats[0].lost) == 1);
    await(&later, rig, 30);
    RIG_WAIT(rig, later.ends == 1);
    assert_ended(&later, EPOCH_DUE);
    assert_int_equal(vigil.ends, 0);
    peer_start(&rig->peers[0]);
    RIG_WAIT(rig, rig->client->pool.usable == 1);
    say(rig, 0, 7, LONG_MS);
    RIG_WAIT(rig, vigil.ends == 1);
    assert_ended(&vigil, EPOCH_CHOSEN);
    rig_free(rig);
}

static void what_is_known_already_ends_it_in_the_next_turn(void **state)
{
    struct rig *rig = rig_connected(1);
    struct vigil chosen, none;
    (void)state;
    say(rig, 0, 7, LONG_MS);
    RIG_WAIT(rig, outlook(rig) == EPOCH_CHOSEN);
    await(&chosen, rig, LONG_MS);
    RIG_WAIT(rig, chosen.ends == 1);
    assert_ended(&chosen, EPOCH_CHOSEN);
    say_none(rig, 0);
    RIG_WAIT(rig, outlook(rig) == EPOCH_NONE);
    await(&none, rig, LONG_MS);
    RIG_WAIT(rig, none.ends == 1);
    assert_ended(&none, EPOCH_NONE);
    rig_free(rig);
}

static void deadlines_end_them_in_their_order(void **state)
{
    static const unsigned ms[] = {120, 40, 80, 40, 160, 0};
    static const size_t order[] = {5, 1, 3, 2, 0, 4};
    (void)state;
    for (size_t servers = 0; servers < 2; servers++) { /* none at all, or one that says nothing */
        struct rig *rig = rig_new(servers);
        struct vigil vigils[6], later;
        rig->client = client_new(&rig->loop, &rig->settings);
        await(&later, rig, LONG_MS);
        for (size_t i = 0; i < 6; i++)
            await(&vigils[i], rig, ms[i]);
        RIG_WAIT(rig, vigils[4].ends == 1);
        for (size_t i = 0; i < 6; i++) {
            const struct vigil *vigil = &vigils[order[i]];
            assert_ended(vigil, EPOCH_DUE);
            assert_true(vigil->ended_ns >= vigil->wait.deadline_ns);
            assert_true(i == 0 || vigils[order[i - 1]].ended_ns <= vigil->ended_ns);
        }
        assert_int_equal(later.ends, 0);
        rig_free(rig);
    }
}

/* Each ends at its own deadline, in its order, whatever else is open and ends much later. A turn of the loop
 * that comes late may end several. */
static void requests_and_waits_share_the_timer(void **state)
{
    struct rig *rig = rig_connected(1);
    struct vigil first, third, later;
    struct ask second, fourth, last;
    (void)state;
    rig->peers[0].habit = HOLDS;
    ask_start(&last, rig, LONG_MS);
    await(&later, rig, LONG_MS);
    ask_start(&fourth, rig, 40);
    await(&third, rig, 30);
    ask_start(&second, rig, 20);
    await(&first, rig, 10);
    RIG_WAIT(rig, fourth.answers == 1);
    assert_int_equal(first.ends + second.answers + third.ends, 3);
    assert_int_equal(later.ends + last.answers, 0);
    assert_true(first.ended_ns >= first.wait.deadline_ns && third.ended_ns >= third.wait.deadline_ns);
    assert_true(second.request.answered_ns >= second.request.deadline_ns);
    assert_true(first.ended_ns <= third.ended_ns);
    assert_true(second.request.answered_ns <= fourth.request.answered_ns);
    rig_free(rig);
}

/* Otherwise the second attempt would come after some 10 s. */
static void a_wait_brings_the_next_attempt_nearer(void **state)
{
    struct rig *rig = rig_alone(1);
    struct vigil vigil;
    (void)state;
    rig->settings.backoff_min_ms = rig->settings.backoff_max_ms = 2 * RIG_GUARD_MS;
    rig->client = client_new(&rig->loop, &rig->settings);
    RIG_WAIT(rig, count_of(&rig->stats[0].failed) == 1);
    peer_start(&rig->peers[0]);
    await(&vigil, rig, LONG_MS);
    RIG_WAIT(rig, rig->client->pool.usable == 1);
    say(rig, 0, 7, LONG_MS);
    RIG_WAIT(rig, vigil.ends == 1);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_that_wait_end_with_the_epoch),
        cmocka_unit_test(a_server_that_connects_later_ends_it_with_its_word),
        cmocka_unit_test(it_ends_with_the_last_server_that_had_not_spoken),
        cmocka_unit_test(losing_every_server_ends_nothing),
        cmocka_unit_test(what_is_known_already_ends_it_in_the_next_turn),
        cmocka_unit_test(deadlines_end_them_in_their_order),
        cmocka_unit_test(requests_and_waits_share_the_timer),
        cmocka_unit_test(a_wait_brings_the_next_attempt_nearer),
    };
    return cmocka_run_group_tests(tests, rig_setup, NULL);
}
