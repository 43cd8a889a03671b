/* Records of the audit log: typed fields to a line of JSON and back; one line a record, members in a fixed
 * order.
 *
 * There is one way to write a record: what parses is exactly what would be packed, to the byte. Everything in
 * a line is printable ASCII, whatever the fields hold; other bytes are written \u00XX each. Never a secret.
 * Knows no chain, no signature and no file. Pure; any thread. */
#ifndef KEYSERVER_AUDIT_AUDIT_RECORD_H
#define KEYSERVER_AUDIT_AUDIT_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/channel_name.h"
#include "common/err.h"

#define AUDIT_FORMAT         2    /* version of what is described here */
#define AUDIT_FORMAT_FIRST   1    /* is read, too: it has no `rate`, and leaves out zeros */
#define AUDIT_LINE_MAX       4096 /* bytes of a line, its line end included */
#define AUDIT_BODY_MAX       3840 /* of its part between `seq` and `hash` */
#define AUDIT_HASH_SIZE      32   /* SHA-256 */
#define AUDIT_KEY_SIZE       32   /* a public key, a key id, a policy's digest */
#define AUDIT_SIGNATURE_SIZE 64
#define AUDIT_TRACE_SIZE     16
#define AUDIT_DIGEST_SIZE    16
#define AUDIT_EDGE_NAME_SIZE 64  /* characters with the final zero */
#define AUDIT_KEY_NAME_SIZE  128 /* the same */
#define AUDIT_TEXT_SIZE      256 /* the same */
#define AUDIT_WORD_SIZE      32  /* the same; a word is made of a-z, 0-9, '_', '.' and '-' */
#define AUDIT_SEQ_MAX        UINT64_C(999999999999999)
#define AUDIT_TIME_MAX       UINT64_C(253402300799999) /* the last millisecond of the year 9999 */

enum audit_type {
    AUDIT_SEGMENT = 1, /* the head of each file */
    AUDIT_START,       /* a vault begins */
    AUDIT_EDGE,        /* whom an edge's name stands for */
    AUDIT_KEY,         /* what a key's name stands for */
    AUDIT_USE,         /* one decision on one key */
    AUDIT_REFUSALS,    /* decisions of one kind beyond the budget of an edge, as a number */
    AUDIT_QUOTA,       /* how much of a quota is used; in the head part of a file */
    AUDIT_RATE,        /* how much a rate has not made up for yet; in the head part of a file */
    AUDIT_GAP,         /* for a time nothing could be recorded */
    AUDIT_DAMAGE,      /* the log was found altered */
    AUDIT_CHECKPOINT,  /* signs everything before it, and itself */
    AUDIT_ROTATE,      /* the last record of a file; another follows */
    AUDIT_STOP,        /* a vault ends */
    AUDIT_TYPES
};

enum audit_result {
    AUDIT_OK,
    AUDIT_REFUSED,
    AUDIT_BUSY,      /* granted, but there was no room for it */
    AUDIT_EXPIRED,   /* granted, but its deadline passed in the queue */
    AUDIT_CANCELLED, /* granted, but nobody waited for it any more */
    AUDIT_FAULT,     /* computed, but the result did not pass its check and was not released */
    AUDIT_RESULTS
};

/* What a use may lack: bits of `has`. Zeros may be what somebody sent, so they do not say it. */
enum audit_field {
    AUDIT_HAS_EDGE_KEY = 1,
    AUDIT_HAS_KEY_ID = 2,
    AUDIT_HAS_TRACE = 4,
    AUDIT_HAS_CHANNEL = 8,
    AUDIT_HAS_DIGEST = 16,
};

/* One record. Which fields a type has, in which order, and which of them may be left out is in
 * audit_members.c; an optional field is left out when it has a bit in `has` that is not set, or none and is
 * empty or zero. */
struct audit_record {
    uint8_t has;      /* use: which of the fields with such a bit there are */
    uint64_t seq;     /* 1 … AUDIT_SEQ_MAX; set by parsing */
    uint64_t time_ms; /* since 1970, UTC */
    enum audit_type type;

    char edge[AUDIT_EDGE_NAME_SIZE];  /* edge, use, refusals, quota, rate; "" = none is known */
    uint8_t edge_key[AUDIT_KEY_SIZE]; /* edge; use: who asked, where no name is known */
    char key[AUDIT_KEY_NAME_SIZE];    /* key, use, quota, rate; "" = none is known */
    uint8_t key_id[AUDIT_KEY_SIZE];   /* key; use: what was asked for, where no name is known */
    char kind[AUDIT_WORD_SIZE];       /* key: its type */
    uint64_t bits;                    /* key */

