/* The signer with faults at will: its private-key operations are called through two functions of this test,
 * which can damage a result as a failing processor would. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/evp.h>

#include "keyserver/vault/keys/keystore.h"

static int test_sign(EVP_PKEY_CTX *context, unsigned char *out, size_t *size, const unsigned char *hash,
                     size_t length);
static int test_private(const struct rsa_single *key, struct rsa_single_scratch *scratch, uint8_t *out,
                        const uint8_t *in);
#define EVP_PKEY_sign      test_sign
#define rsa_single_private test_private
#include "keyserver/vault/compute/signer.c"
#undef EVP_PKEY_sign
#undef rsa_single_private

#include <openssl/bn.h>

#include "tests/unit/keyserver/signer_rig.h"

/* The last two compute one half of a CRT result wrong: modulo p, modulo q. */
static enum { NO_FAULT, FLIP_FIRST, FLIP_LAST, FAIL, WRONG_P, WRONG_Q } fault_kind;
static unsigned private_operations, factors_found;
static uint8_t last_in[RSA_MODULUS_MAX], last_out[RSA_MODULUS_MAX]; /* of the last one of RSA */

/* ---- one half of a CRT result ---- */

static BIGNUM *number_of(EVP_PKEY *pkey, const char *name)
{
    BIGNUM *number = NULL;
    assert_int_equal(EVP_PKEY_get_bn_param(pkey, name, &number), 1);
    return number;
}

/* The positive control: would whoever got the damaged result, and what it is a result of (the padded message
 * or the ciphertext M), have learned the FACTOR? Boneh, DeMillo, Lipton 1997; Lenstra 1996. */
static bool gives_away(const BIGNUM *damaged, const BIGNUM *m, const BIGNUM *factor, const BIGNUM *n,
                       const BIGNUM *e, BN_CTX *scratch)
{
    BIGNUM *gcd = BN_new();
    assert_true(BN_mod_exp(gcd, damaged, e, n, scratch) == 1 && BN_mod_sub(gcd, gcd, m, n, scratch) == 1 &&
                BN_gcd(gcd, gcd, n, scratch) == 1);
    bool found = BN_cmp(gcd, factor) == 0;
    BN_free(gcd);
    return found;
}

/* OUT, right modulo p and q, becomes OUT + t q modulo n, which is right modulo q and wrong modulo p; or the
 * other way round. */
static void damage_half(EVP_PKEY *pkey, unsigned char *out, size_t size)
{
    BN_CTX *scratch = BN_CTX_new();
    BIGNUM *n = number_of(pkey, OSSL_PKEY_PARAM_RSA_N), *e = number_of(pkey, OSSL_PKEY_PARAM_RSA_E);
    BIGNUM *p = number_of(pkey, OSSL_PKEY_PARAM_RSA_FACTOR1),
           *q = number_of(pkey, OSSL_PKEY_PARAM_RSA_FACTOR2);
    BIGNUM *wrong = fault_kind == WRONG_P ? p : q, *right = fault_kind == WRONG_P ? q : p;
    BIGNUM *result = BN_bin2bn(out, (int)size, NULL), *m = BN_new(), *t = BN_new();
    assert_int_equal(BN_mod_exp(m, result, e, n, scratch), 1);
    do
        assert_int_equal(BN_rand_range(t, wrong), 1);
    while (BN_is_zero(t));
    assert_true(BN_mul(t, t, right, scratch) == 1 && BN_mod_add(result, result, t, n, scratch) == 1);
    assert_int_equal(BN_bn2binpad(result, out, (int)size), size);
    factors_found += gives_away(result, m, right, n, e, scratch);
    BIGNUM *all[] = {n, e, p, q, result, m, t};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        BN_clear_free(all[i]);
    BN_CTX_free(scratch);
}

/* ---- the two operations ---- */

/* What a fault makes of the result OUT of an operation that gave ERR. */
static int damage(EVP_PKEY *pkey, int err, unsigned char *out, size_t size)
{
    private_operations++;
    if (fault_kind == FLIP_FIRST)
        out[1] ^= 0x01;
    if (fault_kind == FLIP_LAST)
        out[size - 1] ^= 0x01;
    if (fault_kind == WRONG_P || fault_kind == WRONG_Q)
        damage_half(pkey, out, size);
    return fault_kind == FAIL ? ERR_CRYPTO : err;
}

static int test_sign(EVP_PKEY_CTX *context, unsigned char *out, size_t *size, const unsigned char *hash,
                     size_t length)
{
    int err = EVP_PKEY_sign(context, out, size, hash, length) > 0 ? 0 : ERR_CRYPTO;
    return damage(EVP_PKEY_CTX_get0_pkey(context), err, out, *size) == 0 ? 1 : -1;
}

