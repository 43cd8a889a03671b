/* What anyone can see of an RSA ciphertext without the private key: whether it can be an encryption at all.
 * Key servers refuse what is none (PROTOCOL.md, rsa_premaster), so edges do not ask for it.
 *
 * Ciphertext and modulus are public: this may branch. Pure. */
#ifndef PROTO_CIPHERTEXT_H
#define PROTO_CIPHERTEXT_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

/* The LENGTH bytes of CIPHERTEXT under the odd MODULUS n of SIZE bytes, both big-endian, n without leading
 * zeros. ERR_LENGTH when the ciphertext is not as long as n, ERR_FORMAT when its value is 0, 1, n - 1 or not
 * below n. */
int ciphertext_check(const uint8_t *ciphertext, size_t length, const uint8_t *modulus, size_t size) MUST_USE;

#endif
