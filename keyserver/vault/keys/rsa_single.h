/* RSA alone: one private-key operation, with OpenSSL's exponentiations, and the step back that checks it.
 *
 * By the Chinese remainder theorem (RFC 8017, 5.1.2, 2b). What OpenSSL's own RSA puts around the two
 * exponentiations is not wanted here: the vault blinds (blinding.h) and checks by itself, and both twice
 * would cost a tenth. All that is done here with numbers below the modulus takes the same time for each of
 * them; OpenSSL's time has to do with what is put in, which is blinded. Immutable once made; any thread. */
#ifndef KEYSERVER_VAULT_KEYS_RSA_SINGLE_H
#define KEYSERVER_VAULT_KEYS_RSA_SINGLE_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

struct rsa_single;
struct rsa_single_scratch; /* what operations work in; of one thread */

/* Takes the numbers of PKEY, which is RSA, has two factors, and has passed rsa_check_numbers(). ERR_MEMORY,
 * ERR_CRYPTO. */
int rsa_single_new(struct rsa_single **out, const EVP_PKEY *pkey) MUST_USE;
void rsa_single_free(struct rsa_single *key); /* wipes; NULL is allowed */

/* Guarded memory, and OpenSSL's numbers. ERR_MEMORY. */
int rsa_single_scratch_new(struct rsa_single_scratch **out) MUST_USE;
void rsa_single_scratch_free(struct rsa_single_scratch *scratch); /* wipes; NULL is allowed */

/* OUT = IN ^ d modulo n (RSADP, RSASP1); both are as long as n, IN is below it, and they may be the same.
 * ERR_CRYPTO when OpenSSL fails: it had no memory. What it worked on is in SCRATCH and never
 * on the stack, where IN beside its residue modulo a factor would give the factor away. */
int rsa_single_private(const struct rsa_single *key, struct rsa_single_scratch *scratch, uint8_t *out,
                       const uint8_t *in) MUST_USE;
/* OUT = IN ^ e modulo n (RSAEP, RSAVP1). In a time that depends on IN. */
int rsa_single_public(const struct rsa_single *key, struct rsa_single_scratch *scratch, uint8_t *out,
                      const uint8_t *in) MUST_USE;

#endif
