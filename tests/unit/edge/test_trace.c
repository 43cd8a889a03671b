/* The ring of handshake traces: finding, updating, and what happens when it is full. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "edge/session/trace.h"

static struct trace_ring *ring;

static int setup(void **state)
{
    (void)state;
    ring = trace_new();
    return ring ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    trace_free(ring);
    return 0;
}

static struct trace_record record_of(unsigned number)
{
    struct trace_record record = {.accepted_ns = 1000};

    memcpy(record.client_random, &number, sizeof(number));
    record.client_random[31] = 1;
    return record;
}

static void what_was_put_is_found(void **state)
{
    struct trace_record record = record_of(7), found;

    (void)state;
    record.kind = "rsa";
    trace_mark(&record, TRACE_CLIENT_HELLO, 1500);
    trace_put(ring, &record);
    assert_int_equal(trace_find(ring, record.client_random, &found), 0);
    assert_string_equal(found.kind, "rsa");
    assert_int_equal(found.at[TRACE_CLIENT_HELLO], 500);
    assert_int_equal(found.at[TRACE_CLOSED], 0);
}

static void unknown_is_not_found(void **state)
{
    struct trace_record record = record_of(7), other = record_of(8), found;
    static const uint8_t zero[TLS_RANDOM_SIZE];

    (void)state;
    assert_int_equal(trace_find(ring, zero, &found), ERR_NOT_FOUND);
    trace_put(ring, &record);
    assert_int_equal(trace_find(ring, other.client_random, &found), ERR_NOT_FOUND);
    assert_int_equal(trace_find(ring, zero, &found), ERR_NOT_FOUND);
}

static void putting_again_brings_up_to_date(void **state)
{
    struct trace_record record = record_of(7), found;

    (void)state;
    trace_put(ring, &record);
    trace_mark(&record, TRACE_CLOSED, 9000);
    trace_put(ring, &record);
    assert_int_equal(trace_find(ring, record.client_random, &found), 0);
    assert_int_equal(found.at[TRACE_CLOSED], 8000);
}

static void the_last_256_are_kept(void **state)
{
    struct trace_record record, found;

    (void)state;
    for (unsigned i = 0; i < TRACE_RING_SIZE + 1; i++) {
        record = record_of(i);
        trace_put(ring, &record);
    }
    record = record_of(0);
    assert_int_equal(trace_find(ring, record.client_random, &found), ERR_NOT_FOUND);
    record = record_of(1);
    assert_int_equal(trace_find(ring, record.client_random, &found), 0);
    record = record_of(TRACE_RING_SIZE);
    assert_int_equal(trace_find(ring, record.client_random, &found), 0);
}

static void an_overwritten_record_does_not_come_back(void **state)
{
    struct trace_record old = record_of(1000), record, found;

    (void)state;
    trace_put(ring, &old);
    for (unsigned i = 0; i < TRACE_RING_SIZE; i++) {
        record = record_of(i);
        trace_put(ring, &record);
    }
    trace_mark(&old, TRACE_CLOSED, 9000);
    trace_put(ring, &old);
    assert_int_equal(trace_find(ring, old.client_random, &found), ERR_NOT_FOUND);
    assert_int_equal(trace_find(ring, record.client_random, &found), 0);
}

static void of_two_with_one_random_the_later_is_found(void **state)
{
    struct trace_record first = record_of(1), second = record_of(1), found;

    (void)state;
    first.sent_bytes = 1;
    second.sent_bytes = 2;
    trace_put(ring, &first);
    trace_put(ring, &second);
    assert_int_equal(trace_find(ring, first.client_random, &found), 0);
    assert_int_equal(found.sent_bytes, 2);
}

static void reached_at_once_is_not_unreached(void **state)
{
    struct trace_record record = record_of(1);

    (void)state;
    trace_mark(&record, TRACE_CLIENT_HELLO, record.accepted_ns);
    assert_int_equal(record.at[TRACE_CLIENT_HELLO], 1);
    trace_mark(&record, TRACE_KEY_SENT, record.accepted_ns - 5);
    assert_int_equal(record.at[TRACE_KEY_SENT], 1);
}

static void points_have_names(void **state)
{
    (void)state;
    for (enum trace_point point = 0; point < TRACE_POINTS; point++)
        assert_non_null(trace_point_name(point));
    assert_null(trace_point_name(TRACE_POINTS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_put_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(unknown_is_not_found, setup, teardown),
        cmocka_unit_test_setup_teardown(putting_again_brings_up_to_date, setup, teardown),
        cmocka_unit_test_setup_teardown(the_last_256_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(an_overwritten_record_does_not_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(of_two_with_one_random_the_later_is_found, setup, teardown),
        cmocka_unit_test(reached_at_once_is_not_unreached),
        cmocka_unit_test(points_have_names),
    };
    return cmocka_run_group_tests_name("trace", tests, NULL, NULL);
}
