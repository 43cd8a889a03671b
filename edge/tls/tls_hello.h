/* The ClientHello: which certificates a client is shown and which suites it is offered, decided before
 * OpenSSL decides anything, by the name it asks for and by what the key servers grant (choice.h). */
#ifndef EDGE_TLS_TLS_HELLO_H
#define EDGE_TLS_TLS_HELLO_H

#include <openssl/ssl.h>

#include "edge/certs/certs.h"

#define TLS_HELLO_NAME_MAX 255 /* bytes of a name this server looks up */

/* Within the client hello callback: ERR_LENGTH when a list that OpenSSL keeps is too long. */
int tls_hello_check(SSL *ssl) MUST_USE;
/* The host name that the ClientHello of SSL asks for, NUL-terminated in NAME; "" when it asks for none.
 * ERR_FORMAT for an extension that does not parse (RFC 6066, 3). Within the ClientHello callback. */
int tls_hello_name(SSL *ssl, char name[static TLS_HELLO_NAME_MAX + 1]) MUST_USE;

/* Takes away from SSL, which has the context of SET already, what the client cannot be served with. Keeps in
 * the session's exchange what was decided. RSA_KEY_EXCHANGE: the configuration offers it. Within the
 * ClientHello callback. ERR_MEMORY. */
int tls_hello_limit(SSL *ssl, const struct cert_set *set, bool rsa_key_exchange) MUST_USE;

#endif
