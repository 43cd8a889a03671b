#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "cli/bench_print.h"

static struct bench_result result;
static const struct client_server server = {.name = "ks1"};
static const struct bench_target target = {.server = &server, .edge_count = 2};
static const struct bench_channels channels = {.count = 4};
static const struct bench_case one = {.kind = OP_SIGN_TLS13, .key = {.type = KEY_EC_P256, .bits = 256}};
static const struct bench_cpu cpu = {.process = {{.pid = 1, .name = "net"}, {.pid = 2, .name = "vault"}},
                                     .count = 2};
static const struct bench_row row = {
    .target = &target, .channels = &channels, .one = &one, .depth = 64, .cpu = &cpu, .result = &result};

/* A thousand answers of a millisecond in half a second. */
static int fill(void **state)
{
    (void)state;
    memset(&result, 0, sizeof result);
    for (int i = 0; i < 1000; i++)
        bench_histogram_add(&result.latency, 1000000);
    result.seconds = 0.5;
    result.cpu_known = true;
    result.cpu_ns[0] = 2000000;
    result.cpu_ns[1] = 20000000;
    return 0;
}

static void times_have_three_digits_and_a_unit_that_fits(void **state)
{
    static const struct {
        uint64_t ns;
        const char *text;
    } cases[] = {{0, "0.00 µs"},        {71, "0.07 µs"},        {9994, "9.99 µs"},      {9996, "10.0 µs"},
                 {99940, "99.9 µs"},    {99960, "100 µs"},      {999400, "999 µs"},     {999600, "1.00 ms"},
                 {12340000, "12.3 ms"}, {1500000000, "1.50 s"}, {120000000000, "120 s"}};
    char text[BENCH_TIME_SIZE];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(bench_time_text(text, cases[i].ns), cases[i].text);
}

static void a_row_of_the_table_has_rate_times_cpu_and_failures(void **state)
{
    char *page = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&page, &length);
    (void)state;
    result.failed[STATUS_BUSY] = 3;
    bench_print_row(out, &row);
    fclose(out);
    assert_string_equal(page,
                        "sign_tls13    p256            64      2000  1.00 ms  1.00 ms  1.00 ms  1.00 ms  "
                        "1.00 ms    2.0   20.0    22.0  ≈   45455/s  busy: 3\n");
    free(page);
}

static void json_has_the_same_for_programs(void **state)
{
    json_t *object = bench_row_json(&row);
    (void)state;
    assert_non_null(object);
    assert_string_equal(json_string_value(json_object_get(object, "key")), "p256");
    assert_int_equal(json_integer_value(json_object_get(object, "answered")), 1000);
    assert_int_equal(json_integer_value(json_object_get(object, "channels")), 4);
    assert_true(json_real_value(json_object_get(object, "rate")) == 2000);
    assert_true(json_real_value(json_object_get(json_object_get(object, "latency_us"), "p99_9")) == 1000);
    assert_true(json_real_value(json_object_get(json_object_get(object, "cpu_us"), "total")) == 22);
    assert_int_equal((int)json_real_value(json_object_get(object, "rate_per_core")), 45454);
    json_decref(object);
}

static void the_head_names_every_column(void **state)
{
    char *page = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&page, &length);
    (void)state;
    bench_print_head(out, &target, &channels, &cpu);
    fclose(out);
    assert_non_null(strstr(page, "    net  vault   total     one core\n"));
    free(page);
}

static void what_is_not_known_is_null(void **state)
{
    (void)state;
    result.cpu_known = false;
    json_t *object = bench_row_json(&row);
    assert_true(json_is_null(json_object_get(object, "cpu_us")));
    assert_true(json_is_null(json_object_get(object, "rate_per_core")));
    json_decref(object);
}

static void nothing_answered_is_no_division_by_zero(void **state)
{
    (void)state;
    memset(&result, 0, sizeof result);
    result.cpu_known = true;
    json_t *object = bench_row_json(&row);
    assert_non_null(object);
    assert_true(json_real_value(json_object_get(object, "rate")) == 0);
    assert_true(json_real_value(json_object_get(json_object_get(object, "cpu_us"), "total")) == 0);
    json_decref(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_have_three_digits_and_a_unit_that_fits),
        cmocka_unit_test_setup(a_row_of_the_table_has_rate_times_cpu_and_failures, fill),
        cmocka_unit_test_setup(json_has_the_same_for_programs, fill),
        cmocka_unit_test_setup(the_head_names_every_column, fill),
        cmocka_unit_test_setup(what_is_not_known_is_null, fill),
        cmocka_unit_test_setup(nothing_answered_is_no_division_by_zero, fill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
