/* One SSL_CTX: everything the configuration says, and optionally the certificates of one set. Knows nothing
 * of names and sessions. Start-up only. */
#ifndef EDGE_TLS_TLS_CONTEXT_H
#define EDGE_TLS_TLS_CONTEXT_H

#include <openssl/ssl.h>

#include "edge/certs/certs.h"
#include "edge/config/edge_config.h"

/* The protocols of ALPN as they stand on the wire (RFC 7301, 3.1). */
struct tls_alpn {
    uint8_t *wire; /* owned; NULL for none */
    unsigned length;
};
/* Packs LIST, and http/1.0 behind it when it has http/1.1. ERR_CONFIG for a name that is empty or longer than
 * 255 bytes, or a list beyond 65,535. */
int tls_context_alpn_pack(struct tls_alpn *out, const struct config_strings *list,
                          struct fault *fault) MUST_USE;

/* The certificate that SET shows for keys of TYPE; NULL for none. OpenSSL has one place for both curves;
 * P-256 is the faster and the wider known. */
const struct cert *tls_context_cert(const struct cert_set *set, enum key_type type);

/* What takes the certificates that clients may be shown (certs_level.h): the versions and ciphers of CONFIG,
 * and with them the security level. ERR_CONFIG as below. */
int tls_context_new_trial(SSL_CTX **out, OSSL_LIB_CTX *library, const struct edge_config *config,
                          struct fault *fault) MUST_USE;

/* A context for SET (NULL: without certificates). ALPN is borrowed and must outlive the context. ERR_CONFIG
 * when OpenSSL does not take what CONFIG says; the fault names the option. */
int tls_context_new(SSL_CTX **out, OSSL_LIB_CTX *library, const struct cert_set *set, struct tls_alpn *alpn,
                    const struct edge_config *config, struct fault *fault) MUST_USE;

#endif
