/* Every result is compared with OpenSSL's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/bn.h>
#include <string.h>

#include "common/secret.h"
#include "keyserver/vault/keys/modulus.h"

/* Bytes of n: whole limbs, and every number of bytes in the last one. */
static const size_t sizes[] = {1,   2,   7,   8,   9,   16,  255, 256, 257, 258,
                               259, 260, 261, 262, 263, 264, 384, 511, 512};
#define SIZES (sizeof sizes / sizeof sizes[0])

static BN_CTX *scratch;

static int start(void **state)
{
    (void)state;
    scratch = BN_CTX_new();
    return scratch == NULL ? -1 : secret_init();
}

static int stop(void **state)
{
    (void)state;
    BN_CTX_free(scratch);
    return 0;
}

/* ---- numbers of both kinds ---- */

static BIGNUM *number_of(const struct modulus *m, const struct residue *residue)
{
    uint8_t bytes[RSA_MODULUS_MAX];
    modulus_write(m, bytes, residue);
    BIGNUM *number = BN_bin2bn(bytes, (int)m->size, NULL);
    assert_non_null(number);
    return number;
}

static struct residue residue_of(const struct modulus *m, const BIGNUM *number)
{
    struct residue residue;
    uint8_t bytes[RSA_MODULUS_MAX];
    assert_int_equal(BN_bn2binpad(number, bytes, (int)m->size), m->size);
    modulus_read(m, &residue, bytes);
    return residue;
}

/* An odd number of exactly SIZE bytes, which the caller frees; with MARGIN 0 any, else a little more than the
 * smallest one or less than the greatest. */
static BIGNUM *make_modulus(struct modulus *m, size_t size, int margin)
{
    uint8_t bytes[RSA_MODULUS_MAX];
    random_bytes(bytes, size);
    if (margin != 0)
        memset(bytes, margin > 0 ? 0 : 0xff, size);
    bytes[0] |= margin > 0 ? 0x01 : 0x80;
    bytes[size - 1] = margin < 0 ? 0xfd : (uint8_t)(bytes[size - 1] | 3);
    modulus_init(m, bytes, size);
    return BN_bin2bn(bytes, (int)size, NULL);
}

static BIGNUM *below(const BIGNUM *n)
{
    BIGNUM *number = BN_new();
    assert_int_equal(BN_rand_range(number, n), 1);
    return number;
}

/* ---- multiplication ---- */

/* a b / R modulo n, as OpenSSL says. */
static BIGNUM *expected_product(const struct modulus *m, const BIGNUM *n, const BIGNUM *a, const BIGNUM *b)
{
    BIGNUM *r = BN_new(), *out = BN_new();
    assert_int_equal(BN_set_bit(r, (int)(64 * m->limbs)), 1);
    assert_int_equal(BN_nnmod(r, r, n, scratch), 1);
    assert_non_null(BN_mod_inverse(r, r, n, scratch));
    assert_int_equal(BN_mod_mul(out, a, b, n, scratch), 1);
    assert_int_equal(BN_mod_mul(out, out, r, n, scratch), 1);
    BN_free(r);
    return out;
}

static void assert_product(const struct modulus *m, const BIGNUM *n, const BIGNUM *a, const BIGNUM *b)
{
    struct residue first = residue_of(m, a), second = residue_of(m, b), product;
    BIGNUM *expected = expected_product(m, n, a, b);
    modulus_multiply(m, &product, &first, &second);
    BIGNUM *found = number_of(m, &product);
    assert_int_equal(BN_cmp(found, expected), 0);
    assert_true(modulus_has(m, &product));
    struct residue same = first; /* the result in the place of a factor */
    modulus_multiply(m, &same, &same, &second);
    assert_memory_equal(&same, &product, sizeof same);
    same = second;
    modulus_multiply(m, &same, &first, &same);
    assert_memory_equal(&same, &product, sizeof same);
    BN_free(found);
    BN_free(expected);
}

static void products_equal_openssls(void **state)
{
    struct modulus m;
    (void)state;
    for (size_t i = 0; i < SIZES; i++)
        for (int round = 0; round < 40; round++) {
            BIGNUM *n = make_modulus(&m, sizes[i], round < 30 ? 0 : round % 2 ? 1 : -1);
            BIGNUM *a = below(n), *b = below(n);
            assert_product(&m, n, a, b);
            assert_product(&m, n, a, a);
            BN_free(a);
            BN_free(b);
            BN_free(n);
        }
}

static void products_of_the_smallest_and_greatest_numbers_equal_openssls(void **state)
{
    struct modulus m;
    (void)state;
    for (size_t i = 0; i < SIZES; i++)
        for (int margin = -1; margin <= 1; margin++) {
            BIGNUM *n = make_modulus(&m, sizes[i], margin), *ends[6];
            for (size_t j = 0; j < 6; j++) { /* 0, 1, 2, n - 3, n - 2, n - 1 */
                ends[j] = j < 3 ? BN_new() : BN_dup(n);
                assert_int_equal(j < 3 ? BN_set_word(ends[j], j) : BN_sub_word(ends[j], 6 - j), 1);
            }
            for (size_t j = 0; j < 36; j++)
                if (BN_cmp(ends[j / 6], n) < 0 && BN_cmp(ends[j % 6], n) < 0)
                    assert_product(&m, n, ends[j / 6], ends[j % 6]);
            for (size_t j = 0; j < 6; j++)
                BN_free(ends[j]);
            BN_free(n);
        }
}

