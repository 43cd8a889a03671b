/* The key derivations of TLS: published vectors, OpenSSL's own beside them, and limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "common/bytes.h"
#include "edge/provider/prf.h"

static struct prf_bytes text(const char *text)
{
    return (struct prf_bytes){.bytes = text, .length = strlen(text)};
}

/* Bytes that differ from each other, for keys and data. */
static struct prf_bytes some(size_t length)
{
    static uint8_t bytes[70000];

    assert_true(length <= sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 256);
    return (struct prf_bytes){.bytes = bytes, .length = length};
}

static void assert_hex(const uint8_t *bytes, size_t length, const char *expected)
{
    char hex[256];

    assert_true(2 * length < sizeof hex);
    hex_encode(hex, bytes, length);
    assert_string_equal(hex, expected);
}

/* The vector that was published on the TLS working group's list for SHA-256. */
static void tls12_gives_the_published_bytes(void **state)
{
    static const uint8_t secret[] = {0x9b, 0xbe, 0x43, 0x6b, 0xa9, 0x40, 0xf0, 0x17,
                                     0xb1, 0x76, 0x52, 0x84, 0x9a, 0x71, 0xdb, 0x35};
    static const uint8_t seed[] = {0xa0, 0xba, 0x9f, 0x93, 0x6c, 0xda, 0x31, 0x18,
                                   0x27, 0xa6, 0xf7, 0x96, 0xff, 0xd5, 0x19, 0x8c};
    const struct prf_bytes seeds[] = {text("test label"), {seed, sizeof seed}};
    uint8_t out[100];

    (void)state;
    assert_int_equal(prf_tls12(EVP_sha256(), (struct prf_bytes){secret, sizeof secret}, seeds, 2, out, 100),
                     0);
    assert_hex(out, 100,
               "e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a6b301791e90d35c9c9a46b4e14ba"
               "f9af0fa022f7077def17abfd3797c0564bab4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a51"
               "10fff70187347b66");
}

/* RFC 8448, 3: the key and the IV that the server writes its handshake with. */
static void tls13_gives_the_published_bytes(void **state)
{
    static const uint8_t key[] = {0xb6, 0x7b, 0x7d, 0x69, 0x0c, 0xc1, 0x6c, 0x4e, 0x75, 0xe5, 0x42,
                                  0x13, 0xcb, 0x2d, 0x37, 0xb4, 0xe9, 0xc9, 0x12, 0xbc, 0xde, 0xd9,
                                  0x10, 0x5d, 0x42, 0xbe, 0xfd, 0x59, 0xd3, 0x91, 0xad, 0x38};
    const struct prf_bytes secret = {key, sizeof key}, none = {NULL, 0};
    uint8_t out[16];

    (void)state;
    assert_int_equal(prf_tls13(EVP_sha256(), secret, text("tls13 "), text("key"), none, out, 16), 0);
    assert_hex(out, 16, "3fce516009c21727d0f2e4e86ee403bc");
    assert_int_equal(prf_tls13(EVP_sha256(), secret, text("tls13 "), text("iv"), none, out, 12), 0);
    assert_hex(out, 12, "5d313eb2671276ee13000b30");
}

/* What OpenSSL's own TLS1-PRF or TLS13-KDF says. */
static void ask_openssl(const char *name, OSSL_PARAM *params, uint8_t *out, size_t size)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, name, NULL);
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(kdf);

    assert_int_equal(EVP_KDF_derive(context, out, size, params), 1);
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
}

static OSSL_PARAM octets(const char *name, struct prf_bytes bytes)
{
    union {
        const void *from;
        void *to;
    } pointer = {.from = bytes.bytes};
    return OSSL_PARAM_construct_octet_string(name, pointer.to, bytes.length);
}

static const size_t key_lengths[] = {1, 32, 48, 63, 64, 65, 127, 128, 129, 300};
static const size_t sizes[] = {1, 12, 31, 32, 33, 48, 64, 96, 104, 200};
#define EACH 10

