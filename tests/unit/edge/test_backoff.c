#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "edge/keyclient/backoff.h"

static void the_ceiling_doubles_up_to_the_maximum(void **state)
{
    (void)state;
    static const uint64_t widest[] = {200, 400, 800, 1600, 3200, 6400, 10000, 10000};
    struct backoff b;
    backoff_init(&b, 100, 10000);
    for (size_t i = 0; i < sizeof widest / sizeof widest[0]; i++) {
        struct backoff same = b;
        uint64_t width = widest[i] - 100;
        assert_int_equal(backoff_next(&same, width), widest[i]); /* the largest draw */
        assert_int_equal(backoff_next(&b, width + 1), 100);      /* one more begins again at the minimum */
    }
}

static void every_wait_lies_between_minimum_and_maximum(void **state)
{
    (void)state;
    struct backoff b;
    uint64_t random = 88172645463325252u;
    backoff_init(&b, 7, 1000);
    for (int i = 0; i < 10000; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        uint64_t wait = backoff_next(&b, random);
        assert_in_range(wait, 7, 1000);
    }
}

static void reset_begins_again(void **state)
{
    (void)state;
    struct backoff b;
    backoff_init(&b, 100, 10000);
    for (int i = 0; i < 5; i++)
        (void)backoff_next(&b, 0);
    backoff_reset(&b);
    assert_int_equal(b.failures, 0);
    assert_int_equal(backoff_next(&b, 100), 200);
}

static void odd_limits_are_mended(void **state)
{
    (void)state;
    struct backoff b;
    backoff_init(&b, 0, 0);
    assert_int_equal(backoff_next(&b, UINT64_MAX), 1);
    backoff_init(&b, 500, 20);
    assert_int_equal(backoff_next(&b, UINT64_MAX), 500);
}

static void very_many_failures_do_not_overflow(void **state)
{
    (void)state;
    struct backoff b;
    backoff_init(&b, 3, UINT64_MAX);
    for (int i = 0; i < 200; i++)
        assert_true(backoff_next(&b, UINT64_MAX) >= 3);
    assert_int_equal(b.failures, 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ceiling_doubles_up_to_the_maximum),
        cmocka_unit_test(every_wait_lies_between_minimum_and_maximum),
        cmocka_unit_test(reset_begins_again),
        cmocka_unit_test(odd_limits_are_mended),
        cmocka_unit_test(very_many_failures_do_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
