/* The secret files that `keyless init` makes; what an init that fails has made is removed again (files.h). */
#ifndef CLI_INIT_SECRETS_H
#define CLI_INIT_SECRETS_H

#include <stdint.h>

#include "common/identity.h"

/* PATH with the 32 bytes SECRET, mode 0400. */
int init_secrets_make_file(const char *path, const uint8_t secret[static IDENTITY_KEY_SIZE],
                           struct fault *fault) MUST_USE;
/* FOLDER/NAME with a new secret, which is put into TEXT as base64, too. */
int init_secrets_make(const char *folder, const char *name, char text[static IDENTITY_TEXT_SIZE],
                      struct fault *fault) MUST_USE;
/* FOLDER/audit.key and audit.pub, so that the key that signs the audit log is of who runs this, root as a
 * rule, and not of the account that the daemon starts as. */
int init_secrets_make_audit_key(const char *folder, struct fault *fault) MUST_USE;

#endif
