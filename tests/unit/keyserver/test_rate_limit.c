#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/secret.h"
#include "keyserver/rules/rate_limit.h"
#include "tests/lib/random_below.h"

#define S 1000000000ull /* ns */

/* ---- text ---- */

static void rates_are_read(void **state)
{
    static const struct {
        const char *text;
        uint64_t count;
        uint32_t seconds;
    } rates[] = {
        {"1/s", 1, 1},
        {"100/s", 100, 1},
        {"5000/m", 5000, 60},
        {"1000000/h", 1000000, 3600},
        {"1/h", 1, 3600},
        {"1000000000/s", 1000000000, 1},
        {"1000000000/h", 1000000000, 3600},
        {"007/m", 7, 60},
        {"off", 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        struct rate_limit limit = {.count = 77, .seconds = 77};
        assert_int_equal(rate_limit_parse_rate(&limit, rates[i].text), 0);
        assert_int_equal(limit.count, rates[i].count);
        assert_int_equal(limit.seconds, rates[i].seconds);
    }
}

static void quotas_are_read(void **state)
{
    static const struct {
        const char *text;
        uint64_t count;
        uint32_t seconds;
    } quotas[] = {{"1/h", 1, 3600},
                  {"100000/d", 100000, 86400},
                  {"1000000000000/d", 1000000000000, 86400},
                  {"off", 0, 0}};
    (void)state;
    for (size_t i = 0; i < sizeof quotas / sizeof quotas[0]; i++) {
        struct rate_limit limit = {.count = 77, .seconds = 77};
        assert_int_equal(rate_limit_parse_quota(&limit, quotas[i].text), 0);
        assert_int_equal(limit.count, quotas[i].count);
        assert_int_equal(limit.seconds, quotas[i].seconds);
    }
}

static void what_is_no_limit_is_refused(void **state)
{
    static const char *const both[] = {"",
                                       "0/s",
                                       "0/h",
                                       "5",
                                       "5/",
                                       "/s",
                                       "/h",
                                       "-1/h",
                                       "+1/h",
                                       "1.5/h",
                                       "1 /h",
                                       "1/ h",
                                       " 1/h",
                                       "1/h ",
                                       "1/hh",
                                       "h",
                                       "1h",
                                       "1/x",
                                       "1/hour",
                                       "Off",
                                       "1/S",
                                       "1000/s/s",
                                       "99999999999999999999/h",
                                       "o"};
    struct rate_limit limit;
    (void)state;
    for (size_t i = 0; i < sizeof both / sizeof both[0]; i++)
        if (rate_limit_parse_rate(&limit, both[i]) != ERR_FORMAT ||
            rate_limit_parse_quota(&limit, both[i]) != ERR_FORMAT)
            fail_msg("'%s' was taken for a limit", both[i]);
    assert_int_equal(rate_limit_parse_rate(&limit, "1/d"), ERR_FORMAT);
    assert_int_equal(rate_limit_parse_rate(&limit, "1000000001/s"), ERR_FORMAT);
    assert_int_equal(rate_limit_parse_quota(&limit, "1/s"), ERR_FORMAT);
    assert_int_equal(rate_limit_parse_quota(&limit, "1/m"), ERR_FORMAT);
    assert_int_equal(rate_limit_parse_quota(&limit, "1000000000001/d"), ERR_FORMAT);
}

static void the_text_of_a_limit_reads_back(void **state)
{
    static const char *const texts[] = {"1/s", "1000000000/h", "5000/m", "off"};
    char text[RATE_LIMIT_TEXT_SIZE];
    struct rate_limit limit;
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(rate_limit_parse_rate(&limit, texts[i]), 0);
        assert_string_equal(rate_limit_text(text, &limit), texts[i]);
    }
    assert_int_equal(rate_limit_parse_quota(&limit, "1000000000000/d"), 0);
    assert_string_equal(rate_limit_text(text, &limit), "1000000000000/d");
}

