#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/bn.h>
#include <string.h>

#include "common/secret.h"
#include "keyserver/vault/compute/blinding.h"
#include "tests/unit/keyserver/keys.h"

#define MANY 300 /* uses: more than two renewals */

static const size_t bits[] = {2048, 2056, 3072, 4096};
#define KEYS (sizeof bits / sizeof bits[0])

static struct key keys[KEYS];
static BIGNUM *n[KEYS], *e[KEYS];
static BN_CTX *scratch;

static int start(void **state)
{
    (void)state;
    if (secret_init() != 0 || (scratch = BN_CTX_new()) == NULL)
        return -1;
    for (size_t i = 0; i < KEYS; i++) {
        EVP_PKEY *pkey = keys_rsa(bits[i]);
        assert_int_equal(EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_N, &n[i]), 1);
        assert_int_equal(EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e[i]), 1);
        keys[i] = (struct key){.type = KEY_RSA, .pkey = pkey, .result_size = (uint16_t)(bits[i] / 8)};
        assert_int_equal(BN_bn2binpad(n[i], keys[i].modulus, keys[i].result_size), keys[i].result_size);
    }
    return 0;
}

static int stop(void **state)
{
    (void)state;
    for (size_t i = 0; i < KEYS; i++) {
        EVP_PKEY_free(keys[i].pkey);
        BN_free(n[i]);
        BN_free(e[i]);
    }
    BN_CTX_free(scratch);
    return 0;
}

/* OUT = IN ^ EXPONENT modulo n[WHICH]. */
static void raise(size_t which, uint8_t *out, const uint8_t *in, const BIGNUM *exponent)
{
    BIGNUM *number = BN_bin2bn(in, keys[which].result_size, NULL);
    assert_int_equal(BN_mod_exp(number, number, exponent, n[which], scratch), 1);
    assert_int_equal(BN_bn2binpad(number, out, keys[which].result_size), keys[which].result_size);
    BN_free(number);
}

/* OUT = IN ^ d modulo n[WHICH]. */
static void open_raw(size_t which, uint8_t *out, const uint8_t *in)
{
    size_t size = keys[which].result_size, length = RSA_MODULUS_MAX;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(keys[which].pkey, NULL);
    assert_true(EVP_PKEY_decrypt_init(context) > 0);
    assert_true(EVP_PKEY_CTX_set_rsa_padding(context, RSA_NO_PADDING) > 0);
    assert_true(EVP_PKEY_decrypt(context, out, &length, in, size) > 0);
    assert_int_equal(length, size);
    EVP_PKEY_CTX_free(context);
}

static void choose(size_t which, uint8_t *out)
{
    random_bytes(out, keys[which].result_size);
    out[0] = 0; /* below n */
}

/* One use: what is revealed is PLAIN. */
static void use(struct blinding *blinding, size_t which, const uint8_t *plain, uint8_t *hidden)
{
    uint8_t ciphertext[RSA_MODULUS_MAX], result[RSA_MODULUS_MAX], revealed[RSA_MODULUS_MAX];
    raise(which, ciphertext, plain, e[which]);
    assert_int_equal(blinding_hide(blinding, hidden, ciphertext), 0);
    open_raw(which, result, hidden);
    blinding_reveal(blinding, revealed, result);
    assert_memory_equal(revealed, plain, keys[which].result_size);
}

static void the_plaintext_comes_back_over_many_renewals(void **state)
{
    uint8_t plain[RSA_MODULUS_MAX], hidden[RSA_MODULUS_MAX];
    struct blinding *blinding = blinding_new(&keys[0]);
    (void)state;
    assert_non_null(blinding);
    for (int i = 0; i < MANY; i++) {
        choose(0, plain);
        use(blinding, 0, plain, hidden);
    }
    blinding_free(blinding);
    blinding_free(NULL);
}

static void the_plaintext_comes_back_at_every_size(void **state)
{
    uint8_t plain[RSA_MODULUS_MAX], hidden[RSA_MODULUS_MAX];
    (void)state;
    for (size_t which = 0; which < KEYS; which++) {
        struct blinding *blinding = blinding_new(&keys[which]);
        for (int i = 0; i < 5; i++) {
            choose(which, plain);
            memset(plain, 0, (size_t)i * 50); /* also with leading zeros */
            use(blinding, which, plain, hidden);
        }
        memset(plain, 0, sizeof plain); /* and the smallest and greatest there are */
        plain[keys[which].result_size - 1] = 2;
        use(blinding, which, plain, hidden);
        memcpy(plain, keys[which].modulus, sizeof plain);
        plain[keys[which].result_size - 1] -= 1;
        use(blinding, which, plain, hidden);
        blinding_free(blinding);
    }
}

