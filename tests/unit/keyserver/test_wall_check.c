/* What a slot must be to be looked at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/socket.h>

#include "tests/unit/keyserver/wall_rig.h"

static void a_request_needs_a_token_a_kind_and_a_family(void **state)
{
    struct wall_request slot = wall_rig_request(1);
    (void)state;
    assert_int_equal(wall_request_check(&slot), 0);
    slot.token = 0;
    assert_int_equal(wall_request_check(&slot), ERR_FORMAT);
    slot = wall_rig_request(UINT64_MAX);
    assert_int_equal(wall_request_check(&slot), 0);
    for (uint32_t kind = 0; kind < 5; kind++) {
        slot.kind = kind;
        assert_int_equal(wall_request_check(&slot),
                         kind >= WALL_OPERATION && kind <= WALL_EPOCH_WANTED ? 0 : ERR_FORMAT);
    }
    slot.kind = WALL_EPOCH_WANTED;
    slot.token = 0; /* the answer has none either */
    assert_int_equal(wall_request_check(&slot), 0);
    slot.token = 1;
    slot.kind = UINT32_MAX;
    assert_int_equal(wall_request_check(&slot), ERR_FORMAT);
    for (uint32_t family = 0; family < 300; family++) {
        slot = wall_rig_request(1);
        slot.from_family = family;
        assert_int_equal(wall_request_check(&slot),
                         family == 0 || family == AF_INET || family == AF_INET6 ? 0 : ERR_FORMAT);
    }
}

static void lengths_of_a_request_stay_within_their_fields(void **state)
{
    struct wall_request slot = wall_rig_request(1);
    (void)state;
    for (unsigned past = 0; past < 2; past++) {
        int expected = past == 0 ? 0 : ERR_FORMAT;
        slot.operation.kind = OP_SIGN_TLS13;
        slot.operation.u.sign_tls13.hash_length = (uint16_t)(TRANSCRIPT_HASH_MAX + past);
        assert_int_equal(wall_request_check(&slot), expected);
        slot.operation.kind = OP_SIGN_TLS12;
        slot.operation.u.sign_tls12.params_length = (uint16_t)(KEY_EXCHANGE_PARAMS_MAX + past);
        assert_int_equal(wall_request_check(&slot), expected);
        slot.operation.kind = OP_RSA_PREMASTER;
        slot.operation.u.rsa_premaster.ciphertext_length = (uint16_t)(RSA_MODULUS_MAX + past);
        assert_int_equal(wall_request_check(&slot), expected);
    }
    slot.operation.u.rsa_premaster.ciphertext_length = UINT16_MAX;
    assert_int_equal(wall_request_check(&slot), ERR_FORMAT);
}

static void an_operation_nobody_knows_is_left_to_the_judge(void **state)
{
    struct wall_request slot = wall_rig_request(1);
    (void)state;
    slot.operation.kind = (enum operation_kind)0x7fffffff;
    memset(&slot.operation.u, 0xff, sizeof slot.operation.u);
    assert_int_equal(wall_request_check(&slot), 0);
}

static void a_cancel_needs_no_operation(void **state)
{
    struct wall_request slot = wall_rig_request(1);
    (void)state;
    slot.kind = WALL_CANCEL;
    memset(&slot.operation, 0xff, sizeof slot.operation);
    assert_int_equal(wall_request_check(&slot), 0);
}

static void an_outcome_has_a_status_and_bytes_only_when_good(void **state)
{
    struct wall_answer slot = {.token = 1, .kind = WALL_OUTCOME};
    (void)state;
    for (unsigned status = 0; status < STATUS_KINDS; status++) {
        slot.u.outcome.status = (enum operation_status)status;
        slot.u.outcome.length = 0;
        assert_int_equal(wall_answer_check(&slot), 0);
        slot.u.outcome.length = 1;
        assert_int_equal(wall_answer_check(&slot), status == STATUS_OK ? 0 : ERR_FORMAT);
    }
    slot.u.outcome.length = 0;
    slot.u.outcome.status = STATUS_KINDS;
    assert_int_equal(wall_answer_check(&slot), ERR_FORMAT);
    slot.u.outcome.status = (enum operation_status)UINT32_MAX;
    assert_int_equal(wall_answer_check(&slot), ERR_FORMAT);
    slot.u.outcome.status = STATUS_OK;
    slot.u.outcome.length = RESULT_MAX;
    assert_int_equal(wall_answer_check(&slot), 0);
    slot.u.outcome.length = RESULT_MAX + 1;
    assert_int_equal(wall_answer_check(&slot), ERR_FORMAT);
    slot.u.outcome.length = 0;
    slot.token = 0;
    assert_int_equal(wall_answer_check(&slot), ERR_FORMAT);
}

static void a_list_of_keys_is_bounded(void **state)
{
    struct wall_answer slot = {.token = 1, .kind = WALL_KEYS};
    (void)state;
    slot.u.keys.count = WALL_KEYS_MAX;
    assert_int_equal(wall_answer_check(&slot), 0);
    slot.more = 1;
    assert_int_equal(wall_answer_check(&slot), 0);
    slot.more = 2;
    assert_int_equal(wall_answer_check(&slot), ERR_FORMAT);
    slot.more = 0;
    slot.u.keys.count = WALL_KEYS_MAX + 1;
    assert_int_equal(wall_answer_check(&slot), ERR_FORMAT);
    slot.u.keys.count = 0;
    assert_int_equal(wall_answer_check(&slot), 0);
    slot.token = 0;
    assert_int_equal(wall_answer_check(&slot), ERR_FORMAT);
}

static void figures_need_no_token_and_other_kinds_are_refused(void **state)
{
    struct wall_answer slot = {.token = 0, .kind = WALL_STATS};
    (void)state;
    assert_int_equal(wall_answer_check(&slot), 0);
    slot.token = 1;
    slot.kind = 0;
    assert_int_equal(wall_answer_check(&slot), ERR_FORMAT);
    slot.kind = WALL_EPOCH + 1;
    assert_int_equal(wall_answer_check(&slot), ERR_FORMAT);
}

static void every_refusal_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (unsigned i = 0; i < REFUSAL_KINDS; i++) {
        assert_non_null(refusal_name((enum refusal)i));
        for (unsigned j = 0; j < i; j++)
            assert_string_not_equal(refusal_name((enum refusal)i), refusal_name((enum refusal)j));
    }
    assert_non_null(refusal_name(REFUSAL_KINDS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_needs_a_token_a_kind_and_a_family),
        cmocka_unit_test(lengths_of_a_request_stay_within_their_fields),
        cmocka_unit_test(an_operation_nobody_knows_is_left_to_the_judge),
        cmocka_unit_test(a_cancel_needs_no_operation),
        cmocka_unit_test(an_outcome_has_a_status_and_bytes_only_when_good),
        cmocka_unit_test(a_list_of_keys_is_bounded),
        cmocka_unit_test(figures_need_no_token_and_other_kinds_are_refused),
        cmocka_unit_test(every_refusal_has_a_name_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
