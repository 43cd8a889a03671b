/* The provider: OpenSSL's view of a private key that is somewhere else.
 *
 * Offers RSA, EC and Ed25519 keys that consist of a public half and a key id, signature and RSA decryption
 * for them, and the key derivations of TLS (provider_kdf.c), where RSA key exchanges get a master secret that
 * comes in one step (bound mode); nothing else. It takes OpenSSL's to-be-signed bytes apart into typed fields
 * (tbs.h) and hands them to a transport; what does not come apart cleanly is refused here. It has no threads,
 * no credentials and no loop. Knows nothing of channels, messages and sessions. */
#ifndef EDGE_PROVIDER_PROVIDER_H
#define EDGE_PROVIDER_PROVIDER_H

#include <openssl/types.h>

#include "common/bytes.h"
#include "common/err.h"
#include "proto/operation.h"

/* For SSL_CTX_new_ex: contexts with these properties have their secrets derived here (provider_kdf.c). Two
 * clauses, because each counts one, and so does the library context's preference for `default`. */
#define PROVIDER_TLS_PROPERTIES "?keyless.kdf=yes,?keyless.tls=yes"

/* HANDSHAKE_MAX without the longest ClientKeyExchange: header 4, length 2, ciphertext. */
#define PROVIDER_MESSAGES_MAX (HANDSHAKE_MAX - (4 + 2 + RSA_MODULUS_MAX))

/* One RSA key exchange that is bound: decrypt makes no request, because the key server gives out no
 * pre-master secret. It gives OpenSSL a token instead, and leaves here what the derivation of the master
 * secret needs, which knows it by that token. Embedded in its owner; zeroed: not bound. */
struct provider_exchange {
    /* Filled by the owner before ClientKeyExchange is processed: the handshake messages ClientHello …
     * ServerHelloDone as they were sent, at most PROVIDER_MESSAGES_MAX bytes. Empty: not bound, decrypt asks
     * for the pre-master secret at once. The provider adds ClientKeyExchange, and frees them when the master
     * secret is there or will not come. */
    struct buffer messages;
    /* What the key server was asked for in the end: OP_RSA_MASTER, or OP_RSA_PREMASTER for a client without
     * extended master secret (RFC 7627); 0 = nothing yet. */
    enum operation_kind asked;
    /* private to the provider, between the decryption and the derivation */
    bool held;
    uint8_t token[TLS_PREMASTER_SIZE];
    uint8_t key_id[KEY_ID_SIZE];
    uint16_t client_version;
    uint16_t ciphertext_length; /* the last bytes of the messages */
};
/* Wipes and frees everything but `asked`. */
void provider_exchange_clear(struct provider_exchange *exchange);

/* The way to the keys. Both are called on whatever thread runs the handshake. */
struct provider_transport {
    /* Performs OPERATION and fills OUTCOME, or returns a negative error. May take as long as it wants
     * (pausing the job it runs in). What OPERATION points to stays until it returns. */
    int (*perform)(const struct operation *operation, struct outcome *outcome);
    /* The exchange of the handshake that is stepped on this thread right now, borrowed until that handshake
     * is over; NULL when there is none. May be NULL itself: nothing is bound. */
    struct provider_exchange *(*exchange)(void);
};

/* A private library context with `default` first, then this provider built in (OSSL_PROVIDER_add_builtin),
 * then the property query that keeps every other algorithm with default. TRANSPORT serves every key of the
 * context and is copied. VERIFY bit (1 << enum key_type): signatures by such keys are verified with the
 * public half before OpenSSL gets them. Free with provider_context_free(). */
int provider_context_new(OSSL_LIB_CTX **out, const struct provider_transport *transport, uint32_t verify,
                         struct fault *fault) MUST_USE;
void provider_context_free(OSSL_LIB_CTX *context);

/* A key whose private half is remote: for the certificate's public key PUBLIC (any context). The caller frees
 * it with EVP_PKEY_free. ERR_UNSUPPORTED with a fault for types and sizes outside of enum key_type. KEY_ID
 * receives SHA-256 of its SubjectPublicKeyInfo. */
int provider_key_new(OSSL_LIB_CTX *context, EVP_PKEY *public_key, EVP_PKEY **out,
                     uint8_t key_id[static KEY_ID_SIZE], struct fault *fault) MUST_USE;

/* The enum key_type of KEY (any context), or ERR_UNSUPPORTED. */
int provider_key_type(EVP_PKEY *key) MUST_USE;

/* Counters of the answers that were thrown away here. */
struct provider_stats {
    uint64_t refused_locally; /* bytes to be signed that did not come apart */
    uint64_t replaced;      /* ciphertexts that can be no encryption, in whose place another was asked for */
    uint64_t bad_length;    /* answers of a length the key cannot give */
    uint64_t bad_signature; /* answers that did not verify */
};
void provider_stats_get(struct provider_stats *out);

#endif
