#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "edge/keyclient/balance.h"

#define MS 1000000u

static void one_candidate_is_chosen(void **state)
{
    (void)state;
    struct balance_candidate only = {.in_flight = 60000, .rtt_ns = 9000 * (uint64_t)MS, .index = 7};
    for (uint64_t random = 0; random < 100; random++)
        assert_int_equal(balance_choose(&only, 1, random * 0x123456789abcdefu), 7);
}

static void of_two_the_less_loaded_is_always_chosen(void **state)
{
    (void)state;
    struct balance_candidate two[] = {{.in_flight = 5, .rtt_ns = MS, .index = 0},
                                      {.in_flight = 4, .rtt_ns = MS, .index = 1}};
    uint64_t random = 1;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(balance_choose(two, 2, balance_random(&random)), 1);
}

static void equals_share_the_work(void **state)
{
    (void)state;
    struct balance_candidate four[4] = {{.index = 0}, {.index = 1}, {.index = 2}, {.index = 3}};
    uint64_t random = 42;
    for (int i = 0; i < 4000; i++)
        four[balance_choose(four, 4, balance_random(&random))].in_flight++;
    for (int i = 0; i < 4; i++)
        assert_in_range(four[i].in_flight, 990, 1010);
}

static void the_most_loaded_of_many_is_never_chosen(void **state)
{
    (void)state;
    struct balance_candidate many[5] = {{.index = 0}, {.index = 1}, {.index = 2}, {.index = 3}, {.index = 4}};
    uint64_t random = 3;
    many[2].in_flight = 1;
    for (int i = 0; i < 1000; i++)
        assert_int_not_equal(balance_choose(many, 5, balance_random(&random)), 2);
}

static void round_trips_weigh_the_load(void **state)
{
    (void)state;
    struct balance_candidate near = {.in_flight = 9, .rtt_ns = 2 * MS},
                             far = {.in_flight = 0, .rtt_ns = 20 * MS};
    assert_true(balance_prefers(&near, &far)); /* 10 × 2 against 1 × 20 */
    near.in_flight = 10;
    assert_false(balance_prefers(&near, &far));
}

static void tiny_round_trips_are_equal(void **state)
{
    (void)state;
    struct balance_candidate a = {.in_flight = 1, .rtt_ns = 10000},
                             b = {.in_flight = 0, .rtt_ns = BALANCE_RTT_FLOOR_NS};
    assert_false(balance_prefers(&a, &b));
    assert_true(balance_prefers(&b, &a));
}

static void an_unknown_round_trip_leaves_it_to_the_load(void **state)
{
    (void)state;
    struct balance_candidate a = {.in_flight = 1, .rtt_ns = 0}, b = {.in_flight = 2, .rtt_ns = 1};
    assert_true(balance_prefers(&a, &b));
    assert_false(balance_prefers(&b, &a));
}

static void huge_numbers_do_not_overflow(void **state)
{
    (void)state;
    struct balance_candidate a = {.in_flight = SIZE_MAX - 1, .rtt_ns = UINT64_MAX},
                             b = {.in_flight = 1, .rtt_ns = MS};
    assert_false(balance_prefers(&a, &b));
    assert_true(balance_prefers(&b, &a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_candidate_is_chosen),
        cmocka_unit_test(of_two_the_less_loaded_is_always_chosen),
        cmocka_unit_test(equals_share_the_work),
        cmocka_unit_test(the_most_loaded_of_many_is_never_chosen),
        cmocka_unit_test(round_trips_weigh_the_load),
        cmocka_unit_test(tiny_round_trips_are_equal),
        cmocka_unit_test(an_unknown_round_trip_leaves_it_to_the_load),
        cmocka_unit_test(huge_numbers_do_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
