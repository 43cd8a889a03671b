/* Settings: the key servers that a client is to know, and how it is to deal with them. */
#ifndef EDGE_KEYCLIENT_SETTINGS_H
#define EDGE_KEYCLIENT_SETTINGS_H

#include "common/identity.h"
#include "common/metrics.h"
#include "common/names.h"
#include "edge/keyclient/grants.h"
#include "proto/operation.h"

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
    uint64_t connect_timeout_ms; /* 5,000, without the look-up of a name; for one address of several a round
                                    is shorter at first */
    uint64_t backoff_min_ms;     /* 100 */
    uint64_t backoff_max_ms;     /* 10,000 */
    uint64_t ping_interval_ms;   /* CHANNEL_PING_MS; two missed pings eject a server */
    uint64_t rehandshake_ms;     /* 3,600,000, jittered by ±10 % */
    uint64_t handshake_ms;       /* what a session may need from its beginning to its key operation */
    bool fail_when_gone;         /* nobody waits while every server is known to be gone */
    unsigned sharers;       /* clients with this identity in this process, which share what a server lets it
                               have open; 0 = this one alone */
    unsigned in_flight_max; /* requests open in this thread before submit says ERR_BUSY; 65,536 */
    const char *software;   /* for the hello */
    /* Called when the number of usable servers changes; may be NULL. */
    void (*on_servers)(unsigned usable, void *user);
    /* Called, besides the log line, when all addresses of a server were tried in vain; the next attempt comes
     * after the back-off. Must not close the client. May be NULL. */
    void (*on_failed)(const struct client_failure *failure, void *user);
    void *user;
};

#endif
