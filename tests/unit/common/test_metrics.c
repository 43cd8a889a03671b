#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/metrics.h"

/* The content of B as text, and B empty. */
static const char *text_of(struct buffer *b)
{
    static char text[8192];
    size_t length = buffer_length(b);
    assert_true(length < sizeof text);
    memcpy(text, buffer_bytes(b), length);
    text[length] = 0;
    buffer_clear(b);
    return text;
}

static void a_family_has_help_and_type(void **state)
{
    (void)state;
    struct buffer out = {0};
    metrics_family(&out, "keyless_edge_x_total", METRIC_COUNTER, "Things done.");
    metrics_family(&out, "keyless_edge_y", METRIC_GAUGE, "Back\\slash and\nline end.");
    metrics_family(&out, "keyless_edge_z_seconds", METRIC_HISTOGRAM, "Time.");
    assert_string_equal(text_of(&out), "# HELP keyless_edge_x_total Things done.\n"
                                       "# TYPE keyless_edge_x_total counter\n"
                                       "# HELP keyless_edge_y Back\\\\slash and\\nline end.\n"
                                       "# TYPE keyless_edge_y gauge\n"
                                       "# HELP keyless_edge_z_seconds Time.\n"
                                       "# TYPE keyless_edge_z_seconds histogram\n");
}

static void samples_are_written_exactly(void **state)
{
    (void)state;
    struct buffer out = {0};
    metrics_sample(&out, "a", NULL, 0);
    metrics_sample(&out, "a", "", 1);
    metrics_sample(&out, "a", "op=\"ping\"", 9007199254740991.0);
    metrics_sample(&out, "a", NULL, 0.1);
    metrics_sample(&out, "a", NULL, -2.5);
    metrics_sample(&out, "a", NULL, 1.0 / 3.0);
    metrics_sample(&out, "a", NULL, (double)INFINITY);
    metrics_sample(&out, "a", NULL, -(double)INFINITY);
    metrics_sample(&out, "a", NULL, (double)NAN);
    assert_string_equal(text_of(&out), "a 0\na 1\na{op=\"ping\"} 9007199254740991\na 0.1\na -2.5\n"
                                       "a 0.33333333333333331\na +Inf\na -Inf\na NaN\n");
}

static void an_empty_histogram_has_all_its_buckets(void **state)
{
    (void)state;
    static struct histogram h;
    struct buffer out = {0};
    size_t lines = 0;
    metrics_histogram(&out, "t_seconds", NULL, &h);
    const char *text = text_of(&out);
    for (const char *at = text; *at != 0; at++)
        lines += *at == '\n';
    assert_int_equal(lines, HISTOGRAM_BUCKETS + 2);
    assert_non_null(strstr(text, "t_seconds_bucket{le=\"5e-05\"} 0\n"));
    assert_non_null(strstr(text, "t_seconds_bucket{le=\"10\"} 0\n"));
    assert_non_null(strstr(text, "t_seconds_bucket{le=\"+Inf\"} 0\nt_seconds_sum 0\nt_seconds_count 0\n"));
}

static void bucket_bounds_are_inclusive(void **state)
{
    (void)state;
    static struct histogram h;
    struct buffer out = {0};
    histogram_add(&h, 0);
    histogram_add(&h, 50000);
    histogram_add(&h, 50001);
    histogram_add(&h, UINT64_C(10000000000));
    histogram_add(&h, UINT64_C(10000000001));
    metrics_histogram(&out, "t_seconds", "op=\"keys\"", &h);
    const char *text = text_of(&out);
    assert_non_null(strstr(text, "t_seconds_bucket{op=\"keys\",le=\"5e-05\"} 2\n"));
    assert_non_null(strstr(text, "t_seconds_bucket{op=\"keys\",le=\"0.0001\"} 3\n"));
    assert_non_null(strstr(text, "t_seconds_bucket{op=\"keys\",le=\"5\"} 3\n"));
    assert_non_null(strstr(text, "t_seconds_bucket{op=\"keys\",le=\"10\"} 4\n"));
    assert_non_null(strstr(text, "t_seconds_bucket{op=\"keys\",le=\"+Inf\"} 5\n"));
    assert_non_null(strstr(text, "t_seconds_sum{op=\"keys\"} 20.000100002\n"));
    assert_non_null(strstr(text, "t_seconds_count{op=\"keys\"} 5\n"));
}

static void counters_count(void **state)
{
    (void)state;
    static counter c;
    assert_true(counter_get(&c) == 0);
    counter_add(&c, 3);
    counter_add(&c, UINT32_MAX);
    assert_true(counter_get(&c) == 3 + (uint64_t)UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_family_has_help_and_type),
        cmocka_unit_test(samples_are_written_exactly),
        cmocka_unit_test(an_empty_histogram_has_all_its_buckets),
        cmocka_unit_test(bucket_bounds_are_inclusive),
        cmocka_unit_test(counters_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
