/* The audit log as one long list of records over many files, shared with another vault during a reload.
 *
 * Between audit_log_begin() and audit_log_end() the log is locked and known to its last record; what is added
 * meanwhile stands in it as a whole after the end, or not at all. Decides nothing about what is recorded, or
 * when. The I/O thread's. */
#ifndef KEYSERVER_VAULT_AUDIT_LOG_H
#define KEYSERVER_VAULT_AUDIT_LOG_H

#include <sys/types.h>

#include "keyserver/vault/audit/audit.h"
#include "keyserver/vault/audit/audit_segment.h"
#include "keyserver/vault/audit/audit_sync.h"

struct audit_log {
    /* Set before it is opened; the rest is zero then. */
    int folder;                 /* borrowed */
    const struct sign_key *key; /* borrowed */
    uint64_t rotate_size;
    bool sync_always;
    bool give_away; /* files that are made now are to belong to: */
    uid_t uid;
    gid_t gid;
    const struct audit_quotas *quotas; /* borrowed */
    struct handover *handover;         /* borrowed; NULL: nobody was before, and nobody follows */
    const char *folder_path;           /* borrowed */
    uint64_t time_ms, epoch_ms;        /* of what is added */
    uint64_t mono_ms;                  /* the same time, of a clock that is never set */

    struct audit_sync *sync; /* borrowed; NULL until there is one */
    struct audit_segment segment;
    struct audit_follow follow; /* what stands in the files; its on_record and context are set before */
    uint64_t least;             /* the next file begins behind this record, at least */
    bool head_due;       /* more is counted of quotas than the log tells: a file begins, whose head does */
    bool impatient;      /* a file that somebody holds is not waited for: nothing could be written before */
    bool folder_dirty;   /* a file was made whose name may not have reached the disk */
    unsigned generation; /* another one: names must be explained again */
    uint64_t torn;       /* bytes of unfinished lines that were cut off */
    struct audit_record damage; /* to be recorded; type 0 = none */
    struct audit_head head;     /* our last checkpoint in the log; seq 0 = none */
    struct {
        bool wanted;             /* the vault before may use more, beside this log (audit_takeover.h) */
        bool raised;             /* it did */
        size_t next;             /* place in what it leaves */
        uint64_t due_ms, end_ms; /* of mono_ms */
    } late;

    /* Between begin and end. */
    char *lines; /* owned; what was added: `length` bytes in `size` */
    size_t length, size;
    uint64_t added;         /* lines */
    struct audit_link made; /* where the chain will be after them */
    struct audit_head note; /* the checkpoint among it; seq 0 = none */
    int spoilt;             /* why one of them could not be made, or 0 */
};

/* Finds the end of the log in its folder, if there is one, and writes nothing yet. What is wrong with the log
 * is logged, and will be recorded. Waits for a vault before that serves (audit_open()). ERR_CONFIG,
 * ERR_SYSTEM, ERR_BUSY, ERR_MEMORY. */
int audit_log_open(struct audit_log *log, struct fault *fault) MUST_USE;
void audit_log_close(struct audit_log *log);

/* True when others have added to the file that is written; they may be about to add more. Quick. */
bool audit_log_has_grown(const struct audit_log *log);
/* Locks; begins the log where there is none; reads what others have added; goes on in the next file when it
 * is time, when others have, or when this one is damaged. THOROUGH: also when the file is not where it was,
 * or another key signs it. ERR_BUSY, ERR_SYSTEM; errno says why. */
int audit_log_begin(struct audit_log *log, bool thorough) MUST_USE;
/* Adds RECORD, whose time is set, or the body of one that was packed before. */
void audit_log_add(struct audit_log *log, struct audit_record *record);
void audit_log_add_body(struct audit_log *log, const char *body, size_t length);
/* Says that the file which is written was signed by another key; the next one is ours. */
void audit_log_note_other_key(const struct audit_log *log);
/* Adds a checkpoint, if this file is signed by our key. */
void audit_log_add_checkpoint(struct audit_log *log);
/* Writes what was added, and unlocks. When it fails nothing of it stands in the log; errno says why. */
int audit_log_end(struct audit_log *log) MUST_USE;

/* Appends what was added to SEGMENT, which is locked, and forgets it. */
int audit_log_write(struct audit_log *log, struct audit_segment *segment) MUST_USE;
/* Begins to add, at the end of what stands in the log. */
void audit_log_reset(struct audit_log *log);
/* The time of epochs, no less than the log has seen. */
uint64_t audit_log_epoch(const struct audit_log *log);
/* True when our key signs this file. */
bool audit_log_is_ours(const struct audit_log *log);

#endif
