#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "cli/bench_histogram.h"

#define P50  50000
#define P99  99000
#define P999 99900
#define ALL  100000

static struct bench_histogram h;

static int empty(void **state)
{
    (void)state;
    memset(&h, 0, sizeof h);
    return 0;
}

static void an_empty_one_says_zero(void **state)
{
    (void)state;
    assert_int_equal(bench_histogram_at(&h, P50), 0);
    assert_int_equal(bench_histogram_at(&h, ALL), 0);
    assert_true(bench_histogram_mean(&h) == 0);
}

static void small_values_are_exact(void **state)
{
    (void)state;
    for (uint64_t value = 0; value <= 255; value++)
        bench_histogram_add(&h, value);
    assert_int_equal(bench_histogram_at(&h, P50), 127);
    assert_int_equal(bench_histogram_at(&h, 1), 0);
    assert_int_equal(bench_histogram_at(&h, ALL), 255);
    assert_true(bench_histogram_mean(&h) == 127.5);
}

/* One value alone, and one larger, so that the maximum does not answer for it. */
static void every_value_is_known_to_one_part_in_256(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < BENCH_HISTOGRAM_WIDTH; bit++) {
        const uint64_t power = UINT64_C(1) << bit;
        const uint64_t values[] = {power - 1, power, power + 1, power + power / 3, power + power / 2 - 1};
        for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
            memset(&h, 0, sizeof h);
            bench_histogram_add(&h, values[i]);
            bench_histogram_add(&h, UINT64_MAX / 2);
            uint64_t said = bench_histogram_at(&h, P50);
            assert_true(said >= values[i] && said - values[i] <= values[i] / 256);
        }
    }
}

static void percentiles_are_those_of_the_sorted_values(void **state)
{
    static uint64_t values[10000];
    static const unsigned wanted[] = {1, P50, 90000, P99, P999, 99990, ALL};
    const size_t count = sizeof values / sizeof values[0];
    uint64_t random = 1;
    (void)state;
    for (size_t i = 0; i < count; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        values[i] = (random >> 33) % 5000000;
        bench_histogram_add(&h, values[i]);
    }
    for (size_t gap = count / 2; gap > 0; gap /= 2) /* shell sort */
        for (size_t i = gap; i < count; i++)
            for (size_t k = i; k >= gap && values[k - gap] > values[k]; k -= gap) {
                uint64_t swap = values[k];
                values[k] = values[k - gap];
                values[k - gap] = swap;
            }
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        size_t rank = (count * wanted[i] + ALL - 1) / ALL;
        uint64_t exact = values[rank - 1], said = bench_histogram_at(&h, wanted[i]);
        assert_true(said >= exact && said - exact <= exact / 256);
    }
}

static void what_is_beyond_the_width_is_counted_and_its_maximum_exact(void **state)
{
    const uint64_t last = (UINT64_C(1) << BENCH_HISTOGRAM_WIDTH) - 1;
    (void)state;
    bench_histogram_add(&h, last);
    assert_int_equal(bench_histogram_at(&h, P50), last);
    bench_histogram_add(&h, last + 1);
    bench_histogram_add(&h, UINT64_C(1) << 62);
    assert_int_equal(h.count, 3);
    assert_int_equal(bench_histogram_at(&h, ALL), UINT64_C(1) << 62);
    assert_int_equal(bench_histogram_at(&h, 99999), UINT64_C(1) << 62);
}

static void no_percentile_is_above_the_maximum(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++)
        bench_histogram_add(&h, 1000001);
    assert_int_equal(bench_histogram_at(&h, P50), 1000001);
    assert_int_equal(bench_histogram_at(&h, P999), 1000001);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_empty_one_says_zero, empty),
        cmocka_unit_test_setup(small_values_are_exact, empty),
        cmocka_unit_test_setup(every_value_is_known_to_one_part_in_256, empty),
        cmocka_unit_test_setup(percentiles_are_those_of_the_sorted_values, empty),
        cmocka_unit_test_setup(what_is_beyond_the_width_is_counted_and_its_maximum_exact, empty),
        cmocka_unit_test_setup(no_percentile_is_above_the_maximum, empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
