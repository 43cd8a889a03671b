/* Key numbers: a loaded key as the lanes and libsodium want it. Start-up only. */
#ifndef KEYSERVER_VAULT_KEYS_KEY_NUMBERS_H
#define KEYSERVER_VAULT_KEYS_KEY_NUMBERS_H

#include "keyserver/vault/keys/keystore.h"

/* Sets key->class and makes what is faster than key->pkey, in guarded memory: what the lanes want, where they
 * are ready (lanes.h); for Ed25519 otherwise what libsodium wants. Nothing is held that nobody would use.
 * ERR_MEMORY, ERR_CRYPTO. */
int key_numbers_make(struct key *key) MUST_USE;
/* Wipes and frees them. */
void key_numbers_free(struct key *key);

#endif
