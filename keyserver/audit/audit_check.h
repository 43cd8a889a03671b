/* The verifier of the audit log: fed with its lines, in order, it stops at the first one that is not what was
 * written, and says what was done to it.
 *
 * Every single change, removal, exchange, repetition, insertion and cut is found; that includes a chain made
 * anew, by the next checkpoint. A log without a single checkpoint is never good, live or not. A log cut right
 * behind a checkpoint looks whole by itself: that takes an anchor, a checkpoint noted elsewhere. Reads no
 * files. Pure; one thread at a time. */
#ifndef KEYSERVER_AUDIT_AUDIT_CHECK_H
#define KEYSERVER_AUDIT_AUDIT_CHECK_H

#include "keyserver/audit/audit_checkpoint.h"

#define AUDIT_CHECK_KEYS    8
#define AUDIT_CHECK_ANCHORS 2

enum audit_flaw_kind {
    FLAW_NONE,
    FLAW_ALTERED,   /* a record is not what it was */
    FLAW_MISSING,   /* records are gone */
    FLAW_MOVED,     /* a record stands too early */
    FLAW_REPEATED,  /* a record stands twice */
    FLAW_INSERTED,  /* a line that does not belong there */
    FLAW_TORN,      /* a line ends in its midst */
    FLAW_FORGED,    /* a checkpoint's signature is not over what stands before it */
    FLAW_KEY,       /* signed with another key */
    FLAW_REWRITTEN, /* another record than the one that was noted elsewhere */
    FLAW_CUT,       /* it ends before a checkpoint that was noted elsewhere */
    FLAW_OPEN,      /* it does not end with a checkpoint */
    FLAW_FORMAT,    /* in a format that is not known here */
    FLAW_KINDS
};
/* A stable name such as "altered". */
const char *audit_flaw_name(enum audit_flaw_kind kind);

struct audit_flaw {
    enum audit_flaw_kind kind;
    char file[256]; /* "" = none in particular */
    uint64_t line;  /* 1 …; 0 = none in particular */
    uint64_t seq;   /* of the record that is wrong, or of the first that is missing */
    struct fault fault;
};

struct audit_check {
    /* Set before the first line; the rest is zero then. */
    struct audit_hasher *hasher;                      /* borrowed */
    uint8_t keys[AUDIT_CHECK_KEYS][SIGN_PUBLIC_SIZE]; /* that may have signed */
    size_t key_count;                                 /* 0 = any one */
    struct audit_link anchors[AUDIT_CHECK_ANCHORS];
    size_t anchor_count;
    bool part; /* a part of a log: it may begin anywhere, and go on in a file that is not here */
    bool live; /* a vault is writing: it may end anywhere behind its first checkpoint */
    /* Is told of every record that is good; may be NULL. */
    void (*on_record)(void *context, const struct audit_record *record);
    void *context;

    struct audit_link link;        /* the last record that is good */
    struct audit_record last;      /* the same */
    uint64_t first_seq, first_ms;  /* of the first record */
    uint64_t files, checkpoints;   /* that are good */
    struct audit_link checkpoint;  /* the last one */
    uint8_t key[SIGN_PUBLIC_SIZE]; /* of the first file, then of the last; none while `files` is 0 */
    struct audit_flaw flaw;

    char file[256]; /* the present one */
    uint64_t line;
    struct {
        char text[AUDIT_LINE_MAX];
        size_t length; /* 0 = none is held */
        uint64_t line;
        bool ended, is_record;
        struct audit_record record;
    } suspect; /* a line that does not fit; what it is shows in the one after it */
};

/* A file begins, called NAME. These return 1 when something was found (see `flaw`; no more calls then),
 * otherwise 0. */
int audit_check_file(struct audit_check *check, const char *name) MUST_USE;
/* The next line, without its line end; ENDED unless it has none. */
int audit_check_line(struct audit_check *check, const char *line, size_t length, bool ended) MUST_USE;
/* There are no more files. */
int audit_check_end(struct audit_check *check) MUST_USE;

#endif
