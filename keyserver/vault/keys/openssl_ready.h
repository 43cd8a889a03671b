/* Whether OpenSSL has what a key server computes with. Its configuration decides: one that activates another
 * provider without the default one, or asks for a property that no provider has, leaves it without RSA, and
 * then good key files look damaged. */
#ifndef KEYSERVER_VAULT_KEYS_OPENSSL_READY_H
#define KEYSERVER_VAULT_KEYS_OPENSSL_READY_H

#include "common/err.h"

/* Has no effect but that OpenSSL reads its configuration. ERR_CONFIG: what is missing, the configuration's
 * path, and how to mend it. */
int openssl_ready_check(struct fault *fault) MUST_USE;

#endif
