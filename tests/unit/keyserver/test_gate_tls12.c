/* What the gate makes of sign_tls12: parameters of key exchange in their exact form, and points that an
 * honest server could have chosen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/bytes.h"
#include "tests/unit/keyserver/gate_rig.h"

static enum refusal check_params(const uint8_t *params, size_t length)
{
    struct operation operation = {.kind = OP_SIGN_TLS12};
    assert_true(length <= KEY_EXCHANGE_PARAMS_MAX);
    operation.u.sign_tls12.scheme = SCHEME_RSA_PSS_RSAE_SHA256;
    operation.u.sign_tls12.params_length = (uint16_t)length;
    memcpy(operation.u.sign_tls12.params, params, length);
    return gate_check(&operation, &gate_keys[KEY_RSA]);
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

/* ---- parameters ---- */

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
        struct operation operation = keys_tls12(gate_rsa, SCHEME_RSA_PKCS1_SHA256, curves[i]);
        size_t size = keys_content(&operation, expected);
        assert_int_equal(size, 64 + 4 + point_sizes[i]);
        assert_int_equal(gate_build(&operation, &gate_keys[KEY_RSA], built), size);
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

/* ---- points ---- */

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
        cmocka_unit_test(a_check_leaves_no_error_behind),
    };
    return cmocka_run_group_tests(tests, gate_rig_start, gate_rig_stop);
}
