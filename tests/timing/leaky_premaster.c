/* The positive control: premaster.c with a leak of a microsecond. Linked ahead of the key server's library it
 * takes the place of the true one; the product has no such hook. What cannot be found with this in it could
 * not be found without. */
#define premaster_unpad true_premaster_unpad
#include "keyserver/vault/compute/premaster.c"
#undef premaster_unpad

#include "common/clock.h"

#define LEAK_NS 1000

void premaster_unpad(uint8_t out[static TLS_PREMASTER_SIZE], const uint8_t *plain, size_t length,
                     uint16_t client_version, const uint8_t fallback[static TLS_PREMASTER_SIZE]);

void premaster_unpad(uint8_t out[static TLS_PREMASTER_SIZE], const uint8_t *plain, size_t length,
                     uint16_t client_version, const uint8_t fallback[static TLS_PREMASTER_SIZE])
{
    true_premaster_unpad(out, plain, length, client_version, fallback);
    if (memcmp(out, fallback, TLS_PREMASTER_SIZE) != 0)
        return;
    for (uint64_t until = clock_ns() + LEAK_NS; clock_ns() < until;)
        ;
}
