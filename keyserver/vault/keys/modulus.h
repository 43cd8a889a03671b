/* Modulus: arithmetic modulo the n of an RSA key or a factor of it, with numbers that may be secret.
 *
 * Neither a branch nor an address depends on a number or a modulus: numbers have as many limbs as the
 * modulus, leading zeros or not, and the last subtraction of Montgomery's method (Math. of Comp. 44, 1985) is
 * always done and always selected from. Not for secret exponents. Pure; any thread. */
#ifndef KEYSERVER_VAULT_KEYS_MODULUS_H
#define KEYSERVER_VAULT_KEYS_MODULUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/operation.h"

#define MODULUS_LIMBS (RSA_MODULUS_MAX / sizeof(uint64_t))

/* A number, mostly one below n; the least significant limb first. Wipe when secret. */
struct residue {
    uint64_t limb[MODULUS_LIMBS];
};

struct modulus {
    size_t size;        /* bytes of n, and of every number written */
    size_t limbs;       /* in use */
    uint64_t n_inverse; /* -1 / n modulo 2^64 */
    struct residue n;
    struct residue one;    /* R modulo n, where R = 2^(64 limbs): 1 in Montgomery form */
    struct residue square; /* R² modulo n: multiplying by it gives the Montgomery form */
};

/* N is SIZE (1 … RSA_MODULUS_MAX) bytes, big-endian, odd, above 1, its first byte not zero. */
void modulus_init(struct modulus *m, const uint8_t *n, size_t size);

/* BYTES are m->size, big-endian, and need not be below n. */
void modulus_read(const struct modulus *m, struct residue *out, const uint8_t *bytes);
void modulus_write(const struct modulus *m, uint8_t *out, const struct residue *number);
/* True when NUMBER is below n, as the operations that follow want it. */
bool modulus_has(const struct modulus *m, const struct residue *number);

/* OUT = A B / R modulo n: of a number in Montgomery form and another in ordinary form the product in ordinary
 * form. OUT may be A or B. */
void modulus_multiply(const struct modulus *m, struct residue *out, const struct residue *a,
                      const struct residue *b);
/* OUT = A - B modulo n. OUT may be A or B. */
void modulus_subtract(const struct modulus *m, struct residue *out, const struct residue *a,
                      const struct residue *b);
/* OUT = NUMBER modulo n, in ordinary form, where NUMBER is any of LIMBS (1 … MODULUS_LIMBS). */
void modulus_reduce(const struct modulus *m, struct residue *out, const struct residue *number, size_t limbs);
/* OUT = BASE ^ EXPONENT, both numbers in Montgomery form; the exponent, above 0, is public. OUT is not BASE.
 */
void modulus_power(const struct modulus *m, struct residue *out, const struct residue *base,
                   uint64_t exponent);

/* OUT = A B + C, with no modulus: A has A_LIMBS, B and C have B_LIMBS, the sum fits MODULUS_LIMBS. OUT is
 * none of them. */
void residue_multiply_add(struct residue *out, const struct residue *a, size_t a_limbs,
                          const struct residue *b, size_t b_limbs, const struct residue *c);

#endif
