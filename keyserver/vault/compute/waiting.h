/* What waits for a worker, by its kind of work, so that what can be computed together is taken together.
 *
 * Quick work goes first, but not for ever: now and then slow work is due. Kinds take turns, and within each
 * kind edges do (fair.h). Nothing is held back so that a batch may grow: what is there is taken. Pure; the
 * owner locks. */
#ifndef KEYSERVER_VAULT_COMPUTE_WAITING_H
#define KEYSERVER_VAULT_COMPUTE_WAITING_H

#include "keyserver/vault/compute/fair.h"
#include "keyserver/vault/keys/work.h"

#define WAITING_QUICK_IN_A_ROW 16 /* takes of quick work while slow work waits */

struct waiting {
    struct fair_queue queue[WORKS];
    struct batch_size batch[WORKS];
    size_t length;        /* jobs in all */
    unsigned kinds;       /* that wait; bits */
    enum work turn;       /* of the kinds: the one taken last */
    unsigned quick_taken; /* in a row */
};

/* For edges with an index below EDGE_COUNT; until told otherwise jobs are taken one by one. ERR_MEMORY. */
int waiting_init(struct waiting *waiting, size_t edge_count) MUST_USE;
void waiting_clear(struct waiting *waiting); /* the jobs are their owner's */

void waiting_put(struct waiting *waiting, struct job *job);
/* Takes the jobs that are next, of one of KINDS (bits). Returns how many. */
size_t waiting_take(struct waiting *waiting, struct job *out[static WORK_BATCH_MAX], unsigned kinds);
/* True when waiting_take() would find something. */
bool waiting_has(const struct waiting *waiting, unsigned kinds);
/* Jobs of EDGE, of every kind. */
size_t waiting_of(const struct waiting *waiting, size_t edge);

/* Takes a job away from the edge that has the most, if EDGE with one more would still have fewer; NULL
 * otherwise. Its slow work first: that keeps a place for longest. */
struct job *waiting_take_from_longest(struct waiting *waiting, size_t edge);

#endif
