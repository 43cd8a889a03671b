/* What waits for a worker, by its batch class, so that what can be computed together is taken together.
 *
 * Quick work goes first, but not for ever: now and then slow work is due. Classes are served round robin, and
 * so are the edges in each class (fair.h). Nothing is held back so that a batch may grow: what is there is
 * taken. Pure; the owner locks. */
#ifndef KEYSERVER_VAULT_COMPUTE_SCHEDULER_H
#define KEYSERVER_VAULT_COMPUTE_SCHEDULER_H

#include "keyserver/vault/compute/fair.h"
#include "keyserver/vault/keys/batch_class.h"

#define SCHEDULER_QUICK_IN_A_ROW 16 /* takes of quick work while slow work waits */

struct scheduler {
    struct fair_queue queue[BATCH_CLASSES];
    struct batch_size batch[BATCH_CLASSES];
    size_t length;    /* jobs in all */
    unsigned classes; /* that wait; bits */
    enum batch_class last_taken;
    unsigned quick_taken; /* in a row */
};

/* For edges with an index below EDGE_COUNT; until told otherwise jobs are taken one by one. ERR_MEMORY. */
int scheduler_init(struct scheduler *scheduler, size_t edge_count) MUST_USE;
void scheduler_clear(struct scheduler *scheduler); /* the jobs are their owner's */

void scheduler_put(struct scheduler *scheduler, struct job *job);
/* Takes the jobs that are next, of one of CLASSES (bits). Returns how many. */
size_t scheduler_take(struct scheduler *scheduler, struct job *out[static BATCH_MAX], unsigned classes);
/* True when scheduler_take() would find something. */
bool scheduler_has(const struct scheduler *scheduler, unsigned classes);
/* Jobs of EDGE, of every class. */
size_t scheduler_of(const struct scheduler *scheduler, size_t edge);

/* Takes a job away from the edge that has the most, if EDGE with one more would still have fewer; NULL
 * otherwise. Its slow work first: that keeps a place for longest. */
struct job *scheduler_take_from_longest(struct scheduler *scheduler, size_t edge);

#endif
