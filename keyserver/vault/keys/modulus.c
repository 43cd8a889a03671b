#include "keyserver/vault/keys/modulus.h"

#include <assert.h>
#include <endian.h>
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

void modulus_subtract(const struct modulus *m, struct residue *out, const struct residue *a,
                      const struct residue *b)
{
    uint64_t less[MODULUS_LIMBS], carry = 0;
    uint64_t negative = subtract(m, less, a->limb, b->limb, 0);
    for (size_t i = 0; i < m->limbs; i++) {
        wide sum = (wide)less[i] + (m->n.limb[i] & negative) + carry;
        out->limb[i] = (uint64_t)sum;
        carry = (uint64_t)(sum >> LIMB_BITS);
    }
    wipe(less, sizeof less);
}

/* NUMBER += A modulo n. */
static void add_residue(const struct modulus *m, struct residue *number, const struct residue *a)
{
    uint64_t carry = 0;
    for (size_t i = 0; i < m->limbs; i++) {
        wide sum = (wide)number->limb[i] + a->limb[i] + carry;
        number->limb[i] = (uint64_t)sum;
        carry = (uint64_t)(sum >> LIMB_BITS);
    }
    reduce(m, number->limb, number->limb, carry);
}

/* From the top, in blocks as long as n: R times what came before, and the next block. */
void modulus_reduce(const struct modulus *m, struct residue *out, const struct residue *number, size_t limbs)
{
    struct residue block;
    *out = (struct residue){{0}};
    for (size_t blocks = (limbs + m->limbs - 1) / m->limbs; blocks-- > 0;) {
        size_t first = blocks * m->limbs, rest = limbs - first;
        block = (struct residue){{0}};
        memcpy(block.limb, number->limb + first, (rest < m->limbs ? rest : m->limbs) * LIMB_BYTES);
        modulus_multiply(m, out, out, &m->square);
        modulus_multiply(m, &block, &block, &m->one); /* one factor may be above n */
        add_residue(m, out, &block);
    }
    wipe(&block, sizeof block);
}

void residue_multiply_add(struct residue *out, const struct residue *a, size_t a_limbs,
                          const struct residue *b, size_t b_limbs, const struct residue *c)
{
    uint64_t sum[2 * MODULUS_LIMBS] = {0};
    memcpy(sum, c->limb, b_limbs * LIMB_BYTES);
    for (size_t i = 0; i < a_limbs; i++) {
        wide row = 0;
        for (size_t j = 0; j < b_limbs; j++) {
            row = (wide)a->limb[i] * b->limb[j] + sum[i + j] + (uint64_t)(row >> LIMB_BITS);
            sum[i + j] = (uint64_t)row;
        }
        sum[i + b_limbs] = (uint64_t)(row >> LIMB_BITS);
    }
    memcpy(out->limb, sum, sizeof out->limb);
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

/* The bytes of a number that its limb I has: LENGTH of them, up to END of all from their beginning. */
static size_t place_of(const struct modulus *m, size_t i, size_t *end)
{
    *end = m->size - i * LIMB_BYTES;
    return *end < LIMB_BYTES ? *end : LIMB_BYTES;
}

void modulus_read(const struct modulus *m, struct residue *out, const uint8_t *bytes)
{
    *out = (struct residue){{0}};
    for (size_t i = 0, end; i < m->limbs; i++) {
        size_t length = place_of(m, i, &end);
        uint64_t limb = 0;
        memcpy((uint8_t *)&limb + LIMB_BYTES - length, bytes + end - length, length);
        out->limb[i] = be64toh(limb);
    }
}

void modulus_write(const struct modulus *m, uint8_t *out, const struct residue *number)
{
    for (size_t i = 0, end; i < m->limbs; i++) {
        size_t length = place_of(m, i, &end);
        uint64_t limb = htobe64(number->limb[i]);
        memcpy(out + end - length, (const uint8_t *)&limb + LIMB_BYTES - length, length);
    }
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
