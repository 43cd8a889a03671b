/* Key numbers: a loaded key as the lanes and libsodium want it. Start-up only. */
#ifndef KEYSERVER_VAULT_KEY_NUMBERS_H
#define KEYSERVER_VAULT_KEY_NUMBERS_H

#include "keyserver/vault/keystore.h"

/* Makes what is faster than key->pkey: key->rsa, key->scalar or key->ed25519*, in guarded memory; and sets
 * key->work. RSA that does not fit the lanes keeps its pkey alone. ERR_MEMORY, ERR_CRYPTO. */
int key_numbers_make(struct key *key) MUST_USE;
/* Wipes and frees them. */
void key_numbers_free(struct key *key);

#endif
