/* The wall: the only way between the net process (sockets, never a key) and the vault (keys, never a socket).
 *
 * Slots of a fixed size go both ways through two rings in memory that both processes map (ring.h), and a
 * descriptor between them wakes who sleeps and says when the other is gone. No pointers, no parsing, and only
 * what an operation borrows (handshake messages) has a length, which stands in its slot: the receiver copies
 * a slot first and then checks every field of its copy (wall_request_check). Neither side trusts the other:
 * what is wrong is refused or counts as the other's end, never read out of bounds. Secrets lie in the rings
 * as long as the other side has not taken them; the taker wipes them there, and a core dump leaves the rings
 * out. Each end belongs to one thread. */
#ifndef KEYSERVER_WALL_WALL_H
#define KEYSERVER_WALL_WALL_H

#include "common/address.h"
#include "common/channel_name.h"
#include "common/identity.h"
#include "common/log.h"
#include "keyserver/rules/refusal.h"
#include "keyserver/wall/ring.h"
#include "proto/operation.h"
#include "proto/session_id.h"

#define WALL_BATCH_MAX 32 /* slots in one batch */
#define WALL_KEYS_MAX  10 /* key_info entries in one answer slot */

/* Net → vault. */
enum wall_request_kind {
    WALL_OPERATION = 1,    /* judge and perform `operation` */
    WALL_CANCEL = 2,       /* `token` is wanted no more: drop it if it has not begun; no answer comes */
    WALL_EPOCH_WANTED = 3, /* what is the epoch key of this edge now? No token; a WALL_EPOCH answers it */
};

struct wall_request {
    uint64_t token;                      /* the net side's name for it; not 0; comes back in the answer */
    uint64_t deadline_ns;                /* of clock_ns() */
    uint8_t edge_key[IDENTITY_KEY_SIZE]; /* the authenticated edge */
    struct trace_id trace;
    uint8_t channel[CHANNEL_NAME_SIZE];
    uint32_t kind;               /* enum wall_request_kind */
    uint8_t no_trace, no_key_id; /* not 0: the edge sent none */
    uint32_t from_family;        /* AF_INET or AF_INET6 of the edge's address, 0 for a unix socket */
    uint8_t from[ADDRESS_BYTES_MAX];
    /* The bytes that it borrows are the sender's until it is sent, and the wall's until the next receive. */
    struct operation operation;
};

/* Vault → net. */
enum wall_answer_kind {
    WALL_OUTCOME = 1, /* `u.outcome` answers `token` */
    WALL_KEYS = 2,    /* `u.keys` is a part of the answer to an OP_KEYS; `more` says that another follows */
    WALL_STATS = 3,   /* `u.stats`, unasked, about once a second and whenever an epoch begins */
    WALL_EPOCH = 4,   /* `u.epoch`, when it was wanted; without a token */
};

/* Counted in the vault, shown by the net process to the key's owner. Totals since the vault started. */
struct wall_stats {
    uint64_t outcomes[OP_KINDS][STATUS_KINDS];
    uint64_t refusals[REFUSAL_KINDS];
    uint64_t busy_ns[OP_KINDS]; /* time spent in private-key operations */
    uint64_t faults;            /* results that did not pass their check and were not released */
    uint64_t epoch;             /* its number */
    uint64_t epoch_ahead_ms;    /* how far the time of epochs is ahead of the clock, which was set back */
    uint64_t audit_seq;         /* of the last record */
    uint64_t log_dropped;       /* log lines that nobody read in time */
    uint64_t audit_unrecorded;  /* answers that left without a record */
    uint64_t audit_withheld;    /* results not released, since they could not be recorded */
    uint32_t keys;              /* loaded */
    uint32_t key_files_skipped; /* found wrong and passed over */
    uint32_t queued;            /* waiting now */
    uint32_t working;           /* being computed now */
    uint32_t workers;
    uint32_t ready;                                       /* 1 once the keys are loaded */
    uint32_t audit_failing;                               /* 1 while the audit log cannot be written */
    uint32_t refuses_all;                                 /* 1 while every use of a key is refused for that */
    uint32_t calls_filtered, files_denied, memory_locked; /* 1 each: what holds the vault */
};

