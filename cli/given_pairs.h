/* Whether given certificates and private keys are of each other. One thread. */
#ifndef CLI_GIVEN_PAIRS_H
#define CLI_GIVEN_PAIRS_H

#include <stddef.h>

#include "common/err.h"

/* ERR_CONFIG when a file of KEYS has no private key that can be read, or more than one, and when one of
 * CERTS, files with PEM chains, has a leaf whose key is in none of KEYS: no connection could be served with
 * it. What an encrypted key is of is not known, so with one of these all certificates pass; what comes
 * through a pipe comes once, for its copy, and is not looked at here. */
int given_pairs_check(const char *const *keys, size_t key_count, const char *const *certs, size_t cert_count,
                      struct fault *fault) MUST_USE;

#endif
