#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "common/secret.h"
#include "common/source_budget.h"
#include "tests/unit/common/addresses.h"

#define RATE 10

static struct source_budget budget; /* large */

/* How many tokens FROM gets at NOW_MS until it is refused. */
static unsigned drain(const struct address *from, uint64_t now_ms)
{
    unsigned count = 0;
    while (count < 1000 && source_budget_take(&budget, from, now_ms))
        count++;
    return count;
}

static void the_burst_is_the_rate_and_not_one_more(void **state)
{
    (void)state;
    struct address a = v4(1), b = v4(2);
    source_budget_init(&budget, RATE);
    assert_int_equal(drain(&a, 5000), RATE);
    assert_int_equal(drain(&a, 5000), 0);
    assert_int_equal(drain(&b, 5000), RATE);
}

static void tokens_come_back_with_time(void **state)
{
    (void)state;
    struct address a = v4(1);
    source_budget_init(&budget, RATE);
    assert_int_equal(drain(&a, 0), RATE);
    assert_int_equal(drain(&a, 99), 0);
    assert_int_equal(drain(&a, 100), 1);
    assert_int_equal(drain(&a, 350), 2);
    assert_int_equal(drain(&a, 400), 1); /* the half was not lost */
    assert_int_equal(drain(&a, 1399), RATE - 1);
    assert_int_equal(drain(&a, 1000000), RATE); /* never more than the burst */
    assert_int_equal(drain(&a, UINT64_MAX), RATE);
}

static void time_that_goes_back_gives_nothing(void **state)
{
    (void)state;
    struct address a = v4(1);
    source_budget_init(&budget, RATE);
    assert_int_equal(drain(&a, 5000), RATE);
    assert_int_equal(drain(&a, 4000), 0);
    assert_int_equal(drain(&a, 5000), 0);
    assert_int_equal(drain(&a, 5100), 1);
}

static void no_rate_is_no_limit(void **state)
{
    (void)state;
    struct address a = v4(1);
    source_budget_init(&budget, 0);
    assert_int_equal(drain(&a, 0), 1000);
}

static void what_counts_as_one_source(void **state)
{
    (void)state;
    struct address a = v6("2001:db8::1"), same = v6("2001:db8::ffff:1"), other = v6("2001:db8:0:1::1");
    struct address plain = v4(0x7f000001), mapped = v6("::ffff:127.0.0.1");
    struct address local = {.length = 2};
    local.u.any.sa_family = AF_UNIX;
    a.u.v6.sin6_port = 1;
    source_budget_init(&budget, RATE);
    assert_int_equal(drain(&a, 0), RATE);
    assert_int_equal(drain(&same, 0), 0); /* a /64 is one */
    assert_int_equal(drain(&other, 0), RATE);
    assert_int_equal(drain(&plain, 0), RATE);
    assert_int_equal(drain(&mapped, 0), 0);
    assert_int_equal(drain(&local, 0), RATE);
    assert_int_equal(drain(&local, 0), 0);
}

static void a_flood_of_sources_never_grows_it_and_spares_the_recent(void **state)
{
    (void)state;
    source_budget_init(&budget, RATE);
    for (uint32_t i = 0; i < 20 * SOURCE_BUDGET_SETS; i++) {
        struct address a = v4(i);
        assert_true(source_budget_take(&budget, &a, i));
    }
    struct address last = v4(20 * SOURCE_BUDGET_SETS - 1), first = v4(0);
    assert_int_equal(drain(&last, 20 * SOURCE_BUDGET_SETS - 1), RATE - 1);
    assert_int_equal(drain(&first, 20 * SOURCE_BUDGET_SETS), RATE); /* forgotten: full again */
}

static int start_library(void **state)
{
    (void)state;
    return secret_init();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_burst_is_the_rate_and_not_one_more),
        cmocka_unit_test(tokens_come_back_with_time),
        cmocka_unit_test(time_that_goes_back_gives_nothing),
        cmocka_unit_test(no_rate_is_no_limit),
        cmocka_unit_test(what_counts_as_one_source),
        cmocka_unit_test(a_flood_of_sources_never_grows_it_and_spares_the_recent),
    };
    return cmocka_run_group_tests(tests, start_library, NULL);
}