struct wall_answer {
    uint64_t token;
    uint32_t kind; /* enum wall_answer_kind */
    uint32_t more;
    union {
        struct outcome outcome;
        struct {
            uint32_t count;
            struct key_info item[WALL_KEYS_MAX];
        } keys;
        struct wall_stats stats;
        struct {
            uint8_t edge_key[IDENTITY_KEY_SIZE];
            uint8_t key[EPOCH_KEY_SIZE];
            uint64_t number;  /* 0: this edge may have none */
            uint32_t left_ms; /* how long session ids made with it will be accepted */
        } epoch;
    } u;
};

struct wall_memory;

/* One end. */
struct wall {
    int fd;                     /* owned; to the other end */
    bool cut;                   /* the other side is gone, or as good as gone */
    bool garbage;               /* it is, since its positions in the rings were none that it could have */
    struct wall_memory *memory; /* owned; the mapping of both rings */
    struct ring_producer out;
    struct ring_consumer in;
    uint8_t *inbox; /* owned; what the operations of the last batch borrow; NULL before the first */
};

/* What to sleep for. */
enum wall_wish {
    WALL_SLOTS = 1, /* something can be received */
    WALL_ROOM = 2,  /* what did not fit can be sent */
};

/* Makes a wall. Each end is one descriptor (the memory waits in it), non-blocking and close-on-exec, for the
 * process that adopts it. ERR_SYSTEM. */
int wall_pair(int *net, int *vault) MUST_USE;
/* Takes FD, an end made by wall_pair(), and maps its memory. ERR_SYSTEM, ERR_FORMAT, or ERR_BUSY for one that
 * somebody has adopted already: FD is closed, and the wall as good as closed. */
int wall_adopt(struct wall *wall, int fd) MUST_USE;
/* Calling again is allowed, and on a wall of which only `fd` is set, to -1. */
void wall_close(struct wall *wall);
/* For a poll or a loop: readable when wall_woken() is to be called. */
int wall_fd(const struct wall *wall);

/* Before sleeping until wall_fd() is readable: asks the other side to wake this one for WISHES, of enum
 * wall_wish. False when one of them is fulfilled already: do not sleep. */
bool wall_sleep(struct wall *wall, unsigned wishes) MUST_USE;
/* wall_fd() is readable: notes why. What is there to receive or sent may be tried again. */
void wall_woken(struct wall *wall);

/* Send COUNT slots, in order. Returns how many were taken (0 … COUNT; fewer when the other side is behind),
 * or ERR_CUT when it is known to be gone. No system call, but to wake a side that sleeps. */
int wall_send_requests(struct wall *wall, const struct wall_request *slots, size_t count) MUST_USE;
int wall_send_answers(struct wall *wall, const struct wall_answer *slots, size_t count) MUST_USE;
/* Receive what is there, at most MAX slots, copied. Returns the number, 0 for nothing now, ERR_CUT when there
 * is nothing more and the other side is gone, or its ring is garbage; ERR_FORMAT for one slot that is none
 * (the receiver goes on; it is counted), ERR_MEMORY. */
int wall_receive_requests(struct wall *wall, struct wall_request *slots, size_t max) MUST_USE;
int wall_receive_answers(struct wall *wall, struct wall_answer *slots, size_t max) MUST_USE;

/* Checks every length and enumeration of a copied slot; 0 or ERR_FORMAT. After it, no field can lead a reader
 * out of bounds. Pure. */
int wall_request_check(const struct wall_request *slot) MUST_USE;
/* The field of SLOT whose bytes are not in the slot but follow it through the wall, or NULL. */
const struct operation_field *wall_request_borrowed(const struct wall_request *slot);
int wall_answer_check(const struct wall_answer *slot) MUST_USE;

#endif
