#include "keyserver/vault/judge/gate.h"

#include <string.h>

#include "common/bytes.h"
#include "keyserver/vault/judge/curve.h"
#include "proto/ciphertext.h"
#include "proto/ecdh_params.h"
#include "proto/operation_fields.h"

int gate_start(void)
{
    return curve_start();
}

void gate_stop(void)
{
    curve_stop();
}

static const uint8_t spaces[64] = "                                                                ";
static const char context[] = "TLS 1.3, server CertificateVerify"; /* its final zero is the separator */

static enum refusal pass_tls13(const struct operation *operation, const struct key *key,
                               struct crypto_input *out, struct transcript *seen)
{
    (void)seen;
    (void)key;
    struct writer w;
    writer_init(&w, out->u.sign.content, sizeof out->u.sign.content);
    writer_bytes(&w, spaces, sizeof spaces);
    writer_bytes(&w, context, sizeof context);
    writer_bytes(&w, operation->u.sign_tls13.hash, operation->u.sign_tls13.hash_length);
    out->u.sign.scheme = operation->u.sign_tls13.scheme;
    out->u.sign.length = (uint16_t)writer_length(&w);
    return REFUSAL_NONE;
}

static bool params_good(const uint8_t *bytes, size_t length)
{
    struct ecdh_params params;
    return ecdh_params_parse(&params, bytes, length) == 0 &&
           curve_has_point(params.group, params.public, params.length);
}

static enum refusal pass_tls12(const struct operation *operation, const struct key *key,
                               struct crypto_input *out, struct transcript *seen)
{
    (void)seen;
    (void)key;
    size_t length = operation->u.sign_tls12.params_length;
    struct writer w;
    if (!params_good(operation->u.sign_tls12.params, length))
        return REFUSAL_STRUCTURE;
    writer_init(&w, out->u.sign.content, sizeof out->u.sign.content);
    writer_bytes(&w, operation->u.sign_tls12.client_random, TLS_RANDOM_SIZE);
    writer_bytes(&w, operation->u.sign_tls12.server_random, TLS_RANDOM_SIZE);
    writer_bytes(&w, operation->u.sign_tls12.params, length);
    out->u.sign.scheme = operation->u.sign_tls12.scheme;
    out->u.sign.length = (uint16_t)writer_length(&w);
    return REFUSAL_NONE;
}

static enum refusal pass_ciphertext(uint16_t client_version, const uint8_t *ciphertext, size_t length,
                                    const struct key *key, struct crypto_input *out)
{
    if (ciphertext_check(ciphertext, length, key->modulus, key->result_size) != 0)
        return REFUSAL_STRUCTURE;
    out->u.exchange.client_version = client_version;
    out->u.exchange.ciphertext_length = (uint16_t)length;
    memcpy(out->u.exchange.ciphertext, ciphertext, length);
    return REFUSAL_NONE;
}

static enum refusal pass_premaster(const struct operation *operation, const struct key *key,
                                   struct crypto_input *out, struct transcript *seen)
{
    (void)seen;
    return pass_ciphertext(operation->u.rsa_premaster.client_version, operation->u.rsa_premaster.ciphertext,
                           operation->u.rsa_premaster.ciphertext_length, key, out);
}

static enum refusal pass_master(const struct operation *operation, const struct key *key,
                                struct crypto_input *out, struct transcript *seen)
{
    if (transcript_parse(seen, operation->u.rsa_master.messages, operation->u.rsa_master.length) != 0 ||
        transcript_hash(seen, out->u.exchange.session_hash) != 0)
        return REFUSAL_STRUCTURE;
    out->u.exchange.prf_bits = seen->prf_bits;
    return pass_ciphertext(seen->client_version, seen->ciphertext, seen->ciphertext_length, key, out);
}

/* Is the scheme of a signature one that a key of TYPE makes for it? In TLS 1.2 an ECDSA scheme does not say
 * which curve the key is on (RFC 8422, 5.1.3). */
static bool scheme_fits(const struct operation *operation, enum key_type type)
{
    const struct scheme_info *scheme = scheme_find(operation_scheme(operation));
    if (!operation_signs(operation->kind))
        return true;
    if (scheme == NULL || scheme->algorithm != key_type_algorithm(type))
        return false;
    return !operation_find(operation->kind)->tls13 || (scheme->tls13 && scheme->tls13_key == type);
}

/* From the fields of each operation on a key, whose scheme and lengths fit, to what is computed. */
static enum refusal (*const passes[OP_KINDS])(const struct operation *operation, const struct key *key,
                                              struct crypto_input *out, struct transcript *seen) = {
    [OP_SIGN_TLS13] = pass_tls13,
    [OP_SIGN_TLS12] = pass_tls12,
    [OP_RSA_PREMASTER] = pass_premaster,
    [OP_RSA_MASTER] = pass_master,
};

enum refusal gate_pass(const struct operation *operation, const struct key *key, struct crypto_input *out,
                       struct transcript *seen)
{
    out->kind = operation->kind;
    if (!operation_uses_key(operation->kind) || passes[operation->kind] == NULL)
        return REFUSAL_UNKNOWN_OPERATION;
    if ((operations_of_key(key->type) & OPERATION_BIT(operation->kind)) == 0 ||
        !scheme_fits(operation, key->type))
        return REFUSAL_SCHEME;
    if (operation_check_fields(operation) != 0)
        return REFUSAL_STRUCTURE;
    return passes[operation->kind](operation, key, out, seen);
}
