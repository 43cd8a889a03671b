#include <arpa/inet.h>
#include <stdio.h>

#include "common/address.h"

_Static_assert(NETWORK_TEXT_SIZE >= INET6_ADDRSTRLEN + 4, "an address, and /128");

const char *network_write(char out[static NETWORK_TEXT_SIZE], const struct network *network)
{
    char host[INET6_ADDRSTRLEN];
    if (inet_ntop(network->family, network->bytes, host, sizeof host) == NULL)
        host[0] = 0;
    snprintf(out, NETWORK_TEXT_SIZE, "%s/%u", host, network->prefix);
    return out;
}
