/* Requests: the net side's table of what is open in the vault, and whose it is.
 *
 * A token names a slot and its generation, so a late, repeated or invented answer finds nothing rather than
 * somebody else's request. Find, add and remove take constant time; the table is bounded. Knows neither
 * channels nor the wall. Loop thread only. */
#ifndef KEYSERVER_NET_REQUESTS_H
#define KEYSERVER_NET_REQUESTS_H

#include "common/log.h"
#include "proto/operation.h"

#define REQUESTS_MAX     131072 /* open at once, of all edges */
#define REQUESTS_TICK_MS 50     /* how exactly an overdue request is found */

struct requests;
struct peer;

/* Some requests of one peer, in the order in which they came into the list. Zero-initialised is empty. */
struct request_list {
    uint32_t first, last; /* slot number + 1; 0 = none */
    uint32_t count;
};

/* One open request. Pointers to it hold until the next requests_add() or requests_remove(). */
struct request {
    uint64_t token;             /* its name on the wall; never 0 */
    uint64_t id;                /* its name on the peer's channel */
    uint64_t received_ns;       /* clock_ns() when it came */
    uint64_t overdue_ns;        /* when the vault will not be waited for any longer */
    struct peer *peer;          /* borrowed; whose it is */
    struct request_list *owner; /* borrowed; the peer's list */
    struct trace_id trace;
    bool no_trace; /* the peer sent none */
    enum operation_kind kind;
    uint32_t wall; /* the wall end it went through */
};

/* MAX is 1 … REQUESTS_MAX. NULL without memory. */
struct requests *requests_new(size_t max);
void requests_free(struct requests *table);

/* Adds a request (its token is set by the table) to the list OWNER. NULL when the table is full or there is
 * no memory. */
struct request *requests_add(struct requests *table, struct request_list *owner,
                             const struct request *request);
/* The open request called TOKEN, or NULL. */
struct request *requests_find(struct requests *table, uint64_t token);
void requests_remove(struct requests *table, struct request *request);

/* Takes REQUEST out of its list and puts it at the end of TO. */
void requests_move(struct requests *table, struct request *request, struct request_list *to);

size_t requests_count(const struct requests *table);
/* The request that is in OWNER's list for longest, or NULL when there is none. */
struct request *requests_first(struct requests *table, const struct request_list *owner);
/* Some request that was overdue at NOW_NS, or NULL when there is none (left). Time must not run backwards. */
struct request *requests_overdue(struct requests *table, uint64_t now_ns);
/* The next open request that went through WALL at or after slot number *AT (start with 0), which moves on;
 * NULL at the end. Removing what it returned is allowed. */
struct request *requests_through(struct requests *table, uint32_t wall, size_t *at);

#endif
