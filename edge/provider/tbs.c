#include "edge/provider/tbs.h"

#include <string.h>

#include "common/bytes.h"
#include "proto/ecdh_params.h"

/* RFC 8446, 4.4.3: 64 spaces, the context string with its final zero, the transcript hash. */
#define TLS13_PAD      64
#define TLS13_CONTEXT  "TLS 1.3, server CertificateVerify"
#define RANDOMS_LENGTH (2 * TLS_RANDOM_SIZE)

static int parse_tls13(struct operation *out, const struct scheme_info *scheme, struct reader *r)
{
    const uint8_t *context = reader_bytes(r, sizeof TLS13_CONTEXT);
    size_t length = reader_left(r);
    if (context == NULL || memcmp(context, TLS13_CONTEXT, sizeof TLS13_CONTEXT) != 0)
        return ERR_FORMAT;
    if (!scheme->tls13 || (length != 32 && length != 48))
        return ERR_FORMAT;
    out->kind = OP_SIGN_TLS13;
    out->u.sign_tls13.scheme = scheme->scheme;
    out->u.sign_tls13.hash_length = (uint16_t)length;
    memcpy(out->u.sign_tls13.hash, reader_bytes(r, length), length);
    return 0;
}

static int parse_tls12(struct operation *out, const struct scheme_info *scheme, const uint8_t *tbs,
                       size_t length)
{
    if (length <= RANDOMS_LENGTH || length > RANDOMS_LENGTH + KEY_EXCHANGE_PARAMS_MAX)
        return ERR_FORMAT;
    struct ecdh_params parsed;
    const uint8_t *params = tbs + RANDOMS_LENGTH;
    size_t params_length = length - RANDOMS_LENGTH;
    if (ecdh_params_parse(&parsed, params, params_length) != 0)
        return ERR_FORMAT;
    out->kind = OP_SIGN_TLS12;
    out->u.sign_tls12.scheme = scheme->scheme;
    out->u.sign_tls12.params_length = (uint16_t)params_length;
    memcpy(out->u.sign_tls12.client_random, tbs, TLS_RANDOM_SIZE);
    memcpy(out->u.sign_tls12.server_random, tbs + TLS_RANDOM_SIZE, TLS_RANDOM_SIZE);
    memcpy(out->u.sign_tls12.params, params, params_length);
    return 0;
}

int tbs_parse(struct operation *out, uint16_t scheme, const uint8_t *tbs, size_t length)
{
    static const uint8_t pad[TLS13_PAD] = "                                "
                                          "                                ";
    const struct scheme_info *info = scheme_find(scheme);
    if (info == NULL || length < TLS13_PAD + 1)
        return ERR_FORMAT;
    /* The two forms differ for certain: after 64 bytes one has 'T', the other ECDH_NAMED_CURVE. */
    if (tbs[TLS13_PAD] == ECDH_NAMED_CURVE)
        return parse_tls12(out, info, tbs, length);
    if (memcmp(tbs, pad, TLS13_PAD) != 0)
        return ERR_FORMAT;
    struct reader r;
    reader_init(&r, tbs + TLS13_PAD, length - TLS13_PAD);
    return parse_tls13(out, info, &r);
}
