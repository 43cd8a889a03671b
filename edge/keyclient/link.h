/* Link: the way to one key server. Keeps a connection open: connects, comes back after jittered back-off,
 * replaces it hourly without a gap, and notices when the channel has gone silent and only a new one helps.
 *
 * Acts when it is told to and returns what happened: whoever gets the events of channels and timer
 * (client_links.c) calls it and decides what follows. Chooses no requests and no servers. Loop thread only.
 */
#ifndef EDGE_KEYCLIENT_LINK_H
#define EDGE_KEYCLIENT_LINK_H

#include "edge/keyclient/backoff.h"
#include "edge/keyclient/conn.h"
#include "edge/keyclient/health.h"
#include "edge/keyclient/targets.h"

/* Whether the server can be had. */
enum link_reach {
    LINK_UNKNOWN, /* connecting: for the first time, or for the first time since the channel was lost */
    LINK_UP,      /* an open channel */
    LINK_GONE     /* no channel, and all addresses were tried in vain */
};

/* What a call has changed. */
enum link_change {
    LINK_UNCHANGED,
    LINK_FAILED,   /* a round of connecting came to nothing: `failure` */
    LINK_OPENED,   /* usable from now on */
    LINK_REPLACED, /* another connection is the current one; what is open on the one before is answered */
    LINK_REPLACED_SILENT, /* the same, but nothing is answered there any more */
    LINK_CLOSED           /* was usable, is not any more */
};

struct link {
    struct conn_setup setup;
    uv_timer_cb on_timer;
    uint64_t random; /* state of balance_random() */
    uint64_t rehandshake_ms;
    uint64_t connect_timeout_ms; /* for one address, and as long again for the server's hello */
    enum link_reach reach;
    struct conn *current; /* takes requests; NULL = not usable */
    struct conn *fresh;   /* on its way to become the current one */
    struct conn *conns;   /* all that are not gone, the two above included; owned */
    struct targets targets;
    struct backoff backoff;
    struct health health;
    struct client_failure failure; /* of the last round that came to nothing */
    uv_timer_t
        timer; /* hello or resolver overdue, next connect, or next handshake: one of them at any time */
    uint64_t opened_ns;
    uint64_t rehandshake_ns; /* when the next handshake is due */
    uint64_t second_ns;      /* a silent channel gets no second one before */
    uint64_t rtt_ns;
    bool silent; /* nothing comes through the channel; `fresh` is to replace it, unless it is heard again */
    bool resolving; /* an attempt waits for the name servers, `timer` for how long */
    bool closing;
    unsigned parts; /* timer and connections that are not gone */
};

/* Fills in what SETTINGS says of server NUMBER; nothing starts yet. SETUP has loop, handlers, user and batch;
 * ON_TIMER, which calls link_timed_out(), finds the link as data of the timer. */
void link_init(struct link *link, const struct client_settings *settings, size_t number,
               const struct conn_setup *setup, uv_timer_cb on_timer);
/* Starts connecting: LINK_FAILED or LINK_UNCHANGED. */
enum link_change link_start(struct link *link) MUST_USE;
/* There may be a new answer for its name: the same. */
enum link_change link_resolved(struct link *link) MUST_USE;
/* The timer has fired: the same. OVERDUE: a connection that is to be ended with ERR_TIMEOUT, or NULL. */
enum link_change link_timed_out(struct link *link, struct conn **overdue) MUST_USE;
/* The hello of `fresh` is here: LINK_OPENED, LINK_REPLACED or LINK_REPLACED_SILENT. BEFORE becomes the
 * connection that it replaces, or NULL. */
enum link_change link_opened(struct link *link, struct conn **before) MUST_USE;
/* CONN, of LINK, has ended: LINK_CLOSED, LINK_FAILED or LINK_UNCHANGED. */
enum link_change link_ended(struct link *link, const struct conn *conn, int why) MUST_USE;
/* A valid answer is here. */
void link_answered(struct link *link);
/* CONN, whose on_close this is, is gone: freed. */
void link_drop(struct link *link, struct conn *conn);
/* Somebody waits and no server is usable: brings a connect that is far off nearer. */
void link_hurry(struct link *link);
/* Closes everything; ON_CLOSED comes for the timer, `parts` says how many parts are left. The attempts must
 * have been taken. */
void link_close(struct link *link, uv_close_cb on_closed);

bool link_usable(const struct link *link);   /* an open channel */
bool link_gone(const struct link *link);     /* LINK_GONE */
bool link_has_room(const struct link *link); /* and one more request could leave at once */
size_t link_in_flight(const struct link *link);
const char *link_name(const struct link *link);
/* True when its word is to be waited for: usable, and nothing says that it does not work. */
bool link_works(const struct link *link);
/* True when other links are to be preferred: silent, stalled or unable (health.h). */
bool link_avoided(const struct link *link, uint64_t now_ns);
/* It has left a request unanswered too long. */
void link_set_stalled(struct link *link, uint64_t now_ns);

/* Queues ATTEMPT on the current connection; the link is usable. */
void link_put(struct link *link, struct client_attempt *attempt, uint64_t now_ns);

/* Once before the loop sleeps: takes over the round trip of the last ping, and drops the second channel when
 * the first is heard again. */
void link_measure(struct link *link);
/* And for each connection CONN: pings when answers are late. When not even the ping brings anything:
 * LINK_WATCH_SILENT, a second channel is on its way beside the current one; LINK_WATCH_LOST, what is open on
 * CONN, which was replaced, is not answered any more. LOOK_NS as conn_watch(). */
enum link_watch { LINK_WATCH_FINE, LINK_WATCH_SILENT, LINK_WATCH_LOST };
enum link_watch link_watch(struct link *link, struct conn *conn, uint64_t now_ns, uint64_t *look_ns) MUST_USE;

#endif
