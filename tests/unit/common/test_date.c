#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/date.h"

static void dates_are_read_as_utc(void **state)
{
    static const struct {
        const char *text;
        int64_t unix_s;
    } dates[] = {
        {"1970-01-01", 0},
        {"1970-01-01T00:00:01Z", 1},
        {"2026-12-31", 1798675200},
        {"2026-12-31T12:00:00Z", 1798718400},
        {"2026-12-31T12:00:00+00:00", 1798718400},
        {"2026-12-31T12:00:00-00:00", 1798718400},
        {"2026-12-31T14:00:00+02:00", 1798718400},
        {"2026-12-31T06:30:00-05:30", 1798718400},
        {"1970-01-01T00:30:00+00:30", 0},
        {"2000-02-29", 951782400},
        {"2024-02-29T23:59:59Z", 1709251199},
        {"2038-01-19T03:14:08Z", 2147483648},
        {"9999-12-31T23:59:59Z", 253402300799},
    };
    (void)state;
    for (size_t i = 0; i < sizeof dates / sizeof dates[0]; i++) {
        int64_t unix_s = -1;
        if (date_parse(&unix_s, dates[i].text) != 0 || unix_s != dates[i].unix_s)
            fail_msg("%s gave %lld", dates[i].text, (long long)unix_s);
    }
}

static void what_is_no_date_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "off",
        "2026",
        "2026-12",
        "2026-12-",
        "26-12-31",
        "2026-1-1",
        "2026/12/31",
        "2026-12-31 ",
        " 2026-12-31",
        "2026-12-310",
        "1969-12-31",
        "10000-01-01",
        "2026-00-01",
        "2026-13-01",
        "2026-01-00",
        "2026-01-32",
        "2026-02-29",
        "2100-02-29",
        "2026-04-31",
        "2026-12-31T",
        "2026-12-31T12:00:00",
        "2026-12-31T12:00Z",
        "2026-12-31t12:00:00z",
        "2026-12-31 12:00:00Z",
        "2026-12-31T24:00:00Z",
        "2026-12-31T12:60:00Z",
        "2026-12-31T12:00:60Z",
        "2026-12-31T12:00:00.5Z",
        "2026-12-31T12:00:00Zx",
        "2026-12-31T12:00:00+0200",
        "2026-12-31T12:00:00+24:00",
        "2026-12-31T12:00:00+02:60",
        "1970-01-01T00:00:00+00:01",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        int64_t unix_s;
        if (date_parse(&unix_s, texts[i]) != ERR_FORMAT)
            fail_msg("'%s' was taken for a date", texts[i]);
    }
}

static void the_text_of_a_date_reads_back(void **state)
{
    char text[DATE_TEXT_SIZE];
    int64_t again;
    (void)state;
    assert_string_equal(date_text(text, 1798718400), "2026-12-31T12:00:00Z");
    for (int64_t unix_s = 0; unix_s <= 253402300799; unix_s += 86399 * 977) {
        assert_int_equal(date_parse(&again, date_text(text, unix_s)), 0);
        assert_true(again == unix_s);
    }
}

static void a_span_has_both_of_its_ends(void **state)
{
    const struct date_span span = {.first = 10, .last = 20}, always = DATE_ALWAYS;
    (void)state;
    assert_false(date_span_has(&span, 9));
    assert_true(date_span_has(&span, 10));
    assert_true(date_span_has(&span, 20));
    assert_false(date_span_has(&span, 21));
    assert_true(date_span_has(&always, INT64_MIN));
    assert_true(date_span_has(&always, INT64_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates_are_read_as_utc),
        cmocka_unit_test(what_is_no_date_is_refused),
        cmocka_unit_test(the_text_of_a_date_reads_back),
        cmocka_unit_test(a_span_has_both_of_its_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
