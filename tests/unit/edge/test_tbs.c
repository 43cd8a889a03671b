#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edge/provider/tbs.h"

static const char server_context[] = "TLS 1.3, server CertificateVerify";

/* A TLS 1.3 content with a hash of LENGTH bytes; returns its length. */
static size_t tls13(uint8_t *out, const char *context, size_t length)
{
    size_t n = strlen(context) + 1;
    memset(out, ' ', 64);
    memcpy(out + 64, context, n);
    for (size_t i = 0; i < length; i++)
        out[64 + n + i] = (uint8_t)(i + 1);
    return 64 + n + length;
}

/* A TLS 1.2 content for CURVE with a point of LENGTH bytes; returns its length. */
static size_t tls12(uint8_t *out, unsigned curve, uint8_t first, size_t length)
{
    memset(out, 0xc1, 32);
    memset(out + 32, 0x5e, 32);
    out[64] = 3;
    out[65] = (uint8_t)(curve >> 8);
    out[66] = (uint8_t)curve;
    out[67] = (uint8_t)length;
    memset(out + 68, 0x77, length);
    out[68] = first;
    return 68 + length;
}

static void tls13_comes_apart_for_both_hash_lengths(void **state)
{
    uint8_t content[256];
    (void)state;
    for (uint16_t length = 32; length <= 48; length = (uint16_t)(length + 16)) {
        struct operation operation = {0};
        size_t n = tls13(content, server_context, length);
        assert_int_equal(n, length == 32 ? 130 : 146);
        assert_int_equal(tbs_parse(&operation, SCHEME_RSA_PSS_RSAE_SHA256, content, n), 0);
        assert_int_equal(operation.kind, OP_SIGN_TLS13);
        assert_int_equal(operation.u.sign_tls13.scheme, SCHEME_RSA_PSS_RSAE_SHA256);
        assert_int_equal(operation.u.sign_tls13.hash_length, length);
        assert_memory_equal(operation.u.sign_tls13.hash, content + n - length, length);
    }
}

static void tls13_hash_of_any_other_length_is_refused(void **state)
{
    uint8_t content[256];
    struct operation operation;
    (void)state;
    for (size_t length = 0; length <= 66; length++) {
        size_t n = tls13(content, server_context, length);
        int expected = length == 32 || length == 48 ? 0 : ERR_FORMAT;
        assert_int_equal(tbs_parse(&operation, SCHEME_ECDSA_P256_SHA256, content, n), expected);
    }
}

static void other_contexts_are_refused(void **state)
{
    static const char *const contexts[] = {
        "TLS 1.3, client CertificateVerify", "TLS 1.3, server CertificateVerifY",
        "TLS, server delegated credentials", "TLS 1.3, server CertificateVerif",
        "QUIC server config signature",      "",
    };
    uint8_t content[256];
    struct operation operation;
    (void)state;
    for (size_t i = 0; i < sizeof contexts / sizeof contexts[0]; i++)
        for (size_t length = 30; length <= 50; length++) {
            size_t n = tls13(content, contexts[i], length);
            assert_int_equal(tbs_parse(&operation, SCHEME_ED25519, content, n), ERR_FORMAT);
        }
}

static void every_byte_before_the_hash_counts(void **state)
{
    uint8_t content[256];
    struct operation operation;
    size_t n = tls13(content, server_context, 32);
    (void)state;
    for (size_t i = 0; i < n - 32; i++) {
        content[i] ^= 0x01;
        assert_int_equal(tbs_parse(&operation, SCHEME_ED25519, content, n), ERR_FORMAT);
        content[i] ^= 0x01;
    }
    assert_int_equal(tbs_parse(&operation, SCHEME_ED25519, content, n), 0);
}

static void pkcs1_and_unknown_schemes_are_refused_in_tls13(void **state)
{
    static const uint16_t schemes[] = {SCHEME_RSA_PKCS1_SHA256,
                                       SCHEME_RSA_PKCS1_SHA384,
                                       SCHEME_RSA_PKCS1_SHA512,
                                       0x0201,
                                       0x0809,
                                       0x0000,
                                       0xffff};
    uint8_t content[256];
    struct operation operation;
    size_t n = tls13(content, server_context, 32);
    (void)state;
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
        assert_int_equal(tbs_parse(&operation, schemes[i], content, n), ERR_FORMAT);
}

struct group {
    unsigned id;
    size_t length;
    bool point;
};
static const struct group groups[] = {
    {23, 65, true}, {24, 97, true}, {25, 133, true}, {29, 32, false}, {30, 56, false}};

