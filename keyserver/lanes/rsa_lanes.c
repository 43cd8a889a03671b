#include "keyserver/lanes/rsa_lanes.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "common/secret.h"
#include "keyserver/lanes/rsa_inside.h"

#define ALL_LANES      ((1u << LANES) - 1)
#define EXPONENT_TWICE 16 /* 65537 = 2^16 + 1 */

struct rsa_lanes_scratch *rsa_lanes_scratch_new(const struct rsa_kernel *kernel)
{
    struct rsa_lanes_scratch *scratch = secret_new(sizeof *scratch);
    if (scratch != NULL)
        scratch->kernel = kernel;
    return scratch;
}

void rsa_lanes_scratch_free(struct rsa_lanes_scratch *scratch)
{
    secret_free(scratch);
}

/* ---- between the lanes and what is outside ---- */

static void spread(struct lane_digit *out, size_t lane, const void *base, size_t place, size_t digits)
{
    const uint64_t *from = (const uint64_t *)(const void *)((const char *)base + place);
    for (size_t i = 0; i < digits; i++)
        out[i].lane[lane] = from[i];
}

/* OUT = the DIGITS at PLACE in each lane's key. */
static void gather(const struct rsa_lanes_scratch *s, struct lane_digit *out, size_t place, size_t digits)
{
    for (size_t lane = 0; lane < LANES; lane++)
        spread(out, lane, s->lane[lane].key, place, digits);
}

/* OUT = the DIGITS at PLACE in the half that is in each lane. */
static void gather_half(const struct rsa_lanes_scratch *s, struct lane_digit *out, size_t place,
                        size_t digits)
{
    for (size_t lane = 0; lane < LANES; lane++)
        spread(out, lane, s->lane[lane].half, place, digits);
}

#define IN_KEY(member)  offsetof(struct rsa_lanes_key, member)
#define IN_HALF(member) offsetof(struct rsa_half, member)

static void get_bytes(uint8_t *bytes, size_t size, const struct lane_digit *number, size_t lane)
{
    for (size_t i = 0; i < size; i++) {
        size_t bit = 8 * i, at = bit / LANE_DIGIT_BITS, shift = bit % LANE_DIGIT_BITS;
        uint64_t byte = number[at].lane[lane] >> shift;
        if (shift + 8 > LANE_DIGIT_BITS)
            byte |= number[at + 1].lane[lane] << (LANE_DIGIT_BITS - shift);
        bytes[size - 1 - i] = (uint8_t)byte;
    }
}

static void copy_lane(struct lane_digit *to, const struct lane_digit *from, size_t digits, size_t lane)
{
    for (size_t i = 0; i < digits; i++)
        to[i].lane[lane] = from[i].lane[lane];
}

/* Half of the lanes of TO, from lane TO_LANE on, = those of FROM from FROM_LANE on. */
static void move_lanes(struct lane_digit *to, size_t to_lane, const struct lane_digit *from, size_t from_lane,
                       size_t digits)
{
    for (size_t i = 0; i < digits; i++)
        for (size_t lane = 0; lane < LANES / 2; lane++)
            to[i].lane[to_lane + lane] = from[i].lane[from_lane + lane];
}

/* ---- the private exponent ---- */

/* Up to four items are done at half the cost: both halves at once, that of q four lanes behind that of p. */
#define FOLD (LANES / 2)

static bool is_folded(const struct rsa_lanes_scratch *s)
{
    return s->count <= FOLD;
}

/* Lanes up to BEHIND get to do with p, the others with q. */
static void load_halves(struct rsa_lanes_scratch *s, size_t behind)
{
    struct lane_modulus *half = &s->work.half;
    size_t digits = LANE_BLOCK * half->blocks;
    for (size_t lane = 0; lane < LANES; lane++)
        s->lane[lane].half = lane < behind ? &s->lane[lane].key->p : &s->lane[lane].key->q;
    gather_half(s, &half->inverse, IN_HALF(inverse), 1);
    gather_half(s, half->n, IN_HALF(n), digits);
    gather_half(s, half->square, IN_HALF(square), digits);
}

