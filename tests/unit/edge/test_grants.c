/* The table of grants: who is asked when, and what is kept of the answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "edge/keyclient/grants.h"

static struct grants *two_servers(void)
{
    uint8_t ids[4][KEY_ID_SIZE] = {{3}, {1}, {3}, {2}};
    struct grants *grants = grants_new(2, (const uint8_t(*)[KEY_ID_SIZE])ids, 4);

    assert_non_null(grants);
    return grants;
}

static size_t number_of(const struct grants *grants, uint8_t first)
{
    const uint8_t id[KEY_ID_SIZE] = {first};
    size_t number = 0;

    assert_int_equal(grants_find(grants, id, &number), 0);
    return number;
}

static void keys_are_found_and_count_once(void **state)
{
    struct grants *grants = two_servers();
    const uint8_t strange[KEY_ID_SIZE] = {9};
    size_t number;
    (void)state;

    assert_int_equal(grants_keys(grants), 3);
    for (uint8_t first = 1; first <= 3; first++)
        assert_true(number_of(grants, first) < 3);
    assert_int_not_equal(number_of(grants, 1), number_of(grants, 3));
    assert_int_equal(grants_find(grants, strange, &number), ERR_NOT_FOUND);
    grants_free(grants);
}

static void an_answer_is_of_one_server_and_replaces_the_last(void **state)
{
    struct grants *grants = two_servers();
    size_t one = number_of(grants, 1), two = number_of(grants, 2);
    uint32_t operations[3] = {0};
    (void)state;

    operations[one] = 8;
    assert_false(grants_known(grants, 0));
    grants_put(grants, 0, operations);
    assert_true(grants_known(grants, 0) && !grants_known(grants, 1));
    assert_int_equal(grants_get(grants, 0, one), 8);
    assert_int_equal(grants_get(grants, 0, two), 0);
    assert_int_equal(grants_count(grants, 0), 1);
    assert_int_equal(grants_count(grants, 1), 0);
    memset(operations, 0, sizeof operations);
    grants_put(grants, 0, operations);
    assert_int_equal(grants_get(grants, 0, one), 0);
    assert_true(grants_known(grants, 0));
    grants_free(grants);
}

static void one_asks_for_all_and_not_too_often(void **state)
{
    struct grants *grants = two_servers();
    (void)state;

    assert_true(grants_claim(grants, 0, 0, 1000)); /* also when the clock has just begun */
    assert_false(grants_claim(grants, 0, 900, 1000));
    assert_true(grants_claim(grants, 1, 900, 1000)); /* each server by itself */
    assert_true(grants_claim(grants, 0, 1001, 1000));
    assert_int_equal(grants_asked_ms(grants, 0), 1001);
    assert_false(grants_claim(grants, 0, 1002, 60000));
    assert_true(grants_claim(grants, 0, 2001, 1000));
    grants_free(grants);
}

static void there_may_be_no_key_and_no_server(void **state)
{
    struct grants *grants = grants_new(0, NULL, 0);
    const uint8_t id[KEY_ID_SIZE] = {1};
    size_t number;
    (void)state;

    assert_non_null(grants);
    assert_int_equal(grants_find(grants, id, &number), ERR_NOT_FOUND);
    grants_free(grants);
    grants_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_found_and_count_once),
        cmocka_unit_test(an_answer_is_of_one_server_and_replaces_the_last),
        cmocka_unit_test(one_asks_for_all_and_not_too_often),
        cmocka_unit_test(there_may_be_no_key_and_no_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
