#include "keyserver/vault/modulus.h"

#include <assert.h>
#include <string.h>

#include "common/secret.h"

#define LIMB_BITS  64
#define LIMB_BYTES sizeof(uint64_t)

__extension__ typedef unsigned __int128 wide; /* the product of two limbs, and room for two carries */

/* OUT = A - B, where A has a limb more, OVER. Returns all ones when the result is negative, else 0. */
static uint64_t subtract(const struct modulus *m, uint64_t *out, const uint64_t *a, const uint64_t *b,
                         uint64_t over)
{
    uint64_t borrow = 0;
    for (size_t i = 0; i < m->limbs; i++) {
        wide difference = (wide)a[i] - b[i] - borrow;
        out[i] = (uint64_t)difference;
        borrow = (uint64_t)(difference >> LIMB_BITS) & 1;
    }
    uint64_t negative = 0 - (borrow & ~over);
    __asm__("" : "+r"(negative)); /* keeps a compiler from seeing that there are only two masks */
    return negative;
}

/* OUT = A, which is below 2n and has a limb more, OVER; reduced. OUT may be A. */
static void reduce(const struct modulus *m, uint64_t *out, const uint64_t *a, uint64_t over)
{
    uint64_t less[MODULUS_LIMBS];
    uint64_t keep = subtract(m, less, a, m->n.limb, over);
    for (size_t i = 0; i < m->limbs; i++)
        out[i] = (a[i] & keep) | (less[i] & ~keep);
    wipe(less, sizeof less);
}

void modulus_multiply(const struct modulus *m, struct residue *out, const struct residue *a,
                      const struct residue *b)
{
    uint64_t sum[MODULUS_LIMBS] = {0}, over = 0; /* of all rows so far; below 2n after each */
    for (size_t i = 0; i < m->limbs; i++) {
        /* Adds a_i b, and the multiple of n that makes the lowest limb zero; drops that limb. */
        wide product = (wide)a->limb[i] * b->limb[0] + sum[0];
        uint64_t quotient = (uint64_t)product * m->n_inverse;
        wide reduced = (wide)quotient * m->n.limb[0] + (uint64_t)product;
        for (size_t j = 1; j < m->limbs; j++) {
            product = (wide)a->limb[i] * b->limb[j] + sum[j] + (uint64_t)(product >> LIMB_BITS);
            reduced = (wide)quotient * m->n.limb[j] + (uint64_t)product + (uint64_t)(reduced >> LIMB_BITS);
            sum[j - 1] = (uint64_t)reduced;
        }
        wide last = (product >> LIMB_BITS) + (reduced >> LIMB_BITS) + over;
        sum[m->limbs - 1] = (uint64_t)last;
        over = (uint64_t)(last >> LIMB_BITS);
    }
    reduce(m, out->limb, sum, over);
    wipe(sum, sizeof sum);
}

void modulus_power(const struct modulus *m, struct residue *out, const struct residue *base,
                   uint64_t exponent)
{
    *out = m->one;
    for (int bit = LIMB_BITS - 1; bit >= 0; bit--) {
        modulus_multiply(m, out, out, out);
        if (exponent >> bit & 1)
            modulus_multiply(m, out, out, base);
    }
}

void modulus_read(const struct modulus *m, struct residue *out, const uint8_t *bytes)
{
    *out = (struct residue){{0}};
    for (size_t i = 0; i < m->size; i++)
        out->limb[i / LIMB_BYTES] |= (uint64_t)bytes[m->size - 1 - i] << 8 * (i % LIMB_BYTES);
}

void modulus_write(const struct modulus *m, uint8_t *out, const struct residue *number)
{
    for (size_t i = 0; i < m->size; i++)
        out[m->size - 1 - i] = (uint8_t)(number->limb[i / LIMB_BYTES] >> 8 * (i % LIMB_BYTES));
}

bool modulus_has(const struct modulus *m, const struct residue *number)
{
    uint64_t less[MODULUS_LIMBS];
    uint64_t below = subtract(m, less, number->limb, m->n.limb, 0);
    wipe(less, sizeof less);
    return below != 0;
}

/* NUMBER = 2 NUMBER modulo n. */
static void twice(const struct modulus *m, struct residue *number)
{
    uint64_t over = 0;
    for (size_t i = 0; i < m->limbs; i++) {
        uint64_t limb = number->limb[i];
        number->limb[i] = limb << 1 | over;
        over = limb >> (LIMB_BITS - 1);
    }
    reduce(m, number->limb, number->limb, over);
}

void modulus_init(struct modulus *m, const uint8_t *n, size_t size)
{
    assert(size > 0 && size <= RSA_MODULUS_MAX && n[0] != 0 && n[size - 1] % 2 == 1);
    *m = (struct modulus){.size = size, .limbs = (size + LIMB_BYTES - 1) / LIMB_BYTES};
    modulus_read(m, &m->n, n);
    uint64_t inverse = 1; /* of n modulo 2, 4, 16, 256, … (Newton) */
    for (int bits = 1; bits < LIMB_BITS; bits *= 2)
        inverse *= 2 - m->n.limb[0] * inverse;
    m->n_inverse = 0 - inverse;
    m->one.limb[0] = 1;
    for (size_t i = 0; i < LIMB_BITS * m->limbs; i++)
        twice(m, &m->one);
    m->square = m->one;
    for (size_t i = 0; i < LIMB_BITS * m->limbs; i++)
        twice(m, &m->square);
}
