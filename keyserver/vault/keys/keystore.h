/* The key store: the private keys of a folder, found by the hash of their public half. With key_file.h the
 * only module that loads private keys.
 *
 * Not a policy: it does not know who may use them. Immutable once loaded; any thread of the vault may look
 * up. */
#ifndef KEYSERVER_VAULT_KEYS_KEYSTORE_H
#define KEYSERVER_VAULT_KEYS_KEYSTORE_H

#include <openssl/types.h>

#include "common/sign.h"
#include "keyserver/lanes/rsa_lanes.h"
#include "keyserver/rules/authorized.h"
#include "keyserver/rules/server_config.h"
#include "keyserver/vault/keys/batch_class.h"
#include "keyserver/vault/keys/rsa_single.h"
#include "proto/operation.h"

#define KEY_NAME_MAX 128

/* What is said of a folder without any. */
#define KEYSTORE_NONE "holds no key; put private keys there as NAME.key or NAME.pem, mode 0400"

struct key {
    char name[KEY_NAME_MAX]; /* path of its file beneath the folder, no extension */
    uint8_t id[KEY_ID_SIZE]; /* SHA-256 of the DER SubjectPublicKeyInfo */
    enum key_type type;
    enum batch_class class;           /* what its operations can be computed together with */
    uint16_t bits;                    /* of the modulus or the curve */
    uint16_t result_size;             /* bytes of its longest signature; for RSA, of its modulus */
    size_t index;                     /* place in the store; names its slot in per-thread caches */
    uint8_t modulus[RSA_MODULUS_MAX]; /* RSA: n, big-endian, result_size bytes */
    uint8_t *fallback_secret;         /* RSA: SHA256_SIZE bytes in guarded memory, owned; see premaster.h */
    EVP_PKEY *pkey;                   /* owned */
    unsigned references;              /* stores that hold it */
    /* Owned, in guarded memory; NULL unless they are used instead of pkey (key_numbers.h): */
    struct rsa_single *rsa_single; /* RSA */
    struct rsa_lanes_key *rsa;     /* RSA that fits the lanes */
    uint8_t *scalar;               /* P-256, P-384, for the lanes: d, big-endian */
    struct sign_key *ed25519;      /* Ed25519, for libsodium */
    struct ed_key *ed25519_lanes;  /* Ed25519, for the lanes */
};

/* Bytes of a number of KEY: of its modulus, or modulo the order of its curve, which may be no whole bytes
 * long (P-521). */
static inline size_t key_number_size(const struct key *key)
{
    return (key->bits + 7u) / 8;
}

struct keystore;

/* Whoever wants to know that files are being read: called about once a second meanwhile, from the thread that
 * loads. */
struct keystore_progress {
    void (*on_progress)(void *user);
    void *user; /* borrowed */
};

/* The rules that name keys; both borrowed. */
struct keystore_rules {
    const struct server_config *config;
    const struct authorized *edges; /* NULL: none */
};

/* Loads every *.pem, *.key and *.der of FOLDER and its sub-folders (key_folder.h): RSA of 2048 to 4096 bits,
 * P-256, P-384, Ed25519. A bad file or a loose mode is logged with its hint ("key_skipped")
 * and passed over; so is one of two files with the same key, or with another key of the same name. Of two
 * files with the same key that stays which has a section in RULES, else which an edge names there, else which
 * was served before, else the first; where both have a section the key is not served. No key at all
 * is not an error. What the lanes want is made where they are ready: lanes_start() comes before, and does not
 * come again. GROUP_SECRET seeds the per-key fallback secrets. ERR_CONFIG when the folder cannot be read.
 * With BEFORE (NULL: there was none) it is a reload: what BEFORE has of a file that did not change since is
 * used by both, any other file is read. A file that cannot be used fails it, unless it could not be used in
 * BEFORE, or is no more than a new copy of a key that is served: ERR_CONFIG, with each such file in the log
 * ("key_unusable") and in the fault. A file that is gone
 * is a key less, and so is one that goes while the folder is read ("key_file_gone"), at a start, too. RULES
 * (NULL: there are none) also says where the passphrases of encrypted files are; another passphrase alone is
 * no reason to read a file again. PROGRESS may be NULL. One thread for all stores that have a key in common.
 */
int keystore_load(struct keystore **out, const struct keystore *before, const char *folder,
                  const uint8_t group_secret[static GROUP_SECRET_SIZE], const struct keystore_rules *rules,
                  const struct keystore_progress *progress, struct fault *fault) MUST_USE;
/* Gives the keys their places in STORE, when another store that holds some of them was made since. */
void keystore_number(struct keystore *store);
/* Wipes and frees all but what another store holds; NULL is allowed. */
void keystore_free(struct keystore *store);

size_t keystore_count(const struct keystore *store);
size_t keystore_skipped(const struct keystore *store); /* files found wrong */
/* Files: read by this store, taken over from the one before, and of that one gone. */
struct keystore_changes {
    size_t loaded, kept, removed;
};
struct keystore_changes keystore_changes(const struct keystore *store);
const struct key *keystore_at(const struct keystore *store, size_t index);
/* The key with this id, or NULL. */
const struct key *keystore_find(const struct keystore *store, const uint8_t id[static KEY_ID_SIZE]);

#endif
