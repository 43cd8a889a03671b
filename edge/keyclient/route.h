/* Route: the way of one request through the client: which server it goes to, when it goes to another, and how
 * it ends. The inside of client.h; nobody else includes it. Loop thread only. */
#ifndef EDGE_KEYCLIENT_ROUTE_H
#define EDGE_KEYCLIENT_ROUTE_H

#include "edge/keyclient/balance.h"
#include "edge/keyclient/budget.h"
#include "edge/keyclient/deadlines.h"
#include "edge/keyclient/epochs.h"
#include "edge/keyclient/link.h"

/* The question to one server, what it grants. Loop thread only. */
struct client_inquiry {
    struct client_request request;
    struct client *client;
    uint32_t *operations; /* owned; what was answered so far, by the keys' numbers; NULL = it is not asked */
    size_t entries;
    uint64_t due_ns;     /* of clock_ns(): when to ask next; UINT64_MAX = when a channel has opened */
    uint64_t stirred_ms; /* of clock_ms(): when something last happened that may have changed the answer */
};

struct client {
    uv_loop_t *loop; /* borrowed */
    struct client_settings settings;
    struct link *links; /* owned, link_count */
    size_t link_count;
    struct epochs *epochs;                 /* owned; by the links' numbers */
    struct client_inquiry *inquiries;      /* owned; the same */
    unsigned usable;                       /* links with an open channel */
    struct client_request *waiting;        /* queue of what goes out with this loop turn, or later */
    struct client_epoch_wait *epoch_waits; /* those that wait for an epoch, by their deadlines */
    struct deadlines deadlines;            /* every open request, waiting or sent */
    struct budget budget;                  /* for asking twice */
    struct balance_candidate *candidates;  /* scratch, owned, link_count */
    uint64_t random;                       /* state of balance_random() */
    uint64_t armed_ns;                     /* when the timer fires; UINT64_MAX = not armed */
    uv_idle_t turn;                        /* while there is something to send: all of one turn together */
    uv_prepare_t prepare;                  /* before the loop sleeps: measures */
    uv_check_t check;                      /* after it has looked for what has come: deadlines */
    uv_timer_t timer;                      /* wakes it for the first of them */
    uint64_t looked_ns;                    /* when it began to look */
    struct conn_batch batch;               /* scratch of all connections */
    uv_async_t resolved;                   /* a name has been looked up; unused without `names` */
    struct names_watch watch;
    unsigned handles; /* of the client's own that are not closed */
    bool closing;
};

/* LINK has announced EPOCH, or said with number 0 that this edge has none. */
void client_on_epoch(struct client *client, struct link *link, const struct msg_epoch *epoch);
/* Once in each turn of the loop in which something has changed: ends the waits for an epoch when nothing is
 * to be waited for any more. */
void client_epochs_turn(struct client *client);
/* Ends the waits whose deadline is at NOW_NS or before. */
void client_epochs_due(struct client *client, uint64_t now_ns);
/* The first of their deadlines; UINT64_MAX when nobody waits. */
uint64_t client_epochs_first_ns(const struct client *client);

int client_grants_init(struct client *client) MUST_USE;
void client_grants_clear(struct client *client);
/* What the server of LINK grants may have changed: it is asked as soon as may be. */
void client_grants_stir(struct client *client, const struct link *link);
/* Asks those whose time has come at NOW_NS. */
void client_grants_due(struct client *client, uint64_t now_ns);
/* The first of these times; UINT64_MAX for none. */
uint64_t client_grants_first_ns(const struct client *client);
/* True when the server of LINK, a number, is known not to grant what REQUEST asks for. */
bool client_grants_lacks(const struct client *client, const struct client_request *request, size_t link);

/* Opens REQUEST: to any server, or at once to ONLY, which is usable. ERR_MEMORY. */
int route_open(struct client *client, struct client_request *request, const struct link *only) MUST_USE;
/* Takes REQUEST off every list without a word. */
void route_forget(struct client *client, struct client_request *request);
/* Ends REQUEST without an answer: STATUS_UNAVAILABLE. */
void route_fail(struct client *client, struct client_request *request);
/* Has the loop send what is queued before it sleeps. Idle handles run before prepare handles, in which the
 * channels write: what is given to them there would stay until the next event. */
void route_wake(struct client *client);
/* An answer to ATTEMPT came through LINK; NULL when it was malformed. */
void route_answer(struct client *client, struct link *link, struct client_attempt *attempt,
                  const struct msg_answer *answer);
/* ATTEMPT, already taken out of its connection, lost its channel. True when its request will be sent again.
 */
bool route_lost(struct client *client, struct link *link, struct client_attempt *attempt) MUST_USE;
/* Something is due for REQUEST, the first of the deadlines: its end, or a second server. */
void route_due(struct client *client, struct client_request *request, uint64_t now_ns);

#endif