/* ---- rates ---- */

static bool take_one(struct rate_limit_bucket *bucket, const struct rate_limit *rate, uint64_t now_ns)
{
    bool may = rate_limit_bucket_check(bucket, rate, now_ns);
    if (may)
        rate_limit_bucket_take(bucket, rate, now_ns);
    return may;
}

static unsigned take_all(struct rate_limit_bucket *bucket, const struct rate_limit *rate, uint64_t now_ns)
{
    unsigned count = 0;
    while (take_one(bucket, rate, now_ns))
        count++;
    return count;
}

static void a_bucket_holds_a_seconds_worth_and_at_least_one(void **state)
{
    static const struct {
        struct rate_limit rate;
        unsigned burst;
    } cases[] = {{{1, 1}, 1},    {{100, 1}, 100}, {{1, 3600}, 1},   {{59, 60}, 1},
                 {{120, 60}, 2}, {{119, 60}, 1},  {{5000, 60}, 83}, {{36000, 3600}, 10}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rate_limit_bucket bucket = {.debt = 0};
        assert_int_equal(take_all(&bucket, &cases[i].rate, 5 * S), cases[i].burst);
        assert_int_equal(take_all(&bucket, &cases[i].rate, 5 * S), 0);
        assert_int_equal(take_all(&bucket, &cases[i].rate, UINT64_MAX),
                         cases[i].burst); /* however long it rested */
    }
}

static void tokens_come_back_to_the_nanosecond(void **state)
{
    const struct rate_limit three = {3, 1}, slow = {1, 3600};
    struct rate_limit_bucket bucket = {.debt = 0};
    (void)state;
    assert_int_equal(take_all(&bucket, &three, 0), 3);
    assert_false(
        take_one(&bucket, &three, 333333333)); /* a third of a second is a third of a nanosecond more */
    assert_true(take_one(&bucket, &three, 333333334));
    assert_false(take_one(&bucket, &three, 666666666));
    assert_true(take_one(&bucket, &three, 666666667)); /* and what was too much is not lost */
    assert_false(take_one(&bucket, &three, 999999999));
    assert_true(take_one(&bucket, &three, 1000000000));
    bucket = (struct rate_limit_bucket){.debt = 0};
    assert_true(take_one(&bucket, &slow, 0));
    assert_false(take_one(&bucket, &slow, 3600 * S - 1));
    assert_false(rate_limit_bucket_full(&bucket, &slow, 3600 * S - 1));
    assert_true(rate_limit_bucket_full(&bucket, &slow, 3600 * S));
    assert_true(take_one(&bucket, &slow, 3600 * S));
}

static void a_clock_that_stands_or_goes_back_gives_nothing(void **state)
{
    const struct rate_limit rate = {10, 1};
    struct rate_limit_bucket bucket = {.debt = 0};
    (void)state;
    assert_int_equal(take_all(&bucket, &rate, 100 * S), 10);
    assert_false(take_one(&bucket, &rate, 50 * S));
    assert_false(take_one(&bucket, &rate, 100 * S));
    assert_true(take_one(&bucket, &rate, 100 * S + S / 10));
}

static void no_limit_limits_nothing(void **state)
{
    const struct rate_limit none = {.count = 0};
    struct rate_limit_bucket bucket = {.debt = 0};
    struct rate_limit_window window = {.start = 0};
    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        assert_true(take_one(&bucket, &none, 1));
        assert_true(rate_limit_bucket_full(&bucket, &none, 1));
        assert_true(rate_limit_window_check(&window, &none, 1));
        rate_limit_window_take(&window, &none, 1);
        rate_limit_window_restore(&window, &none, 1, 1000);
    }
    assert_int_equal(rate_limit_window_used(&window, &none, 1), 0);
}

