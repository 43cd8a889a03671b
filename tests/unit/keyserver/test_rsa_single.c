/* Every result is compared with OpenSSL's plain exponentiation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>
#include <string.h>

#include "common/secret.h"
#include "keyserver/vault/keys/rsa_check.h"
#include "keyserver/vault/keys/rsa_single.h"
#include "proto/operation.h"
#include "tests/unit/keyserver/primes.h"

/* Bits of the factors: alike, the first one longer, the second one longer, by a little and by much. */
static const struct {
    int p, q;
    uint64_t e;
} kinds[] = {
    {1024, 1024, 65537}, {1536, 1536, 65537}, {2048, 2048, 65537}, {1024, 1024, 3},
    {1030, 1018, 65537}, {1018, 1030, 65537}, {1100, 948, 17},     {1700, 444, 0x10000000000001},
    {440, 1640, 65537},  {70, 2010, 65537},   {2010, 70, 65537},
};
#define KINDS (sizeof kinds / sizeof kinds[0])

enum number { N, E, D, P, Q, DP, DQ, QINV, NUMBERS };
static const char *const names[NUMBERS] = {
    [N] = OSSL_PKEY_PARAM_RSA_N,          [E] = OSSL_PKEY_PARAM_RSA_E,
    [D] = OSSL_PKEY_PARAM_RSA_D,          [P] = OSSL_PKEY_PARAM_RSA_FACTOR1,
    [Q] = OSSL_PKEY_PARAM_RSA_FACTOR2,    [DP] = OSSL_PKEY_PARAM_RSA_EXPONENT1,
    [DQ] = OSSL_PKEY_PARAM_RSA_EXPONENT2, [QINV] = OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
};

struct sample {
    BIGNUM *number[NUMBERS];
    int size; /* bytes of n */
    EVP_PKEY *pkey;
    struct rsa_single *key;
};

static struct sample samples[KINDS];
static BN_CTX *scratch;
static struct rsa_single_scratch *room;

/* ---- keys ---- */

static bool suits(const BIGNUM *number, const BIGNUM *e)
{
    BIGNUM *less = BN_new(), *divisor = BN_new();
    assert_int_equal(BN_sub(less, number, BN_value_one()), 1);
    assert_int_equal(BN_gcd(divisor, less, e, scratch), 1);
    bool good = BN_is_one(divisor);
    BN_free(less);
    BN_free(divisor);
    return good;
}

/* One that was made once, where there is one that suits E and is not OTHER; otherwise a new one. */
static BIGNUM *prime(int bits, const BIGNUM *e, const BIGNUM *other)
{
    BIGNUM *number = NULL;
    for (size_t i = 0; i < PRIMES_OF_A_SIZE; i++) {
        number = primes_find((size_t)bits, i);
        if (number != NULL && suits(number, e) && (other == NULL || BN_cmp(number, other) != 0))
            return number;
        BN_free(number);
    }
    number = BN_new();
    do
        assert_int_equal(BN_generate_prime_ex2(number, bits, 0, NULL, NULL, NULL, scratch), 1);
    while (!suits(number, e));
    return number;
}

static void derive(BIGNUM *number[NUMBERS])
{
    BIGNUM *p1 = BN_dup(number[P]), *q1 = BN_dup(number[Q]), *phi = BN_new();
    assert_int_equal(BN_sub_word(p1, 1) & BN_sub_word(q1, 1), 1);
    assert_int_equal(BN_mul(phi, p1, q1, scratch), 1);
    assert_int_equal(BN_mul(number[N], number[P], number[Q], scratch), 1);
    assert_non_null(BN_mod_inverse(number[D], number[E], phi, scratch));
    assert_int_equal(BN_nnmod(number[DP], number[D], p1, scratch), 1);
    assert_int_equal(BN_nnmod(number[DQ], number[D], q1, scratch), 1);
    assert_non_null(BN_mod_inverse(number[QINV], number[Q], number[P], scratch));
    BN_free(p1);
    BN_free(q1);
    BN_free(phi);
}

static EVP_PKEY *pkey_of(BIGNUM *const number[NUMBERS])
{
    EVP_PKEY *pkey = NULL;
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    for (size_t i = 0; i < NUMBERS; i++)
        assert_int_equal(OSSL_PARAM_BLD_push_BN(builder, names[i], number[i]), 1);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    assert_int_equal(EVP_PKEY_fromdata_init(context), 1);
    assert_int_equal(EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_KEYPAIR, params), 1);
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(builder);
    return pkey;
}

static void make(struct sample *sample, size_t kind)
{
    for (size_t i = 0; i < NUMBERS; i++)
        sample->number[i] = BN_new();
    assert_int_equal(BN_set_word(sample->number[E], kinds[kind].e), 1);
    BN_free(sample->number[P]);
    BN_free(sample->number[Q]);
    sample->number[P] = prime(kinds[kind].p, sample->number[E], NULL);
    sample->number[Q] = prime(kinds[kind].q, sample->number[E], sample->number[P]);
    derive(sample->number);
    sample->size = BN_num_bytes(sample->number[N]);
    sample->pkey = pkey_of(sample->number);
    assert_true(rsa_check_numbers(sample->pkey)); /* a key server would take it */
    assert_int_equal(rsa_single_new(&sample->key, sample->pkey), 0);
}

static int start(void **state)
{
    (void)state;
    assert_int_equal(secret_init(), 0);
    scratch = BN_CTX_new();
    assert_int_equal(rsa_single_scratch_new(&room), 0);
    for (size_t i = 0; i < KINDS; i++)
        make(&samples[i], i);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        rsa_single_free(samples[i].key);
        EVP_PKEY_free(samples[i].pkey);
        for (size_t j = 0; j < NUMBERS; j++)
            BN_free(samples[i].number[j]);
    }
    rsa_single_free(NULL);
    BN_CTX_free(scratch);
    rsa_single_scratch_free(room);
    rsa_single_scratch_free(NULL);
    return 0;
}

