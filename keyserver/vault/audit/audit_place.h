/* Where the audit log lives: its folder and its key, made at the first start. Start-up only. */
#ifndef KEYSERVER_VAULT_AUDIT_PLACE_H
#define KEYSERVER_VAULT_AUDIT_PLACE_H

#include <sys/types.h>

#include "common/sign.h"

/* Opens the folder PATH, making it with mode 0700 where it is missing. It must be closed to others. With
 * GIVE, as root, it must belong to UID, and is given to UID and GID when it is made. Returns the descriptor,
 * or ERR_CONFIG, ERR_SYSTEM. */
int audit_place_open(const char *path, bool give, uid_t uid, gid_t gid, struct fault *fault) MUST_USE;
/* Loads the key PATH, making it and its public half (".pub" instead of ".key") where it is missing. Free with
 * secret_free(). */
int audit_place_load_key(struct sign_key **out, const char *path, struct fault *fault) MUST_USE;

#endif
