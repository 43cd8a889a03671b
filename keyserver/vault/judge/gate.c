#include "keyserver/vault/judge/gate.h"

#include <string.h>

#include "common/bytes.h"
#include "keyserver/vault/judge/curve.h"
#include "proto/ciphertext.h"
#include "proto/ecdh_params.h"

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

static const uint8_t spaces[64] = "                                                                ";
static const char context[] = "TLS 1.3, server CertificateVerify"; /* its final zero is the separator */

static enum wall_refusal pass_tls13(const struct operation *operation, const struct key *key,
                                    struct crypto_input *out)
{
    const struct scheme_info *scheme = scheme_find(operation->u.sign_tls13.scheme);
    uint16_t length = operation->u.sign_tls13.hash_length;
    struct writer w;
    if (scheme == NULL || !scheme->tls13 || scheme->tls13_key != key->type)
        return REFUSAL_SCHEME;
    if (length != 32 && length != 48)
        return REFUSAL_STRUCTURE;
    writer_init(&w, out->u.sign.content, sizeof out->u.sign.content);
    writer_bytes(&w, spaces, sizeof spaces);
    writer_bytes(&w, context, sizeof context);
    writer_bytes(&w, operation->u.sign_tls13.hash, length);
    out->u.sign.scheme = scheme->scheme;
    out->u.sign.length = (uint16_t)writer_length(&w);
    return REFUSAL_NONE;
}

static bool params_good(const uint8_t *bytes, size_t length)
{
    struct ecdh_params params;
    return ecdh_params_parse(&params, bytes, length) == 0 &&
           curve_has_point(params.group, params.public, params.length);
}

static enum wall_refusal pass_tls12(const struct operation *operation, const struct key *key,
                                    struct crypto_input *out)
{
    const struct scheme_info *scheme = scheme_find(operation->u.sign_tls12.scheme);
    size_t length = operation->u.sign_tls12.params_length;
    struct writer w;
    if (scheme == NULL || !family_fits(scheme, key->type))
        return REFUSAL_SCHEME;
    if (!params_good(operation->u.sign_tls12.params, length))
        return REFUSAL_STRUCTURE;
    writer_init(&w, out->u.sign.content, sizeof out->u.sign.content);
    writer_bytes(&w, operation->u.sign_tls12.client_random, TLS_RANDOM_SIZE);
    writer_bytes(&w, operation->u.sign_tls12.server_random, TLS_RANDOM_SIZE);
    writer_bytes(&w, operation->u.sign_tls12.params, length);
    out->u.sign.scheme = scheme->scheme;
    out->u.sign.length = (uint16_t)writer_length(&w);
    return REFUSAL_NONE;
}

static enum wall_refusal pass_ciphertext(uint16_t client_version, const uint8_t *ciphertext, size_t length,
                                         const struct key *key, struct crypto_input *out)
{
    if (ciphertext_check(ciphertext, length, key->modulus, key->result_size) != 0)
        return REFUSAL_STRUCTURE;
    out->u.exchange.client_version = client_version;
    out->u.exchange.ciphertext_length = (uint16_t)length;
    memcpy(out->u.exchange.ciphertext, ciphertext, length);
    return REFUSAL_NONE;
}

static enum wall_refusal pass_premaster(const struct operation *operation, const struct key *key,
                                        struct crypto_input *out)
{
    if (key->type != KEY_RSA)
        return REFUSAL_SCHEME;
    return pass_ciphertext(operation->u.rsa_premaster.client_version, operation->u.rsa_premaster.ciphertext,
                           operation->u.rsa_premaster.ciphertext_length, key, out);
}

static enum wall_refusal pass_master(const struct operation *operation, const struct key *key,
                                     struct crypto_input *out, struct transcript *seen)
{
    if (key->type != KEY_RSA)
        return REFUSAL_SCHEME;
    if (transcript_parse(seen, operation->u.rsa_master.messages, operation->u.rsa_master.length) != 0 ||
        transcript_hash(seen, out->u.exchange.session_hash) != 0)
        return REFUSAL_STRUCTURE;
    out->u.exchange.prf_bits = seen->prf_bits;
    return pass_ciphertext(seen->client_version, seen->ciphertext, seen->ciphertext_length, key, out);
}

enum wall_refusal gate_pass(const struct operation *operation, const struct key *key,
                            struct crypto_input *out, struct transcript *seen)
{
    out->kind = operation->kind;
    switch (operation->kind) {
    case OP_SIGN_TLS13:
        return pass_tls13(operation, key, out);
    case OP_SIGN_TLS12:
        return pass_tls12(operation, key, out);
    case OP_RSA_PREMASTER:
        return pass_premaster(operation, key, out);
    case OP_RSA_MASTER:
        return pass_master(operation, key, out, seen);
    default:
        return REFUSAL_UNKNOWN_OPERATION;
    }
}
