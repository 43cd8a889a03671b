#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/bytes.h"
#include "keyserver/vault/judge/gate.h"
#include "tests/unit/keyserver/keys.h"

static EVP_PKEY *rsa_pkey;
static struct key keys[KEY_TYPES];

static int start(void **state)
{
    BIGNUM *n = NULL;
    (void)state;
    if (secret_init() != 0 || gate_start() != 0)
        return -1;
    rsa_pkey = keys_rsa(2048);
    for (size_t type = 1; type < KEY_TYPES; type++)
        keys[type].type = (enum key_type)type;
    keys[KEY_RSA].bits = 2048;
    keys[KEY_RSA].result_size = 256;
    assert_int_equal(EVP_PKEY_get_bn_param(rsa_pkey, OSSL_PKEY_PARAM_RSA_N, &n), 1);
    assert_int_equal(BN_bn2binpad(n, keys[KEY_RSA].modulus, 256), 256);
    BN_free(n);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    EVP_PKEY_free(rsa_pkey);
    gate_stop();
    return 0;
}

static enum refusal gate_check(const struct operation *operation, const struct key *key)
{
    struct crypto_input input;
    struct transcript seen;
    return gate_pass(operation, key, &input, &seen);
}

/* What KEY would sign for OPERATION, which passes; returns its length. */
static size_t build(const struct operation *operation, const struct key *key, uint8_t out[static 256])
{
    struct crypto_input input;
    struct transcript seen;
    assert_int_equal(gate_pass(operation, key, &input, &seen), REFUSAL_NONE);
    assert_int_equal(input.kind, operation->kind);
    memcpy(out, input.u.sign.content, input.u.sign.length);
    return input.u.sign.length;
}

/* ---- schemes ---- */

#define BIT_RSA (1u << KEY_RSA)
#define P256    (1u << KEY_EC_P256)
#define P384    (1u << KEY_EC_P384)
#define ED25519 (1u << KEY_ED25519)

/* Which key types may sign by which scheme; everything that is not here, none. */
static const struct {
    uint16_t scheme;
    unsigned tls13, tls12; /* key types, as bits */
} allowed[] = {
    {0x0401, 0, BIT_RSA},        {0x0501, 0, BIT_RSA},        {0x0601, 0, BIT_RSA},
    {0x0403, P256, P256 | P384}, {0x0503, P384, P256 | P384}, {0x0603, 0, P256 | P384},
    {0x0804, BIT_RSA, BIT_RSA},  {0x0805, BIT_RSA, BIT_RSA},  {0x0806, BIT_RSA, BIT_RSA},
    {0x0807, ED25519, ED25519},
};

static unsigned allowed_types(uint16_t scheme, bool tls13)
{
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++)
        if (allowed[i].scheme == scheme)
            return tls13 ? allowed[i].tls13 : allowed[i].tls12;
    return 0;
}

static void every_scheme_fits_exactly_the_keys_it_should(void **state)
{
    struct operation tls13 = keys_tls13(rsa_pkey, 0, 32);
    struct operation tls12 = keys_tls12(rsa_pkey, 0, CURVE_X25519);
    (void)state;
    for (unsigned scheme = 0; scheme < 0x10000; scheme++) {
        tls13.u.sign_tls13.scheme = tls12.u.sign_tls12.scheme = (uint16_t)scheme;
        for (unsigned type = 1; type < KEY_TYPES; type++) {
            unsigned bit = 1u << type;
            assert_int_equal(gate_check(&tls13, &keys[type]),
                             allowed_types((uint16_t)scheme, true) & bit ? REFUSAL_NONE : REFUSAL_SCHEME);
            assert_int_equal(gate_check(&tls12, &keys[type]),
                             allowed_types((uint16_t)scheme, false) & bit ? REFUSAL_NONE : REFUSAL_SCHEME);
        }
    }
}

