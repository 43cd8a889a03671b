/* Following the audit log: reads what stands in its files, in order, checks that each record follows from the
 * one before, and keeps what is needed to write the next one.
 *
 * Not the verifier (audit_check.h): it does not stop at damage, but notes the first place, finds its way back
 * to a record that fits, and goes on; a log that somebody has altered must still be written to, and what
 * can be read of it still counts. Pure; one thread at a time. */
#ifndef KEYSERVER_AUDIT_AUDIT_FOLLOW_H
#define KEYSERVER_AUDIT_AUDIT_FOLLOW_H

#include "keyserver/audit/audit_checkpoint.h"

#define AUDIT_CHECKPOINT_MAX 512 /* bytes of a checkpoint's line */

/* The first place that does not fit. */
struct audit_wound {
    const char *what; /* static; NULL = there is none */
    uint64_t line;    /* of the file, 1 … */
    uint64_t seq;     /* of the record that was due there */
};

struct audit_follow {
    struct audit_hasher *hasher; /* borrowed */
    /* Is told of every `use` that is read, and of every `quota` and `rate` while `quota_replay_wanted`, with
     * the `epoch_ms` that was reached by then; may be NULL. */
    void (*on_record)(void *context, const struct audit_record *record, uint64_t epoch_ms);
    void *context;
    bool quota_replay_wanted;
    struct audit_link anchor; /* a record that was noted elsewhere and must be like that; seq 0 = none */

    struct audit_link link;               /* the last record that fits */
    uint64_t epoch_ms;                    /* the highest that was seen, of `time` too */
    uint64_t checkpoint_seq;              /* of the last checkpoint; 0 = none was seen */
    uint8_t public_key[SIGN_PUBLIC_SIZE]; /* of this file */
    uint64_t records, lines;              /* of this file; the first are those that fit */
    uint64_t quota_replay_due;            /* records of its head part that are still to come */
    uint64_t format;                      /* of this file, by its head; 0 = it was not read yet */
    bool headed;                          /* its head was read */
    bool closed;                          /* it ends with a `rotate` */
    bool anywhere;                        /* nothing is known of what comes before this file */
    bool skipping;                        /* in the midst of a line that is longer than any record */
    struct audit_link astray; /* what the last line that did not fit said of itself; seq 0 = none */
    struct audit_wound wound;
    struct {
        char line[AUDIT_CHECKPOINT_MAX];
        size_t length; /* 0 = none, or looked at */
        uint64_t number;
        uint8_t before[AUDIT_HASH_SIZE];
    } checkpoint; /* the last one, for audit_follow_check() */
};

/* Another file begins. With ANYWHERE, at whatever record its head says. */
void audit_follow_file(struct audit_follow *follow, bool anywhere);
/* Takes the whole lines of what follows in the file and returns their length; also of a line without an end
 * as soon as it is longer than any record. */
size_t audit_follow_bytes(struct audit_follow *follow, const char *bytes, size_t length);
/* Verifies the signature of the last checkpoint that was read since the last call; it stands for all before.
 */
void audit_follow_check(struct audit_follow *follow);
/* True once the head part of the file is complete: records may follow. */
bool audit_follow_is_ready(const struct audit_follow *follow);

#endif
