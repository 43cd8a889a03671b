/* The insides of RSA in lanes, for rsa_key.c and rsa_lanes.c: what is kept of a key and of a thread's
 * blinding with it, and what a call works on.
 *
 * Numbers are in digits of LANE_DIGIT_BITS, the least significant first. */
#ifndef KEYSERVER_LANES_RSA_INSIDE_H
#define KEYSERVER_LANES_RSA_INSIDE_H

#include "keyserver/lanes/rsa_kernel.h"
#include "keyserver/lanes/rsa_lanes.h"

#define HALF_DIGITS_MAX (LANE_DIGITS_MAX / 2)

enum rsa_exponent { PRIVATE, INVERT, EXPONENTS };

/* One prime. */
struct rsa_half {
    uint64_t inverse; /* -1 / p modulo 2^52 */
    uint64_t n[HALF_DIGITS_MAX];
    uint64_t square[HALF_DIGITS_MAX]; /* R² modulo p */
    uint64_t cube[HALF_DIGITS_MAX];   /* R³ modulo p */
    /* d modulo p - 1; and p - 2, which gives 1 / x (Fermat). */
    uint64_t exponent[EXPONENTS][HALF_DIGITS_MAX];
};

struct rsa_lanes_key {
    size_t size;   /* bytes of n */
    size_t blocks; /* of p and of q; n has twice as many */
    uint64_t inverse;
    uint64_t n[LANE_DIGITS_MAX];
    uint64_t square[LANE_DIGITS_MAX]; /* R² modulo n */
    struct rsa_half p, q;
    uint64_t coefficient[HALF_DIGITS_MAX]; /* R / q modulo p */
};

/* A pair of numbers for each lane, so that a key can be in all of them at once. Both in Montgomery form. */
struct rsa_lanes_blinding {
    const struct rsa_lanes_key *key;           /* borrowed */
    unsigned uses_left[LANES];                 /* of the lane's pair and its squares */
    struct lane_digit hide[LANE_DIGITS_MAX];   /* r^e */
    struct lane_digit reveal[LANE_DIGITS_MAX]; /* 1 / r */
};

/* What is worked on in one call. A lane without an item computes something that is ignored. */
struct rsa_lanes_scratch {
    const struct rsa_kernel *kernel; /* borrowed */
    struct lane {
        const struct rsa_lanes_key *key; /* borrowed for a call, as are the others */
        const struct rsa_half *half;     /* of the key: what `work.half` has in this lane */
        struct rsa_lanes_blinding *blinding;
    } lane[LANES];
    size_t count; /* of items */
    struct work {
        struct lane_modulus n;
        struct lane_modulus half; /* p or q */
        struct lane_digit hide[LANE_DIGITS_MAX];
        struct lane_digit reveal[LANE_DIGITS_MAX];
        struct lane_digit hidden[LANE_DIGITS_MAX]; /* what the private exponent is for */
        struct lane_digit result[LANE_DIGITS_MAX]; /* what comes of it */
        struct lane_digit check[LANE_DIGITS_MAX];
        struct lane_digit one[LANE_DIGITS_MAX]; /* the number 1 */
        struct lane_digit by_p[HALF_DIGITS_MAX];
        struct lane_digit by_q[HALF_DIGITS_MAX];
        struct lane_digit factor[HALF_DIGITS_MAX];
        struct lane_digit table[(RSA_WINDOW_SIZE + 1) * HALF_DIGITS_MAX];
    } work; /* all zero between calls */
};

/* OUT = BYTES, SIZE of them, big-endian; there are DIGITS for them, and bits to spare. */
void rsa_read_number(uint64_t *out, size_t digits, const uint8_t *bytes, size_t size);

#endif