static void other_operations_have_no_gate(void **state)
{
    struct operation operation = keys_tls13(rsa_pkey, SCHEME_ED25519, 32);
    static const unsigned kinds[] = {0, OP_PING, OP_KEYS, OP_KINDS, 0xffffffff};
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        operation.kind = (enum operation_kind)kinds[i];
        assert_int_equal(gate_check(&operation, &keys[KEY_ED25519]), REFUSAL_UNKNOWN_OPERATION);
    }
}

/* ---- TLS 1.3 ---- */

static void a_transcript_hash_has_32_or_48_bytes(void **state)
{
    (void)state;
    for (uint16_t length = 0; length <= TRANSCRIPT_HASH_MAX; length++) {
        struct operation operation = keys_tls13(rsa_pkey, SCHEME_RSA_PSS_RSAE_SHA256, length);
        assert_int_equal(gate_check(&operation, &keys[KEY_RSA]),
                         length == 32 || length == 48 ? REFUSAL_NONE : REFUSAL_STRUCTURE);
    }
}

static void tls13_content_is_what_the_rfc_says(void **state)
{
    uint8_t built[256], expected[256];
    (void)state;
    for (uint16_t length = 32; length <= 48; length = (uint16_t)(length + 16)) {
        struct operation operation = keys_tls13(rsa_pkey, SCHEME_RSA_PSS_RSAE_SHA256, length);
        size_t size = keys_content(&operation, expected);
        assert_int_equal(size, length == 32 ? 130 : 146);
        assert_int_equal(build(&operation, &keys[KEY_RSA], built), size);
        assert_memory_equal(built, expected, size);
    }
}

/* RFC 8446, 4.4.3: its own example, for the server's context and a hash of 32 bytes of 01. */
static void tls13_content_equals_the_example_of_the_rfc(void **state)
{
    struct operation operation = keys_tls13(rsa_pkey, SCHEME_RSA_PSS_RSAE_SHA256, 32);
    uint8_t built[256], expected[130];
    (void)state;
    memset(operation.u.sign_tls13.hash, 1, 32);
    assert_int_equal(hex_decode(expected, sizeof expected,
                                "2020202020202020202020202020202020202020202020202020202020202020"
                                "2020202020202020202020202020202020202020202020202020202020202020"
                                "544c5320312e332c20736572766572204365727469666963617465"
                                "56657269667900"
                                "0101010101010101010101010101010101010101010101010101010101010101"),
                     0);
    assert_int_equal(build(&operation, &keys[KEY_RSA], built), sizeof expected);
    assert_memory_equal(built, expected, sizeof expected);
}

/* ---- TLS 1.2 ---- */

static enum refusal check_params(const uint8_t *params, size_t length)
{
    struct operation operation = {.kind = OP_SIGN_TLS12};
    assert_true(length <= KEY_EXCHANGE_PARAMS_MAX);
    operation.u.sign_tls12.scheme = SCHEME_RSA_PSS_RSAE_SHA256;
    operation.u.sign_tls12.params_length = (uint16_t)length;
    memcpy(operation.u.sign_tls12.params, params, length);
    return gate_check(&operation, &keys[KEY_RSA]);
}

/* Named-curve parameters around a point. */
static enum refusal check_point(uint16_t curve, const uint8_t *point, size_t length)
{
    uint8_t params[KEY_EXCHANGE_PARAMS_MAX] = {3, (uint8_t)(curve >> 8), (uint8_t)curve, (uint8_t)length};
    memcpy(params + 4, point, length);
    return check_params(params, length + 4);
}

static const uint16_t curves[] = {CURVE_P256, CURVE_P384, CURVE_P521, CURVE_X25519, CURVE_X448};
static const size_t point_sizes[] = {65, 97, 133, 32, 56};
#define CURVES (sizeof curves / sizeof curves[0])

static void an_honest_share_passes_on_all_five_curves(void **state)
{
    uint8_t point[133];
    (void)state;
    for (size_t i = 0; i < CURVES; i++)
        for (int round = 0; round < 20; round++) {
            size_t length = keys_share(curves[i], point);
            assert_int_equal(length, point_sizes[i]);
            assert_int_equal(check_point(curves[i], point, length), REFUSAL_NONE);
        }
}

