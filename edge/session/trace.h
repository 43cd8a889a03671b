/* Trace: when each step of the last handshakes happened, for `keyless trace`.
 *
 * Not a log: it holds the last TRACE_RING_SIZE sessions of one thread, found by client random (which is sent
 * in the clear). Written by the session's thread, read by the admin endpoint's: a lock guards the ring. */
#ifndef EDGE_SESSION_TRACE_H
#define EDGE_SESSION_TRACE_H

#include "common/log.h"
#include "proto/operation.h"

#define TRACE_RING_SIZE 256

enum trace_point {
    TRACE_CLIENT_HELLO,     /* the ClientHello was there */
    TRACE_EPOCH_BEGUN,      /* the handshake paused for an epoch (bound mode) */
    TRACE_EPOCH_ENDED,      /* there is one, or none comes */
    TRACE_KEY_BEGUN,        /* the handshake paused for a key */
    TRACE_KEY_SENT,         /* the request left for a key server */
    TRACE_KEY_ANSWERED,     /* its answer was there */
    TRACE_HANDSHAKE_DONE,   /* both Finished messages are verified */
    TRACE_ORIGIN_CONNECTED, /* the origin took the connection */
    TRACE_FIRST_BYTE,       /* of the origin's answer, on its way to the client */
    TRACE_CLOSED,           /* the session ended */
    TRACE_POINTS
};

struct trace_record {
    uint8_t client_random[TLS_RANDOM_SIZE];
    struct trace_id id;
    uint64_t serial;           /* place in the ring; 0 = not put yet; set by trace_put */
    uint64_t accepted_ns;      /* of clock_ns() */
    uint64_t at[TRACE_POINTS]; /* ns since accept; 0 = not reached */
    const char *kind;          /* of the handshake; static text, NULL until done */
    const char *origin;        /* protocol whose origin it has, or "default" (borrowed); NULL until done */
    const char *result;        /* of the session; static text, NULL until over */
    /* the last key operation; kind 0 when there was none */
    enum operation_kind operation;
    enum operation_status status;
    unsigned operations;     /* in this handshake */
    uint32_t sent_bytes;     /* of its fields: hash, randoms and params, or ciphertext */
    uint32_t received_bytes; /* signature or secret */
    const char *server;      /* name of the key server that answered (borrowed), or NULL */
    uint64_t server_rtt_ns;  /* of that server's last ping */
};

struct trace_ring;

struct trace_ring *trace_new(void); /* NULL without memory */
void trace_free(struct trace_ring *ring);
/* Notes that RECORD has reached POINT now. */
void trace_mark(struct trace_record *record, enum trace_point point, uint64_t now_ns);
/* Puts RECORD into RING, or brings it up to date there if it has not been overwritten since. */
void trace_put(struct trace_ring *ring, struct trace_record *record);
/* Copies the latest record of CLIENT_RANDOM, or ERR_NOT_FOUND. */
int trace_find(struct trace_ring *ring, const uint8_t client_random[static TLS_RANDOM_SIZE],
               struct trace_record *out) MUST_USE;
/* "client_hello", "key_sent", … */
const char *trace_point_name(enum trace_point point);

#endif
