/* The RSA kernel, compiled twice: for the vector unit, and in plain C (lane_vec.h).
 *
 * A product is made column by column of blocks of ten digits. A column's twenty sums stay in registers, with
 * a block of one factor beside them. Of sums there are at most 4 LANE_DIGITS_MAX in a digit, each below 2^52,
 * so that none overflows before its carry is taken. */
#ifndef KEYSERVER_LANES_RSA_BODY_H
#define KEYSERVER_LANES_RSA_BODY_H

#include "keyserver/lanes/lane_vec.h"
#include "keyserver/lanes/rsa_kernel.h"

#if VEC_NATIVE
#define UNROLL _Pragma("GCC unroll 20")
#else
#define UNROLL /* it would only be longer */
#endif

#define B    LANE_BLOCK
#define SUMS (2 * B)

_Static_assert(VEC_LANES == LANES, "a vector is a digit");
_Static_assert(4 * LANE_DIGITS_MAX < 1 << (64 - LANE_DIGIT_BITS), "sums fit");

VEC_INLINE vec digit(const struct lane_digit *number, size_t i)
{
    return vec_load(number[i].lane);
}

/* ---- one column: SUM[0] … SUM[19], where SUM[10] and up belong to the next column, too ---- */

VEC_INLINE void clear(vec sum[SUMS])
{
    UNROLL for (size_t i = 0; i < SUMS; i++) sum[i] = vec_all(0);
}

/* SUM += A B, blocks. */
VEC_INLINE void add_block(vec sum[SUMS], const struct lane_digit *a, const struct lane_digit *b)
{
    vec factor[B];
    UNROLL for (size_t j = 0; j < B; j++) factor[j] = digit(b, j);
    UNROLL for (size_t i = 0; i < B; i++)
    {
        vec x = digit(a, i);
        UNROLL for (size_t j = 0; j < B; j++)
        {
            sum[i + j] = vec_add_low(sum[i + j], x, factor[j]);
            sum[i + j + 1] = vec_add_high(sum[i + j + 1], x, factor[j]);
        }
    }
}

/* SUM += the products of different digits of the block A, each once. */
VEC_INLINE void add_block_pairs(vec sum[SUMS], const struct lane_digit *a)
{
    vec factor[B];
    UNROLL for (size_t j = 0; j < B; j++) factor[j] = digit(a, j);
    UNROLL for (size_t i = 0; i < B; i++)
    {
        UNROLL for (size_t j = i + 1; j < B; j++)
        {
            sum[i + j] = vec_add_low(sum[i + j], factor[i], factor[j]);
            sum[i + j + 1] = vec_add_high(sum[i + j + 1], factor[i], factor[j]);
        }
    }
}

/* SUM += the squares of the digits of the block A. */
VEC_INLINE void add_block_squares(vec sum[SUMS], const struct lane_digit *a)
{
    UNROLL for (size_t i = 0; i < B; i++)
    {
        vec x = digit(a, i);
        sum[2 * i] = vec_add_low(sum[2 * i], x, x);
        sum[2 * i + 1] = vec_add_high(sum[2 * i + 1], x, x);
    }
}

VEC_INLINE void twice(vec sum[SUMS])
{
    UNROLL for (size_t i = 0; i < SUMS; i++) sum[i] = vec_left(sum[i], 1);
}

/* A column begins with nothing, so that it can begin before the one before it has ended; OVER is what that
 * left. */
VEC_INLINE void add_over(vec sum[SUMS], const vec over[B])
{
    UNROLL for (size_t i = 0; i < B; i++) sum[i] = vec_add(sum[i], over[i]);
}

VEC_INLINE void keep_over(vec over[B], const vec sum[SUMS])
{
    UNROLL for (size_t i = 0; i < B; i++) over[i] = sum[B + i];
}

/* Makes the column's ten digits zero by adding a multiple of n, whose block QUOTIENT gets. */
VEC_INLINE void reduce_block(vec sum[SUMS], const struct lane_modulus *m, struct lane_digit *quotient)
{
    vec inverse = digit(&m->inverse, 0), zero = vec_all(0);
    UNROLL for (size_t i = 0; i < B; i++)
    {
        vec q = vec_add_low(zero, sum[i], inverse);
        vec_store(quotient[i].lane, q);
        UNROLL for (size_t j = 0; j < B; j++)
        {
            vec n = digit(m->n, j);
            sum[i + j] = vec_add_low(sum[i + j], q, n);
            sum[i + j + 1] = vec_add_high(sum[i + j + 1], q, n);
        }
        sum[i + 1] = vec_add(sum[i + 1], vec_right(sum[i], LANE_DIGIT_BITS));
    }
}

