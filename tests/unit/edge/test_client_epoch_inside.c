/* Waits for an epoch that are cancelled, begun again, freed, or their client closed, from inside of an end.
 */
#include "tests/unit/edge/epoch_waits_rig.h"

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
        cmocka_unit_test(cancelled_at_any_time_it_never_ends),
        cmocka_unit_test(an_end_may_cancel_the_others),
        cmocka_unit_test(a_wait_may_begin_again_inside_its_end),
        cmocka_unit_test(a_wait_may_be_freed_inside_its_end),
        cmocka_unit_test(closing_ends_every_wait),
        cmocka_unit_test(the_client_may_be_closed_inside_an_end),
    };
    return cmocka_run_group_tests(tests, rig_setup, NULL);
}
