/* TLS: the server's SSL_CTX, made from configuration and certificates: versions, suites, SNI, ALPN, tickets.
 * Immutable once made; any thread may make sessions from it. */
#ifndef EDGE_TLS_TLS_H
#define EDGE_TLS_TLS_H

#include <openssl/ssl.h>

#include "edge/certs/certs.h"
#include "edge/config/edge_config.h"
#include "edge/tls/tls_hello.h"

struct tls;

/* CONTEXT and CERTS are borrowed and must outlive it, as it must outlive the handshakes of its sessions;
 * CONFIG is read only here. A session resumes only under certificates of the same keys it was made under.
 * ERR_CONFIG with a fault that names the option or the certificate's file. */
int tls_new(struct tls **out, OSSL_LIB_CTX *context, const struct certs *certs,
            const struct edge_config *config, struct fault *fault) MUST_USE;
void tls_free(struct tls *tls);

/* A server session, still without its BIOs; NULL without memory. HELLO (may be NULL) is zeroed but for its
 * client, filled in when the ClientHello is complete, and outlives the session. */
SSL *tls_accept(struct tls *tls, struct tls_hello *hello);
/* Wipes the sessions that were kept for resumption by their id and have outlived tls.ticket_lifetime; all
 * of them when the wall clock, by which they end, was set back. */
void tls_flush(struct tls *tls);

/* Short names for logs and metrics from a finished handshake: "rsa", "rsa_plain", "ecdhe_rsa", "ecdhe_ecdsa",
 * "tls13_rsa", "tls13_ecdsa", "tls13_ed25519", "resumed"… out of a fixed table. */
enum tls_kind {
    TLS_KIND_RSA,       /* bound: this process never had the pre-master secret */
    TLS_KIND_RSA_PLAIN, /* the key server answered with the pre-master secret */
    TLS_KIND_ECDHE_RSA,
    TLS_KIND_ECDHE_ECDSA,
    TLS_KIND_TLS13_RSA,
    TLS_KIND_TLS13_ECDSA,
    TLS_KIND_TLS13_ED25519,
    TLS_KIND_RESUMED12,
    TLS_KIND_RESUMED13,
    TLS_KIND_OTHER,
    TLS_KINDS
};
/* BOUND: what is known of the session's RSA key exchange, if it had one. */
enum tls_kind tls_session_kind(const SSL *ssl, bool bound);
const char *tls_kind_name(enum tls_kind kind);

#endif
