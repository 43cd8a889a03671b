#include <string.h>

#include "common/address.h"

static void put_bits(uint8_t *out, const void *from, unsigned bits)
{
    memcpy(out, from, bits / 8);
    if (bits % 8 != 0)
        out[bits / 8] = ((const uint8_t *)from)[bits / 8] & (uint8_t)(0xff00u >> bits % 8);
}

void address_block(uint8_t out[static ADDRESS_BLOCK_SIZE], const struct address *address, unsigned v4_bits,
                   unsigned v6_bits)
{
    const struct in6_addr *v6 = &address->u.v6.sin6_addr;
    memset(out, 0, ADDRESS_BLOCK_SIZE);
    if (address->u.any.sa_family == AF_INET) {
        out[0] = 4;
        put_bits(out + 1, &address->u.v4.sin_addr, v4_bits);
    } else if (address->u.any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(v6)) {
        out[0] = 4;
        put_bits(out + 1, v6->s6_addr + 12, v4_bits);
    } else if (address->u.any.sa_family == AF_INET6) {
        out[0] = 6;
        put_bits(out + 1, v6->s6_addr, v6_bits);
    }
}