static void tls12_content_is_randoms_and_params(void **state)
{
    uint8_t built[256], expected[256];
    (void)state;
    for (size_t i = 0; i < CURVES; i++) {
        struct operation operation = keys_tls12(rsa_pkey, SCHEME_RSA_PKCS1_SHA256, curves[i]);
        size_t size = keys_content(&operation, expected);
        assert_int_equal(size, 64 + 4 + point_sizes[i]);
        assert_int_equal(build(&operation, &keys[KEY_RSA], built), size);
        assert_memory_equal(built, expected, size);
    }
}

static void params_have_their_exact_length(void **state)
{
    uint8_t params[KEY_EXCHANGE_PARAMS_MAX + 1] = {3, 0};
    (void)state;
    for (size_t i = 0; i < CURVES; i++) {
        size_t length = keys_share(curves[i], params + 4);
        params[2] = (uint8_t)curves[i];
        params[3] = (uint8_t)length;
        for (size_t cut = 0; cut <= KEY_EXCHANGE_PARAMS_MAX; cut++)
            assert_int_equal(check_params(params, cut), cut == length + 4 ? REFUSAL_NONE : REFUSAL_STRUCTURE);
        for (unsigned said = 0; said < 256; said++) {
            params[3] = (uint8_t)said;
            assert_int_equal(check_params(params, length + 4),
                             said == length ? REFUSAL_NONE : REFUSAL_STRUCTURE);
        }
    }
}

static void only_named_curves_and_only_five(void **state)
{
    uint8_t point[133], params[36] = {3, 0, CURVE_X25519, 32};
    size_t length = keys_share(CURVE_X25519, point);
    (void)state;
    memcpy(params + 4, point, length);
    for (unsigned type = 0; type < 256; type++) {
        params[0] = (uint8_t)type;
        assert_int_equal(check_params(params, sizeof params), type == 3 ? REFUSAL_NONE : REFUSAL_STRUCTURE);
    }
    for (unsigned curve = 0; curve < 0x10000; curve++)
        assert_int_equal(check_point((uint16_t)curve, point, length),
                         curve == CURVE_X25519 ? REFUSAL_NONE : REFUSAL_STRUCTURE);
    length = keys_share(CURVE_P256, point);
    for (unsigned curve = 0; curve < 0x10000; curve++)
        assert_int_equal(check_point((uint16_t)curve, point, length),
                         curve == CURVE_P256 ? REFUSAL_NONE : REFUSAL_STRUCTURE);
}

static void points_are_uncompressed(void **state)
{
    uint8_t point[133], infinity = 0;
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        size_t length = keys_share(curves[i], point);
        for (unsigned form = 0; form < 256; form++) {
            point[0] = (uint8_t)form;
            assert_int_equal(check_point(curves[i], point, length),
                             form == 4 ? REFUSAL_NONE : REFUSAL_STRUCTURE);
        }
        point[0] = (uint8_t)(2 + (point[length - 1] & 1)); /* a good compressed point */
        assert_int_equal(check_point(curves[i], point, (length + 1) / 2), REFUSAL_STRUCTURE);
        assert_int_equal(check_point(curves[i], &infinity, 1), REFUSAL_STRUCTURE);
    }
}

static void points_are_on_the_curve(void **state)
{
    uint8_t point[133];
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        size_t length = keys_share(curves[i], point);
        for (size_t place = 1; place < length; place++) {
            point[place] ^= 1;
            assert_int_equal(check_point(curves[i], point, length), REFUSAL_STRUCTURE);
            point[place] ^= 1;
        }
        memset(point + 1, 0, length - 1);
        assert_int_equal(check_point(curves[i], point, length), REFUSAL_STRUCTURE);
        memset(point + 1, 0xff, length - 1); /* not reduced */
        assert_int_equal(check_point(curves[i], point, length), REFUSAL_STRUCTURE);
    }
}