static void numbers_with_leading_zeros_are_as_good_as_others(void **state)
{
    struct modulus m;
    BIGNUM *n = make_modulus(&m, RSA_MODULUS_MIN, 0), *a = below(n), *b = BN_new();
    (void)state;
    for (int bits = 0; bits < 2048; bits += 61) {
        assert_int_equal(BN_rshift(b, a, bits), 1);
        assert_product(&m, n, a, b);
        assert_product(&m, n, b, b);
    }
    BN_free(n);
    BN_free(a);
    BN_free(b);
}

/* ---- the rest ---- */

static void montgomery_form_and_back_is_the_number(void **state)
{
    static const struct residue one = {{1}};
    struct modulus m;
    (void)state;
    for (size_t i = 0; i < SIZES; i++) {
        BIGNUM *n = make_modulus(&m, sizes[i], 0), *a = below(n);
        struct residue number = residue_of(&m, a), form;
        modulus_multiply(&m, &form, &number, &m.square);
        modulus_multiply(&m, &form, &form, &one);
        assert_memory_equal(&form, &number, sizeof form);
        modulus_multiply(&m, &form, &number, &m.one); /* one in its form */
        assert_memory_equal(&form, &number, sizeof form);
        BN_free(n);
        BN_free(a);
    }
}

static void powers_equal_openssls(void **state)
{
    static const uint64_t exponents[] = {1, 2, 3, 17, 65535, 65537, 0x100000001, UINT64_MAX};
    struct modulus m;
    (void)state;
    for (size_t i = 0; i < SIZES; i++)
        for (size_t j = 0; j < sizeof exponents / sizeof exponents[0]; j++) {
            BIGNUM *n = make_modulus(&m, sizes[i], 0), *a = below(n), *e = BN_new(), *expected = BN_new();
            struct residue base = residue_of(&m, a), power;
            assert_int_equal(BN_set_word(e, exponents[j]), 1);
            assert_int_equal(BN_mod_exp(expected, a, e, n, scratch), 1);
            modulus_multiply(&m, &base, &base, &m.square);
            modulus_power(&m, &power, &base, exponents[j]);
            modulus_multiply(&m, &power, &power, &(struct residue){{1}});
            BIGNUM *found = number_of(&m, &power);
            assert_int_equal(BN_cmp(found, expected), 0);
            BN_free(found);
            BN_free(expected);
            BN_free(e);
            BN_free(a);
            BN_free(n);
        }
}

static void assert_difference(const struct modulus *m, const BIGNUM *n, const BIGNUM *a, const BIGNUM *b)
{
    struct residue first = residue_of(m, a), second = residue_of(m, b), difference, same = first;
    BIGNUM *expected = BN_new();
    assert_int_equal(BN_mod_sub(expected, a, b, n, scratch), 1);
    modulus_subtract(m, &difference, &first, &second);
    BIGNUM *found = number_of(m, &difference);
    assert_int_equal(BN_cmp(found, expected), 0);
    modulus_subtract(m, &same, &same, &second);
    assert_memory_equal(same.limb, difference.limb, m->limbs * sizeof same.limb[0]);
    modulus_subtract(m, &second, &first, &second);
    assert_memory_equal(second.limb, difference.limb, m->limbs * sizeof same.limb[0]);
    BN_free(found);
    BN_free(expected);
}

static void differences_equal_openssls(void **state)
{
    struct modulus m;
    (void)state;
    for (size_t i = 0; i < SIZES; i++)
        for (int round = 0; round < 20; round++) {
            BIGNUM *n = make_modulus(&m, sizes[i], round < 10 ? 0 : round % 2 ? 1 : -1);
            BIGNUM *a = below(n), *b = below(n), *zero = BN_new();
            assert_difference(&m, n, a, b);
            assert_difference(&m, n, b, a);
            assert_difference(&m, n, a, a);
            assert_difference(&m, n, zero, a);
            assert_difference(&m, n, a, zero);
            BN_free(a);
            BN_free(b);
            BN_free(zero);
            BN_free(n);
        }
}

/* A number of LIMBS; with FILL random, else all its bits are the same. */
static BIGNUM *make_number(struct residue *out, size_t limbs, int fill)
{
    uint8_t bytes[sizeof *out];
    memset(out, 0, sizeof *out);
    memset(out->limb, fill, limbs * sizeof out->limb[0]);
    if (fill == 1)
        random_bytes(out->limb, limbs * sizeof out->limb[0]);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[sizeof bytes - 1 - i] = (uint8_t)(out->limb[i / 8] >> 8 * (i % 8));
    return BN_bin2bn(bytes, sizeof bytes, NULL);
}

