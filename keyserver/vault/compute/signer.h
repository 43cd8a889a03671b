/* The signer: the only caller of private-key operations. One signer a worker thread, with its contexts made
 * once a key and scheme and then reused.
 *
 * Not a judge: what comes here has passed the gate. Every RSA result is checked against the public key
 * before it is let go, because a fault in one half of a CRT computation would give the key away (Boneh,
 * DeMillo, Lipton 1997; Lenstra 1996). One thread at a time. */
#ifndef KEYSERVER_VAULT_COMPUTE_SIGNER_H
#define KEYSERVER_VAULT_COMPUTE_SIGNER_H

#include "keyserver/vault/keys/keystore.h"
#include "keyserver/vault/request/crypto_input.h"

struct signer;

/* For the keys of STORE, which is borrowed, and of CLASSES of work (bits); it will be asked for no other.
 * NULL without memory. */
struct signer *signer_new(const struct keystore *store, unsigned classes);
void signer_free(struct signer *signer); /* NULL is allowed */

/* One operation of a batch. */
struct signer_item {
    const struct key *key;
    const struct crypto_input *input;
    struct outcome *outcome; /* filled: a signature of the form TLS wants (RFC 8446, 4.2.3), the 48 bytes of a
                                pre-master secret, or those of a master secret, of which the pre-master does
                                not leave this call (RFC 7627, 4) */
    int err; /* 0, or ERR_CRYPTO, with STATUS_UNAVAILABLE and no byte, when the result did not pass its check
                or OpenSSL failed; never because of what a ciphertext contains */
};

/* How many operations of a batch class should be performed together. The same as long as the process runs.
 */
struct batch_size signer_batch(enum batch_class class);

/* Performs the inputs of COUNT (1 … BATCH_MAX) items, of keys of one batch class. */
void signer_perform(struct signer *signer, struct signer_item *items, size_t count);

#endif
