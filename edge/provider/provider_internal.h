/* What the files of the provider share: the provider itself, its key object, its dispatch tables and the
 * checks of answers. No file outside of edge/provider includes it. A key is immutable once imported; any
 * thread may use it. */
#ifndef EDGE_PROVIDER_PROVIDER_INTERNAL_H
#define EDGE_PROVIDER_PROVIDER_INTERNAL_H

#include <openssl/core_dispatch.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>

#include "common/metrics.h"
#include "edge/provider/provider.h"

#define PROVIDER_NAME "keyless"
/* Every fetch of the provider for itself: the public half is always OpenSSL's own. */
#define PROVIDER_DEFAULT_ONLY "provider=default"
/* The key id as a gettable parameter of the key object. */
#define KEYMGMT_PARAM_ID "keyless-key-id"

enum provider_digest { DIGEST_SHA256, DIGEST_SHA384, PROVIDER_DIGESTS };

struct provider {
    OSSL_LIB_CTX *context; /* borrowed; the one it is loaded into */
    struct provider_transport transport;
    EVP_KDF *prf;                     /* owned; TLS1-PRF of the default provider */
    EVP_KDF *expand;                  /* owned; its TLS13-KDF */
    EVP_MD *digest[PROVIDER_DIGESTS]; /* owned; of the default provider */
    uint32_t verify;                  /* bit (1 << enum key_type) */
};

/* A public key whose private half is remote. */
struct remote_key {
    _Atomic int references;
    const struct provider *provider; /* borrowed; outlives its keys */
    const char *name;                /* "RSA", "EC", "ED25519" */
    enum key_type type;              /* 0 until imported */
    EVP_PKEY *public_key;            /* owned; of the default provider; NULL until imported */
    OSSL_PARAM *exported;            /* owned; the public half as parameters, made once: exports are hot */
    size_t size;                     /* bytes of the modulus, or most bytes of a signature */
    uint8_t id[KEY_ID_SIZE];
    uint8_t modulus[RSA_MODULUS_MAX]; /* RSA: `size` bytes, big-endian */
};

struct remote_key *keymgmt_key_share(struct remote_key *key); /* one more reference to KEY */
void keymgmt_key_free(void *key);                             /* drops one; NULL is allowed */

/* What OpenSSL calls a context: one operation with a remote key in the making. The struct of a kind of
 * operation begins with it. */
struct provider_context {
    const struct provider *provider; /* borrowed */
    struct remote_key *key;          /* a reference of its own; NULL until there is one */
    size_t size;                     /* bytes of the whole struct */
};

void *context_new(const struct provider *provider, size_t size); /* zeroed SIZE bytes; NULL without memory */
void context_free(void *context);                                /* NULL is allowed */
void *context_dup(void *context);                                /* NULL without memory */
void context_set_key(struct provider_context *context, struct remote_key *key);

/* A row of the tables below. */
#define FUNCTION(id, name)                                                                                   \
    {                                                                                                        \
        id, (void (*)(void))(name)                                                                           \
    }
extern const OSSL_DISPATCH keymgmt_rsa_functions[];
extern const OSSL_DISPATCH keymgmt_ec_functions[];
extern const OSSL_DISPATCH keymgmt_ed25519_functions[];
extern const OSSL_DISPATCH signature_functions[];
extern const OSSL_DISPATCH decrypt_functions[];
extern const OSSL_DISPATCH kdf_prf_functions[];
extern const OSSL_DISPATCH kdf_expand_functions[];

/* Checks the form of a signature: exact length for RSA and Ed25519; for ECDSA strict DER with both numbers
 * between 1 and the order of the curve. ERR_LENGTH. */
int verify_form(const struct remote_key *key, const uint8_t *signature, size_t length) MUST_USE;
/* Verifies it over TBS with the public half. ERR_CRYPTO. */
int verify_signature(const struct remote_key *key, const struct scheme_info *scheme, const uint8_t *signature,
                     size_t length, const uint8_t *tbs, size_t tbs_length) MUST_USE;

/* Performs OPERATION, whose result is a secret of 48 bytes, a pre-master or a master secret, and copies it
 * into SECRET. */
int decrypt_fetch_secret(const struct provider *provider, const struct operation *operation,
                         uint8_t secret[static TLS_PREMASTER_SIZE]) MUST_USE;

/* Process-wide, see struct provider_stats. */
struct provider_counters {
    counter refused_locally;
    counter replaced;
    counter bad_length;
    counter bad_signature;
};
extern struct provider_counters provider_counters;

#endif
