/* A test certificate authority for trials: an RSA-2048, a P-256 and an Ed25519 key with certificates for one
 * host name.
 *
 * Not for production: the authority's own key exists in memory only, for as long as it signs. One thread. */
#ifndef CLI_TRIAL_PKI_H
#define CLI_TRIAL_PKI_H

#include "common/err.h"

/* Makes CA_FILE and, for each type, KEY_FOLDER/TYPE.pem (mode 0400) and CERT_FOLDER/TYPE.pem, with TYPE one
 * of rsa, p256, ed25519. The certificates are for HOST, *.HOST and 127.0.0.1 and good for 90 days. */
int trial_pki_make(const char *ca_file, const char *key_folder, const char *cert_folder, const char *host,
                   struct fault *fault) MUST_USE;

#endif
