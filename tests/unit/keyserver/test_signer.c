#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "keyserver/vault/compute/premaster.h"
#include "keyserver/vault/judge/gate.h"
#include "tests/unit/keyserver/signer_rig.h"

/* ---- signatures ---- */

static const struct {
    uint16_t scheme;
    size_t first, last; /* keys it is tried with */
    bool tls13;
} schemes_of_keys[] = {
    {SCHEME_RSA_PKCS1_SHA256, RSA2048, RSA4096, false},
    {SCHEME_RSA_PKCS1_SHA384, RSA2048, RSA4096, false},
    {SCHEME_RSA_PKCS1_SHA512, RSA2048, RSA4096, false},
    {SCHEME_RSA_PSS_RSAE_SHA256, RSA2048, RSA4096, true},
    {SCHEME_RSA_PSS_RSAE_SHA384, RSA2048, RSA4096, true},
    {SCHEME_RSA_PSS_RSAE_SHA512, RSA2048, RSA4096, true},
    {SCHEME_ECDSA_P256_SHA256, P256, P256, true},
    {SCHEME_ECDSA_P384_SHA384, P384, P384, true},
    {SCHEME_ECDSA_P256_SHA256, P384, P384, false},
    {SCHEME_ECDSA_P384_SHA384, P256, P256, false},
    {SCHEME_ECDSA_P521_SHA512, P256, P384, false},
    {SCHEME_ED25519, ED25519, ED25519, true},
};
#define SCHEMES_OF_KEYS (sizeof schemes_of_keys / sizeof schemes_of_keys[0])

static void try_signature(size_t which, uint16_t scheme, struct operation operation)
{
    struct outcome outcome = perform(which, &operation);
    assert_in_range(outcome.length, 8, key_of(which)->result_size);
    if (which <= RSA4096)
        assert_int_equal(outcome.length, EVP_PKEY_get_size(pkeys[which]));
    assert_true(keys_verify(pkeys[which], &operation, scheme, outcome.bytes, outcome.length));
    operation.u.sign_tls13.hash[3] ^= 1; /* another content: also a byte of the randoms */
    assert_false(keys_verify(pkeys[which], &operation, scheme, outcome.bytes, outcome.length));
}

static void every_scheme_of_every_key_verifies(void **state)
{
    static const uint16_t curves[] = {CURVE_P256, CURVE_P384, CURVE_P521, CURVE_X25519, CURVE_X448};
    (void)state;
    for (size_t i = 0; i < SCHEMES_OF_KEYS; i++)
        for (size_t which = schemes_of_keys[i].first; which <= schemes_of_keys[i].last; which++)
            for (int round = 0; round < 3;
                 round++) { /* the first with a fresh context, then with a used one */
                uint16_t scheme = schemes_of_keys[i].scheme;
                try_signature(which, scheme, keys_tls12(pkeys[which], scheme, curves[(i + which) % 5]));
                if (schemes_of_keys[i].tls13) {
                    try_signature(which, scheme, keys_tls13(pkeys[which], scheme, 32));
                    try_signature(which, scheme, keys_tls13(pkeys[which], scheme, 48));
                }
            }
}

static void a_signature_of_one_scheme_is_none_of_another(void **state)
{
    struct operation operation = keys_tls12(pkeys[RSA2048], SCHEME_RSA_PKCS1_SHA256, CURVE_X25519);
    (void)state;
    struct outcome outcome = perform(RSA2048, &operation);
    for (size_t i = 0; i < SCHEMES_OF_KEYS && schemes_of_keys[i].first == RSA2048; i++)
        assert_int_equal(
            keys_verify(pkeys[RSA2048], &operation, schemes_of_keys[i].scheme, outcome.bytes, outcome.length),
            i == 0);
}

/* A nonce used twice gives an ECDSA key away; a salt used twice is only odd. */
static void randomized_schemes_never_repeat_and_others_always_do(void **state)
{
    (void)state;
    for (size_t i = 0; i < SCHEMES_OF_KEYS; i++) {
        size_t which = schemes_of_keys[i].first;
        uint16_t scheme = schemes_of_keys[i].scheme;
        struct operation operation = keys_tls12(pkeys[which], scheme, CURVE_X25519);
        struct outcome first = perform(which, &operation), second = perform(which, &operation);
        const struct scheme_info *info = scheme_find(scheme);
        bool same = first.length == second.length && memcmp(first.bytes, second.bytes, first.length) == 0;
        assert_int_equal(same, (info->algorithm == ALGORITHM_RSA && !info->pss) ||
                                   info->algorithm == ALGORITHM_ED25519);
        if (info->algorithm == ALGORITHM_EC) /* r follows the nonce: 30 len 02 len r … */
            assert_memory_not_equal(first.bytes + 4, second.bytes + 4, 24);
    }
}

/* ---- pre-masters ---- */

static void a_good_ciphertext_gives_its_secret_at_every_size(void **state)
{
    (void)state;
    for (size_t which = RSA2048; which <= RSA4096; which++)
        for (int round = 0; round < 3; round++) {
            uint8_t block[RSA_MODULUS_MAX], secret[TLS_PREMASTER_SIZE];
            random_bytes(secret, sizeof secret);
            secret[0] = 3;
            secret[1] = (uint8_t)(1 + round);
            keys_pad(block, (size_t)EVP_PKEY_get_size(pkeys[which]), secret);
            struct operation operation = keys_premaster(pkeys[which], (uint16_t)(0x0301 + round), block);
            struct outcome outcome = perform(which, &operation);
            assert_int_equal(outcome.length, TLS_PREMASTER_SIZE);
            assert_memory_equal(outcome.bytes, secret, TLS_PREMASTER_SIZE);
        }
}

