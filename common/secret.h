/* Secrets: memory that wipes itself. The only file, with the Noise code, that decides how secrets are held.
 *
 * `secret_new` is for what stays (identities, per-key secrets): guarded, locked where the limit allows,
 * left out of core dumps. `wipe` is for what passes through a stack frame. Any thread. */
#ifndef COMMON_SECRET_H
#define COMMON_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

/* Call once before anything else here or in noise.h, random or hash; ERR_CRYPTO when libsodium cannot start.
 */
int secret_init(void) MUST_USE;
/* The same, and that the system gives random numbers (getrandom); the fault says how to mend it. */
int secret_start(struct fault *fault) MUST_USE;

/* SIZE zeroed bytes between guard pages, excluded from dumps; NULL without memory. Free with secret_free().
 */
void *secret_new(size_t size);
/* Wipes and releases; NULL is allowed. */
void secret_free(void *secret);

void wipe(void *bytes, size_t length);
/* Wipes what functions that were called before have left on the stack, WIPE_STACK_SIZE bytes below the
 * caller: the libraries do not wipe all that they compute on. */
void wipe_stack(void);
#define WIPE_STACK_SIZE 24576
/* Wipes the vector registers: they hold the last bytes that were copied or computed on, and who saves them
 * (the dynamic linker at the first call of a library's function, the kernel for a signal's handler) leaves
 * them on the stack. To be called where secret bytes have been copied for the last time; wipe_stack() does it
 * as well. x86-64 only. */
void wipe_registers(void);
/* Equality in time that depends on LENGTH only. */
bool same_bytes(const void *a, const void *b, size_t length);

void random_bytes(void *out, size_t length);

#define SHORT_HASH_KEY_SIZE 16
#define SHA256_SIZE         32
#define SHA512_SIZE         64

/* SipHash-2-4 (Aumasson, Bernstein 2012): for tables whose keys a stranger may choose. */
uint64_t short_hash(const uint8_t key[static SHORT_HASH_KEY_SIZE], const void *bytes, size_t length);
void sha256(uint8_t out[static SHA256_SIZE], const void *bytes, size_t length);
void sha512(uint8_t out[static SHA512_SIZE], const void *bytes, size_t length);
void hmac_sha256(uint8_t out[static SHA256_SIZE], const void *key, size_t key_length, const void *bytes,
                 size_t length);

#endif
