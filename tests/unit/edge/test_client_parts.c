#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edge/keyclient/answer.h"
#include "edge/keyclient/attempts.h"
#include "edge/keyclient/budget.h"
#include "edge/keyclient/deadlines.h"

/* ---- budget ---- */

static unsigned take_all(struct budget *b, uint64_t now)
{
    unsigned count = 0;
    while (count < 100000 && budget_take(b, now))
        count++;
    return count;
}

static void budget_is_ten_and_a_fifth_of_recent_requests(void **state)
{
    (void)state;
    struct budget b = {0};
    assert_int_equal(take_all(&b, 1), 10);
    b = (struct budget){0};
    for (int i = 0; i < 1000; i++)
        budget_request(&b, 1);
    assert_int_equal(take_all(&b, 1), 210);
}

static void budget_forgets_after_two_periods(void **state)
{
    (void)state;
    struct budget b = {0};
    for (int i = 0; i < 100; i++)
        budget_request(&b, 1);
    assert_int_equal(take_all(&b, 1), 30);
    assert_int_equal(take_all(&b, BUDGET_PERIOD_NS + 1), 0); /* the previous period still counts */
    assert_int_equal(take_all(&b, 2 * (uint64_t)BUDGET_PERIOD_NS + 1), 10);
    assert_int_equal(take_all(&b, 9 * (uint64_t)BUDGET_PERIOD_NS + 1), 10);
}

/* ---- deadlines ---- */

#define MANY 3000

static void deadlines_come_out_in_order(void **state)
{
    (void)state;
    struct deadlines d = {0};
    struct client_request *requests = calloc(MANY, sizeof *requests);
    uint64_t random = 99, last = 0;

    assert_null(deadlines_find_first(&d));
    assert_true(deadlines_first_ns(&d) == UINT64_MAX);
    for (size_t i = 0; i < MANY; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        requests[i].deadline_ns = (random >> 33) % 1000;
        assert_int_equal(deadlines_reserve(&d), 0);
        deadlines_put(&d, &requests[i], requests[i].deadline_ns);
    }
    for (size_t i = 0; i < MANY; i += 3) { /* later, earlier, gone */
        requests[i].deadline_ns += 500;
        deadlines_move(&d, &requests[i], requests[i].deadline_ns);
        requests[i + 1].deadline_ns /= 2;
        deadlines_move(&d, &requests[i + 1], requests[i + 1].deadline_ns);
        deadlines_remove(&d, &requests[i + 2]);
        assert_int_equal(requests[i + 2].due_slot, 0);
    }
    assert_int_equal(d.count, MANY / 3 * 2);
    while (d.count > 0) {
        struct client_request *first = deadlines_find_first(&d);
        assert_true(deadlines_first_ns(&d) == first->deadline_ns);
        assert_true(first->deadline_ns >= last);
        last = first->deadline_ns;
        deadlines_remove(&d, first);
    }
    deadlines_clear(&d);
    free(requests);
}

/* ---- attempts ---- */

static void attempts_are_found_by_id_while_they_are_open(void **state)
{
    (void)state;
    struct attempts f;
    struct client_attempt *attempts = calloc(MANY, sizeof *attempts);
    uint64_t start = UINT64_MAX - MANY / 2; /* the ids run over */

    assert_int_equal(attempts_init(&f), 0);
    for (size_t i = 0; i < MANY; i++) {
        attempts[i].id = start + i;
        attempts_put(&f, &attempts[i]);
    }
    assert_int_equal(f.count, MANY);
    assert_true(f.size >= MANY); /* it has grown */
    for (size_t i = 0; i < MANY; i++)
        assert_ptr_equal(attempts_find(&f, start + i), &attempts[i]);
    assert_null(attempts_find(&f, start - 1));
    assert_null(attempts_find(&f, start + MANY));
    for (size_t i = 0; i < MANY; i += 2)
        attempts_remove(&f, &attempts[i]);
    for (size_t i = 0; i < MANY; i++)
        assert_ptr_equal(attempts_find(&f, start + i), i % 2 == 0 ? NULL : &attempts[i]);
    assert_int_equal(f.count, MANY / 2);
    attempts_clear(&f);
    free(attempts);
}

