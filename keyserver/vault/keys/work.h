/* Kinds of work: jobs of one kind can be computed together, in the lanes of the vector unit, each with a key
 * of its own. Plain data. */
#ifndef KEYSERVER_VAULT_KEYS_WORK_H
#define KEYSERVER_VAULT_KEYS_WORK_H

#include <stdbool.h>
#include <stddef.h>

enum work {
    WORK_P256,
    WORK_P384,
    WORK_ED25519,
    WORK_RSA_2048,
    WORK_RSA_3072,
    WORK_RSA_4096,
    WORK_RSA_ALONE, /* RSA of other sizes or exponents: one by one */
    WORKS
};

/* Kinds as bits. */
#define WORK_BIT(work) (1u << (work))
#define WORKS_ALL      (WORK_BIT(WORKS) - 1)
#define WORKS_QUICK    (WORK_BIT(WORK_RSA_2048) - 1) /* does not wait behind slow work */
#define WORKS_SLOW     (WORKS_ALL & ~WORKS_QUICK)

static inline bool work_is_slow(enum work work)
{
    return (WORKS_SLOW & WORK_BIT(work)) != 0;
}

#define WORK_BATCH_MAX 32

/* How many jobs of a kind are computed together: from LEAST on it costs less than one by one, at most MOST
 * (1 … WORK_BATCH_MAX). With STEP above 1, what is above a multiple of it costs as much as the next multiple:
 * it is better left for the next batch. {1, 1, 0}: one by one. */
struct batch_size {
    size_t least, most, step;
};

#endif
