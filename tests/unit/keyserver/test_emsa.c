/* Encodings are compared with what OpenSSL signs with the same key, and with published signatures, both
 * opened with the public half. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/bn.h>
#include <openssl/param_build.h>
#include <stdio.h>
#include <string.h>

#include "keyserver/vault/compute/emsa.h"
#include "tests/unit/keyserver/keys.h"

static const unsigned hashes[] = {256, 384, 512};
#define HASHES (sizeof hashes / sizeof hashes[0])

/* 2049 and 2050: the highest bit of n is alone in its byte, or has one beside it. */
static const size_t sizes[] = {2048, 2049, 2050, 2054, 3072, 4096};
#define SIZES (sizeof sizes / sizeof sizes[0])
static EVP_PKEY *keys[SIZES];

static const EVP_MD *digest_of(unsigned bits)
{
    return bits == 256 ? EVP_sha256() : bits == 384 ? EVP_sha384() : EVP_sha512();
}

/* OpenSSL makes no key of an odd number of bits by itself. */
static EVP_PKEY *odd_key(size_t bits)
{
    BIGNUM *p = BN_new(), *q = BN_new(), *n = BN_new(), *d = BN_new(), *e = BN_new(), *order = BN_new();
    BN_CTX *scratch = BN_CTX_new();
    EVP_PKEY *pkey = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    assert_int_equal(BN_generate_prime_ex(p, (int)bits / 2 + 1, 0, NULL, NULL, NULL), 1);
    assert_int_equal(BN_generate_prime_ex(q, (int)bits / 2, 0, NULL, NULL, NULL), 1);
    assert_true(BN_mul(n, p, q, scratch) && BN_sub_word(p, 1) && BN_sub_word(q, 1) &&
                BN_mul(order, p, q, scratch));
    assert_true(BN_set_word(e, 65537) && BN_mod_inverse(d, e, order, scratch) != NULL);
    assert_true(OSSL_PARAM_BLD_push_BN(build, "n", n) && OSSL_PARAM_BLD_push_BN(build, "e", e) &&
                OSSL_PARAM_BLD_push_BN(build, "d", d));
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    assert_true(EVP_PKEY_fromdata_init(context) > 0 &&
                EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_KEYPAIR, params) > 0);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    EVP_PKEY_CTX_free(context);
    BN_CTX_free(scratch);
    BIGNUM *const all[] = {p, q, n, d, e, order};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        BN_free(all[i]);
    return pkey;
}

static int start(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIZES; i++) {
        keys[i] = sizes[i] % 2 == 1 ? odd_key(sizes[i]) : keys_rsa(sizes[i]);
        assert_int_equal(EVP_PKEY_get_bits(keys[i]), sizes[i]);
    }
    return secret_init();
}

static int stop(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIZES; i++)
        EVP_PKEY_free(keys[i]);
    return 0;
}

/* ---- against OpenSSL ---- */

static EVP_PKEY_CTX *padded(EVP_PKEY *pkey, int (*init)(EVP_PKEY_CTX *), int padding, unsigned bits)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    assert_true(init(context) > 0 && EVP_PKEY_CTX_set_rsa_padding(context, padding) > 0);
    if (padding != RSA_NO_PADDING)
        assert_true(EVP_PKEY_CTX_set_signature_md(context, digest_of(bits)) > 0);
    if (padding == RSA_PKCS1_PSS_PADDING)
        assert_true(EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) > 0);
    return context;
}

static void raw_private(EVP_PKEY *pkey, const uint8_t *in, uint8_t *out)
{
    size_t size = RSA_MODULUS_MAX, k = (size_t)EVP_PKEY_get_size(pkey);
    EVP_PKEY_CTX *context = padded(pkey, EVP_PKEY_decrypt_init, RSA_NO_PADDING, 0);
    assert_true(EVP_PKEY_decrypt(context, out, &size, in, k) > 0);
    EVP_PKEY_CTX_free(context);
}

