/* A peer: one connected edge. The hello, messages taken apart into requests, answers gathered into batches.
 *
 * Does not judge or route requests: it hands each to its owner, which answers now, later or never. Bounded:
 * answers go out in batches of at most MSG_BATCH_MAX, and the channel of an edge that does not read them is
 * closed. Loop thread only. */
#ifndef KEYSERVER_NET_PEER_H
#define KEYSERVER_NET_PEER_H

#include "keyserver/net/edge_state.h"
#include "keyserver/net/net_counters.h"
#include "keyserver/net/requests.h"
#include "proto/msg.h"

struct peer_handlers {
    /* One request, in order; borrowed. It came at RECEIVED_NS of clock_ns(). */
    void (*on_request)(struct peer *peer, const struct msg_request *request, uint64_t received_ns,
                       void *user);
    /* An answer was gathered and none had been: have them flushed in this turn. */
    void (*on_gathered)(struct peer *peer, void *user);
    /* The hellos are exchanged. */
    void (*on_greeted)(struct peer *peer, void *user);
};

struct peer {
    struct channel *channel;       /* borrowed; outlives the peer */
    struct edge_state *edge_state; /* borrowed; who it is, and what it has in all */
    struct peer *edge_next;        /* the next channel of the same edge */
    struct net_counters *counters; /* borrowed */
    const struct peer_handlers *handlers;
    void *user;                /* borrowed */
    struct request_list open;  /* of the owner's table; in the vault */
    struct request_list lists; /* the same, for lists of keys; not there yet */
    struct peer *all_prev;     /* the owner's list of all peers */
    struct peer *all_next;
    struct peer *gathered_next; /* the owner's list of peers to flush */
    bool gathered;              /* in that list */
    size_t unsent;              /* its part of the edge's */
    uint32_t in_flight_max;     /* told in our hello */
    uint64_t since_ns;          /* connected */
    uint64_t requests;          /* received */
    uint64_t refused;           /* of them */
    bool greeted;               /* hellos exchanged */
    bool closing;               /* nothing is sent or taken any more */
    const char *why;            /* a stable word why this side closed it; NULL when it did not */
    struct msg_answer *answers; /* owned; gathered, `answer_count` of `answer_size` */
    size_t answer_count;
    size_t answer_size;
    char address[ADDRESS_TEXT_SIZE];
    char software[MSG_SOFTWARE_MAX]; /* from its hello, made safe for logs */
};

/* A peer of EDGE_STATE for a channel that has just opened. NULL without memory. */
struct peer *peer_new(struct channel *channel, struct edge_state *edge_state, uint32_t in_flight_max,
                      struct net_counters *counters, const struct peer_handlers *handlers, void *user);
/* Says in the log that its channel ended, for the reason WHY of channel_handlers.on_close. */
void peer_log_end(const struct peer *peer, int why);
/* Wipes and frees; its channel is the caller's to end, its open requests the owner's. NULL is allowed. */
void peer_free(struct peer *peer);

/* Takes one data message of the channel. What is no proper message ends the channel. */
void peer_message(struct peer *peer, const uint8_t *bytes, size_t length);

/* Gather one answer to the request ID. */
void peer_answer(struct peer *peer, uint64_t id, const struct outcome *outcome);
void peer_answer_status(struct peer *peer, uint64_t id, enum operation_status status);
void peer_answer_ping(struct peer *peer, uint64_t id, uint32_t in_flight, uint32_t workers);
/* KEYS (copied) are a part of the answer; MORE says that another follows. */
void peer_answer_keys(struct peer *peer, uint64_t id, const struct key_info *keys, size_t count, bool more);

/* Sends what is gathered. */
void peer_flush(struct peer *peer);
/* Sends EPOCH, at once. */
void peer_send_epoch(struct peer *peer, const struct msg_epoch *epoch);
/* Flushes and closes explicitly; the channel's on_close follows. WHY is a stable word for the log. Calling
 * again is allowed. */
void peer_close(struct peer *peer, const char *why);

#endif
