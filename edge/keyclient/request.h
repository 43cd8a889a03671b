/* Request: what the owner of a request gives to the client and gets back, and what the client notes on it
 * meanwhile. */
#ifndef EDGE_KEYCLIENT_REQUEST_H
#define EDGE_KEYCLIENT_REQUEST_H

#include "common/log.h"
#include "edge/keyclient/dispatch.h"
#include "proto/operation.h"

struct conn;
struct client_request;

/* One sending of a request to one server, while its answer is due. Private to the client. */
struct client_attempt {
    uint64_t id;                    /* on its channel */
    struct conn *conn;              /* NULL = not in use; borrowed */
    struct client_request *request; /* whose; borrowed */
    uint64_t sent_ns;               /* 0 = not in a batch yet */
    struct client_attempt *prev, *next;
    struct client_attempt *chain; /* in the table of open ids */
};

/* One request, embedded in its owner, who zeroes it once and keeps it alive from client_submit until
 * on_answer or client_cancel. */
struct client_request {
    /* set by the owner before client_submit */
    struct operation operation;
    struct trace_id trace;
    uint64_t epoch;       /* rsa_master: client_epoch.id that the session was marked with; 0 = none */
    uint64_t deadline_ns; /* of clock_ns(): no answer by then is STATUS_UNAVAILABLE */
    /* Exactly once, from the loop or from client_close, never from inside client_submit; not after
     * client_cancel. The request may be freed or submitted again inside. */
    void (*on_answer)(struct client_request *request);
    void *user;
    /* set before on_answer */
    struct outcome outcome; /* the owner wipes it after use */
    bool answered;          /* the outcome is what a key server said */
    size_t server;          /* and this is its number in client_settings.servers */
    uint64_t sent_ns;       /* when it last went into a batch; 0 = never */
    uint64_t answered_ns;
    bool gone;      /* not asked, or no longer: every server was known to be gone (settings.fail_when_gone) */
    unsigned tries; /* servers it was sent to */
    /* private to the client */
    unsigned unable; /* of them that said that they could do nothing */
    unsigned lost;   /* of them whose channel was lost before they answered */
    bool open;
    bool waiting; /* for a server: in the client's queue */
    bool retried; /* after an answer that was none */
    bool hedged;  /* sent to a second server while the first was due */
    bool pinned;  /* may go to one server only */
    struct client_attempt attempts[DISPATCH_ATTEMPTS_MAX];
    uint64_t tried; /* servers it was given to: bits by their numbers, modulo 64 */
    /* Takes a part of a list of keys; negative refuses the rest. NULL: lists are dropped. */
    int (*on_part)(struct client_request *request, const struct key_info *keys, size_t count);
    struct client_request *prev, *next; /* in the queue */
    size_t due_slot;                    /* place among the deadlines + 1 */
};

#endif
