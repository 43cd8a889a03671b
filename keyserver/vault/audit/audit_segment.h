/* One file of the audit log, as those who write it see it: locked for every batch, read forward by what
 * another vault has appended, appended to with one write, put back when that failed.
 *
 * Knows bytes and lines; what they mean is audit_follow's. The I/O thread's. */
#ifndef KEYSERVER_VAULT_AUDIT_SEGMENT_H
#define KEYSERVER_VAULT_AUDIT_SEGMENT_H

#include "keyserver/audit/audit_follow.h"

#define AUDIT_READ_SIZE 65536 /* bytes read at once */

struct audit_segment {
    int fd; /* owned; -1 = none */
    char name[AUDIT_FILE_SIZE];
    uint64_t end;      /* bytes that were read or written so far, whole lines */
    uint64_t head_end; /* of them, the head part */
    bool ours;         /* we have written to it, or asked for it to be brought to the disk */
};

enum audit_segment_state {
    SEGMENT_SAME,  /* nothing new */
    SEGMENT_GROWN, /* another vault has appended */
    SEGMENT_CUT,   /* it is shorter than it was */
    SEGMENT_GONE,  /* it was removed */
};

/* Opens the file of FOLDER that begins with record SEQ; with MAKE, makes it. ERR_NOT_FOUND, ERR_SYSTEM. */
int audit_segment_open(struct audit_segment *segment, int folder, uint64_t seq, bool make) MUST_USE;
void audit_segment_close(struct audit_segment *segment);

/* Keeps other vaults from writing. ERR_BUSY when one does not let go: within two seconds if this WAITS, else
 * at once. */
int audit_segment_lock(struct audit_segment *segment, bool waits) MUST_USE;
void audit_segment_unlock(struct audit_segment *segment);

/* What has happened to the file, and its SIZE. Locked: until then a size may be that of a batch that fails.
 * ERR_SYSTEM. */
int audit_segment_look(const struct audit_segment *segment, enum audit_segment_state *state,
                       uint64_t *size) MUST_USE;
/* NAMED: the file is the one that its name in FOLDER stands for. ERR_SYSTEM with errno when that cannot be
 * known. */
int audit_segment_look_up(const struct audit_segment *segment, int folder, bool *named) MUST_USE;
/* Hands the whole lines up to SIZE to FOLLOW and moves on. With HEAD_ONLY, no further than the head part
 * needs. ERR_SYSTEM. */
int audit_segment_read(struct audit_segment *segment, struct audit_follow *follow, uint64_t size,
                       bool head_only) MUST_USE;
/* Cuts the file to what was read: an unfinished line, or a batch that failed. Locked. ERR_SYSTEM. */
int audit_segment_cut(struct audit_segment *segment) MUST_USE;
/* Appends whole lines, and with SYNC brings them to the disk. Locked. ERR_SYSTEM, errno says why, and none of
 * it stands in the file. (Unless the file cannot be cut either, on a disk that has failed: then whole lines
 * that do stand there are read like those of another vault.) */
int audit_segment_append(struct audit_segment *segment, const void *bytes, size_t length, bool sync) MUST_USE;

#endif