static void tls12_is_openssls(void **state)
{
    uint8_t ours[256], theirs[256];

    (void)state;
    for (int d = 0; d < 2; d++)
        for (size_t i = 0; i < EACH * EACH; i++) {
            char digest[] = "SHA256";
            if (d == 1)
                memcpy(digest, "SHA384", sizeof digest);
            const struct prf_bytes secret = some(key_lengths[i / EACH]);
            const struct prf_bytes seeds[] = {text("key expansion"), {NULL, 0}, some(64)};
            OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
                                   octets(OSSL_KDF_PARAM_SECRET, secret),
                                   octets(OSSL_KDF_PARAM_SEED, seeds[0]),
                                   octets(OSSL_KDF_PARAM_SEED, seeds[2]), OSSL_PARAM_END};
            size_t size = sizes[i % EACH];
            ask_openssl("TLS1-PRF", params, theirs, size);
            memset(ours, 0xee, sizeof ours);
            assert_int_equal(prf_tls12(d ? EVP_sha384() : EVP_sha256(), secret, seeds, 3, ours, size), 0);
            assert_memory_equal(ours, theirs, size);
            assert_int_equal(ours[size], 0xee);
        }
}

static void tls13_is_openssls(void **state)
{
    uint8_t ours[256], theirs[256];
    int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;

    (void)state;
    for (int d = 0; d < 2; d++)
        for (size_t i = 0; i < EACH * EACH; i++) {
            char digest[] = "SHA256";
            if (d == 1)
                memcpy(digest, "SHA384", sizeof digest);
            const struct prf_bytes key = some(key_lengths[i / EACH]), data = some(i % 3 * 24);
            OSSL_PARAM params[] = {OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
                                   OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
                                   octets(OSSL_KDF_PARAM_KEY, key),
                                   octets(OSSL_KDF_PARAM_PREFIX, text("tls13 ")),
                                   octets(OSSL_KDF_PARAM_LABEL, text("finished")),
                                   octets(OSSL_KDF_PARAM_DATA, data),
                                   OSSL_PARAM_END};
            size_t size = sizes[i % EACH];
            ask_openssl("TLS13-KDF", params, theirs, size);
            memset(ours, 0xee, sizeof ours);
            assert_int_equal(prf_tls13(d ? EVP_sha384() : EVP_sha256(), key, text("tls13 "), text("finished"),
                                       data, ours, size),
                             0);
            assert_memory_equal(ours, theirs, size);
            assert_int_equal(ours[size], 0xee);
        }
}

static void lengths_that_have_no_place_are_refused(void **state)
{
    static uint8_t out[255 * 32 + 1];
    const struct prf_bytes key = some(32), prefix = text("tls13 "), none = {NULL, 0};

    (void)state;
    assert_int_equal(prf_tls13(EVP_sha256(), key, prefix, none, none, out, 255 * 32), 0);
    assert_int_equal(prf_tls13(EVP_sha256(), key, prefix, none, none, out, 255 * 32 + 1), ERR_LENGTH);
    assert_int_equal(prf_tls13(EVP_sha256(), key, prefix, some(249), none, out, 32), 0);
    assert_int_equal(prf_tls13(EVP_sha256(), key, prefix, some(250), none, out, 32), ERR_LENGTH);
    assert_int_equal(prf_tls13(EVP_sha256(), key, some(256), none, none, out, 32), ERR_LENGTH);
    assert_int_equal(prf_tls13(EVP_sha256(), key, prefix, none, some(255), out, 32), 0);
    assert_int_equal(prf_tls13(EVP_sha256(), key, prefix, none, some(256), out, 32), ERR_LENGTH);
}

/* SHA-3 has blocks that are larger than any hash of TLS. */
static void a_hash_that_tls_does_not_know_is_refused(void **state)
{
    uint8_t out[32];
    const struct prf_bytes seed = some(32);

    (void)state;
    assert_int_equal(prf_tls12(EVP_sha3_256(), some(48), &seed, 1, out, sizeof out), ERR_CRYPTO);
    assert_int_equal(prf_tls13(EVP_sha3_256(), some(48), seed, seed, seed, out, sizeof out), ERR_CRYPTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tls12_gives_the_published_bytes),
        cmocka_unit_test(tls13_gives_the_published_bytes),
        cmocka_unit_test(tls12_is_openssls),
        cmocka_unit_test(tls13_is_openssls),
        cmocka_unit_test(lengths_that_have_no_place_are_refused),
        cmocka_unit_test(a_hash_that_tls_does_not_know_is_refused),
    };
    return cmocka_run_group_tests_name("prf", tests, NULL, NULL);
}
