#include "keyserver/vault/gate.h"

#include <string.h>

#include "common/bytes.h"
#include "keyserver/vault/curve.h"

#define NAMED_CURVE 3 /* ECCurveType (RFC 8422, 5.4) */

int gate_start(void)
{
    return curve_start();
}

void gate_stop(void)
{
    curve_stop();
}

static bool family_fits(const struct scheme_info *scheme, enum key_type type)
{
    switch (scheme->family) {
    case FAMILY_RSA_PKCS1:
    case FAMILY_RSA_PSS:
        return type == KEY_RSA;
    case FAMILY_ECDSA:
        return type == KEY_EC_P256 || type == KEY_EC_P384;
    case FAMILY_ED25519:
        return type == KEY_ED25519;
    }
    return false;
}

static enum wall_refusal check_tls13(const struct operation *operation, const struct key *key)
{
    const struct scheme_info *scheme = scheme_find(operation->u.sign_tls13.scheme);
    uint16_t length = operation->u.sign_tls13.hash_length;
    if (scheme == NULL || !scheme->tls13 || scheme->tls13_key != key->type)
        return REFUSAL_SCHEME;
    return length == 32 || length == 48 ? REFUSAL_NONE : REFUSAL_STRUCTURE;
}

static enum wall_refusal check_tls12(const struct operation *operation, const struct key *key)
{
    const struct scheme_info *scheme = scheme_find(operation->u.sign_tls12.scheme);
    struct reader r;
    if (scheme == NULL || !family_fits(scheme, key->type))
        return REFUSAL_SCHEME;
    reader_init(&r, operation->u.sign_tls12.params, operation->u.sign_tls12.params_length);
    uint8_t type = reader_u8(&r);
    uint16_t curve = reader_u16(&r);
    uint8_t length = reader_u8(&r);
    const uint8_t *point = reader_bytes(&r, length);
    if (!reader_done(&r) || type != NAMED_CURVE || length == 0 || !curve_has_point(curve, point, length))
        return REFUSAL_STRUCTURE;
    return REFUSAL_NONE;
}

/* The ciphertext and the modulus are public: this may branch. */
static enum wall_refusal check_premaster(const struct operation *operation, const struct key *key)
{
    const uint8_t *c = operation->u.rsa_premaster.ciphertext, *n = key->modulus;
    size_t k = key->result_size, leading = 0;
    if (key->type != KEY_RSA)
        return REFUSAL_SCHEME;
    if (operation->u.rsa_premaster.ciphertext_length != k || memcmp(c, n, k) >= 0)
        return REFUSAL_STRUCTURE;
    while (leading < k - 1 && c[leading] == 0)
        leading++;
    if (leading == k - 1 && c[k - 1] <= 1)
        return REFUSAL_STRUCTURE;
    /* n is odd, so n - 1 differs from it in the last byte only. */
    bool below_by_one = memcmp(c, n, k - 1) == 0 && c[k - 1] == (uint8_t)(n[k - 1] - 1);
    return below_by_one ? REFUSAL_STRUCTURE : REFUSAL_NONE;
}

enum wall_refusal gate_check(const struct operation *operation, const struct key *key)
{
    switch (operation->kind) {
    case OP_SIGN_TLS13:
        return check_tls13(operation, key);
    case OP_SIGN_TLS12:
        return check_tls12(operation, key);
    case OP_RSA_PREMASTER:
        return check_premaster(operation, key);
    default:
        return REFUSAL_UNKNOWN_OPERATION;
    }
}

size_t gate_build(const struct operation *operation, uint8_t out[static GATE_CONTENT_MAX])
{
    static const char context[] = "TLS 1.3, server CertificateVerify"; /* its final zero is the separator */
    struct writer w;
    writer_init(&w, out, GATE_CONTENT_MAX);
    if (operation->kind == OP_SIGN_TLS13) {
        for (int i = 0; i < 64; i++)
            writer_u8(&w, 0x20);
        writer_bytes(&w, context, sizeof context);
        writer_bytes(&w, operation->u.sign_tls13.hash, operation->u.sign_tls13.hash_length);
    } else {
        writer_bytes(&w, operation->u.sign_tls12.client_random, TLS_RANDOM_SIZE);
        writer_bytes(&w, operation->u.sign_tls12.server_random, TLS_RANDOM_SIZE);
        writer_bytes(&w, operation->u.sign_tls12.params, operation->u.sign_tls12.params_length);
    }
    return writer_length(&w);
}