/* ---- answers ---- */

static int check(enum operation_kind asked, unsigned status, uint16_t length)
{
    struct msg_answer answer = {0};
    answer.outcome.status = (enum operation_status)status;
    answer.outcome.length = length;
    return answer_check(asked, &answer);
}

static void a_premaster_is_exactly_48_bytes(void **state)
{
    (void)state;
    assert_int_equal(check(OP_RSA_PREMASTER, STATUS_OK, 48), 0);
    assert_int_equal(check(OP_RSA_PREMASTER, STATUS_OK, 47), ERR_FORMAT);
    assert_int_equal(check(OP_RSA_PREMASTER, STATUS_OK, 49), ERR_FORMAT);
    assert_int_equal(check(OP_RSA_PREMASTER, STATUS_OK, 0), ERR_FORMAT);
}

static void a_signature_has_1_to_512_bytes(void **state)
{
    (void)state;
    for (enum operation_kind kind = OP_SIGN_TLS13; kind <= OP_SIGN_TLS12; kind++) {
        assert_int_equal(check(kind, STATUS_OK, 0), ERR_FORMAT);
        assert_int_equal(check(kind, STATUS_OK, 1), 0);
        assert_int_equal(check(kind, STATUS_OK, RESULT_MAX), 0);
        assert_int_equal(check(kind, STATUS_OK, RESULT_MAX + 1), ERR_FORMAT);
    }
}

static void ping_and_keys_have_no_bytes(void **state)
{
    (void)state;
    assert_int_equal(check(OP_PING, STATUS_OK, 0), 0);
    assert_int_equal(check(OP_PING, STATUS_OK, 1), ERR_FORMAT);
    assert_int_equal(check(OP_KEYS, STATUS_OK, 0), 0);
    assert_int_equal(check(OP_KEYS, STATUS_OK, 1), ERR_FORMAT);
}

static void failures_carry_nothing(void **state)
{
    (void)state;
    for (unsigned status = STATUS_REFUSED; status < STATUS_KINDS; status++) {
        assert_int_equal(check(OP_RSA_PREMASTER, status, 0), 0);
        assert_int_equal(check(OP_RSA_PREMASTER, status, 48), ERR_FORMAT);
    }
    assert_int_equal(check(OP_SIGN_TLS13, STATUS_KINDS, 0), ERR_FORMAT);
    assert_int_equal(check(OP_KINDS, STATUS_OK, 0), ERR_FORMAT);
}

static void lists_only_answer_keys(void **state)
{
    (void)state;
    struct msg_answer answer = {.more = true};
    answer.outcome.status = STATUS_OK;
    assert_int_equal(answer_check(OP_KEYS, &answer), 0);
    assert_int_equal(answer_check(OP_PING, &answer), ERR_FORMAT);
    answer.more = false;
    answer.key_count = 1;
    assert_int_equal(answer_check(OP_KEYS, &answer), 0);
    assert_int_equal(answer_check(OP_PING, &answer), ERR_FORMAT);
    answer.outcome.status = STATUS_BUSY;
    assert_int_equal(answer_check(OP_KEYS, &answer), ERR_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(budget_is_ten_and_a_fifth_of_recent_requests),
        cmocka_unit_test(budget_forgets_after_two_periods),
        cmocka_unit_test(deadlines_come_out_in_order),
        cmocka_unit_test(attempts_are_found_by_id_while_they_are_open),
        cmocka_unit_test(a_premaster_is_exactly_48_bytes),
        cmocka_unit_test(a_signature_has_1_to_512_bytes),
        cmocka_unit_test(ping_and_keys_have_no_bytes),
        cmocka_unit_test(failures_carry_nothing),
        cmocka_unit_test(lists_only_answer_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
