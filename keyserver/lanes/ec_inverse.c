#include "keyserver/lanes/ec_inverse.h"

#include "common/secret.h"

#define LIMB_BITS  EC_INVERSE_BITS
#define LIMB_MASK  ((UINT64_C(1) << LIMB_BITS) - 1)
#define DIGIT_BITS 52
#define DIGIT_MASK ((UINT64_C(1) << DIGIT_BITS) - 1)

__extension__ typedef __int128 wide;

/* A signed number: limbs of 62 bits, of which the last has the sign. */
struct number {
    int64_t limb[EC_INVERSE_LIMBS];
};

/* What some division steps do to (f, g), times 2^steps: f' = u f + v g, g' = q f + r g. */
struct steps {
    int64_t u, v, q, r;
};

struct state {
    struct number f, g; /* of which the greatest common divisor is sought; f is odd */
    struct number d, e; /* f = d x and g = e x modulo m; both in (-2m, m) */
    int64_t delta;      /* twice that of the paper: odd, begins with 1 */
    struct steps steps;
};

/* Takes 62 division steps on the low bits of f and g, which are all that they depend on. One step, if g is
 * odd and delta > 0: (delta, f, g) becomes (1 - delta, g, (g - f) / 2), otherwise (1 + delta, f, (g + f (g
 * mod 2)) / 2). Instead of halving a row of the matrix the other one is doubled. */
static void take_steps(struct state *state)
{
    uint64_t f = (uint64_t)state->f.limb[0] | (uint64_t)state->f.limb[1] << LIMB_BITS;
    uint64_t g = (uint64_t)state->g.limb[0] | (uint64_t)state->g.limb[1] << LIMB_BITS;
    uint64_t u = 1, v = 0, q = 0, r = 1;
    int64_t delta = state->delta;
    for (unsigned i = 0; i < LIMB_BITS; i++) {
        uint64_t odd = 0 - (g & 1);
        uint64_t swap = odd & (uint64_t)(-delta >> 63);
        g += ((f ^ swap) - swap) & odd;
        q += ((u ^ swap) - swap) & odd;
        r += ((v ^ swap) - swap) & odd;
        f += g & swap; /* g - f + f is what g was */
        u += q & swap;
        v += r & swap;
        delta = (int64_t)(((uint64_t)delta ^ swap) - swap) + 2;
        g >>= 1;
        u <<= 1;
        v <<= 1;
    }
    state->delta = delta;
    state->steps = (struct steps){(int64_t)u, (int64_t)v, (int64_t)q, (int64_t)r};
}

/* f and g after the steps: what the matrix makes of them ends in 62 zeros, which go. */
static void apply_to_fg(struct state *state, size_t limbs)
{
    struct steps t = state->steps;
    wide f = (wide)t.u * state->f.limb[0] + (wide)t.v * state->g.limb[0];
    wide g = (wide)t.q * state->f.limb[0] + (wide)t.r * state->g.limb[0];
    for (size_t i = 1; i < limbs; i++) {
        f = (f >> LIMB_BITS) + (wide)t.u * state->f.limb[i] + (wide)t.v * state->g.limb[i];
        g = (g >> LIMB_BITS) + (wide)t.q * state->f.limb[i] + (wide)t.r * state->g.limb[i];
        state->f.limb[i - 1] = (int64_t)((uint64_t)f & LIMB_MASK);
        state->g.limb[i - 1] = (int64_t)((uint64_t)g & LIMB_MASK);
    }
    state->f.limb[limbs - 1] = (int64_t)(f >> LIMB_BITS);
    state->g.limb[limbs - 1] = (int64_t)(g >> LIMB_BITS);
}

/* The multiple of m, in (-2^62 - A - B, A + B], that makes a sum end in 62 zeros whose low bits are SUM when
 * A or B is added for m to make d or e positive. */
static int64_t multiple_of(const struct ec_inverse_modulus *m, int64_t positive, uint64_t sum)
{
    return positive - (int64_t)((m->inverse * sum + (uint64_t)positive) & LIMB_MASK);
}

/* d and e after the steps, as apply_to_fg(), but modulo m: with d and e in (-m, m), after m is added to what
 * is negative, and |u| + |v| ≤ 2^62, and less than 2^62 times m taken away, they are in (-2m, m) again. */
