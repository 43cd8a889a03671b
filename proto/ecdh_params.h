/* ServerECDHParams: the ephemeral key that a server signs in a TLS 1.2 handshake (RFC 8422, 5.4). Both halves
 * read it by one rule: the edge before it asks, the key server before it signs. Pure; any thread. */
#ifndef PROTO_ECDH_PARAMS_H
#define PROTO_ECDH_PARAMS_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

/* ECCurveType.named_curve, the first byte. */
#define ECDH_NAMED_CURVE 3

struct ecdh_params {
    uint16_t group;        /* NamedGroup: 23, 24, 25, 29 or 30 */
    const uint8_t *public; /* in the bytes that it was parsed from */
    uint8_t length;        /* of it, as the group has it */
};

/* ERR_FORMAT unless BYTES are the parameters of one of these groups and nothing else: a named curve, a public
 * value of its length, points uncompressed. Whether a point is on its curve is for the caller to check. */
int ecdh_params_parse(struct ecdh_params *out, const uint8_t *bytes, size_t length) MUST_USE;

#endif
