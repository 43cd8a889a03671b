/* The workers: a pool of threads that take what waits, compute and hand it back; together what can be
 * computed together (scheduler.h). Bounded; elliptic curves do not wait behind RSA, and edges are served
 * round robin.
 *
 * submit, begin, do_short, cancel, collect and free are the I/O thread's; the threads inside are internal. */
#ifndef KEYSERVER_VAULT_COMPUTE_WORKERS_H
#define KEYSERVER_VAULT_COMPUTE_WORKERS_H

#include "keyserver/vault/compute/job.h"

struct workers;

struct workers_load {
    uint32_t queued;
    uint32_t working;
    uint32_t threads;
};

struct workers_settings {
    unsigned threads;       /* 0: one a core */
    unsigned quick_threads; /* besides them; they take no RSA, so that quick work never waits behind it */
    unsigned queue_max;     /* jobs at once */
    size_t edge_count;      /* jobs are of edges with an index below it */
};

/* Over the keys of STORE, borrowed. NULL with errno without memory or threads. Every thread is ready to work
 * when it returns. */
struct workers *workers_new(const struct keystore *store, const struct workers_settings *settings);
/* Finishes what has begun, drops the rest; NULL is allowed. */
void workers_free(struct workers *workers);

/* Readable when workers_collect() has something; up to a millisecond after it has while much work waits, so
 * that several results are told at once. */
int workers_fd(const struct workers *workers);
/* Copies ORDER into a job; workers_begin() follows. When queue_max jobs are there, the edge with the most
 * that wait loses its oldest: it is copied to LOST (tell its edge that it is busy; wipe it) and 1 is
 * returned. If that would be this very edge, ERR_BUSY: what one edge may have waiting does not depend on how
 * much another asks. */
int workers_submit(struct workers *workers, const struct job_order *order, struct job *lost) MUST_USE;
/* Lets the threads see what was submitted: many jobs at once, so that they may be computed together. */
void workers_begin(struct workers *workers);
/* Does short work that waits, some of it, in this thread: what lanes make so quick that to hand it over would
 * cost more. workers_collect() follows. True when more of it waits. */
bool workers_do_short(struct workers *workers);
/* Drops the job of TOKEN if it still waits. */
void workers_cancel(struct workers *workers, uint64_t token);
/* Everything that is done since the last call, as a list by `next`; give each back with workers_release. */
struct job *workers_collect(struct workers *workers);
void workers_release(struct workers *workers, struct job *job); /* wipes */
void workers_get_load(struct workers *workers, struct workers_load *out);

#endif
