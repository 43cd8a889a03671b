/* One key server writes the log of a folder: that is what the file `lock` in it is for. It is locked for as
 * long as a vault of that key server lives, and says who that is. The vaults of one key server share it:
 * during a reload there are two.
 *
 * The lock is the kernel's (flock(2)): nothing has to be removed after a crash. Start-up only; waits. */
#ifndef KEYSERVER_VAULT_AUDIT_AUDIT_LOCK_H
#define KEYSERVER_VAULT_AUDIT_AUDIT_LOCK_H

#include <sys/types.h>

#include "common/err.h"
#include "keyserver/vault/audit/handover.h"

#define AUDIT_LOCK_FILE "lock"

/* Who is to have the lock. */
struct audit_lock_owner {
    const uint8_t *id; /* borrowed; HANDOVER_ID_SIZE bytes that only vaults of this key server know */
    long pid;          /* of the key server, for whoever is refused */
    bool make;         /* the file, where there is none */
    bool give;         /* as root: the file is to belong to */
    uid_t uid;
    gid_t gid;
};

/* Takes the lock of the folder that is open as FOLDER and has the path PATH: *OUT is the descriptor, which
 * holds it until it is closed. Waits up to five seconds for another key server that has it, since that may be
 * about to end. ERR_BUSY: it keeps it, FAULT says who. ERR_NOT_FOUND: there is no file, and none was to be
 * made. ERR_SYSTEM with the hint and errno: the file cannot be used. */
int audit_lock_take(int *out, int folder, const char *path, const struct audit_lock_owner *owner,
                    struct fault *fault) MUST_USE;
/* Whether the file of FOLDER is one that audit_lock_take() can lock, or make, for OWNER, of whom the id is
 * not used. Takes, waits for and changes nothing. ERR_SYSTEM with the hint and errno. */
int audit_lock_check(int folder, const char *path, const struct audit_lock_owner *owner,
                     struct fault *fault) MUST_USE;

#endif
