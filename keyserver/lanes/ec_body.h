/* ECDSA with nonces that are given (FIPS 186-5, 6.4.1), for as many items as a call may have.
 *
 * The one source of all kernels: a kernel's file includes the numbers of its curve and then this. Nothing
 * branches, or looks anything up, by a key, a nonce or a hash. */
#ifndef KEYSERVER_LANES_EC_BODY_H
#define KEYSERVER_LANES_EC_BODY_H

#include "keyserver/lanes/ec_nonce.h"
#include "keyserver/lanes/ec_point.h"

static const struct ring order_ring = {batch_order_multiply, order_n, order_cube, &order_inverse_modulus};

/* What a call works in: the numbers of up to EC_GROUPS eights. */
struct work {
    struct number key[EC_GROUPS];
    struct number hash[EC_GROUPS];
    struct number nonce[EC_GROUPS];   /* k in Montgomery form; then 1 / k */
    struct number odd[EC_GROUPS];     /* k or n - k, as comb_multiply() wants it */
    struct number z[EC_GROUPS];       /* then 1 / z */
    struct number running[EC_GROUPS]; /* for batch_invert() */
    struct point point[EC_GROUPS];
    vec_mask zero[EC_GROUPS]; /* where the nonce is */
};

/* Loads key and hash of the items of one eight; returns the lanes whose key is not in its range. */
static vec_mask sign_load(struct work *work, size_t group, const struct ec_item *items, size_t count)
{
    const uint8_t *keys[EC_LANES], *hashes[EC_LANES];
    vec words[EC_WORDS], number[EC_DIGITS], reduced[EC_DIGITS];
    for (unsigned i = 0; i < EC_LANES; i++) {
        keys[i] = i < count ? items[i].key : words_nothing;
        hashes[i] = i < count ? items[i].hash : words_nothing;
    }
    words_get(words, hashes, EC_WORDS);
    words_digits(number, words, EC_WORDS, 0);
    number_store(&work->hash[group], number);
    words_get(words, keys, EC_WORDS);
    words_digits(number, words, EC_WORDS, 0);
    number_store(&work->key[group], number);
    return vec_either(number_zero(number), number_reduce(reduced, number, order_n));
}

/* From 512 bits of a nonce: k = low + R high modulo n, in Montgomery form, and what the comb wants. Since the
 * multiples of k and of n - k have the same x, it gets the odd one; s is made with k itself, which is not
 * biased by that. Where k is zero 1 takes its place, so that no other lane is hurt by it. */
static void sign_nonce(struct work *work, size_t group, const uint64_t nonce[static EC_NONCE_WORDS][EC_LANES])
{
    static const uint64_t plain_one[EC_DIGITS] = {1};
    vec words[EC_NONCE_WORDS], low[EC_DIGITS], high[EC_DIGITS], k[EC_DIGITS], a[EC_DIGITS];
    UNROLL for (unsigned i = 0; i < EC_NONCE_WORDS; i++) words[i] = vec_load(nonce[i]);
    words_digits(low, words, EC_NONCE_WORDS, 0);
    words_digits(high, words, EC_NONCE_WORDS, EC_DIGITS);
    number_all(a, order_square);
    batch_order_multiply(low, low, a);
    number_all(k, order_cube);
    batch_order_multiply(high, high, k);
    EACH_DIGIT(i) low[i] = vec_add(low[i], high[i]);
    number_carry(low, low);
    number_all(high, plain_one);
    batch_order_multiply(k, low, high);
    number_reduce(k, k, order_n);
    work->zero[group] = number_zero(k);
    number_select(k, work->zero[group], high, k);
    batch_order_multiply(a, a, k);
    number_store(&work->nonce[group], a);
    vec_mask odd = vec_any(k[0], vec_all(1));
    EACH_DIGIT(i) a[i] = vec_subtract(vec_all(order_n[i]), k[i]);
    number_carry(a, a);
    number_select(k, odd, k, a);
    k[COMB_TOP_BIT / DIGIT_BITS] = vec_or(k[COMB_TOP_BIT / DIGIT_BITS],
                                          vec_all(UINT64_C(1) << COMB_TOP_BIT % DIGIT_BITS));
    number_store(&work->odd[group], k);
}

/* R = x modulo n, in its range; returns the lanes in which it is zero. */
static vec_mask sign_r(vec r[static EC_DIGITS], const struct work *work, size_t group)
{
    static const uint64_t plain_one[EC_DIGITS] = {1};
    vec zz[EC_DIGITS], x[EC_DIGITS];
    number_load(zz, &work->z[group]);
    number_load(x, &work->point[group].x);
    batch_field_multiply(zz, zz, zz);
    batch_field_multiply(x, x, zz);
    number_all(zz, plain_one);
    batch_field_multiply(x, x, zz);
    number_reduce(x, x, field_p);
    number_reduce(r, x, order_n); /* p < 2n */
    return number_zero(r);
}

/* S = (hash + r d) / k modulo n, in its range; returns the lanes in which it is zero. */
static vec_mask sign_s(vec s[static EC_DIGITS], const struct work *work, size_t group,
                       const vec r[static EC_DIGITS])
{
    vec a[EC_DIGITS], b[EC_DIGITS];
    number_all(a, order_square);
    batch_order_multiply(a, a, r);
    number_load(b, &work->key[group]);
    batch_order_multiply(a, a, b);
    number_load(b, &work->hash[group]);
    EACH_DIGIT(i) a[i] = vec_add(a[i], b[i]);
    number_carry(a, a);
    number_load(b, &work->nonce[group]);
    batch_order_multiply(s, a, b);
    number_reduce(s, s, order_n);
    return number_zero(s);
}

static void sign_put(struct ec_item *items, size_t count, size_t offset, const vec number[static EC_DIGITS])
{
    uint8_t *to[EC_LANES];
    vec words[EC_WORDS];
    for (unsigned i = 0; i < EC_LANES; i++)
        to[i] = i < count ? items[i].rs + offset : NULL;
    words_of(words, number);
    words_put(to, words);
}

/* What ec_kernel's `sign` does. */
static struct ec_verdict sign_items(void *memory, const struct ec_nonces *nonces, struct ec_item *items,
                                    size_t count)
{
    struct work *work = memory;
    struct ec_verdict verdict = {0, 0};
    size_t groups = (count + EC_LANES - 1) / EC_LANES;
    for (size_t i = 0; i < groups; i++) {
        vec_mask bad = sign_load(work, i, items + i * EC_LANES, count - i * EC_LANES);
        sign_nonce(work, i, nonces->word[i]);
        verdict.bad |= (uint32_t)vec_bits(bad) << (i * EC_LANES);
    }
    comb_multiply(work->point, work->odd, groups);
    for (size_t i = 0; i < groups; i++)
        work->z[i] = work->point[i].z;
    batch_invert(work->z, work->running, groups, &field_ring);
    batch_invert(work->nonce, work->running, groups, &order_ring);
    for (size_t i = 0; i < groups; i++) {
        vec r[EC_DIGITS], s[EC_DIGITS];
        vec_mask again = vec_either(work->zero[i], sign_r(r, work, i));
        again = vec_either(again, sign_s(s, work, i, r));
        sign_put(items + i * EC_LANES, count - i * EC_LANES, 0, r);
        sign_put(items + i * EC_LANES, count - i * EC_LANES, EC_SIZE, s);
        verdict.again |= (uint32_t)vec_bits(again) << (i * EC_LANES);
    }
    uint32_t there = count < 32 ? (UINT32_C(1) << count) - 1 : UINT32_MAX;
    verdict.again &= there;
    verdict.bad &= there;
    return verdict;
}

#endif
