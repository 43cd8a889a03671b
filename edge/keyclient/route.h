/* Route: the way of requests through the client. Does with each what dispatch.h says: queues it, gives it to
 * links, takes it from them, ends it. Loop thread only. */
#ifndef EDGE_KEYCLIENT_ROUTE_H
#define EDGE_KEYCLIENT_ROUTE_H

#include "edge/keyclient/budget.h"
#include "edge/keyclient/deadlines.h"
#include "edge/keyclient/epochs.h"
#include "edge/keyclient/pool.h"
#include "edge/keyclient/turn.h"

#define ROUTE_ANY SIZE_MAX /* instead of a server's number */

struct route {
    struct pool *pool;                    /* borrowed */
    struct turn *turn;                    /* borrowed; woken when there may be something to send */
    const struct epochs *epochs;          /* borrowed */
    const struct grants *grants;          /* borrowed; may be NULL */
    bool fail_when_gone;                  /* as in client_settings */
    struct client_request *queue;         /* what goes out with this loop turn, or later */
    struct deadlines deadlines;           /* every open request, queued or sent */
    struct budget budget;                 /* for asking twice */
    uint64_t random;                      /* state of balance_random() */
    struct dispatch_server *servers;      /* scratch, owned, one a link */
    struct balance_candidate *candidates; /* scratch, owned, the same */
};

/* Makes the scratch for so many servers as `pool` has; what is borrowed is set by the caller. ERR_MEMORY. */
int route_init(struct route *route) MUST_USE;
void route_clear(struct route *route);

/* Opens REQUEST: to any server, or at once to the one with the number ONLY, which is usable. ERR_MEMORY. */
int route_open(struct route *route, struct client_request *request, size_t only) MUST_USE;
/* Takes REQUEST off every list without a word. */
void route_forget(struct route *route, struct client_request *request);
/* Ends all without an answer: STATUS_UNAVAILABLE. */
void route_fail_all(struct route *route);
/* Gives what is queued to servers with room. */
void route_give(struct route *route);
/* An answer to ATTEMPT is here; NULL when it was malformed. */
void route_answered(struct route *route, struct client_attempt *attempt, const struct msg_answer *answer);
/* ATTEMPT, already taken out of its connection, has lost its channel to SERVER. True when its request will be
 * sent again. */
bool route_lost(struct route *route, struct client_attempt *attempt, size_t server) MUST_USE;
/* Does what is due at NOW_NS: the end of requests, a rest's, a second server. */
void route_due(struct route *route, uint64_t now_ns);
/* When something is due next; UINT64_MAX = never. */
uint64_t route_first_ns(const struct route *route);
size_t route_in_flight(const struct route *route); /* open requests */

#endif
