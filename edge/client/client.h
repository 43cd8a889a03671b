/* The client: one thread's way to the key servers. A pool of channels behind three verbs.
 *
 * Keeps one channel to each configured key server, reconnects with jittered back-off, re-handshakes hourly,
 * pings, batches what one loop turn submits into one message a server, chooses the less loaded of two healthy
 * servers, and gives a request that lost its server to another while its deadline allows (operations are
 * idempotent). What comes back is checked for length and form. Knows the protocol, not OpenSSL. Loop thread
 * only. */
#ifndef EDGE_CLIENT_CLIENT_H
#define EDGE_CLIENT_CLIENT_H

#include <uv.h>

#include "common/address.h"
#include "common/identity.h"
#include "common/log.h"
#include "common/metrics.h"
#include "proto/operation.h"

struct client;

/* A key server as configured; borrowed by the client for its life. */
struct client_server {
    const char *name;
    struct address address;
    uint8_t key[IDENTITY_KEY_SIZE]; /* its pinned identity */
    uint8_t psk[IDENTITY_KEY_SIZE];
};

/* Counters of one key server, shared by the threads of a daemon; `client_server_stats` array parallel to the
 * servers. */
struct client_server_stats {
    counter connected; /* gauge: threads with a live channel (add 1, subtract by adding -1) */
    counter connects;  /* channels opened */
    counter lost;      /* channels lost after they were open */
    counter failed;    /* connects that did not come to a channel */
    counter requests[OP_KINDS];
    counter answers[OP_KINDS][STATUS_KINDS];
    counter timeouts;         /* requests that got no answer from this server in time */
    counter retried;          /* requests taken from this server to another */
    counter stray;            /* answers without a request: late, twice, wrong id */
    counter malformed;        /* answers of wrong length or form */
    counter in_flight;        /* gauge */
    counter rtt_ns;           /* gauge: last ping */
    struct histogram latency; /* answered signature and pre-master requests */
};

struct client_settings {
    const struct identity *identity;     /* borrowed */
    const struct client_server *servers; /* borrowed */
    size_t server_count;
    struct client_server_stats *stats; /* borrowed, server_count */
    uint64_t connect_timeout_ms;       /* 5,000 */
    uint64_t backoff_min_ms;           /* 100 */
    uint64_t backoff_max_ms;           /* 10,000 */
    uint64_t ping_interval_ms;         /* 5,000; two missed pings eject a server */
    uint64_t rehandshake_ms;           /* 3,600,000, jittered by ±10 % */
    unsigned in_flight_max;            /* requests open in this thread before submit says ERR_BUSY; 65,536 */
    const char *software;              /* for the hello */
    /* Called when the number of usable servers changes; may be NULL. */
    void (*on_servers)(unsigned usable, void *user);
    void *user;
};

/* One request, embedded in its owner, who keeps it alive from client_submit until on_answer or client_cancel.
 */
struct client_request {
    /* set by the owner before client_submit */
    struct operation operation;
    struct trace_id trace;
    uint64_t deadline_ns; /* of clock_ns(): no answer by then is STATUS_UNAVAILABLE */
    /* Exactly once, from the loop, never from inside client_submit; not after client_cancel. The request may
     * be freed or submitted again inside. */
    void (*on_answer)(struct client_request *request);
    void *user;
    /* set before on_answer */
    struct outcome outcome;
    const char *server; /* name of the key server that answered; NULL when none did */
    uint64_t sent_ns;   /* when it last went into a batch; 0 = never */
    uint64_t answered_ns;
    unsigned tries; /* servers it was sent to */
    /* private to client.c */
    struct client_link *link;
    uint64_t id;
    struct client_request *next, *previous;
    void *hash[8]; /* room for a table handle (checked at compile time) */
};

/* Starts connecting at once. NULL without memory. */
struct client *client_new(uv_loop_t *loop, const struct client_settings *settings);
/* Cancels what is open (on_answer with STATUS_UNAVAILABLE), closes the channels explicitly; memory goes with
 * the loop's close callbacks. NULL is allowed. */
void client_close(struct client *client);

/* Queues REQUEST; it leaves with the others of this loop turn. Waits, within its deadline, for a server when
 * none is connected at the moment but one may come back. ERR_BUSY at in_flight_max; then on_answer does not
 * come. */
int client_submit(struct client *client, struct client_request *request) MUST_USE;
/* Forgets REQUEST: on_answer will not come, a late answer is dropped and counted. Nothing happens if it is
 * not open. */
void client_cancel(struct client *client, struct client_request *request);

/* Asks every connected server which keys this edge may use; ON_KEYS is called once a server (COUNT entries
 * borrowed for the call; a failure has status ≠ OK and count 0), then once with SERVER NULL. */
typedef void (*client_keys_handler)(const char *server, enum operation_status status,
                                    const struct key_info *keys, size_t count, void *user);
int client_keys(struct client *client, uint64_t timeout_ms, client_keys_handler on_keys, void *user) MUST_USE;

unsigned client_usable(const struct client *client); /* servers with an open channel */
size_t client_in_flight(const struct client *client);

#endif