/* OUT = hidden ^ exponent modulo the prime of each lane, in ordinary form, and no greater than the prime. */
static void power_half(struct rsa_lanes_scratch *s, enum rsa_exponent exponent, struct lane_digit *out)
{
    const struct rsa_kernel *kernel = s->kernel;
    struct work *work = &s->work;
    struct lane_modulus *half = &work->half;
    size_t digits = LANE_BLOCK * half->blocks, bits = 8 * s->lane[0].key->size / 2;
    /* hidden = low + R high; so R hidden = low R² / R + high R³ / R. */
    gather_half(s, work->factor, IN_HALF(cube), digits);
    kernel->multiply(half, work->factor, work->hidden + digits, work->factor);
    kernel->multiply(half, out, work->hidden, half->square);
    kernel->add(half, out, out, work->factor);
    gather_half(s, work->factor, IN_HALF(exponent[exponent]), digits);
    kernel->power(half, out, out, work->factor, bits / RSA_WINDOW_BITS, work->table);
    kernel->multiply(half, out, out, work->one);
}

/* by_p and by_q = hidden ^ exponent modulo p and q; `half` is p after it. */
static void power_halves(struct rsa_lanes_scratch *s, enum rsa_exponent exponent)
{
    struct work *work = &s->work;
    if (is_folded(s)) {
        move_lanes(work->hidden, FOLD, work->hidden, 0, LANE_BLOCK * work->n.blocks);
        load_halves(s, FOLD);
        power_half(s, exponent, work->by_p);
        move_lanes(work->by_q, 0, work->by_p, FOLD, LANE_BLOCK * work->half.blocks);
    } else {
        load_halves(s, 0);
        power_half(s, exponent, work->by_q);
        load_halves(s, LANES);
        power_half(s, exponent, work->by_p);
    }
}

/* result = hidden ^ exponent modulo n, by the Chinese remainder theorem (Garner's way; RFC 8017, 5.1.2). Like
 * all that is not compared or given out it is below 2n only: by_p is less than 2^-13 p above p, and by_q at
 * most q. */
static void power_private(struct rsa_lanes_scratch *s, enum rsa_exponent exponent)
{
    const struct rsa_kernel *kernel = s->kernel;
    struct work *work = &s->work;
    size_t digits = LANE_BLOCK * work->half.blocks;
    power_halves(s, exponent);
    /* The primes are of one length: q is below 2p. */
    kernel->subtract(&work->half, work->by_p, work->by_p, work->by_q);
    gather(s, work->factor, IN_KEY(coefficient), digits);
    kernel->multiply(&work->half, work->by_p, work->by_p, work->factor);
    gather(s, work->factor, IN_KEY(q.n), digits);
    kernel->product(&work->half, work->result, work->by_p, work->factor, work->by_q);
}

/* ---- the public exponent ---- */

/* OUT = result ^ 65536, in Montgomery form. */
static void power_public(struct rsa_lanes_scratch *s, struct lane_digit *out)
{
    struct work *work = &s->work;
    s->kernel->multiply(&work->n, out, work->result, work->n.square);
    for (int i = 0; i < EXPONENT_TWICE; i++)
        s->kernel->square(&work->n, out, out);
}

/* The lanes whose result leads back to what was hidden. */
static unsigned check_result(struct rsa_lanes_scratch *s)
{
    struct work *work = &s->work;
    power_public(s, work->check);
    s->kernel->multiply(&work->n, work->check, work->check, work->result);
    s->kernel->reduce(&work->n, work->check);
    return s->kernel->same(&work->n, work->check, work->hidden);
}

/* ---- blinding ---- */

/* Chooses 1 / r, and not r, for every lane: uniform but for 2^-32, as a number below R. r follows with the
 * private primes, and not, as in blinding.c, with an inversion, because that takes one call of this kernel
 * for all lanes and no time that tells. Returns the lanes where r times 1 / r is 1. */
static unsigned renew(struct rsa_lanes_scratch *s)
{
    const struct rsa_kernel *kernel = s->kernel;
    struct work *work = &s->work;
    size_t digits = LANE_BLOCK * work->n.blocks;
    random_bytes(work->reveal, digits * sizeof work->reveal[0]);
    for (size_t i = 0; i < digits; i++)
        for (size_t lane = 0; lane < LANES; lane++)
            work->reveal[i].lane[lane] &= LANE_DIGIT_MASK;
    kernel->multiply(&work->n, work->reveal, work->reveal, work->n.square);
    kernel->multiply(&work->n, work->hidden, work->reveal, work->one);
    kernel->reduce(&work->n, work->hidden);
    power_private(s, INVERT);
    kernel->multiply(&work->n, work->check, work->reveal, work->result);
    kernel->reduce(&work->n, work->check);
    unsigned good = kernel->same(&work->n, work->check, work->one);
    power_public(s, work->hide);
    kernel->multiply(&work->n, work->check, work->result, work->n.square);
    kernel->multiply(&work->n, work->hide, work->hide, work->check);
    return good;
}

