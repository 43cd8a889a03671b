#include <string.h>

#include "keyserver/lanes/ec_lanes.h"

#define TAG_INTEGER  0x02
#define TAG_SEQUENCE 0x30

/* An INTEGER: as short as may be, with a zero before a first byte that would make it negative. */
static uint8_t *put_integer(uint8_t *out, const uint8_t *number, size_t size)
{
    while (size > 1 && number[0] == 0) {
        number++;
        size--;
    }
    size_t zero = number[0] >> 7;
    *out++ = TAG_INTEGER;
    *out++ = (uint8_t)(size + zero);
    if (zero)
        *out++ = 0;
    memcpy(out, number, size);
    return out + size;
}

size_t ecdsa_der(uint8_t out[static ECDSA_DER_MAX], const uint8_t *rs, size_t size)
{
    uint8_t *end = put_integer(put_integer(out + 2, rs, size), rs + size, size);
    out[0] = TAG_SEQUENCE;
    out[1] = (uint8_t)(end - out - 2); /* below 128: one byte */
    return (size_t)(end - out);
}
