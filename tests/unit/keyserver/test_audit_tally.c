#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "keyserver/vault/audit/audit_tally.h"

#define EDGES 3

static void the_budget_is_that_of_each_edge_and_each_second(void **state)
{
    struct audit_tally tally;
    (void)state;
    assert_int_equal(audit_tally_init(&tally, EDGES), 0);
    for (size_t edge = 0; edge <= EDGES; edge++) {
        for (unsigned i = 0; i < AUDIT_BUDGET; i++)
            assert_true(audit_tally_admit(&tally, edge));
        assert_false(audit_tally_admit(&tally, edge));
    }
    assert_false(audit_tally_turn(&tally, AUDIT_TALLY_MS - 1));
    assert_false(audit_tally_admit(&tally, 0));
    assert_true(audit_tally_turn(&tally, AUDIT_TALLY_MS));
    assert_false(audit_tally_turn(&tally, 2 * AUDIT_TALLY_MS - 1));
    for (size_t edge = 0; edge <= EDGES; edge++)
        assert_true(audit_tally_admit(&tally, edge));
    audit_tally_clear(&tally);
}

static void every_number_comes_once_until_it_is_forgotten(void **state)
{
    struct audit_tally tally;
    uint64_t expected[EDGES + 1][AUDIT_TALLY_KINDS] = {{0}};
    (void)state;
    assert_int_equal(audit_tally_init(&tally, EDGES), 0);
    size_t edge = 0, kind = 0;
    assert_int_equal(audit_tally_next(&tally, &edge, &kind), 0);
    for (unsigned i = 0; i < 500; i++) {
        size_t e = i * 7 % (EDGES + 1), k = i * 13 % AUDIT_TALLY_KINDS;
        audit_tally_count(&tally, e, k);
        expected[e][k]++;
    }
    for (unsigned round = 0; round < 2; round++) {
        uint64_t count, sum = 0;
        edge = kind = 0;
        for (; (count = audit_tally_next(&tally, &edge, &kind)) != 0; kind++) {
            assert_int_equal(count, expected[edge][kind]);
            sum += count;
        }
        assert_int_equal(sum, 500);
    }
    audit_tally_forget(&tally);
    edge = kind = 0;
    assert_int_equal(audit_tally_next(&tally, &edge, &kind), 0);
    audit_tally_count(&tally, EDGES, AUDIT_TALLY_KINDS - 1); /* the last place there is */
    assert_int_equal(audit_tally_next(&tally, &edge, &kind), 1);
    assert_int_equal(edge, EDGES);
    assert_int_equal(kind, AUDIT_TALLY_KINDS - 1);
    audit_tally_clear(&tally);
}

static void every_kind_has_its_result_and_reason(void **state)
{
    const char *reason;
    (void)state;
    for (size_t kind = 0; kind < AUDIT_TALLY_KINDS; kind++) {
        enum audit_result result = audit_tally_result(kind, &reason);
        assert_false(audit_tally_is_use(result));
        assert_int_equal(reason != NULL, result == AUDIT_REFUSED);
        assert_int_equal(audit_tally_kind(result, (enum refusal)kind), kind);
        if (reason != NULL)
            assert_string_equal(reason, refusal_name((enum refusal)kind));
    }
    assert_true(audit_tally_is_use(AUDIT_OK));
    assert_true(audit_tally_is_use(AUDIT_FAULT)); /* computed, and the key was used for it */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_budget_is_that_of_each_edge_and_each_second),
        cmocka_unit_test(every_number_comes_once_until_it_is_forgotten),
        cmocka_unit_test(every_kind_has_its_result_and_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