static void the_largest_numbers_do_not_overflow(void **state)
{
    const struct rate_limit most = {RATE_LIMIT_RATE_MAX, 1}, most_an_hour = {RATE_LIMIT_RATE_MAX, 3600};
    struct rate_limit_bucket bucket = {.debt = 0};
    (void)state;
    for (uint64_t now = UINT64_MAX - 10; now >= UINT64_MAX - 10; now++) /* ends where it wraps */
        assert_true(take_one(&bucket, &most, now));
    bucket = (struct rate_limit_bucket){.debt = 0};
    assert_int_equal(take_all(&bucket, &most_an_hour, UINT64_MAX), 277777); /* 10^9 / 3600 */
}

/* A random schedule, with pauses and bursts. How many were let through in every second of it is remembered,
 * and every ten seconds are looked at. */
enum { SECONDS = 300 };

static void run_schedule(const struct rate_limit *rate, unsigned busy)
{
    unsigned passed[SECONDS + 1] = {0};
    struct rate_limit_bucket bucket = {.debt = 0};
    uint64_t now = random_below(1u << 30), start = now;
    double per_second = (double)rate->count / rate->seconds, burst = per_second < 1 ? 1 : per_second;
    double level = burst; /* the model: tokens as a real number */
    uint64_t before = now;
    while (now < start + SECONDS * S) {
        level += per_second * (double)(now - before) / 1e9;
        level = level > burst ? burst : level;
        before = now;
        bool may = take_one(&bucket, rate, now);
        if (may != (level >= 1) && (level < 1 - 1e-6 || level > 1 + 1e-6))
            fail_msg("%u/%u: %d with %f tokens", (unsigned)rate->count, rate->seconds, may, level);
        level -= may;
        passed[(now - start) / S] += may;
        now += random_below(100) == 0 ? random_below(3 * S) : random_below(busy);
    }
    for (unsigned from = 0; from + 10 <= SECONDS; from++) {
        unsigned sum = 0;
        for (unsigned i = from; i < from + 10; i++)
            sum += passed[i];
        assert_true(sum <= burst + 10 * per_second + 1e-6);
    }
}

static void random_schedules_pass_as_in_the_model(void **state)
{
    static const struct rate_limit rates[] = {{1, 1},     {7, 1},       {100, 1},     {13, 60},
                                              {5000, 60}, {1000, 3600}, {99999, 3600}};
    (void)state;
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        unsigned gap = (unsigned)(S * rates[i].seconds / rates[i].count);
        gap = gap > S ? (unsigned)S : gap;
        run_schedule(&rates[i], gap / 4 + 2); /* four times too many */
        run_schedule(&rates[i], 2 * gap);     /* as many as there may be */
    }
}

static void a_steady_asker_gets_the_rate_within_five_percent(void **state)
{
    static const struct rate_limit rates[] = {{1, 1},   {3, 1},     {100, 1},
                                              {997, 1}, {5000, 60}, {1000000, 3600}};
    (void)state;
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        struct rate_limit_bucket bucket = {.debt = 0};
        uint64_t now = S;
        (void)take_all(&bucket, &rates[i], now); /* after the burst */
        for (unsigned window = 0; window < 30; window++) {
            unsigned sum = 0;
            for (uint64_t end = now + 10 * S; now < end; now += S / 4999)
                sum += take_one(&bucket, &rates[i], now + S / 4999);
            double wanted = 10.0 * (double)rates[i].count / rates[i].seconds;
            assert_true(sum >= wanted * 0.95 - 1 && sum <= wanted * 1.05); /* one may fall behind the edge */
        }
    }
}

/* ---- quotas ---- */

static bool use(struct rate_limit_window *window, const struct rate_limit *quota, int64_t unix_s)
{
    bool may = rate_limit_window_check(window, quota, unix_s);
    if (may)
        rate_limit_window_take(window, quota, unix_s);
    return may;
}

