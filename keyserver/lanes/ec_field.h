/* Numbers modulo p and modulo n, eight at once: Montgomery's arithmetic (Math. of Comp. 44, 1985) in digits
 * of 52 bits, with R = 2^(52 EC_DIGITS).
 *
 * For the files of a kernel only; the one that includes this includes the numbers of its curve before.
 *
 * A number is EC_DIGITS vectors, the least significant first. It is normal when its digits are below 2^52: so
 * are all that are multiplied, and all that come out unless it is said that they are raw. Raw digits may be
 * larger, or negative, as long as the number is not. Products are below (a b / R + 1) times the modulus:
 * numbers may grow to what R has room for, and are taken back below the modulus only at the end. Where
 * bounds are given they are multiples of the modulus. Nothing branches, or looks anything up, by a number. */
#ifndef KEYSERVER_LANES_EC_FIELD_H
#define KEYSERVER_LANES_EC_FIELD_H

#ifndef EC_DIGITS
#include "keyserver/lanes/ec_p256.h"
#endif

#include <stdbool.h>

#define DIGIT_BITS 52
#define DIGIT_MASK ((UINT64_C(1) << DIGIT_BITS) - 1)
#define SIGN_BIT   (UINT64_C(1) << 63)

/* A number in memory. */
struct number {
    _Alignas(64) uint64_t digit[EC_DIGITS][VEC_LANES];
};

/* In the vector unit a product is to stay in registers: loops are unrolled and functions built in. The
 * portable kernel would only become large. */
#ifndef __AVX512IFMA__
#define UNROLL
#define FIELD_INLINE static __attribute__((noinline, unused))
#elif defined(__clang__)
#define UNROLL       _Pragma("clang loop unroll(full)")
#define FIELD_INLINE VEC_INLINE
#else
#define UNROLL       _Pragma("GCC unroll 16")
#define FIELD_INLINE VEC_INLINE
#endif
#define EACH_DIGIT(i) UNROLL for (unsigned i = 0; i < EC_DIGITS; i++)

FIELD_INLINE void number_load(vec out[static EC_DIGITS], const struct number *from)
{
    EACH_DIGIT(i) out[i] = vec_load(from->digit[i]);
}

FIELD_INLINE void number_store(struct number *to, const vec a[static EC_DIGITS])
{
    EACH_DIGIT(i) vec_store(to->digit[i], a[i]);
}

/* The same number in each lane. */
FIELD_INLINE void number_all(vec out[static EC_DIGITS], const uint64_t digits[static EC_DIGITS])
{
    EACH_DIGIT(i) out[i] = vec_all(digits[i]);
}

FIELD_INLINE void number_select(vec out[static EC_DIGITS], vec_mask mask, const vec then[static EC_DIGITS],
                                const vec otherwise[static EC_DIGITS])
{
    EACH_DIGIT(i) out[i] = vec_select(mask, then[i], otherwise[i]);
}

/* Makes raw digits normal; of a negative number the last digit stays negative. */
FIELD_INLINE void number_carry(vec out[static EC_DIGITS], const vec raw[static EC_DIGITS])
{
    vec sum = raw[0];
    UNROLL for (unsigned i = 0; i < EC_DIGITS - 1; i++)
    {
        vec carry = vec_right_signed(sum, DIGIT_BITS);
        out[i] = vec_and(sum, vec_all(DIGIT_MASK));
        sum = vec_add(raw[i + 1], carry);
    }
    out[EC_DIGITS - 1] = sum;
}

/* The lanes in which A, normal, is zero. */
FIELD_INLINE vec_mask number_zero(const vec a[static EC_DIGITS])
{
    vec bits = vec_all(0);
    EACH_DIGIT(i) bits = vec_or(bits, a[i]);
    return vec_equal(bits, vec_all(0));
}

/* OUT = A - MODULUS where that is not negative, which is returned, elsewhere A. */
FIELD_INLINE vec_mask number_reduce(vec out[static EC_DIGITS], const vec a[static EC_DIGITS],
                                    const uint64_t modulus[static EC_DIGITS])
{
    vec less[EC_DIGITS];
    EACH_DIGIT(i) less[i] = vec_subtract(a[i], vec_all(modulus[i]));
    number_carry(less, less);
    vec_mask enough = vec_not(vec_any(less[EC_DIGITS - 1], vec_all(SIGN_BIT)));
    number_select(out, enough, less, a);
    return enough;
}

/* Sums of products by the place they are for: of low halves and of high halves. Apart, as long as there are
 * registers for them, additions to one sum, which wait for each other, are half as many. */
#define SUMS_APART (EC_DIGITS <= 5)
struct sums {
    vec low[2 * EC_DIGITS];
    vec high[SUMS_APART ? 2 * EC_DIGITS : 1];
};

FIELD_INLINE vec *sums_high(struct sums *sums, unsigned place)
{
    return SUMS_APART ? &sums->high[place] : &sums->low[place];
}

FIELD_INLINE void sums_clear(struct sums *sums)
{
    UNROLL for (unsigned i = 0; i < 2 * EC_DIGITS; i++) sums->low[i] = *sums_high(sums, i) = vec_all(0);
}

/* SUMS += A B. Eight products of 52 bits in each of two factors leave room in 64. */
FIELD_INLINE void sums_add_product(struct sums *sums, const vec a[static EC_DIGITS],
                                   const vec b[static EC_DIGITS])
{
    EACH_DIGIT(i)
    {
        EACH_DIGIT(j)
        {
            sums->low[i + j] = vec_add_low(sums->low[i + j], a[i], b[j]);
            *sums_high(sums, i + j + 1) = vec_add_high(*sums_high(sums, i + j + 1), a[i], b[j]);
        }
    }
}