static EVP_PKEY *pkey_of(const struct rsa_single *key)
{
    for (size_t i = RSA2048; i <= RSA4096; i++)
        if (key_of(i)->rsa_single == key)
            return pkeys[i];
    fail_msg("an operation with a key that is none of this test's");
    return NULL;
}

static int test_private(const struct rsa_single *key, struct rsa_single_scratch *scratch, uint8_t *out,
                        const uint8_t *in)
{
    EVP_PKEY *pkey = pkey_of(key);
    size_t size = (size_t)EVP_PKEY_get_size(pkey);
    int err = rsa_single_private(key, scratch, out, in);
    memcpy(last_in, in, size);
    memcpy(last_out, out, size);
    return damage(pkey, err, out, size);
}

/* ---- what is asked ---- */

enum { INPUTS = 5 };

/* A signature by PKCS#1 and two by PSS, a pre-master and a master secret. */
static void make_inputs(struct crypto_input out[INPUTS], size_t which)
{
    uint8_t block[RSA_MODULUS_MAX], secret[TLS_PREMASTER_SIZE] = {3, 3};
    keys_pad(block, (size_t)EVP_PKEY_get_size(pkeys[which]), secret);
    const struct operation operations[] = {
        keys_tls12(pkeys[which], SCHEME_RSA_PKCS1_SHA256, CURVE_X25519),
        keys_tls12(pkeys[which], SCHEME_RSA_PSS_RSAE_SHA384, CURVE_P256),
        keys_tls13(pkeys[which], SCHEME_RSA_PSS_RSAE_SHA256, 32),
        keys_premaster(pkeys[which], 0x0303, block),
    };
    for (size_t i = 0; i < INPUTS - 1; i++)
        out[i] = keys_input(&operations[i]);
    out[INPUTS - 1] = out[INPUTS - 2];
    out[INPUTS - 1].kind = OP_RSA_MASTER;
    out[INPUTS - 1].u.exchange.prf_bits = 256;
    random_bytes(out[INPUTS - 1].u.exchange.session_hash, 32);
}

static void results_with_flipped_bits_or_none_are_withheld(void **state)
{
    struct crypto_input inputs[INPUTS];
    (void)state;
    for (size_t which = RSA2048; which <= RSA4096; which++) {
        make_inputs(inputs, which);
        for (size_t i = 0; i < INPUTS; i++)
            for (fault_kind = FLIP_FIRST; fault_kind <= FAIL; fault_kind++) {
                unsigned before = private_operations;
                assert_withheld(which, &inputs[i]);
                assert_int_equal(private_operations, before + 1); /* not tried again with the same numbers */
            }
        fault_kind = NO_FAULT;
        for (size_t i = 0; i < INPUTS; i++) /* and nothing of it stays */
            (void)perform_input(which, &inputs[i]);
    }
}

/* A thousand, over every kind of operation, both halves and all sizes of keys: each would have given the key
 * away, and none is released. */
static void a_thousand_faults_in_one_half_are_withheld_and_each_would_have_given_the_key_away(void **state)
{
    static const unsigned rounds[] = {[RSA2048] = 80, [RSA3072] = 15, [RSA4096] = 5};
    struct crypto_input inputs[INPUTS];
    unsigned withheld = 0;
    (void)state;
    factors_found = 0;
    for (size_t which = RSA2048; which <= RSA4096; which++)
        for (unsigned round = 0; round < rounds[which]; round++) {
            make_inputs(inputs, which);
            for (size_t i = 0; i < INPUTS; i++)
                for (fault_kind = WRONG_P; fault_kind <= WRONG_Q; fault_kind++) {
                    assert_withheld(which, &inputs[i]);
                    withheld++;
                }
            fault_kind = NO_FAULT;
        }
    assert_int_equal(withheld, 1000);
    assert_int_equal(factors_found, 1000);
    for (size_t which = RSA2048; which <= RSA4096; which++) {
        make_inputs(inputs, which);
        for (size_t i = 0; i < INPUTS; i++)
            (void)perform_input(which, &inputs[i]);
    }
}

