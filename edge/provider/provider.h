/* The provider: OpenSSL's view of a private key that is somewhere else.
 *
 * Offers RSA, EC and Ed25519 keys that consist of a public half and a key id, signature and RSA decryption
 * for them, and the key derivations of TLS (provider_kdf.c); nothing else. It takes OpenSSL's to-be-signed
 * bytes apart into typed fields (tbs.h) and hands them to a transport; what does not come apart cleanly is
 * refused here. It has no threads, no credentials and no loop, and knows nothing of channels, messages,
 * sessions and bound mode: its owner gives it functions for them (struct provider_transport). */
#ifndef EDGE_PROVIDER_PROVIDER_H
#define EDGE_PROVIDER_PROVIDER_H

#include <openssl/types.h>

#include "common/bytes.h"
#include "common/err.h"
#include "proto/operation.h"

/* For SSL_CTX_new_ex: contexts with these properties have their secrets derived here (provider_kdf.c). Two
 * clauses, because each counts one, and so does the library context's preference for `default`. */
#define PROVIDER_TLS_PROPERTIES "?keyless.kdf=yes,?keyless.tls=yes"

/* Deferred decryption: for who does not want the pre-master secrets of RSA key exchanges (edge/bound). In
 * place of one OpenSSL gets a token, of the same form, and derives a master secret from it as from any other.
 * The provider does that derivation, too (provider_kdf.c); it knows the token again, and only then is the key
 * server asked, for what is wanted then: the master secret, or else the pre-master secret to derive it from.
 *
 * For one handshake: defer, find (for each secret that something is derived from), resolve, forget. All are
 * called on whatever thread runs the handshake, and concern the handshake that this thread steps right now.
 */
struct provider_deferral {
    /* PREMASTER, an rsa_premaster, is about to be performed: 0 lets it; 1 has filled TOKEN instead; or a
     * negative error, with which the decryption fails. */
    int (*defer)(const struct operation *premaster, uint8_t token[static TLS_PREMASTER_SIZE]);
    /* The deferred decryption whose token the LENGTH bytes of SECRET are, borrowed; NULL: any other secret.
     */
    void *(*find)(const uint8_t *secret, size_t length);
    /* Fills OUT with what is to be performed for DEFERRED: EXTENDED, an rsa_master for an extended master
     * secret (RFC 7627); otherwise the rsa_premaster. What OUT points to stays until `forget`. ERR_REFUSED
     * when DEFERRED is not that of this handshake, or is no more. */
    int (*resolve)(void *deferred, bool extended, struct operation *out);
    /* A token is good for one derivation, and this was it. Nothing happens where `resolve` would refuse. */
    void (*forget)(void *deferred);
};

/* The way to the keys, given by the provider's owner. */
struct provider_transport {
    /* Performs OPERATION and fills OUTCOME, or returns a negative error. May take as long as it wants
     * (pausing the job it runs in). What OPERATION points to stays until it returns. On whatever thread runs
     * the handshake. */
    int (*perform)(const struct operation *operation, struct outcome *outcome);
    const struct provider_deferral *deferral; /* borrowed; NULL: nothing is deferred */
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