static void tls12_comes_apart_for_every_group(void **state)
{
    static const size_t lengths[] = {133, 165, 201, 100, 124};
    uint8_t content[256];
    (void)state;
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        struct operation operation = {0};
        size_t n = tls12(content, groups[i].id, 4, groups[i].length);
        assert_int_equal(n, lengths[i]);
        assert_int_equal(tbs_parse(&operation, SCHEME_RSA_PKCS1_SHA256, content, n), 0);
        assert_int_equal(operation.kind, OP_SIGN_TLS12);
        assert_int_equal(operation.u.sign_tls12.scheme, SCHEME_RSA_PKCS1_SHA256);
        assert_memory_equal(operation.u.sign_tls12.client_random, content, 32);
        assert_memory_equal(operation.u.sign_tls12.server_random, content + 32, 32);
        assert_int_equal(operation.u.sign_tls12.params_length, n - 64);
        assert_memory_equal(operation.u.sign_tls12.params, content + 64, n - 64);
    }
}

static void tls12_lengths_off_by_one_are_refused(void **state)
{
    uint8_t content[256] = {0};
    struct operation operation;
    (void)state;
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        for (size_t delta = 0; delta <= 2; delta += 2) { /* a value one shorter, one longer */
            size_t n = tls12(content, groups[i].id, 4, groups[i].length - 1 + delta);
            assert_int_equal(tbs_parse(&operation, SCHEME_ECDSA_P256_SHA256, content, n), ERR_FORMAT);
        }
        size_t n = tls12(content, groups[i].id, 4, groups[i].length);
        content[n] = 0;
        assert_int_equal(tbs_parse(&operation, SCHEME_ECDSA_P256_SHA256, content, n - 1), ERR_FORMAT);
        assert_int_equal(tbs_parse(&operation, SCHEME_ECDSA_P256_SHA256, content, n + 1), ERR_FORMAT);
    }
}

static void points_must_be_uncompressed(void **state)
{
    static const uint8_t forms[] = {0, 2, 3, 5, 6, 7};
    uint8_t content[256];
    struct operation operation;
    (void)state;
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++)
        for (size_t f = 0; f < sizeof forms; f++) {
            size_t n = tls12(content, groups[i].id, forms[f], groups[i].length);
            assert_int_equal(tbs_parse(&operation, SCHEME_ED25519, content, n),
                             groups[i].point ? ERR_FORMAT : 0);
        }
}

static void unknown_groups_and_curve_types_are_refused(void **state)
{
    uint8_t content[256];
    struct operation operation;
    (void)state;
    for (unsigned id = 0; id < 300; id++) {
        bool known = id == 23 || id == 29;
        size_t n = tls12(content, id, 4, id == 29 ? 32 : 65);
        assert_int_equal(tbs_parse(&operation, SCHEME_ED25519, content, n), known ? 0 : ERR_FORMAT);
    }
    for (unsigned type = 0; type < 256; type++) {
        size_t n = tls12(content, 23, 4, 65);
        content[64] = (uint8_t)type;
        assert_int_equal(tbs_parse(&operation, SCHEME_ED25519, content, n), type == 3 ? 0 : ERR_FORMAT);
    }
}

static void ffdhe_params_and_short_input_are_refused(void **state)
{
    uint8_t content[1024];
    struct operation operation;
    (void)state;
    memset(content, 1, sizeof content);
    content[64] = 1; /* dh_p of 256 bytes */
    content[65] = 0;
    assert_int_equal(tbs_parse(&operation, SCHEME_RSA_PKCS1_SHA256, content, 64 + 3 * 258), ERR_FORMAT);
    memset(content, ' ', sizeof content);
    for (size_t length = 0; length <= 80; length++)
        assert_int_equal(tbs_parse(&operation, SCHEME_ED25519, content, length), ERR_FORMAT);
    size_t n = tls12(content, 23, 4, 65);
    for (size_t length = 0; length < n; length++)
        assert_int_equal(tbs_parse(&operation, SCHEME_ED25519, content, length), ERR_FORMAT);
}

static void a_transcript_of_a_client_is_refused(void **state)
{
    uint8_t transcript[4096];
    struct operation operation;
    (void)state;
    memset(transcript, 0x16, sizeof transcript);
    transcript[64] = 3; /* even where it looks like a named curve */
    for (size_t length = 202; length <= sizeof transcript; length += 97)
        assert_int_equal(tbs_parse(&operation, SCHEME_RSA_PKCS1_SHA256, transcript, length), ERR_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tls13_comes_apart_for_both_hash_lengths),
        cmocka_unit_test(tls13_hash_of_any_other_length_is_refused),
        cmocka_unit_test(other_contexts_are_refused),
        cmocka_unit_test(every_byte_before_the_hash_counts),
        cmocka_unit_test(pkcs1_and_unknown_schemes_are_refused_in_tls13),
        cmocka_unit_test(tls12_comes_apart_for_every_group),
        cmocka_unit_test(tls12_lengths_off_by_one_are_refused),
        cmocka_unit_test(points_must_be_uncompressed),
        cmocka_unit_test(unknown_groups_and_curve_types_are_refused),
        cmocka_unit_test(ffdhe_params_and_short_input_are_refused),
        cmocka_unit_test(a_transcript_of_a_client_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