/* OUT = the column's ten digits. */
VEC_INLINE void store_block(vec sum[SUMS], struct lane_digit *out)
{
    vec mask = vec_all(LANE_DIGIT_MASK);
    UNROLL for (size_t i = 0; i < B; i++)
    {
        vec_store(out[i].lane, vec_and(sum[i], mask));
        sum[i + 1] = vec_add(sum[i + 1], vec_right(sum[i], LANE_DIGIT_BITS));
    }
}

/* ---- products ---- */

/* The first and last block of a factor that column AT of a product has. */
VEC_INLINE size_t first_of(size_t at, size_t blocks)
{
    return at < blocks ? 0 : at - blocks + 1;
}
VEC_INLINE size_t end_of(size_t at, size_t blocks)
{
    return at < blocks ? at + 1 : blocks;
}

/* SUM += A B, column AT. */
VEC_INLINE void add_column(vec sum[SUMS], const struct lane_digit *a, const struct lane_digit *b, size_t at,
                           size_t first, size_t end)
{
    for (size_t i = first; i < end; i++)
        add_block(sum, a + B * i, b + B * (at - i));
}

/* SUM += A A, column AT, and nothing else in SUM before. */
VEC_INLINE void add_square_column(vec sum[SUMS], const struct lane_digit *a, size_t at, size_t blocks)
{
    add_column(sum, a, a, at, first_of(at, blocks), (at + 1) / 2);
    if (at % 2 == 0)
        add_block_pairs(sum, a + B * (at / 2));
    twice(sum);
    if (at % 2 == 0)
        add_block_squares(sum, a + B * (at / 2));
}

/* Takes from SUM what column AT of a product modulo n leaves: a block of the quotient, or of OUT. */
VEC_INLINE void end_column(struct lane_modulus *m, vec sum[SUMS], vec over[B], struct lane_digit *out,
                           size_t at)
{
    size_t blocks = m->blocks;
    add_column(sum, m->quotient, m->n, at, first_of(at, blocks), at < blocks ? at : blocks);
    add_over(sum, over);
    if (at < blocks)
        reduce_block(sum, m, m->quotient + B * at);
    else
        store_block(sum, out + B * (at - blocks));
    keep_over(over, sum);
}

static void multiply(struct lane_modulus *m, struct lane_digit *out, const struct lane_digit *a,
                     const struct lane_digit *b)
{
    size_t blocks = m->blocks;
    vec sum[SUMS], over[B];
    UNROLL for (size_t i = 0; i < B; i++) over[i] = vec_all(0);
    for (size_t at = 0; at < 2 * blocks; at++) {
        clear(sum);
        add_column(sum, a, b, at, first_of(at, blocks), end_of(at, blocks));
        end_column(m, sum, over, out, at);
    }
}

static void square(struct lane_modulus *m, struct lane_digit *out, const struct lane_digit *a)
{
    size_t blocks = m->blocks;
    vec sum[SUMS], over[B];
    UNROLL for (size_t i = 0; i < B; i++) over[i] = vec_all(0);
    for (size_t at = 0; at < 2 * blocks - 1; at++) {
        clear(sum);
        add_square_column(sum, a, at, blocks);
        end_column(m, sum, over, out, at);
    }
    clear(sum);
    end_column(m, sum, over, out, 2 * blocks - 1);
}

static void product(const struct lane_modulus *m, struct lane_digit *out, const struct lane_digit *a,
                    const struct lane_digit *b, const struct lane_digit *c)
{
    size_t blocks = m->blocks;
    vec sum[SUMS], over[B];
    UNROLL for (size_t i = 0; i < B; i++) over[i] = vec_all(0);
    for (size_t at = 0; at < 2 * blocks; at++) {
        clear(sum);
        add_column(sum, a, b, at, first_of(at, blocks), end_of(at, blocks));
        for (size_t i = 0; i < B && at < blocks; i++)
            over[i] = vec_add(over[i], digit(c, B * at + i));
        add_over(sum, over);
        store_block(sum, out + B * at);
        keep_over(over, sum);
    }
}

/* ---- powers ---- */

/* OUT = the number of TABLE that INDEX says, another one in each lane. All of the table is read. */
VEC_INLINE void look_up(struct lane_digit *out, const struct lane_digit *table, vec index, size_t blocks)
{
    for (size_t block = 0; block < blocks; block++) {
        vec found[B];
        UNROLL for (size_t i = 0; i < B; i++) found[i] = vec_all(0);
        for (size_t entry = 0; entry < RSA_WINDOW_SIZE; entry++) {
            const struct lane_digit *number = table + B * (entry * blocks + block);
            vec_mask here = vec_equal(index, vec_all(entry));
            UNROLL for (size_t i = 0; i < B; i++) found[i] = vec_select(here, digit(number, i), found[i]);
        }
        UNROLL for (size_t i = 0; i < B; i++) vec_store(out[B * block + i].lane, found[i]);
    }
}

