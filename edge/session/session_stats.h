/* Session statistics: what a thread counts about its connections, with names from fixed tables. Written by
 * one thread, read by any. */
#ifndef EDGE_SESSION_SESSION_STATS_H
#define EDGE_SESSION_SESSION_STATS_H

#include "common/metrics.h"
#include "edge/bound/rsa_mode.h"
#include "edge/relay/origins.h"
#include "edge/session/timeouts.h"
#include "edge/tls/tls.h"

/* Why a handshake failed. */
enum session_failure {
    FAILURE_NONE,
    FAILURE_KEY_TIMEOUT,      /* no key server answered in time */
    FAILURE_KEY_REFUSED,      /* it refused */
    FAILURE_KEY_BUSY,         /* it is overloaded */
    FAILURE_KEY_UNAVAILABLE,  /* no key server was connected */
    FAILURE_KEY_SERVERS_GONE, /* every one is known to be gone, and when_unavailable = fail */
    FAILURE_KEY_INVALID,      /* its signature did not pass the check */
    FAILURE_INTERNAL,         /* this edge or its OpenSSL could not go on: the client is not the cause */
    FAILURE_TLS,              /* the two sides could not agree, or the client broke the protocol */
    FAILURE_RSA_WITHHELD,     /* the client offers RSA key exchange only, which is no choice for it */
    FAILURE_HELLO_TOO_LONG,   /* its ClientHello exceeds HELLO_LENGTH_MAX */
    FAILURE_HELLO_DISPLACED,  /* its ClientHello is long, and many others with such came */
    FAILURE_CLIENT_GONE,      /* the client left */
    FAILURE_TIMEOUT,          /* the client took too long */
    FAILURE_MEMORY,           /* an allocation failed */
    FAILURE_STOPPED,          /* the daemon ended */
    SESSION_FAILURES
};

/* How a connection ended. */
enum session_result {
    RESULT_NONE,
    RESULT_OK,               /* closed in order */
    RESULT_HANDSHAKE_FAILED, /* see enum session_failure */
    RESULT_CLIENT_CUT,       /* FIN without close_notify: its last words may be missing */
    RESULT_CLIENT_RESET,     /* RST, or another error of its socket */
    RESULT_CLIENT_ERROR,     /* it broke the TLS protocol after the handshake */
    RESULT_ORIGIN_FAILED,    /* no connection to the origin */
    RESULT_ORIGIN_CUT,       /* the origin broke off */
    RESULT_TIMEOUT_IDLE,
    RESULT_TIMEOUT_HALF_CLOSED,
    RESULT_TIMEOUT_CLOSE, /* the client did not take what was left for it */
    RESULT_STOPPED,       /* the daemon ended */
    RESULT_MEMORY,
    RESULT_INTERNAL, /* a fault of this program: see `impossible` */
    SESSION_RESULTS
};

struct session_stats {
    counter accepted;
    counter active;      /* gauge */
    counter waiting_key; /* gauge: handshakes paused for a key, or for an epoch */
    counter epoch_waits; /* handshakes that paused for an epoch */
    counter paused_full; /* times accepting stopped at connections_max */
    counter paused_descriptors;
    counter listeners_broken; /* gauge: sockets that were to listen and do not any more */
    counter impossible;       /* events that cannot happen in the state they came in: a fault of ours */
    counter jobs_stuck;       /* sessions whose job never ended: a fault of ours, or of OpenSSL */
    counter accept_failed;    /* accepted sockets dropped for want of memory */
    counter results[SESSION_RESULTS];
    counter handshakes[TLS_KINDS];
    counter exchanges[RSA_MODES]; /* RSA key exchanges that asked for their secret, whatever came of it */
    counter withheld[WITHHELD_REASONS]; /* handshakes that failed because RSA key exchange was withheld */
    counter failures[SESSION_FAILURES];
    counter timeouts[TIMEOUT_CLASSES];
    counter origin_connected[ORIGINS_MAX]; /* by origin_route.number */
    counter origin_failed[ORIGINS_MAX];
    counter bytes_to_origin;
    counter bytes_to_client;
    struct histogram handshake_full; /* from the ClientHello to the end of the handshake */
    struct histogram handshake_resumed;
};

const char *session_stats_failure_name(enum session_failure failure);
const char *session_stats_result_name(enum session_result result);
/* Adds FROM to INTO. */
void session_stats_sum(struct session_stats *into, const struct session_stats *from);

#endif
