/* Where the audit log lives: its folder and its key, made at the first start. Start-up only.
 *
 * The find_ functions are for who only looks: they make nothing, and check instead that it could be made, and
 * say on standard output that a start makes it. */
#ifndef KEYSERVER_VAULT_AUDIT_PLACE_H
#define KEYSERVER_VAULT_AUDIT_PLACE_H

#include <sys/types.h>

#include "common/sign.h"

/* Opens the folder PATH, making it with mode 0700 where it is missing. It must be closed to others. With
 * GIVE, as root, it must belong to UID, and is given to UID and GID when it is made, or was made by a start
 * that was killed before it could; so are files of the log in it that are root's. Returns the descriptor, or
 * ERR_CONFIG, ERR_SYSTEM. */
int audit_place_open(const char *path, bool give, uid_t uid, gid_t gid, struct fault *fault) MUST_USE;
/* Loads the key PATH, making it and its public half (".pub" instead of ".key") where it is missing. Free with
 * secret_free(). */
int audit_place_load_key(struct sign_key **out, const char *path, struct fault *fault) MUST_USE;

/* Opens the folder PATH for who only looks; *OUT is the descriptor, or -1 where it is missing. */
int audit_place_find(int *out, const char *path, bool give, uid_t uid, struct fault *fault) MUST_USE;
/* Loads the key PATH for who only looks; where it is missing, *OUT is one that is nowhere else. Free with
 * secret_free(). */
int audit_place_find_key(struct sign_key **out, const char *path, struct fault *fault) MUST_USE;

#endif