/* What the last decryption's input was made from the ciphertext by: r^e. */
static BIGNUM *blinding_factor(const struct crypto_input *input)
{
    BN_CTX *scratch = BN_CTX_new();
    BIGNUM *n = number_of(pkeys[RSA2048], OSSL_PKEY_PARAM_RSA_N), *factor = BN_new();
    BIGNUM *hidden = BN_bin2bn(last_in, RSA_MODULUS_MIN, NULL);
    BIGNUM *ciphertext = BN_bin2bn(input->u.exchange.ciphertext, RSA_MODULUS_MIN, NULL);
    assert_non_null(BN_mod_inverse(factor, ciphertext, n, scratch));
    assert_int_equal(BN_mod_mul(factor, factor, hidden, n, scratch), 1);
    BIGNUM *all[] = {n, hidden, ciphertext};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        BN_free(all[i]);
    BN_CTX_free(scratch);
    return factor;
}

/* True when the second is the square of the first: the next of the same chain. */
static bool follows(const BIGNUM *first, const BIGNUM *second)
{
    BN_CTX *scratch = BN_CTX_new();
    BIGNUM *n = number_of(pkeys[RSA2048], OSSL_PKEY_PARAM_RSA_N), *square = BN_new();
    assert_int_equal(BN_mod_sqr(square, first, n, scratch), 1);
    bool result = BN_cmp(square, second) == 0;
    BN_free(n);
    BN_free(square);
    BN_CTX_free(scratch);
    return result;
}

static void after_a_fault_the_blinding_is_another_and_the_pre_master_comes_out_right(void **state)
{
    uint8_t block[RSA_MODULUS_MAX], secret[TLS_PREMASTER_SIZE] = {3, 3, 0x66};
    (void)state;
    keys_pad(block, 256, secret);
    const struct operation operation = keys_premaster(pkeys[RSA2048], 0x0303, block);
    const struct crypto_input input = keys_input(&operation);
    for (int round = 0; round < 30; round++) {
        fault_kind = round % 3 == 0 ? NO_FAULT : round % 3 == 1 ? WRONG_P : FAIL;
        if (fault_kind == NO_FAULT)
            (void)perform_input(RSA2048, &input);
        else
            assert_withheld(RSA2048, &input);
        BIGNUM *before = blinding_factor(&input);
        bool faulty = fault_kind != NO_FAULT;
        fault_kind = NO_FAULT;
        struct outcome outcome = perform_input(RSA2048, &input);
        BIGNUM *after = blinding_factor(&input);
        assert_int_equal(follows(before, after), !faulty);
        assert_memory_equal(outcome.bytes, secret, sizeof secret);
        BN_free(before);
        BN_free(after);
    }
}

/* Not the ciphertext goes in but a random number, another each time, and so what comes out is not the
 * plaintext. */
static void openssl_never_sees_what_was_sent_or_what_it_means(void **state)
{
    static uint8_t seen[50][2][RSA_MODULUS_MIN];
    uint8_t block[RSA_MODULUS_MAX], secret[TLS_PREMASTER_SIZE] = {3, 3};
    (void)state;
    keys_pad(block, RSA_MODULUS_MIN, secret);
    const struct operation operation = keys_premaster(pkeys[RSA2048], 0x0303, block);
    const struct crypto_input input = keys_input(&operation);
    for (size_t i = 0; i < sizeof seen / sizeof seen[0]; i++) {
        (void)perform_input(RSA2048, &input);
        memcpy(seen[i][0], last_in, RSA_MODULUS_MIN);
        memcpy(seen[i][1], last_out, RSA_MODULUS_MIN);
        assert_memory_not_equal(seen[i][0], input.u.exchange.ciphertext, RSA_MODULUS_MIN);
        assert_memory_not_equal(seen[i][1], block, RSA_MODULUS_MIN);
        for (size_t j = 0; j < i; j++)
            for (size_t side = 0; side < 2; side++)
                assert_memory_not_equal(seen[i][side], seen[j][side], RSA_MODULUS_MIN);
    }
}

static void a_failing_elliptic_operation_is_withheld(void **state)
{
    const struct operation operation = keys_tls13(pkeys[P256], SCHEME_ECDSA_P256_SHA256, 32);
    const struct crypto_input input = keys_input(&operation);
    (void)state;
    fault_kind = FAIL;
    assert_withheld(P256, &input);
    fault_kind = NO_FAULT;
    (void)perform_input(P256, &input);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_with_flipped_bits_or_none_are_withheld),
        cmocka_unit_test(a_thousand_faults_in_one_half_are_withheld_and_each_would_have_given_the_key_away),
        cmocka_unit_test(after_a_fault_the_blinding_is_another_and_the_pre_master_comes_out_right),
        cmocka_unit_test(openssl_never_sees_what_was_sent_or_what_it_means),
        cmocka_unit_test(a_failing_elliptic_operation_is_withheld),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