/* ---- operations ---- */

static void assert_power(const struct sample *sample, const uint8_t *found, const BIGNUM *in,
                         enum number exponent)
{
    BIGNUM *power = BN_new();
    uint8_t expected[RSA_MODULUS_MAX];
    assert_int_equal(BN_mod_exp(power, in, sample->number[exponent], sample->number[N], scratch), 1);
    assert_int_equal(BN_bn2binpad(power, expected, sample->size), sample->size);
    assert_memory_equal(found, expected, (size_t)sample->size);
    BN_free(power);
}

/* FOUND is NUMBER ^ d: below n there is one only whose power of e is NUMBER. */
static void assert_root(const struct sample *sample, const uint8_t *found, const BIGNUM *number)
{
    BIGNUM *root = BN_bin2bn(found, sample->size, NULL);
    assert_true(BN_cmp(root, sample->number[N]) < 0);
    assert_int_equal(BN_mod_exp(root, root, sample->number[E], sample->number[N], scratch), 1);
    assert_int_equal(BN_cmp(root, number), 0);
    BN_free(root);
}

static void assert_operations(const struct sample *sample, const BIGNUM *number)
{
    uint8_t in[RSA_MODULUS_MAX], out[RSA_MODULUS_MAX + 1];
    const size_t size = (size_t)sample->size;
    assert_int_equal(BN_bn2binpad(number, in, sample->size), sample->size);
    memset(out, 0x5a, sizeof out);
    assert_int_equal(rsa_single_private(sample->key, room, out, in), 0);
    assert_root(sample, out, number);
    assert_int_equal(out[size], 0x5a);
    assert_int_equal(rsa_single_public(sample->key, room, out, out), 0);
    assert_memory_equal(out, in, size);
    assert_int_equal(rsa_single_public(sample->key, room, out, in), 0);
    assert_power(sample, out, number, E);
    assert_int_equal(rsa_single_private(sample->key, room, in, in), 0);
    assert_root(sample, in, number);
}

static void random_numbers_give_what_openssl_gives(void **state)
{
    BIGNUM *number = BN_new();
    (void)state;
    for (size_t i = 0; i < KINDS; i++)
        for (int round = 0; round < 20; round++) {
            assert_int_equal(BN_rand_range(number, samples[i].number[N]), 1);
            assert_int_equal(BN_rshift(number, number, round < 15 ? 0 : round * 97), 1);
            assert_operations(&samples[i], number);
        }
    BN_free(number);
}

/* 0, 1, multiples of a factor, and what is next to them and to n. */
static void numbers_at_the_edge_give_what_openssl_gives(void **state)
{
    BIGNUM *number = BN_new();
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        const BIGNUM *const edges[] = {samples[i].number[P], samples[i].number[Q], samples[i].number[N]};
        for (BN_ULONG word = 0; word < 3; word++) {
            assert_int_equal(BN_set_word(number, word), 1);
            assert_operations(&samples[i], number);
        }
        for (size_t edge = 0; edge < 3; edge++) {
            assert_non_null(BN_copy(number, edges[edge]));
            assert_int_equal(BN_sub_word(number, 2), 1);
            for (int step = -2; step <= (edge < 2 ? 1 : -1); step++) {
                assert_operations(&samples[i], number);
                assert_int_equal(BN_add_word(number, 1), 1);
            }
        }
    }
    BN_free(number);
}

/* One wrong number of the key, and the way back leads elsewhere: what the caller checks by. */
static void a_damaged_key_does_not_lead_back(void **state)
{
    static const enum number damaged[] = {DP, DQ, QINV};
    uint8_t in[RSA_MODULUS_MAX] = {0, 0x77}, out[RSA_MODULUS_MAX];
    struct sample *sample = &samples[0];
    (void)state;
    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        struct rsa_single *key = NULL;
        BIGNUM *right = sample->number[damaged[i]];
        sample->number[damaged[i]] = BN_dup(right);
        assert_int_equal(BN_add_word(sample->number[damaged[i]], 2), 1);
        EVP_PKEY *pkey = pkey_of(sample->number);
        assert_int_equal(rsa_single_new(&key, pkey), 0);
        assert_int_equal(rsa_single_private(key, room, out, in), 0);
        assert_int_equal(rsa_single_public(key, room, out, out), 0);
        assert_memory_not_equal(out, in, (size_t)sample->size);
        rsa_single_free(key);
        EVP_PKEY_free(pkey);
        BN_free(sample->number[damaged[i]]);
        sample->number[damaged[i]] = right;
    }
}

static void a_public_key_alone_is_none(void **state)
{
    struct rsa_single *key = NULL;
    unsigned char *der = NULL;
    (void)state;
    int length = i2d_PUBKEY(samples[0].pkey, &der);
    const unsigned char *at = der;
    EVP_PKEY *public = d2i_PUBKEY(NULL, &at, length);
    assert_non_null(public);
    assert_int_equal(rsa_single_new(&key, public), ERR_CRYPTO);
    assert_null(key);
    EVP_PKEY_free(public);
    OPENSSL_free(der);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_numbers_give_what_openssl_gives),
        cmocka_unit_test(numbers_at_the_edge_give_what_openssl_gives),
        cmocka_unit_test(a_damaged_key_does_not_lead_back),
        cmocka_unit_test(a_public_key_alone_is_none),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
