/* Whether OpenSSL lets a certificate be shown: its security level (openssl.cnf, tls.ciphers) asks for keys
 * and signatures of a strength. Start-up only. */
#ifndef EDGE_CERTS_CERTS_LEVEL_H
#define EDGE_CERTS_CERTS_LEVEL_H

#include "edge/certs/certs.h"

/* Has TLS show CERT with its chain, in place of what it showed for keys of that type. ERR_CONFIG with a fault
 * that names the file, and the security level and the hint where that is why. */
int certs_level_put(SSL_CTX *tls, const struct cert *cert, struct fault *fault) MUST_USE;

#endif
