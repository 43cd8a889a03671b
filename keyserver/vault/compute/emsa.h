/* EMSA: a hash as the number whose private-key operation is its RSA signature (RFC 8017, 9).
 *
 * Makes no signature: that takes a private-key operation on what comes out. Pure, but for the salt that is
 * drawn; any thread. */
#ifndef KEYSERVER_VAULT_COMPUTE_EMSA_H
#define KEYSERVER_VAULT_COMPUTE_EMSA_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define EMSA_HASH_MAX 64 /* bytes */

/* OUT = EMSA-PKCS1-v1_5 (9.2) of HASH, which is HASH_BITS (256, 384, 512) long and of the SHA-2 of that name.
 * OUT gets as many bytes as a modulus of MODULUS_BITS has. ERR_UNSUPPORTED for another hash, ERR_LENGTH for a
 * modulus that is too short. */
int emsa_pkcs1(uint8_t *out, size_t modulus_bits, unsigned hash_bits, const uint8_t *hash) MUST_USE;

/* OUT = EMSA-PSS (9.1.1) of HASH with SALT, which is as long as the hash; with MGF1 of the same hash, for
 * MODULUS_BITS - 1 bits. OUT gets as many bytes as the modulus has. Errors as above; ERR_CRYPTO when OpenSSL
 * fails. */
int emsa_pss_salted(uint8_t *out, size_t modulus_bits, unsigned hash_bits, const uint8_t *hash,
                    const uint8_t *salt) MUST_USE;
/* The same with a salt of its own. */
int emsa_pss(uint8_t *out, size_t modulus_bits, unsigned hash_bits, const uint8_t *hash) MUST_USE;

#endif
