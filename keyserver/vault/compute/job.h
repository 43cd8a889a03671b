/* A job: one judged request on its way through queue and worker, and the queue of them. Pure; the owner
 * locks. */
#ifndef KEYSERVER_VAULT_COMPUTE_JOB_H
#define KEYSERVER_VAULT_COMPUTE_JOB_H

#include "keyserver/vault/request/crypto_input.h"
#include "keyserver/vault/request/request_identity.h"

struct job {
    struct job *next;        /* in a queue, in the free list or among the done */
    struct job *same_bucket; /* waiting jobs whose tokens share a bucket */
    uint64_t token;          /* the net side's name for it */
    uint64_t deadline_ns;    /* of clock_ns() */
    struct request_identity identity;
    struct crypto_input input;
    struct outcome outcome; /* once done; wiped with the job */
    bool cancelled;         /* nobody waits for it any more */
    bool faulty;            /* its result did not pass the check */
    uint64_t spent_ns;      /* in the private-key operation */
};

/* What a job is made of: a judged request. Borrowed. */
struct job_order {
    uint64_t token;
    uint64_t deadline_ns; /* of clock_ns() */
    const struct request_identity *identity;
    const struct crypto_input *input;
};

/* First in, first out. Zero-initialised is empty. */
struct job_queue {
    struct job *first, *last;
    size_t length;
};

/* Copies what ORDER says into JOB, whatever that was, and clears the rest. */
void job_init(struct job *job, const struct job_order *order);
void job_queue_put(struct job_queue *queue, struct job *job);
struct job *job_queue_take(struct job_queue *queue); /* NULL when empty */

#endif