VEC_INLINE vec window(const struct lane_digit *exponent, size_t at)
{
    const size_t windows = LANE_DIGIT_BITS / RSA_WINDOW_BITS;
    vec shifted = vec_right_by(digit(exponent, at / windows), (unsigned)(at % windows * RSA_WINDOW_BITS));
    return vec_and(shifted, vec_all(RSA_WINDOW_SIZE - 1));
}

/* TABLE = BASE ^ 0, BASE ^ 1, … in Montgomery form. */
static void fill(struct lane_modulus *m, struct lane_digit *table, const struct lane_digit *base)
{
    size_t digits = B * m->blocks;
    for (size_t i = 0; i < digits; i++) {
        vec_store(table[i].lane, vec_all(i == 0));
        vec_store(table[digits + i].lane, digit(base, i));
    }
    multiply(m, table, table, m->square);
    for (size_t entry = 2; entry < RSA_WINDOW_SIZE; entry++)
        if (entry % 2 == 0)
            square(m, table + digits * entry, table + digits * (entry / 2));
        else
            multiply(m, table + digits * entry, table + digits * (entry - 1), base);
}

static void power(struct lane_modulus *m, struct lane_digit *out, const struct lane_digit *base,
                  const struct lane_digit *exponent, size_t windows, struct lane_digit *table)
{
    struct lane_digit *factor = table + RSA_WINDOW_SIZE * B * m->blocks;
    fill(m, table, base);
    look_up(out, table, window(exponent, windows - 1), m->blocks);
    for (size_t at = windows - 1; at-- > 0;) {
        for (size_t bit = 0; bit < RSA_WINDOW_BITS; bit++)
            square(m, out, out);
        look_up(factor, table, window(exponent, at), m->blocks);
        multiply(m, out, out, factor);
    }
}

/* ---- sums ---- */

static void add(const struct lane_modulus *m, struct lane_digit *out, const struct lane_digit *a,
                const struct lane_digit *b)
{
    vec carry = vec_all(0), mask = vec_all(LANE_DIGIT_MASK);
    for (size_t i = 0; i < B * m->blocks; i++) {
        vec sum = vec_add(carry, vec_add(digit(a, i), digit(b, i)));
        vec_store(out[i].lane, vec_and(sum, mask));
        carry = vec_right(sum, LANE_DIGIT_BITS);
    }
}

static void subtract(const struct lane_modulus *m, struct lane_digit *out, const struct lane_digit *a,
                     const struct lane_digit *b)
{
    vec carry = vec_all(0), mask = vec_all(LANE_DIGIT_MASK);
    for (size_t i = 0; i < B * m->blocks; i++) {
        vec sum = vec_add(vec_subtract(digit(a, i), digit(b, i)), vec_left(digit(m->n, i), 1));
        sum = vec_add(sum, carry);
        vec_store(out[i].lane, vec_and(sum, mask));
        carry = vec_right_signed(sum, LANE_DIGIT_BITS);
    }
}

static void reduce(const struct lane_modulus *m, struct lane_digit *number)
{
    vec carry = vec_all(0), mask = vec_all(LANE_DIGIT_MASK);
    for (size_t i = 0; i < B * m->blocks; i++) {
        vec sum = vec_add(vec_subtract(digit(number, i), digit(m->n, i)), carry);
        carry = vec_right_signed(sum, LANE_DIGIT_BITS);
    }
    vec take = vec_subtract(vec_all(UINT64_MAX), carry); /* all ones unless it was below n */
    carry = vec_all(0);
    for (size_t i = 0; i < B * m->blocks; i++) {
        vec sum = vec_add(vec_subtract(digit(number, i), vec_and(digit(m->n, i), take)), carry);
        vec_store(number[i].lane, vec_and(sum, mask));
        carry = vec_right_signed(sum, LANE_DIGIT_BITS);
    }
}

static unsigned same(const struct lane_modulus *m, const struct lane_digit *a, const struct lane_digit *b)
{
    vec_mask equal = vec_equal(vec_all(0), vec_all(0));
    for (size_t i = 0; i < B * m->blocks; i++)
        equal = vec_both(equal, vec_equal(digit(a, i), digit(b, i)));
    return vec_bits(equal);
}

#define RSA_KERNEL                                                                                           \
    {                                                                                                        \
        .multiply = multiply, .square = square, .power = power, .reduce = reduce, .add = add,                \
        .subtract = subtract, .product = product, .same = same,                                              \
    }

#endif
