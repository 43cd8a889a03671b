/* Blinding: a private-key operation on a random number in place of the one that was asked for, so that no
 * step of it, in whatever library or however checked, has to do with the plaintext (Chaum 1983; Kocher 1996).
 *
 * For one key: an unknown number r, and r^e. The operation is done on c' = c r^e, gives m' = m r, and
 * may be checked, m'^e = c', in any time; m = m' / r is then one multiplication in constant time. r is
 * another for each use. Does no private-key operation itself. One thread at a time. */
#ifndef KEYSERVER_VAULT_COMPUTE_BLINDING_H
#define KEYSERVER_VAULT_COMPUTE_BLINDING_H

#include "keyserver/vault/keys/keystore.h"

struct blinding;

/* For KEY, which is RSA. NULL without memory. */
struct blinding *blinding_new(const struct key *key);
/* Wipes and frees; NULL is allowed. */
void blinding_free(struct blinding *blinding);

/* Goes on to the next r. HIDDEN = CIPHERTEXT r^e; both are as long as the modulus, CIPHERTEXT is below it.
 * ERR_CRYPTO when OpenSSL fails, which has to do with neither. */
int blinding_hide(struct blinding *blinding, uint8_t *hidden, const uint8_t *ciphertext) MUST_USE;
/* PLAIN = RESULT / r, with the r of the last blinding_hide(); RESULT is below the modulus. Its time has to do
 * with the length of the modulus only. */
void blinding_reveal(const struct blinding *blinding, uint8_t *plain, const uint8_t *result);

#endif
