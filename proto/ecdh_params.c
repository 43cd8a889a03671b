#include "proto/ecdh_params.h"

#include "common/bytes.h"

#define UNCOMPRESSED 0x04 /* first byte of a point (SEC 1, 2.3.3) */

static const struct group {
    uint16_t id;
    uint8_t length; /* of the public value */
    bool point;     /* it is an uncompressed point, not a bare coordinate */
} groups[] = {
    {23, 65, true},  /* secp256r1 */
    {24, 97, true},  /* secp384r1 */
    {25, 133, true}, /* secp521r1 */
    {29, 32, false}, /* x25519 */
    {30, 56, false}, /* x448 */
};

static bool fits_group(const struct ecdh_params *params)
{
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++)
        if (groups[i].id == params->group)
            return params->length == groups[i].length &&
                   (!groups[i].point || params->public[0] == UNCOMPRESSED);
    return false;
}

int ecdh_params_parse(struct ecdh_params *out, const uint8_t *bytes, size_t length)
{
    struct reader r;
    reader_init(&r, bytes, length);
    uint8_t type = reader_u8(&r);
    out->group = reader_u16(&r);
    out->length = reader_u8(&r);
    out->public = reader_bytes(&r, out->length);
    return reader_done(&r) && type == ECDH_NAMED_CURVE && fits_group(out) ? 0 : ERR_FORMAT;
}
