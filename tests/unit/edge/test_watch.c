/* Watches on a socket pair: what is wanted comes, what is not wanted does not, whatever is registered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "edge/watch.h"

struct rig {
    uv_loop_t loop;
    struct watch watch;
    int peer;
    unsigned calls;
    int events; /* of the last call */
    bool closed;
};

static void on_io(void *user, int status, int events)
{
    struct rig *rig = user;

    assert_int_equal(status, 0);
    rig->calls++;
    rig->events = events;
}

static void on_closed(uv_handle_t *handle)
{
    struct rig *rig = handle->data;
    rig->closed = true;
}

static int set_up(void **state)
{
    static struct rig rig;
    int pair[2];

    rig = (struct rig){0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(uv_loop_init(&rig.loop), 0);
    assert_int_equal(watch_open(&rig.watch, &rig.loop, pair[0], on_io, on_closed, &rig), 0);
    rig.peer = pair[1];
    *state = &rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;

    watch_close(&rig->watch);
    watch_close(&rig->watch); /* twice does no harm */
    uv_run(&rig->loop, UV_RUN_DEFAULT);
    assert_true(rig->closed);
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
    assert_int_equal(watch_set(&rig->watch, UV_READABLE), 0);
    assert_true(turn(rig) > 0);
    assert_int_equal(rig->events, UV_READABLE);
}

static void a_sleeping_watch_is_silent_and_the_loop_does_not_spin(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(watch_set(&rig->watch, UV_READABLE), 0);
    assert_int_equal(turn(rig), 0);
    watch_sleep(&rig->watch);
    say(rig);
    assert_int_equal(turn(rig), 0);
    assert_int_equal(rig->watch.registered, 0); /* it was in the way once, and no more */
    assert_int_equal(watch_set(&rig->watch, UV_READABLE), 0);
    assert_true(turn(rig) > 0);
}

static void what_is_wanted_again_needs_no_change(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(watch_set(&rig->watch, UV_READABLE), 0);
    watch_sleep(&rig->watch);
    assert_int_equal(rig->watch.registered, UV_READABLE);
    assert_int_equal(watch_set(&rig->watch, UV_READABLE), 0);
    say(rig);
    assert_true(turn(rig) > 0);
}

static void leaving_is_noticed_by_who_wants_nothing_else(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(watch_set(&rig->watch, UV_DISCONNECT), 0);
    say(rig);
    assert_int_equal(turn(rig), 0);
    leave(rig);
    assert_true(turn(rig) > 0);
    assert_int_equal(rig->events, UV_DISCONNECT);
}

static void leaving_is_noticed_by_who_wanted_to_read_before(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(watch_set(&rig->watch, UV_READABLE), 0);
    assert_int_equal(turn(rig), 0);
    assert_int_equal(watch_set(&rig->watch, UV_DISCONNECT), 0);
    assert_int_equal(rig->watch.registered, UV_READABLE);
    leave(rig);
    assert_true(turn(rig) > 0);
    assert_int_equal(rig->events, UV_DISCONNECT);
}

/* A socket is nearly always writable: that must not stay registered. */
static void writability_goes_at_once(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(watch_set(&rig->watch, UV_READABLE | UV_WRITABLE), 0);
    assert_true(turn(rig) > 0);
    assert_int_equal(rig->events, UV_WRITABLE);
    assert_int_equal(watch_set(&rig->watch, UV_READABLE), 0);
    assert_int_equal(rig->watch.registered, UV_READABLE);
    assert_int_equal(turn(rig), 0);
}

static void a_closed_watch_takes_no_wishes(void **state)
{
    struct rig *rig = *state;

    watch_close(&rig->watch);
    assert_int_equal(watch_set(&rig->watch, UV_READABLE), 0);
    assert_int_equal(turn(rig), 0);
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
        cmocka_unit_test_setup_teardown(a_closed_watch_takes_no_wishes, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("watch", tests, NULL, NULL);
}