/* A point with x + p in place of x would verify after reduction; it must not be taken. */
static void coordinates_are_reduced(void **state)
{
    /* On P-256 x = 5 has a y; p + 5 fits 32 bytes. */
    static const uint8_t p[32] = {0xff, 0xff, 0xff, 0xff, 0,    0,    0,    1,    0,    0,    0,
                                  0,    0,    0,    0,    0,    0,    0,    0,    0,    0xff, 0xff,
                                  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    uint8_t point[65];
    BIGNUM *x = BN_new(), *prime = BN_bin2bn(p, sizeof p, NULL);
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    EC_POINT *made = EC_POINT_new(group);
    (void)state;
    assert_int_equal(BN_set_word(x, 5), 1);
    assert_int_equal(EC_POINT_set_compressed_coordinates(group, made, x, 0, NULL), 1);
    assert_int_equal(EC_POINT_point2oct(group, made, POINT_CONVERSION_UNCOMPRESSED, point, 65, NULL), 65);
    assert_int_equal(check_point(CURVE_P256, point, 65), REFUSAL_NONE);
    assert_int_equal(BN_add(x, x, prime), 1);
    assert_int_equal(BN_bn2binpad(x, point + 1, 32), 32);
    assert_int_equal(check_point(CURVE_P256, point, 65), REFUSAL_STRUCTURE);
    BN_free(x);
    BN_free(prime);
    EC_POINT_free(made);
    EC_GROUP_free(group);
}

/* Does OpenSSL, given a share, refuse to agree on a secret? It does for points of low order. */
static bool openssl_refuses(const char *type, const uint8_t *share, size_t length)
{
    EVP_PKEY *own = keys_edwards(type),
             *peer = EVP_PKEY_new_raw_public_key_ex(NULL, type, NULL, share, length);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, own, NULL);
    uint8_t secret[56];
    size_t size = sizeof secret;
    assert_non_null(peer);
    assert_true(EVP_PKEY_derive_init(context) > 0 && EVP_PKEY_derive_set_peer(context, peer) > 0);
    bool refuses = EVP_PKEY_derive(context, secret, &size) <= 0;
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(peer);
    EVP_PKEY_free(own);
    ERR_clear_error();
    return refuses;
}

static void assert_like_openssl(uint16_t curve, const uint8_t *share, size_t length, bool low)
{
    assert_int_equal(openssl_refuses(curve == CURVE_X25519 ? "X25519" : "X448", share, length), low);
    assert_int_equal(check_point(curve, share, length), low ? REFUSAL_STRUCTURE : REFUSAL_NONE);
}

static void x25519_points_of_low_order_are_refused(void **state)
{
    static const char *const low[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    };
    uint8_t share[32];
    (void)state;
    for (size_t i = 0; i < sizeof low / sizeof low[0]; i++) {
        assert_int_equal(hex_decode(share, sizeof share, low[i]), 0);
        assert_like_openssl(CURVE_X25519, share, 32, true);
        share[31] |= 0x80; /* a bit receivers ignore */
        assert_like_openssl(CURVE_X25519, share, 32, true);
    }
}