static void every_kind_of_bad_padding_gives_the_same_deterministic_48_bytes(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < KEYS_SPOILT; kind++) {
        uint8_t block[RSA_MODULUS_MAX], secret[TLS_PREMASTER_SIZE] = {3, 3, 0x77},
                                        expected[TLS_PREMASTER_SIZE];
        const struct key *key = key_of(RSA2048);
        memset(secret + 2, 0x77, 46);
        keys_pad(block, 256, secret);
        keys_spoil(block, 256, kind);
        struct operation operation = keys_premaster(pkeys[RSA2048], 0x0303, block);
        struct outcome first = perform(RSA2048, &operation), second = perform(RSA2048, &operation);
        premaster_fallback(expected, key->fallback_secret, 0x0303, operation.u.rsa_premaster.ciphertext, 256);
        assert_int_equal(first.length, TLS_PREMASTER_SIZE);
        assert_memory_equal(first.bytes, expected, sizeof expected);
        assert_memory_equal(first.bytes, second.bytes, sizeof first.bytes);
        assert_int_equal(first.bytes[0], 3);
        assert_int_equal(first.bytes[1], 3);
    }
}

static void another_version_asked_for_one_ciphertext_tells_nothing(void **state)
{
    uint8_t block[RSA_MODULUS_MAX], secret[TLS_PREMASTER_SIZE] = {3, 3};
    (void)state;
    for (int good = 0; good < 2; good++) {
        keys_pad(block, 256, secret);
        block[1] = good ? 2 : 1;
        struct operation operation = keys_premaster(pkeys[RSA2048], 0x0303, block);
        struct outcome first = perform(RSA2048, &operation);
        operation.u.rsa_premaster.client_version = 0x0302;
        struct outcome second = perform(RSA2048, &operation);
        assert_memory_not_equal(first.bytes + 2, second.bytes + 2, 46); /* in both cases */
    }
}

/* What is decrypted must not be a signature (RFC 8017, 9.2): the block that PKCS#1 signs, as a ciphertext. */
static void a_signature_block_as_ciphertext_gives_no_signature(void **state)
{
    static const uint8_t sha256_info[] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                          0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};
    struct operation sign = keys_tls12(pkeys[RSA2048], SCHEME_RSA_PKCS1_SHA256, CURVE_X25519);
    struct operation decrypt = {.kind = OP_RSA_PREMASTER};
    uint8_t content[256], *block = decrypt.u.rsa_premaster.ciphertext;
    (void)state;
    size_t length = keys_content(&sign, content);
    memset(block, 0xff, 256);
    block[0] = 0;
    block[1] = 1;
    block[256 - 52] = 0;
    memcpy(block + 256 - 51, sha256_info, sizeof sha256_info);
    sha256(block + 224, content, length);
    decrypt.u.rsa_premaster.ciphertext_length = 256;
    decrypt.u.rsa_premaster.client_version = 0x0303;
    struct crypto_input input;
    struct transcript seen;
    assert_int_equal(gate_pass(&decrypt, key_of(RSA2048), &input, &seen), REFUSAL_NONE);
    struct outcome outcome = perform(RSA2048, &decrypt), signature = perform(RSA2048, &sign);
    assert_int_equal(outcome.length, TLS_PREMASTER_SIZE);
    uint8_t check[RSA_MODULUS_MAX];
    keys_encrypt_raw(pkeys[RSA2048], signature.bytes, check);
    assert_memory_equal(check, block, 256); /* it is the very block: its signature is the raw decryption */
    assert_memory_not_equal(outcome.bytes + 2, signature.bytes + 256 - 46, 46);
    static const uint8_t zero[RESULT_MAX];
    assert_memory_equal(outcome.bytes + 48, zero, RESULT_MAX - 48);
}

/* ---- threads ---- */

static void *sign_many(void *argument)
{
    struct signer *own = signer_new(store, BATCH_ALL);
    size_t *bad = argument;
    for (int round = 0; round < 30; round++) {
        static const uint16_t first[] = {SCHEME_RSA_PSS_RSAE_SHA256, 0, 0,
                                         SCHEME_ECDSA_P256_SHA256,   0, SCHEME_ED25519};
        static const size_t order[] = {RSA2048, P256, ED25519};
        size_t which = order[round % 3];
        struct operation operation = keys_tls13(pkeys[which], first[which], 32);
        const struct crypto_input input = keys_input(&operation);
        struct outcome outcome;
        *bad += perform_with(own, which, &input, &outcome) != 0 ||
                !keys_verify(pkeys[which], &operation, first[which], outcome.bytes, outcome.length);
    }
    signer_free(own);
    return NULL;
}

static void signers_of_many_threads_share_keys(void **state)
{
    pthread_t threads[4];
    size_t bad[4] = {0};
    (void)state;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, sign_many, &bad[i]), 0);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(bad[i], 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_scheme_of_every_key_verifies),
        cmocka_unit_test(a_signature_of_one_scheme_is_none_of_another),
        cmocka_unit_test(randomized_schemes_never_repeat_and_others_always_do),
        cmocka_unit_test(a_good_ciphertext_gives_its_secret_at_every_size),
        cmocka_unit_test(every_kind_of_bad_padding_gives_the_same_deterministic_48_bytes),
        cmocka_unit_test(another_version_asked_for_one_ciphertext_tells_nothing),
        cmocka_unit_test(a_signature_block_as_ciphertext_gives_no_signature),
        cmocka_unit_test(signers_of_many_threads_share_keys),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
