/* What is known of epochs that have not come, and the sessions that wait for them. */
#include "tests/unit/edge/test_client_rig.h"

#define TICK_MS 2

/* ---- what the key servers say ---- */

static void say(struct rig *rig, size_t i, uint64_t number, uint32_t left_ms)
{
    const struct msg_epoch epoch = epoch_of(number, 'g', left_ms);
    peer_announce(&rig->peers[i], &epoch);
}

static void say_none(struct rig *rig, size_t i)
{
    const struct msg_epoch none = {.number = 0};
    peer_announce(&rig->peers[i], &none);
}

static void wait_none(struct rig *rig, size_t i)
{
    RIG_WAIT(rig, rig->client->epochs->server[i].none);
}

static enum client_outlook outlook(const struct rig *rig)
{
    struct client_epoch epoch;
    return client_choose_epoch(rig->client, &epoch);
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

/* Shows that whatever SERVER has said before has been heard: a signature comes after it on the same channel.
 */
static void wait_heard(struct rig *rig)
{
    struct ask ask;
    assert_int_equal(rig->settings.server_count, 1);
    ask_start(&ask, rig, LONG_MS);
    RIG_WAIT(rig, ask.answers == 1);
    assert_answered(&ask);
}

/* ---- sessions that wait ---- */

struct vigil {
    struct client_epoch_wait wait;
    struct rig *rig;
    unsigned ends;
    enum client_outlook outlook;       /* at the last end */
    uint64_t ended_ns;                 /* and when that was */
    void (*then)(struct vigil *vigil); /* inside on_end */
};

static void on_end(struct client_epoch_wait *wait)
{
    struct vigil *vigil = wait->user;

    assert_false(wait->open);
    vigil->ends++;
    vigil->outlook = outlook(vigil->rig);
    vigil->ended_ns = clock_ns();
    if (vigil->then != NULL)
        vigil->then(vigil);
}

/* Never ends inside of the call, whatever is known. */
static void again(struct vigil *vigil, uint64_t within_ms)
{
    unsigned before = vigil->ends;
    vigil->wait.deadline_ns = clock_ns() + within_ms * MS;
    assert_int_equal(client_await_epoch(vigil->rig->client, &vigil->wait), 0);
    assert_int_equal(vigil->ends, before);
}

static void await(struct vigil *vigil, struct rig *rig, uint64_t within_ms)
{
    *vigil = (struct vigil){.wait = {.on_end = on_end, .user = vigil}, .rig = rig};
    again(vigil, within_ms);
}

static void assert_ended(const struct vigil *vigil, enum client_outlook expected)
{
    assert_int_equal(vigil->ends, 1);
    assert_int_equal(vigil->outlook, expected);
}

/* A rig whose servers are not there. */
static struct rig *rig_alone(size_t count)
{
    struct rig *rig = rig_new(count);
    for (size_t i = 0; i < count; i++)
        peer_stop(&rig->peers[i], false);
    return rig;
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

/* ---- from inside ---- */

static void cancelled_at_any_time_it_never_ends(void **state)
{
    struct rig *rig = rig_connected(1);
    struct vigil vigils[5], never = {0}, last;
    (void)state;
    client_cancel_epoch(rig->client, &never.wait);
    for (size_t i = 0; i < 5; i++)
        await(&vigils[i], rig, LONG_MS);
    for (size_t i = 0; i < 5; i += 2) { /* the first, one between, the last */
        client_cancel_epoch(rig->client, &vigils[i].wait);
        client_cancel_epoch(rig->client, &vigils[i].wait);
        memset(&vigils[i], 0xee, sizeof vigils[i]); /* nobody may look at it again */
    }
    say(rig, 0, 7, LONG_MS);
    RIG_WAIT(rig, vigils[1].ends + vigils[3].ends == 2);
    client_cancel_epoch(rig->client, &vigils[1].wait); /* after its end */
    await(&last, rig, LONG_MS);
    client_cancel_epoch(rig->client, &last.wait); /* over, but not told yet */
    await(&never, rig, LONG_MS);
    RIG_WAIT(rig, never.ends == 1);
    assert_int_equal(last.ends, 0);
    rig_free(rig);
}

static struct vigil neighbours[100];

static void cancel_the_neighbours(struct vigil *vigil)
{
    for (size_t i = 0; i < 100; i++)
        client_cancel_epoch(vigil->rig->client, &neighbours[i].wait);
}

static unsigned ended(void)
{
    unsigned sum = 0;
    for (size_t i = 0; i < 100; i++)
        sum += neighbours[i].ends;
    return sum;
}

static void an_end_may_cancel_the_others(void **state)
{
    (void)state;
    for (int by_deadline = 0; by_deadline < 2; by_deadline++) {
        struct rig *rig = rig_connected(1);
        struct vigil last;
        for (size_t i = 0; i < 100; i++) {
            await(&neighbours[i], rig, by_deadline ? 30 : LONG_MS);
            neighbours[i].then = cancel_the_neighbours;
        }
        if (!by_deadline)
            say(rig, 0, 7, LONG_MS);
        RIG_WAIT(rig, ended() > 0);
        await(&last, rig, 50);
        RIG_WAIT(rig, last.ends == 1);
        assert_int_equal(ended(), 1);
        rig_free(rig);
    }
}

static void begin_again(struct vigil *vigil)
{
    if (vigil->ends < 50)
        again(vigil, vigil->outlook == EPOCH_DUE ? 1 : LONG_MS);
}

static void a_wait_may_begin_again_inside_its_end(void **state)
{
    struct rig *rig = rig_connected(1);
    struct vigil vigil, other;
    (void)state;
    await(&vigil, rig, 1);
    vigil.then = begin_again;
    RIG_WAIT(rig, vigil.ends == 50); /* by its deadlines */
    say(rig, 0, 7, LONG_MS);
    RIG_WAIT(rig, outlook(rig) == EPOCH_CHOSEN);
    await(&vigil, rig, LONG_MS);
    vigil.then = begin_again;        /* though it need not */
    await(&other, rig, 2 * LONG_MS); /* the loop goes on for others */
    RIG_WAIT(rig, other.ends == 1);
    RIG_WAIT(rig, vigil.ends == 50);
    rig_free(rig);
}

static void free_itself(struct vigil *vigil)
{
    vigil->rig->changes += 1000;
    free(vigil);
}

static void a_wait_may_be_freed_inside_its_end(void **state)
{
    struct rig *rig = rig_connected(1);
    (void)state;
    for (int i = 0; i < 200; i++) {
        struct vigil *vigil = malloc(sizeof *vigil);
        await(vigil, rig, i % 2 == 0 ? 1 : LONG_MS);
        vigil->then = free_itself;
    }
    RIG_WAIT(rig, rig->changes >= 100000);
    say_none(rig, 0);
    RIG_WAIT(rig, rig->changes >= 200000);
    rig_free(rig);
}

/* ---- the end of the client ---- */

static void refused_after_close(struct vigil *vigil)
{
    struct vigil another = {.wait = {.on_end = on_end}};
    assert_int_equal(client_await_epoch(vigil->rig->client, &another.wait), ERR_CLOSED);
    assert_int_equal(another.ends, 0);
}

static void closing_ends_every_wait(void **state)
{
    (void)state;
    for (int connected = 0; connected < 2; connected++) {
        struct rig *rig = connected ? rig_connected(1) : rig_alone(1);
        struct vigil vigils[100], endless;
        if (!connected)
            rig->client = client_new(&rig->loop, &rig->settings);
        for (size_t i = 0; i < 100; i++)
            await(&vigils[i], rig, LONG_MS);
        await(&endless, rig, 0);
        client_cancel_epoch(rig->client, &endless.wait);
        endless.wait.deadline_ns = UINT64_MAX;
        assert_int_equal(client_await_epoch(rig->client, &endless.wait), 0);
        vigils[7].then = refused_after_close;
        client_close(rig->client);
        for (size_t i = 0; i < 100; i++)
            assert_ended(&vigils[i], EPOCH_NONE);
        assert_ended(&endless, EPOCH_NONE);
        rig->client = NULL;
        rig_free(rig);
    }
}

static void close_the_client(struct vigil *vigil)
{
    client_close(vigil->rig->client);
}

static void the_client_may_be_closed_inside_an_end(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) { /* by an epoch, by none, by the deadline */
        struct rig *rig = rig_connected(2);
        struct vigil vigils[50];
        struct ask ask;
        for (size_t i = 0; i < 50; i++) {
            await(&vigils[i], rig, how == 2 ? 30 : LONG_MS);
            vigils[i].then = i == 20 ? close_the_client : NULL;
        }
        rig->peers[0].habit = rig->peers[1].habit = HOLDS;
        ask_start(&ask, rig, LONG_MS);
        for (size_t i = 0; i < 2; i++)
            if (how == 0)
                say(rig, i, 7, LONG_MS);
            else if (how == 1)
                say_none(rig, i);
        RIG_WAIT(rig, vigils[49].ends == 1);
        for (size_t i = 0; i < 50; i++)
            assert_int_equal(vigils[i].ends, 1);
        assert_failed(&ask, STATUS_UNAVAILABLE);
        rig->client = NULL;
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
        cmocka_unit_test(all_that_wait_end_with_the_epoch),
        cmocka_unit_test(a_server_that_connects_later_ends_it_with_its_word),
        cmocka_unit_test(it_ends_with_the_last_server_that_had_not_spoken),
        cmocka_unit_test(losing_every_server_ends_nothing),
        cmocka_unit_test(what_is_known_already_ends_it_in_the_next_turn),
        cmocka_unit_test(deadlines_end_them_in_their_order),
        cmocka_unit_test(requests_and_waits_share_the_timer),
        cmocka_unit_test(a_wait_brings_the_next_attempt_nearer),
        cmocka_unit_test(cancelled_at_any_time_it_never_ends),
        cmocka_unit_test(an_end_may_cancel_the_others),
        cmocka_unit_test(a_wait_may_begin_again_inside_its_end),
        cmocka_unit_test(a_wait_may_be_freed_inside_its_end),
        cmocka_unit_test(closing_ends_every_wait),
        cmocka_unit_test(the_client_may_be_closed_inside_an_end),
    };
    return cmocka_run_group_tests(tests, rig_setup, NULL);
}
