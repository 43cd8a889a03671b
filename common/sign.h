/* Signatures: Ed25519 keys (RFC 8032) in files, for what a daemon signs in its own name, such as the audit
 * log.
 *
 * The secret file is like that of an identity: one line, the base64 of 32 bytes, closed to others; the public
 * half has a file of its own that anybody may read. Not for TLS keys. Loading and saving are for the start;
 * the rest is pure, any thread. */
#ifndef COMMON_SIGN_H
#define COMMON_SIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define SIGN_SEED_SIZE   32
#define SIGN_PUBLIC_SIZE 32
#define SIGN_SIZE        64 /* bytes of a signature */

struct sign_key {
    uint8_t secret[SIGN_SEED_SIZE + SIGN_PUBLIC_SIZE]; /* the seed, then the public key */
    uint8_t public[SIGN_PUBLIC_SIZE];
};

/* The key that follows from 32 secret bytes. */
void sign_derive(struct sign_key *key, const uint8_t seed[static SIGN_SEED_SIZE]);
/* Reads the secret file PATH (identity_load_secret() and its errors); the key lives in guarded memory, free
 * with secret_free(). */
int sign_load(struct sign_key **out, const char *path, struct fault *fault) MUST_USE;
/* Reads a public key from the file PATH: one line, the base64 of 32 bytes. ERR_NOT_FOUND, ERR_CONFIG. */
int sign_load_public(uint8_t out[static SIGN_PUBLIC_SIZE], const char *path, struct fault *fault) MUST_USE;
/* Makes PATH with mode 0444, never over an existing file. */
int sign_save_public(const char *path, const uint8_t public[static SIGN_PUBLIC_SIZE],
                     struct fault *fault) MUST_USE;

void sign_message(uint8_t out[static SIGN_SIZE], const struct sign_key *key, const void *message,
                  size_t length);
bool sign_verify(const uint8_t signature[static SIGN_SIZE], const uint8_t public[static SIGN_PUBLIC_SIZE],
                 const void *message, size_t length);

#endif
