/* A fair queue: jobs of many edges, taken round robin: one of each edge that has any, in the order of
 * that edge. However many one edge puts in, the others' next job is at most one round away. Pure; the
 * owner locks. */
#ifndef KEYSERVER_VAULT_COMPUTE_FAIR_H
#define KEYSERVER_VAULT_COMPUTE_FAIR_H

#include "common/err.h"
#include "keyserver/vault/compute/job.h"

struct fair_edge {
    struct job_queue jobs;
    struct fair_edge *next; /* in the round; meaningless without jobs */
};

struct fair_queue {
    struct fair_edge *edges; /* owned; one an edge, by its index */
    size_t edge_count;
    struct fair_edge *first, *last; /* the round: edges with jobs */
    size_t length;                  /* jobs in all */
};

/* For edges with an index below EDGE_COUNT. */
int fair_queue_init(struct fair_queue *queue, size_t edge_count) MUST_USE;
void fair_queue_clear(struct fair_queue *queue); /* the jobs are their owner's */

/* Behind the others of its identity's edge. */
void fair_queue_put(struct fair_queue *queue, struct job *job);
struct job *fair_queue_take(struct fair_queue *queue); /* NULL when empty */
/* What fair_queue_take() would take. */
struct job *fair_queue_first(const struct fair_queue *queue);
/* The first edge goes to the end of the round; its jobs stay as they are. */
void fair_queue_pass(struct fair_queue *queue);

size_t fair_queue_waiting(const struct fair_queue *queue, size_t edge);
/* The edge with the most jobs, among those that have any; ERR_NOT_FOUND when empty. Looks at each of them. */
int fair_queue_longest(const struct fair_queue *queue, size_t *edge) MUST_USE;
/* Takes the oldest job of EDGE, wherever that edge is in the round, or NULL. */
struct job *fair_queue_take_of(struct fair_queue *queue, size_t edge);

#endif