/* Whoever asks for one ciphertext again and again has another number computed each time, also from a thread
 * beside, and after a renewal. */
static void one_ciphertext_is_never_hidden_twice_in_the_same_way(void **state)
{
    static uint8_t hidden[2 * MANY][RSA_MODULUS_MIN];
    uint8_t plain[RSA_MODULUS_MIN];
    struct blinding *both[2] = {blinding_new(&keys[0]), blinding_new(&keys[0])};
    (void)state;
    choose(0, plain);
    for (size_t i = 0; i < 2 * MANY; i++) {
        use(both[i % 2], 0, plain, hidden[i]);
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(hidden[i], hidden[j], RSA_MODULUS_MIN);
    }
    blinding_free(both[0]);
    blinding_free(both[1]);
}

/* r^e as it was for this HIDDEN of CIPHERTEXT. */
static BIGNUM *factor_of(const uint8_t *hidden, const uint8_t *ciphertext)
{
    BIGNUM *factor = BN_bin2bn(hidden, RSA_MODULUS_MIN, NULL),
           *inverse = BN_bin2bn(ciphertext, RSA_MODULUS_MIN, NULL);
    assert_non_null(BN_mod_inverse(inverse, inverse, n[0], scratch));
    assert_int_equal(BN_mod_mul(factor, factor, inverse, n[0], scratch), 1);
    BN_free(inverse);
    return factor;
}

/* A use has the square of the r before, which costs little; but a chain of squares ends after a hundred and
 * some. */
static void r_is_chosen_anew_now_and_then(void **state)
{
    uint8_t ciphertext[RSA_MODULUS_MIN], hidden[RSA_MODULUS_MIN];
    struct blinding *blinding = blinding_new(&keys[0]);
    BIGNUM *square = BN_new();
    unsigned squares = 0, renewals = 0;
    (void)state;
    choose(0, ciphertext);
    for (int i = 0; i < 2 * MANY; i++) {
        assert_int_equal(blinding_hide(blinding, hidden, ciphertext), 0);
        BIGNUM *factor = factor_of(hidden, ciphertext);
        bool is_square = BN_cmp(factor, square) == 0;
        squares = is_square ? squares + 1 : 0;
        renewals += !is_square;
        assert_true(squares < 128);
        assert_int_equal(BN_mod_sqr(square, factor, n[0], scratch), 1);
        BN_free(factor);
    }
    assert_in_range(renewals, 5, 10);
    BN_free(square);
    blinding_free(blinding);
}

/* Of the hidden numbers, all are below n, and about half have any one bit set. */
static void hidden_numbers_look_random(void **state)
{
    uint8_t plain[RSA_MODULUS_MIN] = {0}, hidden[RSA_MODULUS_MIN];
    unsigned set[8 * RSA_MODULUS_MIN] = {0};
    struct blinding *blinding = NULL;
    (void)state;
    plain[RSA_MODULUS_MIN - 1] = 2;
    for (int i = 0; i < MANY; i++) {
        if (i % 10 == 0) { /* squares of few numbers are not what is asked about */
            blinding_free(blinding);
            blinding = blinding_new(&keys[0]);
        }
        use(blinding, 0, plain, hidden);
        assert_true(memcmp(hidden, keys[0].modulus, sizeof hidden) < 0);
        for (size_t bit = 0; bit < 8 * RSA_MODULUS_MIN; bit++)
            set[bit] += hidden[bit / 8] >> (7 - bit % 8) & 1;
    }
    for (size_t bit = 8; bit < 8 * RSA_MODULUS_MIN; bit++) /* six standard deviations; the first follow n */
        assert_in_range(set[bit], MANY / 2 - 52, MANY / 2 + 52);
    blinding_free(blinding);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_plaintext_comes_back_over_many_renewals),
        cmocka_unit_test(the_plaintext_comes_back_at_every_size),
        cmocka_unit_test(one_ciphertext_is_never_hidden_twice_in_the_same_way),
        cmocka_unit_test(r_is_chosen_anew_now_and_then),
        cmocka_unit_test(hidden_numbers_look_random),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
