/* Hasher: SHA-2 with what it takes fetched once, because to look it up takes longer than a short hash. One
 * thread at a time. */
#ifndef KEYSERVER_VAULT_REQUEST_HASHER_H
#define KEYSERVER_VAULT_REQUEST_HASHER_H

#include <openssl/types.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define HASH_MAX 64 /* bytes */

struct hasher {
    EVP_MD *sha[3];      /* owned; of 256, 384, 512 bits */
    EVP_MD_CTX *context; /* owned */
};

/* ERR_MEMORY; clear it then, too. */
int hasher_init(struct hasher *hasher) MUST_USE;
void hasher_clear(struct hasher *hasher);

/* OUT = SHA-2 of BITS (256, 384, 512) of FIRST ‖ SECOND, BITS / 8 bytes. ERR_CRYPTO. */
int hasher_hash(const struct hasher *hasher, uint8_t *out, unsigned bits, const void *first,
                size_t first_length, const void *second, size_t second_length) MUST_USE;

#endif
