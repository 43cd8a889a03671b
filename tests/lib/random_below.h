/* Random numbers for tests. */
#ifndef TESTS_LIB_RANDOM_BELOW_H
#define TESTS_LIB_RANDOM_BELOW_H

#include <sodium.h>
#include <stdint.h>

/* Uniform below LIMIT (which is > 0). */
static inline uint32_t random_below(uint32_t limit)
{
    return randombytes_uniform(limit);
}

#endif
