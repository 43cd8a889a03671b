/* Link: the way to one key server. Keeps a connection open: connects, comes back after jittered back-off,
 * replaces it hourly without a gap, and notices when the server no longer answers, or when the channel has
 * gone silent and only a new one helps.
 *
 * Chooses no requests and no servers: that is route.h. Loop thread only. */
#ifndef EDGE_KEYCLIENT_LINK_H
#define EDGE_KEYCLIENT_LINK_H

#include "edge/keyclient/backoff.h"
#include "edge/keyclient/conn.h"
#include "edge/keyclient/targets.h"

struct link;

struct link_events {
    /* A round of connecting came to nothing. */
    void (*on_failed)(struct link *link, const struct client_failure *failure, void *user);
    void (*on_open)(struct link *link, void *user);   /* usable from now on */
    void (*on_closed)(struct link *link, void *user); /* was usable, is not any more */
    void (*on_work)(struct link *link, void *user);   /* link_flush() may have something to do */
    /* As conn_events.on_answer. */
    void (*on_answer)(struct link *link, struct client_attempt *attempt, const struct msg_answer *answer,
                      void *user);
    /* As conn_events.on_epoch; only from a usable link. */
    void (*on_epoch)(struct link *link, const struct msg_epoch *epoch, void *user);
    /* ATTEMPT, already taken out, has lost its channel. True when its request will be sent again. */
    bool (*on_lost)(struct link *link, struct client_attempt *attempt, void *user);
    /* One more handle or connection of the link is gone; see link_close(). */
    void (*on_gone)(struct link *link, void *user);
};

/* Whether the server can be had. */
enum link_reach {
    LINK_UNKNOWN, /* connecting: for the first time, or for the first time since the channel was lost */
    LINK_UP,      /* an open channel */
    LINK_GONE     /* no channel, and all addresses were tried in vain */
};

struct link {
    struct conn_setup setup;
    const struct link_events *events; /* borrowed */
    void *user;                       /* of the events */
    uint64_t random;                  /* state of balance_random() */
    uint64_t rehandshake_ms;
    uint64_t connect_timeout_ms; /* for one address, and as long again for the server's hello */
    uint64_t probe_interval_ns;
    enum link_reach reach;
    struct conn *current; /* takes requests; NULL = not usable */
    struct conn *fresh;   /* on its way to become the current one */
    struct conn *conns;   /* all that are not gone, the two above included; owned */
    struct targets targets;
    struct backoff backoff;
    uv_timer_t
        timer; /* hello or resolver overdue, next connect, or next handshake: one of them at any time */
    uint64_t opened_ns;
    uint64_t rehandshake_ns; /* when the next handshake is due */
    uint64_t second_ns;      /* a silent channel gets no second one before */
    uint64_t answered_ns;    /* the last valid answer */
    uint64_t probe_ns;       /* stalled: when it gets the next request to try */
    uint64_t unable_ns;      /* until then it is avoided, because it said that it could do nothing */
    uint64_t rtt_ns;
    bool stalled; /* has left requests unanswered, and answered none since */
    bool silent;  /* nothing comes through the channel; `fresh` is to replace it, unless it is heard again */
    bool resolving; /* an attempt waits for the name servers, `timer` for how long */
    bool closing;
    unsigned parts; /* timer and connections that are not gone */
};

/* Fills in what SETTINGS says of server NUMBER; nothing starts yet. */
void link_init(struct link *link, uv_loop_t *loop, const struct client_settings *settings, size_t number,
               struct conn_batch *batch, const struct link_events *events, void *user);
/* Starts connecting. */
void link_start(struct link *link);
/* There may be a new answer for its name. */
void link_resolved(struct link *link);
/* Somebody waits and no server is usable: brings a connect that is far off nearer. */
void link_hurry(struct link *link);
/* Closes everything; on_gone comes for each part (`parts` says how many are left). The attempts must have
 * been taken. */
void link_close(struct link *link);

bool link_usable(const struct link *link);   /* an open channel */
bool link_gone(const struct link *link);     /* LINK_GONE */
bool link_has_room(const struct link *link); /* and one more request could leave at once */
size_t link_in_flight(const struct link *link);
const char *link_name(const struct link *link);

/* Queues ATTEMPT on the current connection; the link is usable. */
void link_put(struct link *link, struct client_attempt *attempt, uint64_t now_ns);
/* Sends what is queued; closes replaced connections whose last request is answered. */
void link_flush(struct link *link);
/* Takes over the round trip of the last ping. */
void link_measure(struct link *link);

/* Looks after the channel, once before the loop sleeps: pings when answers are late, opens a second channel
 * beside it when not even the ping brings anything, and drops the second when the first is heard again.
 * Returns when to look next, of clock_ns(); UINT64_MAX = nothing is due. */
uint64_t link_watch(struct link *link, uint64_t now_ns);
/* True when the server has answered nothing since SINCE_NS. */
bool link_silent(const struct link *link, uint64_t since_ns);
/* A request was left unanswered too long: from now on the link is only tried once in a while, until it
 * answers. */
void link_set_stalled(struct link *link, uint64_t now_ns);
/* The server has answered that it can do nothing at present: for a moment, others are preferred. Without
 * that, it would draw the load, being the one that answers fastest. */
void link_set_unable(struct link *link, uint64_t now_ns);
/* True when other links are to be preferred: silent, or stalled or unable and no try is due. */
bool link_avoided(const struct link *link, uint64_t now_ns);

#endif