/* SUMS = A² */
FIELD_INLINE void sums_square(struct sums *sums, const vec a[static EC_DIGITS])
{
    sums_clear(sums);
    EACH_DIGIT(i)
    {
        UNROLL for (unsigned j = i + 1; j < EC_DIGITS; j++)
        {
            sums->low[i + j] = vec_add_low(sums->low[i + j], a[i], a[j]);
            *sums_high(sums, i + j + 1) = vec_add_high(*sums_high(sums, i + j + 1), a[i], a[j]);
        }
    }
    UNROLL for (unsigned i = 0; i < 2 * EC_DIGITS; i++)
    {
        sums->low[i] = vec_add(sums->low[i], sums->low[i]);
        if (SUMS_APART)
            sums->high[i] = vec_add(sums->high[i], sums->high[i]);
    }
    EACH_DIGIT(i)
    {
        sums->low[2 * i] = vec_add_low(sums->low[2 * i], a[i], a[i]);
        *sums_high(sums, 2 * i + 1) = vec_add_high(*sums_high(sums, 2 * i + 1), a[i], a[i]);
    }
}

/* OUT = SUMS / R modulo the number whose digits are PLUS - MINUS, raw; INVERSE is -1 / modulus modulo 2^52.
 * Digits that are zero cost nothing. Where the lowest digit is -1, the quotient's digit is that of the sum
 * and takes just it away. */
FIELD_INLINE void sums_reduce(vec out[static EC_DIGITS], const struct sums *sums,
                              const uint64_t plus[static EC_DIGITS], const uint64_t minus[static EC_DIGITS],
                              uint64_t inverse)
{
    vec sum[2 * EC_DIGITS], less[2 * EC_DIGITS];
    bool lowest_is_minus_one = inverse == 1;
    UNROLL for (unsigned i = 0; i < 2 * EC_DIGITS; i++)
    {
        sum[i] = SUMS_APART ? vec_add(sums->low[i], sums->high[i]) : sums->low[i];
        less[i] = vec_all(0);
    }
    EACH_DIGIT(i)
    {
        sum[i] = vec_subtract(sum[i], less[i]);
        vec quotient = lowest_is_minus_one ? sum[i] : vec_add_low(vec_all(0), sum[i], vec_all(inverse));
        EACH_DIGIT(j)
        {
            if (plus[j] != 0) {
                sum[i + j] = vec_add_low(sum[i + j], quotient, vec_all(plus[j]));
                sum[i + j + 1] = vec_add_high(sum[i + j + 1], quotient, vec_all(plus[j]));
            }
            if (minus[j] != 0 && !(j == 0 && lowest_is_minus_one)) {
                less[i + j] = vec_add_low(less[i + j], quotient, vec_all(minus[j]));
                less[i + j + 1] = vec_add_high(less[i + j + 1], quotient, vec_all(minus[j]));
            }
        }
        sum[i + 1] = vec_add(sum[i + 1], vec_right_signed(sum[i], DIGIT_BITS));
    }
    EACH_DIGIT(i) out[i] = vec_subtract(sum[EC_DIGITS + i], less[EC_DIGITS + i]);
}

/* ---- modulo p ---- */

#ifdef FIELD_HAS_FOLD /* p allows for less than Montgomery's reduction; numbers are as they are, as if R     \
                         were 1 */
FIELD_INLINE void field_reduce(vec out[static EC_DIGITS], const struct sums *sums)
{
    vec sum[2 * EC_DIGITS];
    UNROLL for (unsigned i = 0; i < 2 * EC_DIGITS; i++) sum[i] = vec_add(sums->low[i], sums->high[i]);
    field_fold_product(out, sum);
}
#else
FIELD_INLINE void field_reduce(vec out[static EC_DIGITS], const struct sums *sums)
{
    sums_reduce(out, sums, field_plus, field_minus, FIELD_INVERSE);
}
#endif

FIELD_INLINE void field_multiply_raw(vec out[static EC_DIGITS], const vec a[static EC_DIGITS],
                                     const vec b[static EC_DIGITS])
{
    struct sums sums;
    sums_clear(&sums);
    sums_add_product(&sums, a, b);
    field_reduce(out, &sums);
}

FIELD_INLINE void field_square_raw(vec out[static EC_DIGITS], const vec a[static EC_DIGITS])
{
    struct sums sums;
    sums_square(&sums, a);
    field_reduce(out, &sums);
}

FIELD_INLINE void field_multiply(vec out[static EC_DIGITS], const vec a[static EC_DIGITS],
                                 const vec b[static EC_DIGITS])
{
    field_multiply_raw(out, a, b);
    number_carry(out, out);
}

FIELD_INLINE void field_square(vec out[static EC_DIGITS], const vec a[static EC_DIGITS])
{
    field_square_raw(out, a);
    number_carry(out, out);
}

/* ---- modulo n ---- */

FIELD_INLINE void order_multiply(vec out[static EC_DIGITS], const vec a[static EC_DIGITS],
                                 const vec b[static EC_DIGITS])
{
    struct sums sums;
    sums_clear(&sums);
    sums_add_product(&sums, a, b);
    sums_reduce(out, &sums, order_n, order_minus, ORDER_INVERSE);
    number_carry(out, out);
}

#endif
