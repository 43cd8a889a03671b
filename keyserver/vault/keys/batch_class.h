/* Kinds of work: jobs of one kind can be computed together, in the lanes of the vector unit, each with a key
 * of its own. Plain data. */
#ifndef KEYSERVER_VAULT_KEYS_BATCH_CLASS_H
#define KEYSERVER_VAULT_KEYS_BATCH_CLASS_H

#include <stdbool.h>
#include <stddef.h>

enum batch_class {
    BATCH_P256,
    BATCH_P384,
    BATCH_ED25519,
    BATCH_RSA_2048,
    BATCH_RSA_3072,
    BATCH_RSA_4096,
    BATCH_RSA_SINGLE, /* RSA of other sizes or exponents: one by one */
    BATCH_CLASSES
};

/* Kinds as bits. */
#define BATCH_BIT(class) (1u << (class))
#define BATCH_ALL        (BATCH_BIT(BATCH_CLASSES) - 1)
#define BATCH_QUICK      (BATCH_BIT(BATCH_RSA_2048) - 1) /* does not wait behind slow work */
#define BATCH_SLOW       (BATCH_ALL & ~BATCH_QUICK)

static inline bool batch_is_slow(enum batch_class class)
{
    return (BATCH_SLOW & BATCH_BIT(class)) != 0;
}

#define BATCH_MAX 32

/* How many jobs of a kind are computed together: from LEAST on it costs less than one by one, at most MOST
 * (1 … BATCH_MAX). With STEP above 1, what is above a multiple of it costs as much as the next multiple:
 * it is better left for the next batch. {1, 1, 0}: one by one. */
struct batch_size {
    size_t least, most, step;
};

#endif