/* Goes on to the next r of every lane; all are made anew when one has to be. Returns the lanes that have one.
 */
static unsigned next_blinding(struct rsa_lanes_scratch *s)
{
    struct work *work = &s->work;
    size_t digits = LANE_BLOCK * work->n.blocks;
    unsigned good = ALL_LANES;
    bool fresh = false;
    for (size_t lane = 0; lane < s->count; lane++) {
        copy_lane(work->hide, s->lane[lane].blinding->hide, digits, lane);
        copy_lane(work->reveal, s->lane[lane].blinding->reveal, digits, lane);
        fresh = fresh || s->lane[lane].blinding->uses_left[lane] == 0;
    }
    if (fresh) {
        good = renew(s);
    } else {
        s->kernel->square(&work->n, work->hide, work->hide);
        s->kernel->square(&work->n, work->reveal, work->reveal);
    }
    for (size_t lane = 0; lane < s->count; lane++) {
        struct rsa_lanes_blinding *blinding = s->lane[lane].blinding;
        copy_lane(blinding->hide, work->hide, digits, lane);
        copy_lane(blinding->reveal, work->reveal, digits, lane);
        blinding->uses_left[lane] = (fresh ? RSA_LANES_USES : blinding->uses_left[lane]) - 1;
    }
    return good;
}

/* ---- a call ---- */

static void load(struct rsa_lanes_scratch *s, const struct rsa_lanes_item *items, size_t count)
{
    struct work *work = &s->work;
    s->count = count;
    for (size_t lane = 0; lane < LANES; lane++) {
        size_t at = is_folded(s) ? lane % FOLD : lane;
        s->lane[lane].blinding = items[at < count ? at : 0].blinding;
        s->lane[lane].key = s->lane[lane].blinding->key;
        work->one[0].lane[lane] = 1;
        assert(s->lane[lane].key->size == s->lane[0].key->size);
    }
    work->half.blocks = s->lane[0].key->blocks;
    work->n.blocks = 2 * work->half.blocks;
    gather(s, &work->n.inverse, IN_KEY(inverse), 1);
    gather(s, work->n.n, IN_KEY(n), LANE_BLOCK * work->n.blocks);
    gather(s, work->n.square, IN_KEY(square), LANE_BLOCK * work->n.blocks);
}

/* hidden = what the items ask for, times r^e. */
static void hide(struct rsa_lanes_scratch *s, const struct rsa_lanes_item *items)
{
    struct work *work = &s->work;
    size_t digits = LANE_BLOCK * work->n.blocks;
    uint64_t number[LANE_DIGITS_MAX];
    memset(work->hidden, 0, sizeof work->hidden);
    for (size_t lane = 0; lane < s->count; lane++) {
        rsa_read_number(number, digits, items[lane].in, s->lane[lane].key->size);
        spread(work->hidden, lane, number, 0, digits);
    }
    s->kernel->multiply(&work->n, work->hidden, work->hidden, work->hide);
    s->kernel->reduce(&work->n, work->hidden);
}

/* result = result / r in the lanes of GOOD; 0 in the others, which do not get as far as that. */
static void reveal(struct rsa_lanes_scratch *s, unsigned good)
{
    struct work *work = &s->work;
    for (size_t lane = 0; lane < LANES; lane++)
        for (size_t i = 0; (good >> lane & 1) == 0 && i < LANE_DIGITS_MAX; i++)
            work->result[i].lane[lane] = 0;
    s->kernel->multiply(&work->n, work->result, work->result, work->reveal);
    s->kernel->reduce(&work->n, work->result);
}

void rsa_lanes_perform(struct rsa_lanes_scratch *scratch, struct rsa_lanes_item *items, size_t count)
{
    assert(count >= 1 && count <= LANES);
    load(scratch, items, count);
    unsigned good = next_blinding(scratch);
    hide(scratch, items);
    power_private(scratch, PRIVATE);
    good &= check_result(scratch);
    reveal(scratch, good);
    for (size_t lane = 0; lane < count; lane++) {
        items[lane].err = (good >> lane & 1) != 0 ? 0 : ERR_CRYPTO;
        if (items[lane].err != 0)
            items[lane].blinding->uses_left[lane] = 0; /* it might be what was hit */
        get_bytes(items[lane].out, scratch->lane[lane].key->size, scratch->work.result, lane);
    }
    memset(scratch->lane, 0, sizeof scratch->lane);
    scratch->count = 0;
    wipe(&scratch->work, sizeof scratch->work);
    wipe_stack();
}