static void windows_begin_with_the_hour_and_the_day_of_utc(void **state)
{
    const struct rate_limit hour = {1, 3600}, day = {1, 86400};
    (void)state;
    assert_int_equal(rate_limit_window_start(&hour, 1798718400), 1798718400); /* 2026-12-31T12:00:00Z */
    assert_int_equal(rate_limit_window_start(&hour, 1798718399), 1798714800);
    assert_int_equal(rate_limit_window_start(&hour, 1798721999), 1798718400);
    assert_int_equal(rate_limit_window_start(&day, 1798718400), 1798675200);
    assert_int_equal(rate_limit_window_start(&day, 0), 0);
    assert_int_equal(rate_limit_window_start(&day, -1), -86400);
}

static void a_window_gives_exactly_its_quota(void **state)
{
    const struct rate_limit quota = {1000, 3600};
    struct rate_limit_window window = {.start = 0};
    (void)state;
    for (int64_t hour = 7200; hour < 10 * 3600; hour += 3600) {
        unsigned passed = 0;
        for (unsigned i = 0; i < 1500; i++)
            passed += use(&window, &quota, hour + random_below(3600));
        assert_int_equal(passed, 1000);
        assert_int_equal(rate_limit_window_used(&window, &quota, hour + 3599), 1000);
        assert_int_equal(rate_limit_window_used(&window, &quota, hour + 3600), 0);
    }
}

static void a_clock_set_back_gives_no_second_quota(void **state)
{
    const struct rate_limit quota = {2, 3600};
    struct rate_limit_window window = {.start = 0};
    (void)state;
    assert_true(use(&window, &quota, 7200));
    assert_true(use(&window, &quota, 7199)); /* set back over the full hour: the new hour goes on */
    assert_false(use(&window, &quota, 7199));
    assert_false(use(&window, &quota, 3600));
    assert_false(use(&window, &quota, 7200));
    assert_false(use(&window, &quota, 3599)); /* further back: no less */
    assert_false(use(&window, &quota, -86400));
    assert_true(use(&window, &quota, 10800)); /* and forth again: a new hour is new once */
    assert_true(use(&window, &quota, 7200));
    assert_false(use(&window, &quota, 10800));
    assert_false(use(&window, &quota, 7200));
}

/* However a time goes back and forth, each hour that is reached for the first time gives one quota. */
static void no_window_gives_its_quota_twice(void **state)
{
    const struct rate_limit quota = {7, 3600};
    struct rate_limit_window window = {.start = 0};
    unsigned passed = 0, windows = 0;
    int64_t highest = 0;
    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        int64_t hour = 1 + random_below(i / 100 + 1);
        windows += hour > highest;
        highest = hour > highest ? hour : highest;
        for (unsigned j = 1 + random_below(20); j > 0; j--)
            passed += use(&window, &quota, 3600 * hour + random_below(3600));
        assert_true(passed <= 7 * windows);
    }
    assert_true(passed > 7);
}

static void random_uses_are_counted_as_in_the_model(void **state)
{
    const struct rate_limit quota = {50, 3600};
    struct rate_limit_window window = {.start = 0};
    unsigned hours[200] = {0};
    int64_t now = 3600;
    (void)state;
    while (now < 199 * 3600) {
        bool may = use(&window, &quota, now);
        assert_int_equal(may, hours[now / 3600] < 50);
        hours[now / 3600] += may;
        assert_int_equal(rate_limit_window_used(&window, &quota, now), hours[now / 3600]);
        now += random_below(20) == 0 ? random_below(9000) : random_below(60);
    }
}

static void what_was_used_before_is_restored(void **state)
{
    const struct rate_limit quota = {5, 3600};
    struct rate_limit_window window = {.start = 0};
    (void)state;
    rate_limit_window_restore(&window, &quota, 3601, 9); /* more than allowed now: the quota was changed */
    assert_int_equal(rate_limit_window_used(&window, &quota, 3602), 9);
    assert_false(use(&window, &quota, 3602));
    rate_limit_window_restore(&window, &quota, 7200, 3);
    rate_limit_window_restore(&window, &quota, 7201, 1);
    assert_int_equal(rate_limit_window_used(&window, &quota, 7200), 4);
    assert_true(use(&window, &quota, 7300));
    assert_false(use(&window, &quota, 7300));
    assert_true(use(&window, &quota, 10800));
    rate_limit_window_restore(&window, &quota, 3600, 2); /* of an earlier one: it counts all the same */
    assert_int_equal(rate_limit_window_used(&window, &quota, 10800), 3);
    rate_limit_window_restore(&window, &quota, 10800, UINT64_MAX);
    assert_false(use(&window, &quota, 10801));
}

