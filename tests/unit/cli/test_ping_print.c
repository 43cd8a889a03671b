#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "cli/ping_print.h"

static const struct ping_result blank = {
    .server = "ks1", .address = "127.0.0.1:2407", .error = "", .hint = ""};

static void a_percentile_is_the_value_of_the_nearest_rank(void **state)
{
    static const struct {
        size_t count;
        unsigned percent;
        uint64_t value; /* of 1, 2, 3, … */
    } cases[] = {{0, 99, 0},      {1, 50, 1},       {1, 99, 1},    {2, 50, 1},   {3, 50, 2},
                 {3, 99, 3},      {10, 99, 10},     {50, 99, 50},  {99, 99, 99}, {100, 99, 99},
                 {101, 99, 100},  {200, 99, 198},   {10, 100, 10}, {10, 1, 1},   {1000, 99, 990},
                 {1000, 50, 500}, {1000, 100, 1000}};
    uint64_t ns[1000];
    (void)state;
    for (size_t i = 0; i < 1000; i++)
        ns[i] = i + 1;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(ping_percentile(ns, cases[i].count, cases[i].percent), cases[i].value);
}

/* Ten pings, one of them slow: the 99th percentile is the slow one, and never below the mean. */
static void one_slow_ping_of_ten_shows(void **state)
{
    uint64_t ns[] = {52000, 49000, 50000, 900000, 51000, 49500, 53000, 50500, 51500, 52500};
    struct ping_result result = blank;
    (void)state;
    ping_result_take(&result, ns, 10);
    assert_int_equal(result.answered, 10);
    assert_int_equal(result.min_ns, 49000);
    assert_int_equal(result.median_ns, 51000);
    assert_int_equal(result.p99_ns, 900000);
    assert_int_equal(result.max_ns, 900000);
}

static void check_line(const struct ping_result *result, const char *wanted)
{
    char *line = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&line, &length);
    ping_print(out, result);
    fclose(out);
    assert_string_equal(line, wanted);
    free(line);
}

static void a_server_is_one_line(void **state)
{
    uint64_t ns[] = {3000000, 1000000, 2000000};
    struct ping_result result = blank;
    (void)state;
    result.sent = 3;
    ping_result_take(&result, ns, 3);
    check_line(&result, "ks1 127.0.0.1:2407: 3 sent, 3 answered, min 1.000, median 2.000, p99 3.000, max "
                        "3.000 ms\n");
    result.sent = 4;
    result.error = "connection refused";
    result.hint = "is it running?";
    check_line(&result, "ks1 127.0.0.1:2407: 4 sent, 3 answered, min 1.000, median 2.000, p99 3.000, max "
                        "3.000 ms; then connection refused: is it running?\n");
}

static void a_dead_server_is_one_line_with_the_reason(void **state)
{
    struct ping_result result = blank;
    (void)state;
    ping_result_take(&result, NULL, 0);
    result.error = "no answer within 5 s";
    check_line(&result, "ks1 127.0.0.1:2407: 0 sent, 0 answered: no answer within 5 s\n");
    result.hint = "is the address right?";
    check_line(&result,
               "ks1 127.0.0.1:2407: 0 sent, 0 answered: no answer within 5 s: is the address right?\n");
}

static void json_has_the_same(void **state)
{
    uint64_t ns[] = {3000000, 1000000, 2000000};
    struct ping_result result = blank;
    (void)state;
    result.sent = 3;
    ping_result_take(&result, ns, 3);
    json_t *good = ping_json(&result);
    assert_int_equal(json_integer_value(json_object_get(good, "sent")), 3);
    assert_int_equal(json_integer_value(json_object_get(good, "answered")), 3);
    assert_true(json_real_value(json_object_get(good, "min_ms")) == 1.0);
    assert_true(json_real_value(json_object_get(good, "median_ms")) == 2.0);
    assert_true(json_real_value(json_object_get(good, "p99_ms")) == 3.0);
    assert_true(json_real_value(json_object_get(good, "max_ms")) == 3.0);
    assert_true(json_is_null(json_object_get(good, "error")));
    json_decref(good);
    ping_result_take(&result, NULL, 0);
    result.error = "connection refused";
    result.hint = "is it running?";
    json_t *dead = ping_json(&result);
    assert_true(json_is_null(json_object_get(dead, "p99_ms")));
    assert_string_equal(json_string_value(json_object_get(dead, "error")), "connection refused");
    assert_string_equal(json_string_value(json_object_get(dead, "hint")), "is it running?");
    json_decref(dead);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_percentile_is_the_value_of_the_nearest_rank),
        cmocka_unit_test(one_slow_ping_of_ten_shows),
        cmocka_unit_test(a_server_is_one_line),
        cmocka_unit_test(a_dead_server_is_one_line_with_the_reason),
        cmocka_unit_test(json_has_the_same),
    };
    return cmocka_run_group_tests_name("ping_print", tests, NULL, NULL);
}