/* Every neighbour of those: one bit away, and the values beyond the prime that reduce to something good. */
static void x25519_points_beside_low_order_pass(void **state)
{
    uint8_t share[32];
    (void)state;
    memset(share, 0xff, sizeof share);
    share[31] = 0x7f;
    for (unsigned first = 0xe0; first <= 0xff; first++) {
        share[0] = (uint8_t)first;
        assert_like_openssl(CURVE_X25519, share, 32, first >= 0xec && first <= 0xee);
    }
    memset(share, 0, sizeof share);
    for (unsigned first = 0; first < 16; first++) {
        share[0] = (uint8_t)first;
        assert_like_openssl(CURVE_X25519, share, 32, first <= 1);
    }
    share[0] = 1;
    for (size_t bit = 1; bit < 255; bit++) {
        share[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_like_openssl(CURVE_X25519, share, 32, false);
        share[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void x448_points_of_low_order_are_refused_and_neighbours_pass(void **state)
{
    uint8_t share[56];
    (void)state;
    memset(share, 0, sizeof share);
    for (unsigned first = 0; first < 8; first++) { /* 0 and 1 */
        share[0] = (uint8_t)first;
        assert_like_openssl(CURVE_X448, share, 56, first <= 1);
    }
    memset(share, 0xff, sizeof share);
    share[28] = 0xfe;                                     /* p = 2^448 - 2^224 - 1 */
    for (unsigned first = 0xf8; first <= 0xff; first++) { /* up to p - 1 and p */
        share[0] = (uint8_t)first;
        assert_like_openssl(CURVE_X448, share, 56, first >= 0xfe);
    }
    memset(share, 0, 28);
    memset(share + 28, 0xff, 28);
    for (unsigned first = 0; first < 8; first++) { /* p + 1, p + 2, … */
        share[0] = (uint8_t)first;
        assert_like_openssl(CURVE_X448, share, 56, first == 0);
    }
}

/* ---- RSA ---- */

static enum refusal check_ciphertext(const BIGNUM *value, size_t length)
{
    struct operation operation = {.kind = OP_RSA_PREMASTER};
    operation.u.rsa_premaster.ciphertext_length = (uint16_t)length;
    assert_int_equal(BN_bn2binpad(value, operation.u.rsa_premaster.ciphertext, (int)length), length);
    return gate_check(&operation, &keys[KEY_RSA]);
}

static void a_ciphertext_lies_between_1_and_n_minus_1(void **state)
{
    BIGNUM *n = BN_bin2bn(keys[KEY_RSA].modulus, 256, NULL), *value = BN_new();
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
    assert_int_equal(gate_check(&operation, &keys[KEY_RSA]), REFUSAL_NONE);
    assert_int_equal(gate_check(&operation, &keys[KEY_EC_P256]), REFUSAL_SCHEME);
    assert_int_equal(gate_check(&operation, &keys[KEY_EC_P384]), REFUSAL_SCHEME);
    assert_int_equal(gate_check(&operation, &keys[KEY_ED25519]), REFUSAL_SCHEME);
}

static void a_check_leaves_no_error_behind(void **state)
{
    uint8_t point[133];
    size_t length = keys_share(CURVE_P256, point);
    (void)state;
    ERR_clear_error();
    point[20] ^= 1;
    assert_int_equal(check_point(CURVE_P256, point, length), REFUSAL_STRUCTURE);
    assert_int_equal(ERR_peek_error(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_scheme_fits_exactly_the_keys_it_should),
        cmocka_unit_test(other_operations_have_no_gate),
        cmocka_unit_test(a_transcript_hash_has_32_or_48_bytes),
        cmocka_unit_test(tls13_content_is_what_the_rfc_says),
        cmocka_unit_test(tls13_content_equals_the_example_of_the_rfc),
        cmocka_unit_test(an_honest_share_passes_on_all_five_curves),
        cmocka_unit_test(tls12_content_is_randoms_and_params),
        cmocka_unit_test(params_have_their_exact_length),
        cmocka_unit_test(only_named_curves_and_only_five),
        cmocka_unit_test(points_are_uncompressed),
        cmocka_unit_test(points_are_on_the_curve),
        cmocka_unit_test(coordinates_are_reduced),
        cmocka_unit_test(x25519_points_of_low_order_are_refused),
        cmocka_unit_test(x25519_points_beside_low_order_pass),
        cmocka_unit_test(x448_points_of_low_order_are_refused_and_neighbours_pass),
        cmocka_unit_test(a_ciphertext_lies_between_1_and_n_minus_1),
        cmocka_unit_test(a_ciphertext_is_as_long_as_the_modulus),
        cmocka_unit_test(only_rsa_keys_decrypt),
        cmocka_unit_test(a_check_leaves_no_error_behind),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
