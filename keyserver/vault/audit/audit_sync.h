/* The audit log's way to the disk: a thread of its own waits for it, so that the I/O thread never does.
 *
 * Also writes the file `head`, and only with a checkpoint that has reached the disk: whatever happens to the
 * machine, the log is never shorter than its head says. All of it is for the I/O thread; what is about the
 * head alone may be called by any. */
#ifndef KEYSERVER_VAULT_AUDIT_SYNC_H
#define KEYSERVER_VAULT_AUDIT_SYNC_H

#include "keyserver/audit/audit_checkpoint.h"

struct audit_sync;

/* Starts the thread for the files of FOLDER, a descriptor, and heads signed by KEY, both borrowed. After
 * process_deny_files_but(), which it inherits, and before the sandbox, which forbids new threads. NULL with
 * errno without memory or threads. */
struct audit_sync *audit_sync_new(int folder, const struct sign_key *key);
/* Does what was asked for, closes what was retired, ends the thread; NULL is allowed. */
void audit_sync_free(struct audit_sync *sync);

/* Asks for FD, borrowed until it is retired, to be brought to the disk, then for HEAD (may be NULL) to be
 * noted. A head that was asked for before and is still waiting is replaced. */
void audit_sync_want(struct audit_sync *sync, int fd, const struct audit_head *head);
/* Asks for HEAD to be noted, of a checkpoint that was asked for before. */
void audit_sync_note(struct audit_sync *sync, const struct audit_head *head);
/* The highest time of epochs of a note that has reached the disk; 0 = none has. */
uint64_t audit_sync_noted_epoch(struct audit_sync *sync);
/* Takes FD: brings it and FOLDER to the disk and closes it. */
void audit_sync_retire(struct audit_sync *sync, int fd);
/* Waits while many that were retired are waiting for the disk: a log must not be written faster than that. */
void audit_sync_keep_pace(struct audit_sync *sync);
/* The errno of a failure since the last call, or 0. After one it must be assumed that records are lost. */
int audit_sync_failure(struct audit_sync *sync);

/* Brings HEAD to the file `head` in FOLDER and to the disk. Of a note by KEY that stands there, by another
 * vault, the later checkpoint and the later time of epochs stay. ERR_SYSTEM. */
int audit_head_store(int folder, const struct audit_head *head, const struct sign_key *key) MUST_USE;
/* ERR_NOT_FOUND; ERR_FORMAT when it is none. */
int audit_head_load(int folder, struct audit_head *out) MUST_USE;

#endif
