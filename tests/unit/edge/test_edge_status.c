#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "common/clock.h"
#include "edge/daemon/edge_status.h"

/* The module itself, with a clock and threads that the tests move. */
static uint64_t fake_now, fake_turned[2];
static bool fake_ended[2];
static struct session_stats fake_stats[2];

#define clock_ms()               (fake_now)
#define thread_turned_ms(thread) (fake_turned[(thread) == NULL ? 0 : 1])
#define thread_ended(thread)     (fake_ended[(thread) == NULL ? 0 : 1])
#define thread_stats(thread)     (&fake_stats[(thread) == NULL ? 0 : 1])
#include "edge/daemon/edge_status.c"

static char second;
static struct thread *threads[] = {NULL, (struct thread *)&second};
static struct edge_status status = {.threads = threads, .thread_count = 2};

static int live_status(const char *part)
{
    struct buffer body = {0};
    int code = live(&body, "", &status);
    assert_non_null(memmem(buffer_bytes(&body), buffer_length(&body), part, strlen(part)));
    buffer_clear(&body);
    return code;
}

static int reset(void **state)
{
    (void)state;
    fake_now = fake_turned[0] = fake_turned[1] = 100000;
    fake_ended[0] = fake_ended[1] = false;
    return 0;
}

static void threads_that_turn_are_live(void **state)
{
    (void)state;
    fake_now += EDGE_LIVE_MS;
    assert_int_equal(live_status("live\n"), 200);
    fake_turned[0] = fake_turned[1] = fake_now + 3; /* a loop's clock may be a little ahead */
    assert_int_equal(live_status("live\n"), 200);
}

static void one_thread_that_hangs_is_named(void **state)
{
    (void)state;
    fake_now += EDGE_LIVE_MS + 1;
    fake_turned[0] = fake_now;
    assert_int_equal(live_status("thread 1 has not turned its loop for 5001 ms\n"), 503);
    fake_turned[1] = fake_now;
    assert_int_equal(live_status("live\n"), 200);
}

static void a_thread_that_has_ended_need_not_turn(void **state)
{
    (void)state;
    fake_now += 10 * EDGE_LIVE_MS;
    fake_ended[0] = true;
    fake_turned[1] = fake_now;
    assert_int_equal(live_status("live\n"), 200);
}

/* READY_CODE with TEXT is what /ready answers. */
static void assert_ready(int ready_code, const char *text)
{
    struct buffer body = {0};
    assert_int_equal(ready(&body, "", &status), ready_code);
    assert_int_equal(buffer_length(&body), strlen(text));
    assert_memory_equal(buffer_bytes(&body), text, strlen(text));
    buffer_clear(&body);
}

static void readiness_says_what_is_missing(void **state)
{
    static struct client_server_stats servers[2];
    struct setup setup = {.key_servers.count = 2, .stats = servers};
    (void)state;
    status.setup = &setup;
    assert_ready(503, "no key server is connected\n");
    counter_add(&servers[1].connected, 1);
    assert_ready(200, "ready\n");
    counter_add(&fake_stats[1].listeners_broken, 1);
    assert_ready(503,
                 "a socket does not listen any more: restart keyless-edge (listener_broken in the log says "
                 "which)\n");
    assert_non_null(edge_status_not_ready(&status));
    status.draining = true;
    assert_ready(503, "draining\n");
    status.draining = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(threads_that_turn_are_live, reset),
        cmocka_unit_test_setup(one_thread_that_hangs_is_named, reset),
        cmocka_unit_test_setup(a_thread_that_has_ended_need_not_turn, reset),
        cmocka_unit_test_setup(readiness_says_what_is_missing, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
