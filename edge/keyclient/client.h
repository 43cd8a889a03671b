/* The client: one thread's way to the key servers. A pool of channels behind three verbs.
 *
 * Keeps one channel to each configured key server, reconnects with jittered back-off, re-handshakes hourly,
 * opens a second channel beside one that has gone silent, pings, batches what one loop turn submits into one
 * message a server, chooses the less loaded of two healthy servers, and gives a request that lost its server
 * to another while its deadline allows (operations are idempotent). What comes back is checked for length and
 * form. Knows the protocol, not OpenSSL. Loop thread only. */
#ifndef EDGE_KEYCLIENT_CLIENT_H
#define EDGE_KEYCLIENT_CLIENT_H

#include <uv.h>

#include "common/identity.h"
#include "common/log.h"
#include "common/metrics.h"
#include "common/names.h"
#include "edge/keyclient/grants.h"
#include "proto/operation.h"
#include "proto/session_id.h"

struct client;

/* A key server as configured; borrowed by the client for its life. */
struct client_server {
    const char *name;
    struct endpoint endpoint;       /* where it listens */
    uint8_t key[IDENTITY_KEY_SIZE]; /* its pinned identity */
    uint8_t psk[IDENTITY_KEY_SIZE];
};

/* Counters of one key server, shared by the threads of a daemon; `client_server_stats` array parallel to the
 * servers. */
struct client_server_stats {
    counter connected; /* gauge: threads with a live channel (add 1, subtract by adding -1) */
    counter gone;      /* gauge: threads that have tried all of its addresses in vain */
    counter connects;  /* channels opened */
    counter lost;      /* channels lost after they were open */
    counter failed;    /* connects that did not come to a channel */
    counter requests[OP_KINDS];
    counter answers[OP_KINDS][STATUS_KINDS];
    counter timeouts;         /* requests that got no answer from this server in time */
    counter retried;          /* requests taken from this server to another */
    counter silent;           /* channels found silent: open, but nothing comes through */
    counter stray;            /* answers without a request: late, twice, wrong id */
    counter malformed;        /* answers of wrong length or form */
    counter in_flight;        /* gauge */
    counter rtt_ns;           /* gauge: last ping */
    counter epoch;            /* gauge: number of the newest epoch; 0 = none was announced */
    counter other_secrets;    /* epochs whose key another server contradicts: other group secret */
    counter other_clocks;     /* epochs whose number is far from another server's: other clock */
    struct histogram latency; /* answered requests for a signature or a secret */
};

/* Why no channel to a server came about. Borrowed for the call. */
struct client_failure {
    const struct client_server *server;
    int why;           /* an enum err, of which err_kind() is one */
    const char *error; /* in words: "Connection refused" */
    const char *hint;  /* what to look at; "" = nothing is known */
};

struct client_settings {
    const struct identity *identity;     /* borrowed */
    const struct client_server *servers; /* borrowed */
    size_t server_count;
    struct client_server_stats *stats; /* borrowed, server_count */
    /* Borrowed, shared by the threads; NULL = nobody asks what is granted. */
    struct grants *grants;
    struct names *names;         /* borrowed: of the servers' places; NULL when none has a name */
    uint64_t connect_timeout_ms; /* 5,000; for one address of several a round is shorter at first */
    uint64_t backoff_min_ms;     /* 100 */
    uint64_t backoff_max_ms;     /* 10,000 */
    uint64_t ping_interval_ms;   /* CHANNEL_PING_MS; two missed pings eject a server */
    uint64_t rehandshake_ms;     /* 3,600,000, jittered by ±10 % */
    uint64_t handshake_ms;       /* what a session may need from its beginning to its key operation */
    bool fail_when_gone;         /* nobody waits while every server is known to be gone */
    unsigned in_flight_max;      /* requests open in this thread before submit says ERR_BUSY; 65,536 */
    const char *software;        /* for the hello */
    /* Called when the number of usable servers changes; may be NULL. */
    void (*on_servers)(unsigned usable, void *user);
    /* Called, besides the log line, when all addresses of a server were tried in vain; the next attempt comes
     * after the back-off. Must not close the client. May be NULL. */
    void (*on_failed)(const struct client_failure *failure, void *user);
    void *user;
};

/* One sending of a request to one server, while its answer is due. Private to the client. */
struct client_attempt {
    uint64_t id;                    /* on its channel */
    struct conn *conn;              /* NULL = not in use; borrowed */
    struct client_request *request; /* whose; borrowed */
    uint64_t sent_ns;               /* 0 = not in a batch yet */
    struct client_attempt *prev, *next;
    struct client_attempt *chain; /* in the table of open ids */
};

#define CLIENT_TRIES_MAX    3 /* servers a request is sent to */
#define CLIENT_LOST_MAX     8 /* channels that a request may lose, one after the other */
#define CLIENT_ATTEMPTS_MAX 2 /* of them at the same time */

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
    const char *server;     /* name of the key server that answered; NULL when none did */
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
    struct client_attempt attempts[CLIENT_ATTEMPTS_MAX];
    const struct link *tried[CLIENT_TRIES_MAX]; /* the last ones it was given to */
    unsigned tried_count;
    const struct link *only; /* may go nowhere else; NULL = to any */
    /* Takes a part of a list of keys; negative refuses the rest. NULL: lists are dropped. */
    int (*on_part)(struct client_request *request, const struct key_info *keys, size_t count);
    struct client_request *prev, *next; /* in the queue */
    size_t due_slot;                    /* place among the deadlines + 1 */
};

