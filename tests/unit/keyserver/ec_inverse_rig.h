/* Inverses by ec_inverse() beside OpenSSL's, for the numbers of the curve that was included before. Not a
 * test program by itself. */
#ifndef TESTS_UNIT_KEYSERVER_EC_INVERSE_RIG_H
#define TESTS_UNIT_KEYSERVER_EC_INVERSE_RIG_H

#include "tests/unit/keyserver/ec_rig.h"

#include "keyserver/lanes/ec_field.h"

#define MANY 3000

static BN_CTX *scratch;

static inline void put(uint64_t *digits, size_t count, const BIGNUM *number)
{
    BIGNUM *rest = BN_dup(number), *digit = BN_new();
    for (size_t i = 0; i < count; i++) {
        assert_non_null(BN_copy(digit, rest));
        if (BN_num_bits(digit) > 52)
            assert_int_equal(BN_mask_bits(digit, 52), 1);
        digits[i] = BN_get_word(digit);
        assert_int_equal(BN_rshift(rest, rest, 52), 1);
    }
    assert_true(BN_is_zero(rest));
    BN_free(rest);
    BN_free(digit);
}

static inline void expect_inverse(const struct ec_inverse_modulus *modulus, const BIGNUM *m, const BIGNUM *x)
{
    uint64_t digits[EC_INVERSE_DIGITS], wanted[EC_INVERSE_DIGITS] = {0};
    put(digits, modulus->digits, x);
    if (!BN_is_zero(x)) {
        BIGNUM *inverse = BN_mod_inverse(NULL, x, m, scratch);
        assert_non_null(inverse);
        put(wanted, modulus->digits, inverse);
        BN_free(inverse);
    }
    ec_inverse(modulus, digits);
    assert_memory_equal(digits, wanted, modulus->digits * sizeof digits[0]);
}

static inline void expect_inverses(const struct ec_inverse_modulus *modulus, const BIGNUM *m)
{
    BIGNUM *x = BN_new();
    for (unsigned i = 0; i < 70; i++) { /* the smallest and the largest */
        assert_int_equal(BN_set_word(x, i), 1);
        expect_inverse(modulus, m, x);
        if (i > 0) {
            assert_int_equal(BN_sub(x, m, x), 1);
            expect_inverse(modulus, m, x);
        }
    }
    for (int i = 0; i < BN_num_bits(m); i++) { /* powers of two and their neighbours */
        BN_zero(x);
        assert_int_equal(BN_set_bit(x, i), 1);
        if (BN_cmp(x, m) < 0)
            expect_inverse(modulus, m, x);
        assert_int_equal(BN_sub_word(x, 1), 1);
        expect_inverse(modulus, m, x);
    }
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(BN_rand_range(x, m), 1);
        expect_inverse(modulus, m, x);
    }
    BN_free(x);
}

static EC_GROUP *group;

static void inverses_modulo_p(void **state)
{
    (void)state;
    expect_inverses(&field_inverse_modulus, EC_GROUP_get0_field(group));
}

static void inverses_modulo_n(void **state)
{
    (void)state;
    expect_inverses(&order_inverse_modulus, EC_GROUP_get0_order(group));
}

/* The bounds that ec_inverse.h names. */
static void there_are_rounds_and_limbs_enough(void **state)
{
    (void)state;
    assert_true(field_inverse_modulus.rounds * EC_INVERSE_BITS >= (45907 * EC_BITS + 26313 + 19928) / 19929);
    assert_true(order_inverse_modulus.rounds * EC_INVERSE_BITS >= (45907 * EC_BITS + 26313 + 19928) / 19929);
    assert_true(field_inverse_modulus.limbs * EC_INVERSE_BITS >= EC_BITS + 2);
    assert_true(order_inverse_modulus.limbs * EC_INVERSE_BITS >= EC_BITS + 2);
    assert_true(field_inverse_modulus.limbs <= EC_INVERSE_LIMBS);
}

static int stop(void **state)
{
    (void)state;
    BN_CTX_free(scratch);
    EC_GROUP_free(group);
    return 0;
}

static inline int run_inverses(int curve)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inverses_modulo_p),
        cmocka_unit_test(inverses_modulo_n),
        cmocka_unit_test(there_are_rounds_and_limbs_enough),
    };
    scratch = BN_CTX_new();
    group = EC_GROUP_new_by_curve_name(curve);
    if (secret_init() != 0 || scratch == NULL || group == NULL)
        return 1;
    return cmocka_run_group_tests(tests, NULL, stop);
}

#endif
