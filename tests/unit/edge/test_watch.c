/* Watches on a socket pair: what is wanted comes, what is not wanted does not, whatever is registered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "edge/session/watch.h"

struct rig {
    uv_loop_t loop;
    struct watches set;
    struct watch watch;
    int peer;
    unsigned calls;
    unsigned events; /* of the last call */
    bool closed;
};

static void on_io(void *user, unsigned events)
{
    struct rig *rig = user;

    rig->calls++;
    rig->events = events;
}

static void on_closed(void *user)
{
    struct rig *rig = user;
    rig->closed = true;
}

static int set_up(void **state)
{
    static struct rig rig;
    int pair[2];

    rig = (struct rig){0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(uv_loop_init(&rig.loop), 0);
    assert_int_equal(watches_init(&rig.set, &rig.loop), 0);
    watch_open(&rig.watch, &rig.set, pair[0], on_io, on_closed, &rig);
    rig.peer = pair[1];
    *state = &rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;

    watch_close(&rig->watch);
    watch_close(&rig->watch); /* twice does no harm */
    uv_run(&rig->loop, UV_RUN_NOWAIT);
    assert_true(rig->closed);
    watches_close(&rig->set);
    uv_run(&rig->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&rig->loop), 0);
    if (rig->peer >= 0)
        close(rig->peer);
    return 0;
}

/* A few turns of the loop; returns how many calls they brought. */
static unsigned turn(struct rig *rig)
{
    unsigned before = rig->calls;

    for (int i = 0; i < 4; i++)
        uv_run(&rig->loop, UV_RUN_NOWAIT);
    return rig->calls - before;
}

static void say(struct rig *rig)
{
    assert_int_equal(send(rig->peer, "x", 1, 0), 1);
}

static void leave(struct rig *rig)
{
    close(rig->peer);
    rig->peer = -1;
}

static void nothing_comes_before_something_is_wanted(void **state)
{
    struct rig *rig = *state;

    say(rig);
    assert_int_equal(turn(rig), 0);
    assert_int_equal(watch_set(&rig->watch, WATCH_READABLE), 0);
    assert_true(turn(rig) > 0);
    assert_int_equal(rig->events, WATCH_READABLE);
}

static void a_sleeping_watch_is_silent_and_the_loop_does_not_spin(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(watch_set(&rig->watch, WATCH_READABLE), 0);
    assert_int_equal(turn(rig), 0);
    watch_sleep(&rig->watch);
    say(rig);
    assert_int_equal(turn(rig), 0);
    assert_int_equal(rig->watch.registered, 0); /* it was in the way once, and no more */
    assert_int_equal(watch_set(&rig->watch, WATCH_READABLE), 0);
    assert_true(turn(rig) > 0);
}

static void what_is_wanted_again_needs_no_change(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(watch_set(&rig->watch, WATCH_READABLE), 0);
    watch_sleep(&rig->watch);
    assert_int_equal(rig->watch.registered, WATCH_READABLE | WATCH_GONE);
    assert_int_equal(watch_set(&rig->watch, WATCH_READABLE), 0);
    say(rig);
    assert_true(turn(rig) > 0);
}

static void leaving_is_noticed_by_who_wants_nothing_else(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(watch_set(&rig->watch, WATCH_GONE), 0);
    say(rig);
    assert_int_equal(turn(rig), 0);
    leave(rig);
    assert_true(turn(rig) > 0);
    assert_int_equal(rig->events, WATCH_GONE);
}

static void leaving_is_noticed_by_who_wanted_to_read_before(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(watch_set(&rig->watch, WATCH_READABLE), 0);
    assert_int_equal(turn(rig), 0);
    assert_int_equal(watch_set(&rig->watch, WATCH_GONE), 0);
    assert_int_equal(rig->watch.registered, WATCH_READABLE | WATCH_GONE);
    leave(rig);
    assert_true(turn(rig) > 0);
    assert_int_equal(rig->events, WATCH_GONE);
}

/* A socket is nearly always writable: that must not stay registered. */
static void writability_goes_at_once(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(watch_set(&rig->watch, WATCH_READABLE | WATCH_WRITABLE), 0);
    assert_true(turn(rig) > 0);
    assert_int_equal(rig->events, WATCH_WRITABLE);
    assert_int_equal(watch_set(&rig->watch, WATCH_READABLE), 0);
    assert_int_equal(rig->watch.registered, WATCH_READABLE | WATCH_GONE);
    assert_int_equal(turn(rig), 0);
}

static void a_closed_watch_takes_no_wishes(void **state)
{
    struct rig *rig = *state;

    watch_close(&rig->watch);
    assert_int_equal(watch_set(&rig->watch, WATCH_READABLE), 0);
    assert_int_equal(turn(rig), 0);
}

/* Two that are heard in one batch: the first closes the second, whose word is not passed on any more, and
 * whose memory stays until the batch is over. */
static struct watch *to_be_closed;
static bool second_was_closed_in_batch;

static void close_the_other(void *user, unsigned events)
{
    on_io(user, events);
    if (to_be_closed != NULL) {
        struct watch *other = to_be_closed;
        to_be_closed = NULL;
        watch_close(other);
        second_was_closed_in_batch = !((struct rig *)user)->closed;
    }
}

static void who_is_closed_in_a_batch_is_not_heard_in_it(void **state)
{
    struct rig *rig = *state, other = {0};
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    watch_open(&other.watch, &rig->set, pair[0], on_io, on_closed, &other);
    rig->watch.on_io = close_the_other;
    assert_int_equal(watch_set(&rig->watch, WATCH_READABLE), 0);
    assert_int_equal(watch_set(&other.watch, WATCH_READABLE), 0);
    to_be_closed = &other.watch;
    say(rig); /* and so it is the first of both */
    assert_int_equal(send(pair[1], "x", 1, 0), 1);
    assert_true(turn(rig) > 0);
    assert_true(second_was_closed_in_batch);
    assert_int_equal(other.calls, 0);
    assert_true(other.closed);
    close(pair[1]);
}

static void an_error_does_not_make_the_loop_spin(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(watch_set(&rig->watch, WATCH_READABLE), 0);
    watch_sleep(&rig->watch);
    leave(rig); /* EPOLLHUP, which cannot be masked */
    assert_int_equal(turn(rig), 0);
    assert_int_equal(rig->watch.registered, 0);
    assert_int_equal(watch_set(&rig->watch, WATCH_GONE), 0);
    assert_true(turn(rig) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_comes_before_something_is_wanted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_sleeping_watch_is_silent_and_the_loop_does_not_spin, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_wanted_again_needs_no_change, set_up, tear_down),
        cmocka_unit_test_setup_teardown(leaving_is_noticed_by_who_wants_nothing_else, set_up, tear_down),
        cmocka_unit_test_setup_teardown(leaving_is_noticed_by_who_wanted_to_read_before, set_up, tear_down),
        cmocka_unit_test_setup_teardown(writability_goes_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_is_closed_in_a_batch_is_not_heard_in_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_error_does_not_make_the_loop_spin, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_closed_watch_takes_no_wishes, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("watch", tests, NULL, NULL);
}
