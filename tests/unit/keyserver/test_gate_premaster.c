/* What the gate makes of rsa_premaster: a ciphertext that the modulus allows, of a key that can decrypt. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/keyserver/gate_rig.h"

static enum refusal check_ciphertext(const BIGNUM *value, size_t length)
{
    struct operation operation = {.kind = OP_RSA_PREMASTER};
    operation.u.rsa_premaster.ciphertext_length = (uint16_t)length;
    assert_int_equal(BN_bn2binpad(value, operation.u.rsa_premaster.ciphertext, (int)length), length);
    return gate_check(&operation, &gate_keys[KEY_RSA]);
}

static void a_ciphertext_lies_between_1_and_n_minus_1(void **state)
{
    BIGNUM *n = BN_bin2bn(gate_keys[KEY_RSA].modulus, 256, NULL), *value = BN_new();
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(BN_set_word(value, i), 1);
        assert_int_equal(check_ciphertext(value, 256), i >= 2 ? REFUSAL_NONE : REFUSAL_STRUCTURE);
        assert_non_null(BN_copy(value, n));
        assert_int_equal(BN_sub_word(value, i), 1);
        assert_int_equal(check_ciphertext(value, 256), i >= 2 ? REFUSAL_NONE : REFUSAL_STRUCTURE);
        assert_non_null(BN_copy(value, n));
        assert_int_equal(BN_add_word(value, i), 1);
        assert_int_equal(check_ciphertext(value, 256), REFUSAL_STRUCTURE);
    }
    assert_int_equal(BN_set_word(value, 256), 1); /* its last byte is zero */
    assert_int_equal(check_ciphertext(value, 256), REFUSAL_NONE);
    assert_int_equal(BN_set_word(value, 257), 1);
    assert_int_equal(check_ciphertext(value, 256), REFUSAL_NONE);
    BN_free(n);
    BN_free(value);
}

static void a_ciphertext_is_as_long_as_the_modulus(void **state)
{
    BIGNUM *value = BN_new();
    (void)state;
    assert_int_equal(BN_set_word(value, 77), 1);
    for (size_t length = 1; length <= RSA_MODULUS_MAX; length++)
        assert_int_equal(check_ciphertext(value, length), length == 256 ? REFUSAL_NONE : REFUSAL_STRUCTURE);
    assert_int_equal(BN_set_word(value, 0), 1);
    assert_int_equal(check_ciphertext(value, 0), REFUSAL_STRUCTURE);
    BN_free(value);
}

static void only_rsa_keys_decrypt(void **state)
{
    struct operation operation = {.kind = OP_RSA_PREMASTER};
    (void)state;
    operation.u.rsa_premaster.ciphertext_length = 256;
    operation.u.rsa_premaster.ciphertext[100] = 1;
    assert_int_equal(gate_check(&operation, &gate_keys[KEY_RSA]), REFUSAL_NONE);
    assert_int_equal(gate_check(&operation, &gate_keys[KEY_EC_P256]), REFUSAL_SCHEME);
    assert_int_equal(gate_check(&operation, &gate_keys[KEY_EC_P384]), REFUSAL_SCHEME);
    assert_int_equal(gate_check(&operation, &gate_keys[KEY_ED25519]), REFUSAL_SCHEME);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ciphertext_lies_between_1_and_n_minus_1),
        cmocka_unit_test(a_ciphertext_is_as_long_as_the_modulus),
        cmocka_unit_test(only_rsa_keys_decrypt),
    };
    return cmocka_run_group_tests(tests, gate_rig_start, gate_rig_stop);
}
