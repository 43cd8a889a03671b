/* Deadlines: the open requests ordered by the moment something is due for each. A binary heap: what is
 * submitted with ever later deadlines goes in without a move, and the first is always at hand for one timer.
 *
 * Knows no clock and no timer. One thread. */
#ifndef EDGE_KEYCLIENT_DEADLINES_H
#define EDGE_KEYCLIENT_DEADLINES_H

#include "edge/keyclient/request.h"

struct deadlines {
    struct deadline {
        uint64_t due_ns;
        struct client_request *request; /* borrowed */
    } * heap;                           /* owned */
    size_t count;
    size_t size; /* of the array */
};

/* Makes room for one more; ERR_MEMORY. Zero-initialised is empty. */
int deadlines_reserve(struct deadlines *d) MUST_USE;
void deadlines_clear(struct deadlines *d);
/* REQUEST is due at DUE_NS; there is room, see deadlines_reserve(). */
void deadlines_put(struct deadlines *d, struct client_request *request, uint64_t due_ns);
/* Changes the moment of REQUEST, which is in it. */
void deadlines_move(struct deadlines *d, struct client_request *request, uint64_t due_ns);
void deadlines_remove(struct deadlines *d, struct client_request *request);
/* The request that is due first, borrowed; NULL when empty. */
struct client_request *deadlines_find_first(const struct deadlines *d);
/* When that is; UINT64_MAX when empty. */
uint64_t deadlines_first_ns(const struct deadlines *d);

#endif