    char op[AUDIT_WORD_SIZE];     /* use */
    char scheme[AUDIT_WORD_SIZE]; /* use: of a signature */
    char mode[AUDIT_WORD_SIZE];   /* use: of RSA key exchange, "bound" or "plain" */
    char name[AUDIT_TEXT_SIZE];   /* use: the server name that the client asked for */
    uint8_t trace[AUDIT_TRACE_SIZE];
    uint8_t channel[CHANNEL_NAME_SIZE];
    uint8_t digest[AUDIT_DIGEST_SIZE]; /* use: names the request; see request_digest() */
    enum audit_result result;          /* use, refusals */
    char reason[AUDIT_WORD_SIZE];      /* use, refusals: why it was refused */
    uint64_t count;                    /* refusals */

    uint64_t window_s; /* quota: its length */
    uint64_t start_s;  /* quota: since when, since 1970 */
    uint64_t used;     /* quota, rate */

    char version[AUDIT_WORD_SIZE];  /* start */
    uint64_t edges, keys;           /* start: how many there are */
    uint8_t policy[AUDIT_KEY_SIZE]; /* start: a digest of the rules that it judges by */
    uint64_t torn;                  /* start: bytes of an unfinished record that were cut off */

    uint64_t since_ms;   /* gap: when it began */
    uint64_t unrecorded; /* gap: answers that left without a record */
    uint64_t withheld;   /* gap: results that were not released, since they could not be recorded */

    char file[AUDIT_EDGE_NAME_SIZE]; /* damage: where */
    uint64_t line;                   /* damage: 1 …; 0 = the whole file */
    char what[AUDIT_TEXT_SIZE];      /* damage: in words */

    uint64_t format;                         /* segment: AUDIT_FORMAT_FIRST … AUDIT_FORMAT */
    uint8_t previous[AUDIT_HASH_SIZE];       /* segment: of the record before; zeros for the first */
    uint8_t public_key[AUDIT_KEY_SIZE];      /* segment: signs its checkpoints */
    uint64_t quotas;                         /* segment: so many quotas and rates complete the head part */
    uint64_t epoch_ms;                       /* segment, checkpoint: the time of epochs */
    uint8_t signature[AUDIT_SIGNATURE_SIZE]; /* checkpoint; see audit_checkpoint.h */

    uint8_t hash[AUDIT_HASH_SIZE]; /* set by parsing */
};

/* What stands between `seq` and `hash`, from its comma on, into OUT; returns its length. `seq` and `hash` are
 * the chain's (audit_chain.h). Times beyond AUDIT_TIME_MAX are written as that. */
size_t audit_record_pack(const struct audit_record *record, char out[static AUDIT_BODY_MAX]);
/* Reads a whole line of LENGTH bytes, without its line end. ERR_FORMAT for everything that is not exactly
 * what this module writes; ERR_UNSUPPORTED for the head of a file in another format. Whether the record
 * belongs where it stands is not its business. */
int audit_record_parse(struct audit_record *out, const char *line, size_t length) MUST_USE;

/* The head and the tail of a line, around what audit_record_pack() makes. Both return the length. */
#define AUDIT_SEQ_ROOM  32 /* at most, for `{"seq":N` */
#define AUDIT_TAIL_SIZE 75 /* exactly, for `,"hash":"…"}` without the line end */
size_t audit_record_pack_seq(char out[static AUDIT_SEQ_ROOM], uint64_t seq);
size_t audit_record_pack_hash(char out[static AUDIT_TAIL_SIZE], const uint8_t hash[static AUDIT_HASH_SIZE]);

/* Stable names, as they stand in the records; NULL when there is none. */
const char *audit_type_name(enum audit_type type);
const char *audit_result_name(enum audit_result result);
/* ERR_NOT_FOUND. */
int audit_result_parse(const char *name, enum audit_result *result) MUST_USE;
/* "2026-01-31T12:00:00.123Z" */
#define AUDIT_TIME_SIZE 25 /* with the final zero */
char *audit_time_text(uint64_t time_ms, char out[static AUDIT_TIME_SIZE]);

#endif
