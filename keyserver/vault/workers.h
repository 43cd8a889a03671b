/* The workers: a pool of threads that take what waits, compute and hand it back. Bounded; elliptic curves do
 * not wait behind RSA.
 *
 * submit, cancel, collect and free are the I/O thread's; the threads inside are nobody's business. */
#ifndef KEYSERVER_VAULT_WORKERS_H
#define KEYSERVER_VAULT_WORKERS_H

#include "keyserver/vault/job.h"
#include "keyserver/wall/wall.h"

struct workers;

struct workers_load {
    uint32_t queued;
    uint32_t working;
    uint32_t threads;
};

/* THREADS (0 = one a core) over the keys of STORE, borrowed; at most QUEUE_MAX jobs at once. NULL without
 * memory or threads. Every thread is ready to work when it returns. */
struct workers *workers_new(const struct keystore *store, unsigned threads, unsigned queue_max);
/* Finishes what has begun, drops the rest; NULL is allowed. */
void workers_free(struct workers *workers);

/* Readable when workers_collect has something. */
int workers_fd(const struct workers *workers);
/* Queues a judged request; ERR_BUSY when QUEUE_MAX jobs are there. */
int workers_submit(struct workers *workers, const struct wall_request *request,
                   const struct key *key) MUST_USE;
/* Drops the job of TOKEN if it still waits. */
void workers_cancel(struct workers *workers, uint64_t token);
/* Everything that is done since the last call, as a list by `next`; give each back with workers_release. */
struct job *workers_collect(struct workers *workers);
void workers_release(struct workers *workers, struct job *job); /* wipes */
void workers_get_load(struct workers *workers, struct workers_load *out);

#endif
