/* What a session leaves in the log and in the counters: names are fixed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edge/session/session_log.h"

static void every_failure_and_result_has_its_own_name(void **state)
{
    (void)state;
    for (enum session_failure a = 0; a < SESSION_FAILURES; a++) {
        for (enum session_failure b = 0; b < a; b++)
            assert_string_not_equal(session_stats_failure_name(a), session_stats_failure_name(b));
    }
    for (enum session_result a = 0; a < SESSION_RESULTS; a++) {
        for (enum session_result b = 0; b < a; b++)
            assert_string_not_equal(session_stats_result_name(a), session_stats_result_name(b));
    }
    assert_null(session_stats_failure_name(SESSION_FAILURES));
    assert_null(session_stats_result_name(SESSION_RESULTS));
}

static void threads_add_up(void **state)
{
    struct session_stats *one = calloc(1, sizeof(*one)), *sum = calloc(1, sizeof(*sum));

    (void)state;
    assert_true(one && sum);
    counter_add(&one->accepted, 3);
    counter_add(&one->failures[FAILURE_KEY_REFUSED], 2);
    histogram_add(&one->handshake_resumed, 1000000);
    session_stats_sum(sum, one);
    session_stats_sum(sum, one);
    assert_int_equal(counter_get(&sum->accepted), 6);
    assert_int_equal(counter_get(&sum->failures[FAILURE_KEY_REFUSED]), 4);
    assert_int_equal(counter_get(&sum->handshake_resumed.count), 2);
    assert_int_equal(counter_get(&sum->handshake_resumed.sum_ns), 2000000);
    assert_int_equal(counter_get(&sum->active), 0);
    free(one);
    free(sum);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_failure_and_result_has_its_own_name),
        cmocka_unit_test(threads_add_up),
    };
    return cmocka_run_group_tests_name("session_log", tests, NULL, NULL);
}
