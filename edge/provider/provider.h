/* The provider: OpenSSL's view of a private key that is somewhere else.
 *
 * Offers RSA, EC and Ed25519 keys that consist of a public half and a key id, signature and RSA decryption
 * for them, and nothing else. It takes OpenSSL's to-be-signed bytes apart into typed fields (tbs.h) and hands
 * them to a transport; what does not come apart cleanly is refused here. It has no threads, no credentials
 * and no loop. Knows nothing of channels and messages. */
#ifndef EDGE_PROVIDER_PROVIDER_H
#define EDGE_PROVIDER_PROVIDER_H

#include <openssl/types.h>

#include "common/err.h"
#include "proto/operation.h"

/* Performs OPERATION and fills OUTCOME, or returns a negative error. May take as long as it wants (pausing
 * the job it runs in). Called on whatever thread runs the handshake. */
typedef int (*provider_transport)(const struct operation *operation, struct outcome *outcome);

/* A private library context with `default` first, then this provider built in (OSSL_PROVIDER_add_builtin),
 * then the property query that keeps every other algorithm with default. TRANSPORT serves every key of the
 * context. VERIFY bit (1 << enum key_type): signatures by such keys are verified with the public half before
 * OpenSSL gets them. Free with provider_context_free(). */
int provider_context_new(OSSL_LIB_CTX **out, provider_transport transport, uint32_t verify,
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
    uint64_t bad_length;      /* answers of a length the key cannot give */
    uint64_t bad_signature;   /* answers that did not verify */
};
void provider_stats_get(struct provider_stats *out);

#endif
