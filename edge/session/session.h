/* Session: one client's TLS connection, from accept to close: handshake with a remote key, connection to the
 * origin, relay.
 *
 * What may follow what is session_state's table; this module does the I/O. Not for the policy of listening
 * (thread.h). Loop thread only; a session stays on its thread. */
#ifndef EDGE_SESSION_SESSION_H
#define EDGE_SESSION_SESSION_H

#include <sys/queue.h>

#include "common/names.h"
#include "edge/bound/bound.h"
#include "edge/config/edge_config.h"
#include "edge/relay/origins.h"
#include "edge/session/session_io.h"
#include "edge/session/session_state.h"
#include "edge/session/session_stats.h"
#include "edge/session/trace.h"
#include "edge/session/watch.h"
#include "edge/tls/async.h"

TAILQ_HEAD(session_list, session);

/* What the sessions of one thread share. Embedded in the thread; pointers are borrowed and outlive it. */
struct session_host {
    uv_loop_t *loop;
    struct tls *tls;
    struct client *client;
    const struct edge_config *config;
    const struct origins *origins;
    const struct client_server *servers;            /* by their numbers */
    const struct client_server_stats *server_stats; /* the same */
    struct trace_ring *traces;
    struct session_stats stats;
    struct timeouts timeouts;
    struct watches watches;
    struct relay_scratch scratch;
    struct session_list all;
    struct session_list ready;                  /* have more to do at once */
    size_t ready_count;                         /* in READY */
    struct session_list long_hellos;            /* handshakes with one, the oldest first (session_hello.h) */
    size_t long_hello_count;                    /* in LONG_HELLOS */
    size_t count;                               /* sessions that hold memory, but for stuck ones */
    void (*on_gone)(struct session_host *host); /* a session was freed, or is stuck */
};

struct session {
    TAILQ_ENTRY(session) in_all;
    TAILQ_ENTRY(session) in_ready;
    TAILQ_ENTRY(session) in_long_hellos;
    struct session_host *host; /* borrowed */
    struct session_io io;      /* SSL and descriptor */
    struct tls_hello hello;    /* what the TLS library has read of it */
    struct watch client;
    struct watch origin;
    const struct origin_route
        *route; /* to the origin of what was agreed on; NULL until the handshake is done */
    struct relay relay;
    struct key_wait key;
    struct bound_exchange bound; /* RSA key exchange; unused unless it is configured */
    struct timeout deadline;     /* of the state */
    struct timeout retry;        /* of something that could not be done at the moment */
    enum session_state state;
    enum session_result result;
    enum session_failure failure;
    unsigned origins_tried; /* addresses of the origin */
    int origin_why;         /* errno of the last that did not work; 0 = it took too long */
    unsigned abandon_tries; /* how often the abandoned job was stepped and still waited */
    bool is_ready;          /* in the ready list */
    bool has_long_hello;    /* in the list of long_hellos */
    bool is_displaced;      /* its handshake is to end for another one's */
    unsigned handles;       /* watches whose close callback is still to come, and the session itself */
    struct address from;    /* the client */
    struct trace_record trace;
    enum tls_kind kind; /* valid once the handshake is done */
    uint64_t key_ns;    /* waited for keys and epochs */
    uint64_t moved[RELAY_DIRECTIONS];
};

/* Starts a session on the connected socket FD (taken in any case) of FROM. ERR_MEMORY when it cannot. */
int session_start(struct session_host *host, int fd, const struct address *from) MUST_USE;
/* Goes on with what was left undone when the session had used up its share of a loop turn. */
void session_run(struct session *session);
/* A timeout of CLASS has come. */
void session_timeout(struct session *session, enum timeout_class class);
/* The daemon ends: sends close_notify and closes. */
void session_stop(struct session *session);

/* ---- for session_handshake and session_relay ---- */

/* EVENT happened: the table says what follows, and it is done. The memory stays until the loop has closed its
 * watches; look at `state` to see whether the session lives on. */
void session_happen(struct session *session, enum session_event event);
/* How the connection ended; the first cause is the one that counts. */
void session_conclude(struct session *session, enum session_result result);
/* Something could not be done at the moment: session_timeout(TIMEOUT_RETRY) comes shortly. */
void session_retry_later(struct session *session);
/* Its share of this loop turn is used up: session_run() comes in the next. */
void session_become_ready(struct session *session);
/* The close callback of the session's watches. */
void session_on_watch_closed(void *session);

#endif