static void a_pkcs1_encoding_is_what_openssl_signs(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIZES; i++)
        for (size_t j = 0; j < HASHES; j++) {
            uint8_t hash[EMSA_HASH_MAX], signature[RSA_MODULUS_MAX], expected[RSA_MODULUS_MAX];
            uint8_t encoded[RSA_MODULUS_MAX + 1];
            size_t size = sizeof signature;
            random_bytes(hash, sizeof hash);
            memset(encoded, 0x5a, sizeof encoded);
            EVP_PKEY_CTX *context = padded(keys[i], EVP_PKEY_sign_init, RSA_PKCS1_PADDING, hashes[j]);
            assert_true(EVP_PKEY_sign(context, signature, &size, hash, hashes[j] / 8) > 0);
            EVP_PKEY_CTX_free(context);
            keys_encrypt_raw(keys[i], signature, expected);
            assert_int_equal(emsa_pkcs1(encoded, sizes[i], hashes[j], hash), 0);
            assert_memory_equal(encoded, expected, size);
            assert_int_equal(encoded[size], 0x5a);
        }
}

static void openssl_verifies_what_was_encoded_by_pss(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIZES; i++)
        for (size_t j = 0; j < HASHES; j++)
            for (int round = 0; round < 8; round++) {
                uint8_t hash[EMSA_HASH_MAX], encoded[RSA_MODULUS_MAX + 1], signature[RSA_MODULUS_MAX];
                size_t size = (size_t)EVP_PKEY_get_size(keys[i]);
                random_bytes(hash, sizeof hash);
                memset(encoded, 0x5a, sizeof encoded);
                assert_int_equal(emsa_pss(encoded, sizes[i], hashes[j], hash), 0);
                assert_int_equal(encoded[size], 0x5a);
                raw_private(keys[i], encoded, signature);
                EVP_PKEY_CTX *context = padded(keys[i], EVP_PKEY_verify_init, RSA_PKCS1_PSS_PADDING,
                                               hashes[j]);
                assert_int_equal(EVP_PKEY_verify(context, signature, size, hash, hashes[j] / 8), 1);
                hash[0] ^= 1;
                assert_int_not_equal(EVP_PKEY_verify(context, signature, size, hash, hashes[j] / 8), 1);
                EVP_PKEY_CTX_free(context);
                ERR_clear_error();
            }
}

static void each_salt_is_another(void **state)
{
    static const uint8_t hash[EMSA_HASH_MAX] = {7};
    uint8_t first[256], second[256];
    (void)state;
    assert_int_equal(emsa_pss(first, 2048, 256, hash), 0);
    assert_int_equal(emsa_pss(second, 2048, 256, hash), 0);
    assert_memory_not_equal(first, second, sizeof first);
}

/* ---- against published signatures ---- */

static size_t read_hex(const char *text, uint8_t *out, size_t size)
{
    size_t length = strlen(text) / 2;
    assert_true(length <= size);
    for (size_t i = 0; i < length; i++) {
        unsigned byte;
        assert_int_equal(sscanf(text + 2 * i, "%2x", &byte), 1);
        out[i] = (uint8_t)byte;
    }
    return length;
}

/* OUT = SIGNATURE ^ 65537 modulo N. */
static void open_signature(uint8_t *out, const char *signature, const char *n, size_t size)
{
    BIGNUM *number = NULL, *modulus = NULL, *e = BN_new();
    BN_CTX *scratch = BN_CTX_new();
    assert_true(BN_hex2bn(&number, signature) > 0 && BN_hex2bn(&modulus, n) > 0);
    assert_int_equal(BN_set_word(e, 65537), 1);
    assert_int_equal(BN_mod_exp(number, number, e, modulus, scratch), 1);
    assert_int_equal(BN_bn2binpad(number, out, (int)size), size);
    BN_free(number);
    BN_free(modulus);
    BN_free(e);
    BN_CTX_free(scratch);
}

