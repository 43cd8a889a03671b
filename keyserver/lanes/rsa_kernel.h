/* The arithmetic that RSA in lanes is made of: Montgomery's (Math. of Comp. 44, 1985) on eight numbers at
 * once, modulo eight moduli of one length, in digits of 52 bits.
 *
 * R = 2^(52 digits) is at least 2^16 times each modulus, so that nothing needs to be subtracted between
 * operations: what is multiplied is below 4 moduli, what comes out is below 2. Neither a branch nor an
 * address depends on a number or an exponent. Two implementations from one source: of the vector unit, and a
 * portable one, which is slow, for tests. Pure; any thread. */
#ifndef KEYSERVER_LANES_RSA_KERNEL_H
#define KEYSERVER_LANES_RSA_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LANES           8 /* operations at once */
#define LANE_DIGIT_BITS 52
#define LANE_DIGIT_MASK ((UINT64_C(1) << LANE_DIGIT_BITS) - 1)
#define LANE_BLOCK      10 /* digits; every number has a whole number of blocks */
#define LANE_BLOCKS_MAX 8  /* for 4096 bits */
#define LANE_DIGITS_MAX (LANE_BLOCK * LANE_BLOCKS_MAX)

#define RSA_WINDOW_BITS 4 /* of an exponent at a time: no window is in two digits */
#define RSA_WINDOW_SIZE (1 << RSA_WINDOW_BITS)

/* One digit of eight numbers. A number is an array of these, the least significant first. */
struct lane_digit {
    _Alignas(64) uint64_t lane[LANES];
};

/* Eight moduli, and room for a multiplication by them. */
struct lane_modulus {
    size_t blocks;             /* of each number */
    struct lane_digit inverse; /* -1 / n modulo 2^52 */
    struct lane_digit n[LANE_DIGITS_MAX];
    struct lane_digit square[LANE_DIGITS_MAX];   /* R² modulo n */
    struct lane_digit quotient[LANE_DIGITS_MAX]; /* of the multiplication that is going on */
};

struct rsa_kernel {
    /* OUT = A B / R modulo n. OUT may be A or B. */
    void (*multiply)(struct lane_modulus *m, struct lane_digit *out, const struct lane_digit *a,
                     const struct lane_digit *b);
    /* OUT = A A / R modulo n. OUT may be A. */
    void (*square)(struct lane_modulus *m, struct lane_digit *out, const struct lane_digit *a);
    /* OUT = BASE ^ EXPONENT, both numbers in Montgomery form; EXPONENT is below 2 ^ (RSA_WINDOW_BITS
     * WINDOWS). TABLE has room for RSA_WINDOW_SIZE numbers. */
    void (*power)(struct lane_modulus *m, struct lane_digit *out, const struct lane_digit *base,
                  const struct lane_digit *exponent, size_t windows, struct lane_digit *table);
    /* NUMBER, below 2n, becomes less than n. */
    void (*reduce)(const struct lane_modulus *m, struct lane_digit *number);
    /* OUT = A + B, which is below R. */
    void (*add)(const struct lane_modulus *m, struct lane_digit *out, const struct lane_digit *a,
                const struct lane_digit *b);
    /* OUT = A - B + 2n, where B is below 2n; below A + 2n. */
    void (*subtract)(const struct lane_modulus *m, struct lane_digit *out, const struct lane_digit *a,
                     const struct lane_digit *b);
    /* OUT, of twice as many digits, = A B + C, and is none of these. */
    void (*product)(const struct lane_modulus *m, struct lane_digit *out, const struct lane_digit *a,
                    const struct lane_digit *b, const struct lane_digit *c);
    /* One bit a lane, lane 0 the lowest: is A the same as B? */
    unsigned (*same)(const struct lane_modulus *m, const struct lane_digit *a, const struct lane_digit *b);
};

/* Only where lanes_features() has LANES_IFMA; elsewhere, and on other architectures, the instructions or the
 * symbol are missing. */
extern const struct rsa_kernel rsa_kernel_ifma;
extern const struct rsa_kernel rsa_kernel_portable;

/* Puts KERNEL through known answers for every size of key: true when all eight lanes give them. */
bool rsa_lanes_self_test(const struct rsa_kernel *kernel);

#endif