static void apply_to_de(struct state *state, const struct ec_inverse_modulus *m)
{
    struct steps t = state->steps;
    size_t last = m->limbs - 1;
    int64_t d_negative = state->d.limb[last] >> 63, e_negative = state->e.limb[last] >> 63;
    wide d = (wide)t.u * state->d.limb[0] + (wide)t.v * state->e.limb[0];
    wide e = (wide)t.q * state->d.limb[0] + (wide)t.r * state->e.limb[0];
    int64_t d_times = multiple_of(m, (t.u & d_negative) + (t.v & e_negative), (uint64_t)d);
    int64_t e_times = multiple_of(m, (t.q & d_negative) + (t.r & e_negative), (uint64_t)e);
    d += (wide)m->m[0] * d_times;
    e += (wide)m->m[0] * e_times;
    for (size_t i = 1; i <= last; i++) {
        d = (d >> LIMB_BITS) + (wide)t.u * state->d.limb[i] + (wide)t.v * state->e.limb[i];
        e = (e >> LIMB_BITS) + (wide)t.q * state->d.limb[i] + (wide)t.r * state->e.limb[i];
        d += (wide)m->m[i] * d_times;
        e += (wide)m->m[i] * e_times;
        state->d.limb[i - 1] = (int64_t)((uint64_t)d & LIMB_MASK);
        state->e.limb[i - 1] = (int64_t)((uint64_t)e & LIMB_MASK);
    }
    state->d.limb[last] = (int64_t)(d >> LIMB_BITS);
    state->e.limb[last] = (int64_t)(e >> LIMB_BITS);
}

/* NUMBER += m where ADD is all ones. */
static void add_modulus(struct number *number, const struct ec_inverse_modulus *m, int64_t add)
{
    int64_t carry = 0;
    for (size_t i = 0; i < m->limbs; i++) {
        carry += number->limb[i] + (m->m[i] & add);
        number->limb[i] = i + 1 < m->limbs ? (int64_t)((uint64_t)carry & LIMB_MASK) : carry;
        carry >>= LIMB_BITS;
    }
}

/* NUMBER = -NUMBER where NEGATE is all ones. */
static void negate(struct number *number, const struct ec_inverse_modulus *m, int64_t negate)
{
    for (size_t i = 0; i < m->limbs; i++)
        number->limb[i] = (number->limb[i] ^ negate) - negate;
    add_modulus(number, m, 0); /* carries */
}

static void unpack(struct number *out, const uint64_t *digits, const struct ec_inverse_modulus *m)
{
    for (size_t i = 0; i < m->limbs; i++) {
        uint64_t limb = 0;
        for (size_t j = 0; j < m->digits; j++) {
            long shift = (long)(j * DIGIT_BITS) - (long)(i * LIMB_BITS);
            if (shift > -DIGIT_BITS && shift < LIMB_BITS)
                limb |= shift < 0 ? digits[j] >> -shift : digits[j] << shift;
        }
        out->limb[i] = (int64_t)(limb & LIMB_MASK);
    }
}

static void pack(uint64_t *digits, const struct number *number, const struct ec_inverse_modulus *m)
{
    for (size_t j = 0; j < m->digits; j++) {
        uint64_t digit = 0;
        for (size_t i = 0; i < m->limbs; i++) {
            long shift = (long)(i * LIMB_BITS) - (long)(j * DIGIT_BITS);
            if (shift > -LIMB_BITS && shift < DIGIT_BITS)
                digit |= shift < 0 ? (uint64_t)number->limb[i] >> -shift : (uint64_t)number->limb[i] << shift;
        }
        digits[j] = digit & DIGIT_MASK;
    }
}

void ec_inverse(const struct ec_inverse_modulus *m, uint64_t *x)
{
    struct state state = {.delta = 1, .e = {{1}}};
    for (size_t i = 0; i < m->limbs; i++)
        state.f.limb[i] = m->m[i];
    unpack(&state.g, x, m);
    for (size_t round = 0; round < m->rounds; round++) {
        take_steps(&state);
        apply_to_fg(&state, m->limbs);
        apply_to_de(&state, m);
    }
    /* Now g is 0 and f is 1 or -1 (m, and then d 0, where x was 0), and f = d x. */
    struct number *d = &state.d;
    size_t last = m->limbs - 1;
    add_modulus(d, m, d->limb[last] >> 63);
    negate(d, m, state.f.limb[last] >> 63);
    add_modulus(d, m, d->limb[last] >> 63);
    pack(x, d, m);
    wipe(&state, sizeof state);
}
