/* Files of keys and certificates that a person names, judged by what is in them before they are copied: a
 * private key goes to the key server alone, a certificate to the edge. One thread. */
#ifndef CLI_GIVEN_H
#define CLI_GIVEN_H

#include <stdint.h>

#include "common/err.h"

/* Copies the certificate chain FILE into FOLDER, mode 0644; ERR_CONFIG when it has a private key in it, or no
 * PEM certificate. */
int given_cert_copy(const char *file, const char *folder, struct fault *fault) MUST_USE;
/* Copies the private key FILE into FOLDER, mode 0400; ERR_CONFIG when there is none in it. */
int given_key_copy(const char *file, const char *folder, struct fault *fault) MUST_USE;
/* Whether a configuration can hold TEXT (NULL: not given), the value of OPTION. ERR_CONFIG. */
int given_text_check(const char *option, const char *text, struct fault *fault) MUST_USE;
/* The same, and whether TEXT is an address to connect to, as configurations have it; PORT is what it has when
 * it names none, 0: it must. ERR_CONFIG. */
int given_target_check(const char *option, const char *text, uint16_t port, struct fault *fault) MUST_USE;
/* The same of one to listen at, which is this machine's. */
int given_listen_check(const char *option, const char *text, uint16_t port, struct fault *fault) MUST_USE;

#endif