static void assert_published(const char *kind, unsigned bits, const char *n, const char *message,
                             const char *signature, const char *salt)
{
    uint8_t content[64], hash[EMSA_HASH_MAX], salted[EMSA_HASH_MAX];
    uint8_t expected[RSA_MODULUS_MAX], encoded[RSA_MODULUS_MAX];
    size_t length = read_hex(message, content, sizeof content), size = strlen(n) / 2;
    assert_int_equal(EVP_Digest(content, length, hash, NULL, digest_of(bits), NULL), 1);
    open_signature(expected, signature, n, size);
    if (strcmp(kind, "pss") == 0) {
        assert_int_equal(read_hex(salt, salted, sizeof salted), bits / 8);
        assert_int_equal(emsa_pss_salted(encoded, 8 * size, bits, hash, salted), 0);
    } else {
        assert_string_equal(kind, "pkcs1");
        assert_int_equal(emsa_pkcs1(encoded, 8 * size, bits, hash), 0);
    }
    assert_memory_equal(encoded, expected, size);
}

static void encodings_are_those_of_published_signatures(void **state)
{
    char line[4096], kind[8], n[1025], message[129], signature[1025], salt[129];
    unsigned bits, count = 0;
    (void)state;
    FILE *file = fopen("tests/vectors/emsa.txt", "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        if (line[0] == '#')
            continue;
        assert_int_equal(
            sscanf(line, "%7s %u %1024s %128s %1024s %128s", kind, &bits, n, message, signature, salt), 6);
        assert_published(kind, bits, n, message, signature, salt);
        count++;
    }
    fclose(file);
    assert_int_equal(count, 4);
}

/* ---- limits ---- */

static void other_hashes_are_not_supported(void **state)
{
    static const uint8_t hash[EMSA_HASH_MAX];
    static const unsigned bits[] = {0, 1, 128, 160, 224, 255, 257, 511, 513, 1024};
    uint8_t out[256];
    (void)state;
    for (size_t i = 0; i < sizeof bits / sizeof bits[0]; i++) {
        assert_int_equal(emsa_pkcs1(out, 2048, bits[i], hash), ERR_UNSUPPORTED);
        assert_int_equal(emsa_pss_salted(out, 2048, bits[i], hash, hash), ERR_UNSUPPORTED);
        assert_int_equal(emsa_pss(out, 2048, bits[i], hash), ERR_UNSUPPORTED);
    }
}

static void a_modulus_has_to_have_room(void **state)
{
    static const uint8_t hash[EMSA_HASH_MAX] = {1};
    uint8_t out[256];
    (void)state;
    for (size_t i = 0; i < HASHES; i++) {
        size_t hash_size = hashes[i] / 8, pkcs1 = hash_size + 19 + 11, pss = 2 * hash_size + 2;
        assert_int_equal(emsa_pkcs1(out, 8 * pkcs1, hashes[i], hash), 0);
        assert_int_equal(out[9], 0xff); /* eight of them are the least */
        assert_int_equal(out[10], 0);
        assert_int_equal(emsa_pkcs1(out, 8 * pkcs1 - 7, hashes[i], hash), 0);
        assert_int_equal(emsa_pkcs1(out, 8 * pkcs1 - 8, hashes[i], hash), ERR_LENGTH);
        assert_int_equal(emsa_pkcs1(out, 0, hashes[i], hash), ERR_LENGTH);
        assert_int_equal(emsa_pss(out, 8 * pss, hashes[i], hash), 0);
        assert_int_equal(emsa_pss(out, 8 * pss - 6, hashes[i], hash), 0);
        assert_int_equal(emsa_pss(out, 8 * pss - 7, hashes[i], hash), ERR_LENGTH);
        assert_int_equal(emsa_pss(out, 1, hashes[i], hash), ERR_LENGTH);
        assert_int_equal(emsa_pss(out, 0, hashes[i], hash), ERR_LENGTH);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pkcs1_encoding_is_what_openssl_signs),
        cmocka_unit_test(openssl_verifies_what_was_encoded_by_pss),
        cmocka_unit_test(each_salt_is_another),
        cmocka_unit_test(encodings_are_those_of_published_signatures),
        cmocka_unit_test(other_hashes_are_not_supported),
        cmocka_unit_test(a_modulus_has_to_have_room),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