static void any_number_is_reduced_as_by_openssl(void **state)
{
    static const size_t lengths[] = {1, 2, 15, 16, 17, 32, 33, 48, 63, 64};
    static const int fills[] = {0, 1, 0xff};
    struct modulus m;
    struct residue number, found;
    (void)state;
    for (size_t i = 0; i < SIZES; i++)
        for (size_t j = 0; j < 10 * 3 * 3; j++) {
            BIGNUM *n = make_modulus(&m, sizes[i], (int)(j % 3) - 1), *expected = BN_new();
            BIGNUM *whole = make_number(&number, lengths[j / 9], fills[j / 3 % 3]);
            assert_int_equal(BN_nnmod(expected, whole, n, scratch), 1);
            modulus_reduce(&m, &found, &number, lengths[j / 9]);
            BIGNUM *reduced = number_of(&m, &found);
            assert_int_equal(BN_cmp(reduced, expected), 0);
            assert_true(modulus_has(&m, &found));
            BN_free(n);
            BN_free(whole);
            BN_free(reduced);
            BN_free(expected);
        }
}

static void products_without_a_modulus_equal_openssls(void **state)
{
    static const size_t lengths[][2] = {{1, 1},   {16, 16}, {17, 15}, {3, 29},
                                        {32, 32}, {1, 63},  {63, 1},  {31, 33}};
    static const int fills[] = {0, 1, 0xff};
    struct residue a, b, c, found;
    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
        for (size_t j = 0; j < 27; j++) {
            BIGNUM *first = make_number(&a, lengths[i][0], fills[j % 3]);
            BIGNUM *second = make_number(&b, lengths[i][1], fills[j / 3 % 3]);
            BIGNUM *third = make_number(&c, lengths[i][1], fills[j / 9]), *expected = BN_new();
            assert_int_equal(BN_mul(expected, first, second, scratch), 1);
            assert_int_equal(BN_add(expected, expected, third), 1);
            memset(&found, 0x5a, sizeof found);
            residue_multiply_add(&found, &a, lengths[i][0], &b, lengths[i][1], &c);
            for (size_t limb = 0; limb < MODULUS_LIMBS; limb++) {
                uint64_t got = 0;
                for (int bit = 0; bit < 64; bit++)
                    got |= (uint64_t)BN_is_bit_set(expected, (int)limb * 64 + bit) << bit;
                assert_int_equal(found.limb[limb], got);
            }
            BN_free(first);
            BN_free(second);
            BN_free(third);
            BN_free(expected);
        }
}

static void only_numbers_below_n_are_its(void **state)
{
    struct modulus m;
    (void)state;
    for (size_t i = 0; i < SIZES; i++)
        for (int margin = -1; margin <= 1; margin++) {
            BIGNUM *n = make_modulus(&m, sizes[i], margin);
            assert_int_equal(BN_sub_word(n, 2), 1);
            /* A short modulus may end so near to what its bytes hold that the last numbers do not fit. */
            for (int more = -2; more <= 2 && (size_t)BN_num_bytes(n) <= m.size; more++) {
                struct residue number = residue_of(&m, n);
                assert_int_equal(modulus_has(&m, &number), more < 0);
                assert_int_equal(BN_add_word(n, 1), 1);
            }
            struct residue zero = {{0}}, highest;
            uint8_t ones[RSA_MODULUS_MAX];
            memset(ones, 0xff, sizeof ones);
            modulus_read(&m, &highest, ones);
            assert_true(modulus_has(&m, &zero));
            assert_false(modulus_has(&m, &highest));
            BN_free(n);
        }
}

static void what_is_written_is_what_was_read(void **state)
{
    struct modulus m;
    uint8_t bytes[RSA_MODULUS_MAX], again[RSA_MODULUS_MAX + 1];
    (void)state;
    for (size_t i = 0; i < SIZES; i++) {
        BN_free(make_modulus(&m, sizes[i], 0));
        struct residue number;
        random_bytes(bytes, sizes[i]);
        modulus_read(&m, &number, bytes);
        memset(again, 0x5a, sizeof again);
        modulus_write(&m, again, &number);
        assert_memory_equal(again, bytes, sizes[i]);
        assert_int_equal(again[sizes[i]], 0x5a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_equal_openssls),
        cmocka_unit_test(products_of_the_smallest_and_greatest_numbers_equal_openssls),
        cmocka_unit_test(numbers_with_leading_zeros_are_as_good_as_others),
        cmocka_unit_test(montgomery_form_and_back_is_the_number),
        cmocka_unit_test(powers_equal_openssls),
        cmocka_unit_test(differences_equal_openssls),
        cmocka_unit_test(any_number_is_reduced_as_by_openssl),
        cmocka_unit_test(products_without_a_modulus_equal_openssls),
        cmocka_unit_test(only_numbers_below_n_are_its),
        cmocka_unit_test(what_is_written_is_what_was_read),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
