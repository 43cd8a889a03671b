/* Session states: what a TLS connection may be doing, what may happen to it, and what follows, as one table.
 *
 *     HELLO ─▶ HANDSHAKE ◀─▶ WAIT_KEY     SILENT ─▶ CONNECT ─▶ RELAY ─▶ HALF_CLOSED ─▶ CLOSING ─▶ CLOSED
 *                  │             │           ▲
 *                  └─────────────│───────────┘
 *                                └─▶ DRAIN_KEY ─▶ CLOSED        the client is gone, its job is not yet
 *                                        └─▶ STUCK            and never will be
 *
 * Does no I/O and knows no session: session.c asks it and acts. Pure; any thread. */
#ifndef EDGE_SESSION_SESSION_STATE_H
#define EDGE_SESSION_SESSION_STATE_H

#include <stdbool.h>

#include "edge/session/timeouts.h"

enum session_state {
    SESSION_HELLO,       /* accepted; no ClientHello so far */
    SESSION_HANDSHAKE,   /* handshake under way, the next move is the client's */
    SESSION_WAIT_KEY,    /* handshake paused: the next move is a key server's */
    SESSION_SILENT,      /* handshake done; no bytes from the client and no connection to the origin yet */
    SESSION_CONNECT,     /* connecting to the origin */
    SESSION_RELAY,       /* bytes both ways */
    SESSION_HALF_CLOSED, /* the client has ended its direction, the origin may go on */
    SESSION_CLOSING,     /* the origin has ended (or must be taken as ended): close_notify is on its way or
                            sent, and the client may finish what it was saying */
    SESSION_DRAIN_KEY,   /* over, but the paused job must run out before it can be freed */
    SESSION_STUCK,       /* over, and the job does not run out: what it uses stays until the process ends,
                            everything else was released */
    SESSION_CLOSED,      /* everything was released */
    SESSION_STATES
};

enum session_event {
    EVENT_HELLO_READ,       /* the ClientHello is complete */
    EVENT_KEY_WANTED,       /* the handshake paused for a private-key operation, or for an epoch */
    EVENT_KEY_ANSWERED,     /* its outcome is there, good or bad */
    EVENT_HANDSHAKE_DONE,   /* both Finished messages are verified */
    EVENT_HANDSHAKE_FAILED, /* OpenSSL gave it up, or the client did */
    EVENT_CLIENT_SPEAKS,    /* its first bytes are there */
    EVENT_CONNECTED,        /* the origin took the connection */
    EVENT_ORIGIN_FAILED,    /* it did not */
    EVENT_CLIENT_ENDED,     /* close_notify from the client */
    EVENT_ORIGIN_ENDED,     /* FIN from the origin */
    EVENT_BOTH_ENDED,       /* both directions have ended and everything was passed on */
    EVENT_CLIENT_GONE,      /* reset, or FIN without close_notify: what it was saying may be cut */
    EVENT_ORIGIN_GONE,      /* reset: what it was saying is cut */
    EVENT_TIMEOUT,          /* of the state's class */
    EVENT_JOB_ENDED,        /* the abandoned job has run out */
    EVENT_JOB_STUCK,        /* it has not, however often it was stepped: a fault of ours or of OpenSSL */
    EVENT_STOP,             /* the daemon ends now */
    SESSION_EVENTS
};

enum session_action {
    ACTION_NONE,
    ACTION_STEP,         /* go on with the handshake */
    ACTION_WATCH_GONE,   /* watch only for the client's leaving */
    ACTION_LISTEN,       /* wait for the client's first bytes */
    ACTION_CONNECT,      /* open the connection to the origin */
    ACTION_RELAY,        /* move bytes */
    ACTION_CLOSE_NOTIFY, /* take the origin as ended: flush, close_notify, let the client finish */
    ACTION_ABANDON,      /* cancel what it waits for, let the job run out */
    ACTION_FAREWELL,     /* one attempt at close_notify, then release */
    ACTION_RESET_ORIGIN, /* reset the origin's connection, so that it does not take a cut for an end; release
                          */
    ACTION_GIVE_UP,      /* close everything, free all but what the job uses, try nothing any more */
    ACTION_RELEASE,      /* close and free everything */
    SESSION_ACTIONS
};

struct session_transition {
    enum session_state next;
    enum session_action action;
    bool impossible; /* EVENT cannot happen in STATE: a fault of ours, and the session ends */
};

/* What follows when EVENT happens in STATE. JOB_WAITS: the handshake's job is paused or waits for a key
 * server; such a session never closes before the job has run out, whatever state it is in. What the table
 * does not list is impossible and ends the session. */
struct session_transition session_state_next(enum session_state state, enum session_event event,
                                             bool job_waits);
/* True when an abandoned job that still waits after it was stepped TRIES times is given up (EVENT_JOB_STUCK).
 */
bool session_state_is_stuck(unsigned tries);
#define SESSION_TRIES_MAX 100
/* How long STATE may last: the class of its timeout. */
enum timeout_class session_state_timeout(enum session_state state);
/* "hello", "wait_key", …; for logs. */
const char *session_state_name(enum session_state state);
/* "hello_read", "key_wanted", …; for logs. */
const char *session_event_name(enum session_event event);

#endif
