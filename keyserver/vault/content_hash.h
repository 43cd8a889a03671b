/* The hash that a signature is over: SHA-2 of what a task signs. A hasher is for one thread. */
#ifndef KEYSERVER_VAULT_CONTENT_HASH_H
#define KEYSERVER_VAULT_CONTENT_HASH_H

#include <openssl/types.h>

#include "keyserver/vault/task.h"

#define CONTENT_HASH_MAX 64 /* bytes */

struct hasher {
    EVP_MD *sha[3]; /* owned; of 256, 384, 512 bits */
    EVP_MD_CTX *context;
};

/* ERR_MEMORY; clear it then, too. */
int hasher_init(struct hasher *hasher) MUST_USE;
void hasher_clear(struct hasher *hasher);

/* OUT = SHA-2 of BITS (256, 384, 512) of what TASK signs. ERR_CRYPTO. */
int content_hash(const struct hasher *hasher, uint8_t *out, unsigned bits, const struct task *task) MUST_USE;

#endif
