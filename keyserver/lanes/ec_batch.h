/* The inverses of many numbers for the price of one: Montgomery's trick (Math. of Comp. 48, 1987, 10.3.4),
 * over the lanes of a vector and over the vectors of a call.
 *
 * For the files of a kernel only. Numbers are in Montgomery form and not zero. Nothing branches, or looks
 * anything up, by a number. */
#ifndef KEYSERVER_LANES_EC_BATCH_H
#define KEYSERVER_LANES_EC_BATCH_H

#include "common/secret.h"
#include "keyserver/lanes/ec_field.h"

/* A prime modulus. */
struct ring {
    void (*multiply)(vec out[static EC_DIGITS], const vec a[static EC_DIGITS], const vec b[static EC_DIGITS]);
    const uint64_t *modulus;
    const uint64_t *cube; /* R³ */
    const struct ec_inverse_modulus *inverse;
};

static void batch_field_multiply(vec out[static EC_DIGITS], const vec a[static EC_DIGITS],
                                 const vec b[static EC_DIGITS])
{
    field_multiply(out, a, b);
}

static void batch_order_multiply(vec out[static EC_DIGITS], const vec a[static EC_DIGITS],
                                 const vec b[static EC_DIGITS])
{
    order_multiply(out, a, b);
}

static const struct ring field_ring = {batch_field_multiply, field_p, field_cube, &field_inverse_modulus};

/* A = 1 / A in each lane; 2 at most. Each level multiplies every lane with the one at a distance, until all
 * have the product of all; then, backwards, the inverse of a product times one factor is the inverse of the
 * other. */
static void batch_invert_lanes(vec a[static EC_DIGITS], const struct ring *ring)
{
    vec level[3][EC_DIGITS], swapped[EC_DIGITS], all[EC_DIGITS];
    struct number one;
    uint64_t digits[EC_DIGITS];
#define LEVEL(n, from, to)                                                                                   \
    EACH_DIGIT(i) level[n][i] = (from)[i];                                                                   \
    EACH_DIGIT(i) swapped[i] = vec_swap((from)[i], 1 << (n));                                                \
    ring->multiply(to, level[n], swapped)
    LEVEL(0, a, all);
    LEVEL(1, all, all);
    LEVEL(2, all, all);
#undef LEVEL
    number_reduce(all, all, ring->modulus);
    number_store(&one, all);
    for (unsigned i = 0; i < EC_DIGITS; i++)
        digits[i] = one.digit[i][0];
    ec_inverse(ring->inverse, digits); /* of x R: x^-1 R^-1, which R³ / R makes x^-1 R */
    number_all(all, digits);
    number_all(swapped, ring->cube);
    ring->multiply(all, all, swapped);
#define LEVEL(n)                                                                                             \
    EACH_DIGIT(i) swapped[i] = vec_swap(level[n][i], 1 << (n));                                              \
    ring->multiply(all, all, swapped)
    LEVEL(2);
    LEVEL(1);
    LEVEL(0);
#undef LEVEL
    EACH_DIGIT(i) a[i] = all[i];
    wipe(&one, sizeof one);
    wipe(digits, sizeof digits);
}

/* Each of COUNT numbers becomes its inverse; below 2. RUNNING has room for as many. */
static void batch_invert(struct number *numbers, struct number *running, size_t count,
                         const struct ring *ring)
{
    vec all[EC_DIGITS], a[EC_DIGITS], before[EC_DIGITS];
    number_load(all, &numbers[0]);
    for (size_t i = 1; i < count; i++) {
        number_store(&running[i], all);
        number_load(a, &numbers[i]);
        ring->multiply(all, all, a);
    }
    batch_invert_lanes(all, ring);
    for (size_t i = count - 1; i > 0; i--) {
        number_load(before, &running[i]);
        number_load(a, &numbers[i]);
        ring->multiply(before, before, all);
        ring->multiply(all, all, a);
        number_store(&numbers[i], before);
    }
    number_store(&numbers[0], all);
}

#endif