/* Starts connecting at once. NULL without memory. */
struct client *client_new(uv_loop_t *loop, const struct client_settings *settings);
/* Cancels what is open (on_answer with STATUS_UNAVAILABLE, on_end, before it returns), closes the channels
 * explicitly; memory goes with the loop's close callbacks, so the owner runs the loop until it ends. NULL is
 * allowed. */
void client_close(struct client *client);

/* Queues REQUEST; it leaves with the others of this loop turn. Waits, within its deadline, for a server when
 * none is connected at the moment; with settings.fail_when_gone only as long as one may still be found at the
 * first attempt. ERR_BUSY at in_flight_max, ERR_MEMORY, ERR_CLOSED after client_close; then
 * on_answer does not come.
 *
 * Which server, and when another one: a request whose channel is lost goes to another server, or waits for
 * the next channel, and longer each time that this happens to it. STATUS_BUSY and STATUS_UNAVAILABLE are
 * tried once on another server when there is one. When none is left, STATUS_UNAVAILABLE (a key server that
 * has just been started, for one) is asked again after a while, as long as there is time. When half of the
 * time to the deadline has passed without an answer it is sent to a second server too, and the first answer
 * counts. A request of an epoch goes first to servers that have announced that very epoch, and when they were
 * asked in vain or cannot be, to any: replicas know it too. STATUS_REFUSED is final: replicas have one
 * policy, so asking another tells nothing. */
int client_submit(struct client *client, struct client_request *request) MUST_USE;
/* Forgets REQUEST: on_answer will not come, a late answer is dropped and counted. Nothing happens if it is
 * not open. */
void client_cancel(struct client *client, struct client_request *request);

/* What marks a new session of RSA key exchange (proto/session_id.h). Wipe after use. */
struct client_epoch {
    uint64_t id; /* for the session's request; means something in this client only */
    uint8_t key[EPOCH_KEY_SIZE];
};
enum client_outlook {
    EPOCH_CHOSEN, /* OUT has it */
    EPOCH_DUE,    /* there is none, but one may be on its way: client_await_epoch() */
    EPOCH_NONE    /* there is none, and none will come as things are */
};
/* Chooses an epoch for a session that begins now, of those that the key servers have announced. That none
 * will come is certain when a server is connected and every connected one has said, since its channel opened,
 * that this edge has none; the word of one that leaves requests unanswered is not waited for. With
 * settings.fail_when_gone it is certain, too, while every server is known to be gone. A server whose
 * epoch is over has not said that: it grants bound mode, and its next one is due. */
enum client_outlook client_choose_epoch(const struct client *client, struct client_epoch *out) MUST_USE;

/* The wait of one session for an epoch, embedded in its owner, who zeroes it once and keeps it alive from
 * client_await_epoch until on_end or client_cancel_epoch. */
struct client_epoch_wait {
    /* set by the owner before client_await_epoch */
    uint64_t deadline_ns; /* of clock_ns() */
    /* Exactly once, from the loop or from client_close, never from inside client_await_epoch; not after
     * client_cancel_epoch. Says nothing itself: look with client_choose_epoch(). The wait may be freed or
     * begin again inside. */
    void (*on_end)(struct client_epoch_wait *wait);
    void *user;
    /* private to the client */
    bool open;
    struct client_epoch_wait *prev, *next;
};
/* Ends when client_choose_epoch() says anything but EPOCH_DUE, or at the deadline. Like a request that waits
 * for a server, it brings the next attempt to connect nearer. ERR_CLOSED after client_close; then on_end does
 * not come. */
int client_await_epoch(struct client *client, struct client_epoch_wait *wait) MUST_USE;
/* Forgets WAIT: on_end will not come. Nothing happens if it is not open. */
void client_cancel_epoch(struct client *client, struct client_epoch_wait *wait);

/* What may be asked of the key KEY_ID of some server that is connected, bit (1 << operation); while none is,
 * what they have said last. CLIENT_GRANTS_UNKNOWN, with every bit, while one of them has not answered, and
 * for keys that are not in settings.grants. Of several servers those that grant an operation are asked for
 * it. */
#define CLIENT_GRANTS_UNKNOWN UINT32_MAX
uint32_t client_grants(const struct client *client, const uint8_t key_id[static KEY_ID_SIZE]);

/* Asks every connected server which keys this edge may use; ON_KEYS is called once a server (COUNT entries
 * borrowed for the call; a failure has status ≠ OK and count 0), then once with SERVER NULL. */
typedef void (*client_keys_handler)(const char *server, enum operation_status status,
                                    const struct key_info *keys, size_t count, void *user);
int client_keys(struct client *client, uint64_t timeout_ms, client_keys_handler on_keys, void *user) MUST_USE;

bool client_gone(const struct client *client);        /* every server is known to be gone */
unsigned client_usable(const struct client *client);  /* servers with an open channel */
size_t client_in_flight(const struct client *client); /* requests without an answer, waiting ones included */

#endif
