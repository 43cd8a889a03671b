/* The inverse of one secret number modulo a prime, in constant time: Bernstein and Yang's division steps
 * ("Fast constant-time gcd computation and modular inversion", TCHES 2019), in their variant that begins with
 * delta = 1/2.
 *
 * Not in lanes: a whole batch needs one inverse only. Neither a branch nor an address depends on the number.
 * Pure; any thread. */
#ifndef KEYSERVER_LANES_EC_INVERSE_H
#define KEYSERVER_LANES_EC_INVERSE_H

#include <stddef.h>
#include <stdint.h>

#define EC_INVERSE_LIMBS  7  /* of 60 bits, at most: 384 bits and a sign */
#define EC_INVERSE_DIGITS 8  /* of 52 bits, at most */
#define EC_INVERSE_BITS   60 /* division steps that are taken at a time, and bits of a limb */

struct ec_inverse_modulus {
    size_t digits;               /* of a number outside, 52 bits each */
    size_t limbs;                /* 60 LIMBS ≥ bits of m + 2 */
    size_t rounds;               /* 60 ROUNDS ≥ (45907 bits + 26313) / 19929 (hull bound for delta = 1/2) */
    int64_t m[EC_INVERSE_LIMBS]; /* the modulus, odd */
    uint64_t inverse;            /* 1 / m modulo 2^60 */
};

/* Replaces X, below m, by 1 / X modulo m, below m; zero stays zero. Both have m->digits digits of 52 bits,
 * the least significant first. */
void ec_inverse(const struct ec_inverse_modulus *m, uint64_t *x);

#endif
