#include "keyserver/lanes/ec_inverse.h"

#include "common/secret.h"

#define LIMB_BITS  EC_INVERSE_BITS
#define STEPS      (LIMB_BITS / 2) /* that are taken at a time */
#define LIMB_MASK  ((UINT64_C(1) << LIMB_BITS) - 1)
#define DIGIT_BITS 52
#define DIGIT_MASK ((UINT64_C(1) << DIGIT_BITS) - 1)

__extension__ typedef __int128 wide;

/* A signed number: limbs of 60 bits, of which the last has the sign. */
struct number {
    int64_t limb[EC_INVERSE_LIMBS];
};

/* What some division steps do to (f, g), times 2^steps: f' = u f + v g, g' = q f + r g. */
struct steps {
    int64_t u, v, q, r;
};

struct state {
    struct number f, g;   /* of which the greatest common divisor is sought; f is odd */
    struct number d, e;   /* f = d x and g = e x modulo m; both in (-2m, m) */
    uint64_t minus_delta; /* twice that of the paper, which begins with 1/2; never zero */
    struct steps steps;
};

/* MASK, of which the compiler does not know that it is all ones or all zeros, and so makes no jump of it. */
static inline uint64_t mask_of(uint64_t mask)
{
    __asm__("" : "+r"(mask));
    return mask;
}

/* Takes 30 division steps on the low bits of f and g, which are all that they depend on. One step, if g is
 * odd and delta > 0: (delta, f, g) becomes (1 - delta, g, (g - f) / 2), otherwise (1 + delta, f, (g + f (g
 * mod 2)) / 2). Instead of halving one row of the matrix the other one is doubled, and a row is one number, u
 * + 2^32 v: no more than 2^30 each, they do not get in each other's way. What is added to g and its row is
 * made before it is known whether it will be: each step waits for the one before. */
static struct steps take_steps(struct state *state, uint64_t *f_bits, uint64_t *g_bits)
{
    uint64_t f = *f_bits, g = *g_bits, uv = 1, qr = UINT64_C(1) << 32, minus_delta = state->minus_delta;
    for (unsigned i = 0; i < STEPS; i++) {
        uint64_t positive = mask_of((uint64_t)((int64_t)minus_delta >> 63)); /* delta */
        uint64_t odd = mask_of(0 - (g & 1));
        uint64_t swap = odd & positive;
        uint64_t f_swap = (f ^ g) & swap, row_swap = (uv ^ qr) & swap;
        g += ((f ^ positive) - positive) & odd;
        qr += ((uv ^ positive) - positive) & odd;
        f ^= f_swap;
        uv ^= row_swap;
        minus_delta = (minus_delta ^ swap) - swap - 2;
        g >>= 1;
        uv <<= 1;
    }
    *f_bits = f;
    *g_bits = g;
    state->minus_delta = minus_delta;
    struct steps steps = {.u = (int32_t)uv, .q = (int32_t)qr};
    steps.v = (int64_t)(uv - (uint64_t)steps.u) >> 32;
    steps.r = (int64_t)(qr - (uint64_t)steps.q) >> 32;
    return steps;
}

/* As many steps as a limb has bits. */
static void take_all_steps(struct state *state)
{
    uint64_t f = (uint64_t)state->f.limb[0] | (uint64_t)state->f.limb[1] << LIMB_BITS;
    uint64_t g = (uint64_t)state->g.limb[0] | (uint64_t)state->g.limb[1] << LIMB_BITS;
    struct steps a = take_steps(state, &f, &g), b = take_steps(state, &f, &g);
    state->steps = (struct steps){
        .u = b.u * a.u + b.v * a.q,
        .v = b.u * a.v + b.v * a.r,
        .q = b.q * a.u + b.r * a.q,
        .r = b.q * a.v + b.r * a.r,
    };
}

/* f and g after the steps: what the matrix makes of them ends in 60 zeros, which go. */
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

/* The multiple of m, in (-2^60 - A - B, A + B], that makes a sum end in 60 zeros whose low bits are SUM when
 * A or B is added for m to make d or e positive. */
static int64_t multiple_of(const struct ec_inverse_modulus *m, int64_t positive, uint64_t sum)
{
    return positive - (int64_t)((m->inverse * sum + (uint64_t)positive) & LIMB_MASK);
}

/* d and e after the steps, as apply_to_fg(), but modulo m: with d and e in (-m, m), after m is added to what
 * is negative, and |u| + |v| ≤ 2^60, and less than 2^60 times m taken away, they are in (-2m, m) again. */
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
    struct state state = {.minus_delta = UINT64_MAX, .e = {{1}}};
    for (size_t i = 0; i < m->limbs; i++)
        state.f.limb[i] = m->m[i];
    unpack(&state.g, x, m);
    for (size_t round = 0; round < m->rounds; round++) {
        take_all_steps(&state);
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
