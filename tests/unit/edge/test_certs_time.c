/* Which certificate answers, for every order of times. The clock is an argument. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "edge/certs/certs_time.h"

#define MANY 100

static struct cert made[MANY];
static const struct cert *candidate[MANY];
static size_t count;

static int setup(void **state)
{
    (void)state;
    count = 0;
    return 0;
}

static void add(enum key_type type, int64_t from, int64_t to)
{
    made[count] = (struct cert){.type = type, .not_before = from, .not_after = to};
    candidate[count] = &made[count];
    count++;
}

/* The number of the certificate of TYPE that answers at NOW; -1 for none. */
static int answer(enum key_type type, int64_t now)
{
    struct cert_set set = {.index = 7};
    certs_time_choose(&set, candidate, count, now);
    assert_int_equal(set.index, 7);
    return set.of_type[type] == NULL ? -1 : (int)(set.of_type[type] - made);
}

static void both_ends_belong_to_the_validity(void **state)
{
    static const struct cert cert = {.not_before = 10, .not_after = 20};
    (void)state;
    assert_int_equal(certs_time_state(&cert, 9), CERT_NOT_YET_VALID);
    assert_int_equal(certs_time_state(&cert, 10), CERT_VALID);
    assert_int_equal(certs_time_state(&cert, 20), CERT_VALID);
    assert_int_equal(certs_time_state(&cert, 21), CERT_EXPIRED);
    assert_string_equal(certs_time_name(CERT_NOT_YET_VALID), "not_yet_valid");
    assert_string_equal(certs_time_name(CERT_STATES), "-");
}

static void of_the_valid_the_one_that_ends_last_answers(void **state)
{
    (void)state;
    add(KEY_RSA, 0, 30);
    add(KEY_RSA, 10, 40);
    add(KEY_RSA, 20, 25); /* never the one that ends last */
    add(KEY_RSA, 10, 40); /* the equal of another, and behind it */
    add(KEY_RSA, 35, 90);
    for (int64_t now = 0; now <= 90; now++)
        assert_int_equal(answer(KEY_RSA, now), now < 10 ? 0 : now < 35 ? 1 : 4);
}

static void where_none_is_valid_the_nearest_answers(void **state)
{
    (void)state;
    add(KEY_RSA, 60, 70);
    add(KEY_RSA, 10, 20);
    add(KEY_RSA, 30, 40);
    assert_int_equal(answer(KEY_RSA, 0), 1);  /* the first whose time comes */
    assert_int_equal(answer(KEY_RSA, 25), 1); /* expired before not yet valid */
    assert_int_equal(answer(KEY_RSA, 50), 2);
    assert_int_equal(answer(KEY_RSA, 99), 0); /* the last that was valid */
}

static void a_type_without_a_valid_one_is_left_out_where_another_has_one(void **state)
{
    (void)state;
    add(KEY_RSA, 10, 20);
    add(KEY_EC_P256, 15, 30);
    assert_int_equal(answer(KEY_RSA, 12), 0);
    assert_int_equal(answer(KEY_EC_P256, 12), -1);
    assert_int_equal(answer(KEY_RSA, 18), 0);
    assert_int_equal(answer(KEY_EC_P256, 18), 1);
    assert_int_equal(answer(KEY_RSA, 25), -1);
    assert_int_equal(answer(KEY_EC_P256, 25), 1);
    assert_int_equal(answer(KEY_RSA, 31), 0); /* neither is valid: clients choose */
    assert_int_equal(answer(KEY_EC_P256, 31), 1);
}

/* The periods between the changes are all there is to know: no choice changes within one. */
static void nothing_changes_between_the_changes(void **state)
{
    int64_t change[2 * MANY];
    (void)state;
    add(KEY_RSA, 3, 9);
    add(KEY_EC_P256, 5, 30);
    add(KEY_RSA, 9, 14);
    add(KEY_RSA, 20, 22);
    size_t changes = certs_time_changes(change, candidate, count, 0), next = 0;
    for (int64_t now = 1; now < 40; now++) {
        bool is_change = next < changes && change[next] == now;
        next += is_change ? 1 : 0;
        if (!is_change) {
            assert_int_equal(answer(KEY_RSA, now), answer(KEY_RSA, now - 1));
            assert_int_equal(answer(KEY_EC_P256, now), answer(KEY_EC_P256, now - 1));
        }
    }
    assert_int_equal(next, changes);
}

static void of_the_past_a_few_changes_are_kept_and_of_the_future_all(void **state)
{
    int64_t change[2 * MANY];
    (void)state;
    for (int64_t i = 0; i < MANY; i++)
        add(KEY_RSA, 10 * i, 10 * i + 4);
    size_t changes = certs_time_changes(change, candidate, count, 500); /* 101 changes are behind */
    assert_int_equal(changes, 99 + CERTS_TIME_PAST);
    assert_int_equal(change[CERTS_TIME_PAST - 1], 500);
    assert_int_equal(change[CERTS_TIME_PAST], 505);
    assert_int_equal(change[changes - 1], 995);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
    const struct CMUnitTest tests[] = {
        TEST(both_ends_belong_to_the_validity),
        TEST(of_the_valid_the_one_that_ends_last_answers),
        TEST(where_none_is_valid_the_nearest_answers),
        TEST(a_type_without_a_valid_one_is_left_out_where_another_has_one),
        TEST(nothing_changes_between_the_changes),
        TEST(of_the_past_a_few_changes_are_kept_and_of_the_future_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
