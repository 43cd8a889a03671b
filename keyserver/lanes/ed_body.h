/* Ed25519 (RFC 8032, 5.1.6), for as many items as a call may have.
 *
 * The one source of all kernels: a kernel's file includes the numbers of the curve and then this. Nothing
 * branches, or looks anything up, by a key, a nonce or a byte of a message. */
#ifndef KEYSERVER_LANES_ED_BODY_H
#define KEYSERVER_LANES_ED_BODY_H

#ifndef EC_DIGITS
#include "keyserver/lanes/ed_25519.h"
#endif

#include "keyserver/lanes/ed_hash.h"
#include "keyserver/lanes/ed_kernel.h"
#include "keyserver/lanes/ed_point.h"

/* What a call works in: the numbers of up to ED_GROUPS eights. */
struct work {
    struct number nonce[ED_GROUPS];   /* r, below L */
    struct number odd[ED_GROUPS];     /* r or r + L, as comb_multiply() wants it */
    struct number z[ED_GROUPS];       /* then 1 / z */
    struct number running[ED_GROUPS]; /* for batch_invert() */
    struct point point[ED_GROUPS];
    struct hash_blocks blocks;
};

/* A key for lanes without an item. */
static const struct ed_key no_key;

/* Between little-endian numbers and words: the order of bytes in each word, and that of words, is turned. */
static void words_turn(vec *words, unsigned count)
{
    const vec bytes = vec_all(UINT64_C(0x00ff00ff00ff00ff)), pairs = vec_all(UINT64_C(0x0000ffff0000ffff));
    vec turned[HASH_WORDS];
    for (unsigned i = 0; i < count; i++) {
        vec a = words[count - 1 - i];
        a = vec_or(vec_and(vec_right(a, 8), bytes), vec_left(vec_and(a, bytes), 8));
        a = vec_or(vec_and(vec_right(a, 16), pairs), vec_left(vec_and(a, pairs), 16));
        turned[i] = vec_rotate(a, 32);
    }
    for (unsigned i = 0; i < count; i++)
        words[i] = turned[i];
}

/* OUT = the little-endian number of 512 bits that a hash is, modulo L and in Montgomery form; below 4. */
static void order_of_hash(vec out[static EC_DIGITS], vec hash[static HASH_WORDS])
{
    vec high[EC_DIGITS], a[EC_DIGITS];
    words_turn(hash, HASH_WORDS);
    words_digits(out, hash, HASH_WORDS, 0);
    words_digits(high, hash, HASH_WORDS, EC_DIGITS);
    number_all(a, order_square);
    batch_order_multiply(out, out, a);
    number_all(a, order_cube);
    batch_order_multiply(high, high, a);
    field_sum(out, out, high);
}

/* r = SHA-512(prefix ‖ M) modulo L, and the odd number that has the same multiple of B. */
static void sign_nonce(struct work *work, size_t group, const struct ed_item *items, size_t count)
{
    static const uint64_t plain_one[EC_DIGITS] = {1};
    struct parts parts[ED_LANES];
    vec hash[HASH_WORDS], r[EC_DIGITS], one[EC_DIGITS];
    for (size_t i = 0; i < ED_LANES; i++)
        parts[i] = i < count ? (struct parts){{items[i].key->prefix, items[i].message, NULL},
                                              {ED_SIZE, items[i].length, 0}}
                             : (struct parts){0};
    hash_eight(hash, parts, &work->blocks);
    order_of_hash(r, hash);
    number_all(one, plain_one);
    batch_order_multiply(r, r, one);
    number_reduce(r, r, order_n);
    number_store(&work->nonce[group], r);
    vec_mask odd = vec_any(r[0], vec_all(1));
    EACH_DIGIT(i) one[i] = vec_add(r[i], vec_all(order_n[i]));
    number_carry(one, one);
    number_select(r, odd, r, one);
    r[COMB_TOP_BIT / DIGIT_BITS] = vec_or(r[COMB_TOP_BIT / DIGIT_BITS],
                                          vec_all(UINT64_C(1) << COMB_TOP_BIT % DIGIT_BITS));
    number_store(&work->odd[group], r);
}

/* Puts a number, below 2^256, into the signatures at OFFSET, little-endian. */
static void sign_put(struct ed_item *items, size_t count, size_t offset, const vec number[static EC_DIGITS])
{
    uint8_t *to[ED_LANES];
    vec words[EC_WORDS];
    for (size_t i = 0; i < ED_LANES; i++)
        to[i] = i < count ? items[i].signature + offset : NULL;
    words_of(words, number);
    words_turn(words, EC_WORDS);
    words_put(to, words);
}

/* R = r B, encoded: y, and the lowest bit of x above it (RFC 8032, 5.1.2). */
static void sign_r(const struct work *work, size_t group, struct ed_item *items, size_t count)
{
    vec z[EC_DIGITS], x[EC_DIGITS], y[EC_DIGITS];
    number_load(z, &work->z[group]);
    point_affine(x, y, &work->point[group], z);
    y[EC_DIGITS - 1] = vec_or(y[EC_DIGITS - 1],
                              vec_left(vec_and(x[0], vec_all(1)), 255 - (EC_DIGITS - 1) * DIGIT_BITS));
    sign_put(items, count, 0, y);
}

/* S = r + SHA-512(R ‖ A ‖ M) a modulo L. */
static void sign_s(struct work *work, size_t group, struct ed_item *items, size_t count)
{
    struct parts parts[ED_LANES];
    const uint8_t *scalars[ED_LANES];
    vec words[HASH_WORDS], s[EC_DIGITS], a[EC_DIGITS];
    for (size_t i = 0; i < ED_LANES; i++) {
        scalars[i] = i < count ? items[i].key->scalar : no_key.scalar;
        parts[i] = i < count ? (struct parts){{items[i].signature, items[i].key->public, items[i].message},
                                              {ED_SIZE, ED_SIZE, items[i].length}}
                             : (struct parts){0};
    }
    hash_eight(words, parts, &work->blocks);
    order_of_hash(s, words);
    words_get(words, scalars, EC_WORDS);
    words_turn(words, EC_WORDS);
    words_digits(a, words, EC_WORDS, 0);
    batch_order_multiply(s, s, a); /* below 1.5 */
    number_load(a, &work->nonce[group]);
    field_sum(s, s, a);
    number_reduce(s, s, order_n);
    number_reduce(s, s, order_n);
    sign_put(items, count, ED_SIZE, s);
}

/* What ed_kernel's `sign` does. */
static void sign_items(void *memory, struct ed_item *items, size_t count)
{
    struct work *work = memory;
    size_t groups = (count + ED_LANES - 1) / ED_LANES;
    for (size_t i = 0; i < groups; i++)
        sign_nonce(work, i, items + i * ED_LANES, count - i * ED_LANES);
    comb_multiply(work->point, work->odd, groups);
    for (size_t i = 0; i < groups; i++) {
        vec z[EC_DIGITS];
        number_load(z, &work->point[i].z);
        number_carry(z, z);
        number_store(&work->z[i], z);
    }
    batch_invert(work->z, work->running, groups, &field_ring);
    for (size_t i = 0; i < groups; i++) {
        sign_r(work, i, items + i * ED_LANES, count - i * ED_LANES);
        sign_s(work, i, items + i * ED_LANES, count - i * ED_LANES);
    }
}

#endif