/* However many are told, however large the numbers: what is missing is never more than the bucket holds. */
static void what_is_missing_is_counted_in_whole_uses(void **state)
{
    const struct rate_limit quick = {.count = 10, .seconds = 1}, slow = {.count = 4, .seconds = 3600},
                            most = {.count = RATE_LIMIT_RATE_MAX, .seconds = 3600}, off = {.count = 0};
    struct rate_limit_bucket bucket = {.debt = 0};
    (void)state;
    rate_limit_bucket_restore(&bucket, &quick, 5 * S, 7);
    assert_int_equal(rate_limit_bucket_missing(&bucket, &quick, 5 * S), 7);
    assert_int_equal(rate_limit_bucket_missing(&bucket, &quick, 5 * S + 1), 7);
    assert_int_equal(rate_limit_bucket_missing(&bucket, &quick, 5 * S + S / 10), 6);
    assert_int_equal(rate_limit_bucket_missing(&bucket, &quick, 6 * S), 0);
    rate_limit_bucket_restore(&bucket, &quick, 5 * S, UINT64_MAX);
    assert_int_equal(rate_limit_bucket_missing(&bucket, &quick, 5 * S), 10);
    bucket = (struct rate_limit_bucket){.debt = 0};
    rate_limit_bucket_restore(&bucket, &slow, 0, 1);
    assert_int_equal(rate_limit_bucket_missing(&bucket, &slow, 900 * S - 1), 1);
    assert_int_equal(rate_limit_bucket_missing(&bucket, &slow, 900 * S), 0);
    bucket = (struct rate_limit_bucket){.debt = 0};
    rate_limit_bucket_restore(&bucket, &most, 0, UINT64_MAX);
    assert_int_equal(rate_limit_bucket_missing(&bucket, &most, 0), (RATE_LIMIT_RATE_MAX + 3599) / 3600);
    bucket = (struct rate_limit_bucket){.debt = 0};
    rate_limit_bucket_restore(&bucket, &off, 0, 5);
    assert_int_equal(rate_limit_bucket_missing(&bucket, &off, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_are_read),
        cmocka_unit_test(quotas_are_read),
        cmocka_unit_test(what_is_no_limit_is_refused),
        cmocka_unit_test(the_text_of_a_limit_reads_back),
        cmocka_unit_test(a_bucket_holds_a_seconds_worth_and_at_least_one),
        cmocka_unit_test(tokens_come_back_to_the_nanosecond),
        cmocka_unit_test(a_clock_that_stands_or_goes_back_gives_nothing),
        cmocka_unit_test(no_limit_limits_nothing),
        cmocka_unit_test(the_largest_numbers_do_not_overflow),
        cmocka_unit_test(random_schedules_pass_as_in_the_model),
        cmocka_unit_test(a_steady_asker_gets_the_rate_within_five_percent),
        cmocka_unit_test(windows_begin_with_the_hour_and_the_day_of_utc),
        cmocka_unit_test(a_window_gives_exactly_its_quota),
        cmocka_unit_test(a_clock_set_back_gives_no_second_quota),
        cmocka_unit_test(no_window_gives_its_quota_twice),
        cmocka_unit_test(random_uses_are_counted_as_in_the_model),
        cmocka_unit_test(what_was_used_before_is_restored),
        cmocka_unit_test(what_is_missing_is_counted_in_whole_uses),
    };
    return secret_init() != 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
