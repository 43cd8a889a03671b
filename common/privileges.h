/* Drops the privileges of a daemon: user, groups and capabilities. Linux only.
 *
 * A daemon that was started as root reads its secrets and binds its ports as root, then drops all of it for
 * good, before it reads the first byte of a peer. Before any other thread is started. */
#ifndef COMMON_PRIVILEGES_H
#define COMMON_PRIVILEGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"

/* The user name that keeps uid 0, when it is written out. */
#define PRIVILEGES_ROOT "root"

enum privileges_groups {
    PRIVILEGES_NO_GROUPS,  /* no supplementary groups */
    PRIVILEGES_OWN_GROUPS, /* those that USER is in, and none of root's */
};

/* Whether this process is root: its real, effective or saved user id is 0. */
bool privileges_is_root(void);
/* Files may be USER's from now on (permissions_set_account()), where this process is root and there is such
 * an account. */
void privileges_trust(const char *user);
/* Whether a start by the configuration FILE, which names USER (or NULL), is right: as root, ERR_CONFIG with
 * the hint without a user or for one that does not exist. Logs a warning, "root_kept", when USER is "root",
 * and "user_ignored" when this process is neither root nor USER. */
int privileges_check(const char *file, const char *user, struct fault *fault) MUST_USE;
/* The same for a dry run of FILE: USER must exist even where this process is not root. */
int privileges_check_named(const char *file, const char *user, struct fault *fault) MUST_USE;
/* The ids of the account USER. "root" has 0 and 0; another account with uid 0 is refused. ERR_CONFIG with the
 * hint. */
int privileges_find_user(const char *user, uid_t *uid, gid_t *gid, struct fault *fault) MUST_USE;
/* As root becomes USER, with GROUPS; with "root" or NULL uid 0 stays. In every case drops all capabilities,
 * from all five sets, and sets no_new_privs, so that a capability left in a bounding set that may not be cut
 * can never be gained. At the end tries to regain each of them: ERR_SYSTEM when that works for one. Not
 * dumpable afterwards. */
int privileges_drop(const char *user, enum privileges_groups groups, struct fault *fault) MUST_USE;
/* For a process that starts others: keeps the capabilities for that and for reading files. */
int privileges_keep_for_children(struct fault *fault) MUST_USE;
/* Whether BYTES of memory may be locked: with CAP_IPC_LOCK, or by the hard limit. */
bool privileges_may_lock(size_t bytes);

#endif
