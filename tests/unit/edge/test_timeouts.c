/* Timeouts in ordered lists: due times, restarting, and that a class stays in order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "edge/session/timeouts.h"

static const uint64_t waits[TIMEOUT_CLASSES] = {
    [TIMEOUT_HANDSHAKE] = 100, [TIMEOUT_CONNECT] = 30, [TIMEOUT_IDLE] = 600,  [TIMEOUT_HALF_CLOSED] = 300,
    [TIMEOUT_CLOSE] = 20,      [TIMEOUT_RETRY] = 1,    [TIMEOUT_ACCEPT] = 10,
};

static struct timeouts timeouts;

static int setup(void **state)
{
    (void)state;
    timeouts_init(&timeouts, waits);
    return 0;
}

static void empty_is_never_due(void **state)
{
    enum timeout_class class;

    (void)state;
    assert_true(timeouts_next(&timeouts) == TIMEOUTS_NEVER);
    assert_null(timeouts_pop(&timeouts, UINT64_MAX, &class));
}

static void due_exactly_at_the_end_of_the_wait(void **state)
{
    struct timeout one = {0};
    enum timeout_class class = TIMEOUT_NONE;

    (void)state;
    timeouts_set(&timeouts, &one, TIMEOUT_HANDSHAKE, 1000);
    assert_int_equal(timeouts_next(&timeouts), 1100);
    assert_null(timeouts_pop(&timeouts, 1099, &class));
    assert_ptr_equal(timeouts_pop(&timeouts, 1100, &class), &one);
    assert_int_equal(class, TIMEOUT_HANDSHAKE);
    assert_int_equal(one.class, TIMEOUT_NONE);
    assert_null(timeouts_pop(&timeouts, 2000, &class));
}

static void the_nearest_of_all_classes_is_next(void **state)
{
    struct timeout idle = {0}, close = {0}, connect = {0};
    enum timeout_class class;

    (void)state;
    timeouts_set(&timeouts, &idle, TIMEOUT_IDLE, 0);
    timeouts_set(&timeouts, &connect, TIMEOUT_CONNECT, 10);
    timeouts_set(&timeouts, &close, TIMEOUT_CLOSE, 15);
    assert_int_equal(timeouts_next(&timeouts), 35);
    assert_ptr_equal(timeouts_pop(&timeouts, 36, &class), &close);
    assert_int_equal(timeouts_next(&timeouts), 40);
}

static void restarting_moves_to_the_end(void **state)
{
    struct timeout first = {0}, second = {0};
    enum timeout_class class;

    (void)state;
    timeouts_set(&timeouts, &first, TIMEOUT_IDLE, 0);
    timeouts_set(&timeouts, &second, TIMEOUT_IDLE, 1);
    timeouts_set(&timeouts, &first, TIMEOUT_IDLE, 2);
    assert_int_equal(timeouts_next(&timeouts), 601);
    assert_ptr_equal(timeouts_pop(&timeouts, 700, &class), &second);
    assert_ptr_equal(timeouts_pop(&timeouts, 700, &class), &first);
}

static void changing_class_leaves_the_old_list(void **state)
{
    struct timeout one = {0};
    enum timeout_class class;

    (void)state;
    timeouts_set(&timeouts, &one, TIMEOUT_CLOSE, 0);
    timeouts_set(&timeouts, &one, TIMEOUT_IDLE, 0);
    assert_null(timeouts_pop(&timeouts, 599, &class));
    timeouts_set(&timeouts, &one, TIMEOUT_NONE, 0);
    assert_true(timeouts_next(&timeouts) == TIMEOUTS_NEVER);
}

static void clearing_twice_is_harmless(void **state)
{
    struct timeout one = {0}, two = {0};

    (void)state;
    timeouts_set(&timeouts, &one, TIMEOUT_IDLE, 0);
    timeouts_set(&timeouts, &two, TIMEOUT_IDLE, 5);
    timeouts_clear(&timeouts, &one);
    timeouts_clear(&timeouts, &one);
    assert_int_equal(timeouts_next(&timeouts), 605);
}

static void setting_while_popping_does_not_come_again(void **state)
{
    struct timeout one = {0};
    enum timeout_class class;
    int times = 0;

    (void)state;
    timeouts_set(&timeouts, &one, TIMEOUT_RETRY, 0);
    while (timeouts_pop(&timeouts, 1, &class)) {
        timeouts_set(&timeouts, &one, TIMEOUT_RETRY, 1);
        times++;
    }
    assert_int_equal(times, 1);
}

static void classes_have_distinct_names(void **state)
{
    (void)state;
    for (enum timeout_class a = 0; a < TIMEOUT_CLASSES; a++) {
        for (enum timeout_class b = 0; b < a; b++)
            assert_string_not_equal(timeouts_name(a), timeouts_name(b));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(empty_is_never_due, setup),
        cmocka_unit_test_setup(due_exactly_at_the_end_of_the_wait, setup),
        cmocka_unit_test_setup(the_nearest_of_all_classes_is_next, setup),
        cmocka_unit_test_setup(restarting_moves_to_the_end, setup),
        cmocka_unit_test_setup(changing_class_leaves_the_old_list, setup),
        cmocka_unit_test_setup(clearing_twice_is_harmless, setup),
        cmocka_unit_test_setup(setting_while_popping_does_not_come_again, setup),
        cmocka_unit_test(classes_have_distinct_names),
    };
    return cmocka_run_group_tests_name("timeouts", tests, NULL, NULL);
}
