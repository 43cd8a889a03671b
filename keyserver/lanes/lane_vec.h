/* A vector of eight 64-bit numbers, and the few things that kernels do with it: in AVX-512 where the file is
 * compiled for it, otherwise in plain C, which says the same to machines and tools that do not know these
 * instructions.
 *
 * Only for the kernels' own files. Nothing here branches, or looks anything up, by a value. */
#ifndef KEYSERVER_LANES_LANE_VEC_H
#define KEYSERVER_LANES_LANE_VEC_H

#include <stdint.h>

#define VEC_LANES  8
#define VEC_INLINE static inline __attribute__((always_inline, unused))

#ifdef __AVX512IFMA__
#define VEC_NATIVE 1

#include <immintrin.h>

typedef __m512i vec;
typedef __mmask8 vec_mask; /* one bit a lane */

VEC_INLINE vec vec_load(const uint64_t from[VEC_LANES])
{
    return _mm512_load_si512(from);
}
VEC_INLINE void vec_store(uint64_t to[VEC_LANES], vec v)
{
    _mm512_store_si512(to, v);
}
VEC_INLINE vec vec_all(uint64_t value)
{
    return _mm512_set1_epi64((long long)value);
}
VEC_INLINE vec vec_add(vec a, vec b)
{
    return _mm512_add_epi64(a, b);
}
VEC_INLINE vec vec_subtract(vec a, vec b)
{
    return _mm512_sub_epi64(a, b);
}
VEC_INLINE vec vec_and(vec a, vec b)
{
    return _mm512_and_si512(a, b);
}
VEC_INLINE vec vec_left(vec a, unsigned bits)
{
    return _mm512_slli_epi64(a, bits);
}
VEC_INLINE vec vec_right(vec a, unsigned bits)
{
    return _mm512_srli_epi64(a, bits);
}
VEC_INLINE vec vec_right_signed(vec a, unsigned bits)
{
    return _mm512_srai_epi64(a, bits);
}
/* BITS need not be known to the compiler. */
VEC_INLINE vec vec_right_by(vec a, unsigned bits)
{
    return _mm512_srl_epi64(a, _mm_cvtsi32_si128((int)bits));
}
/* SUM + the low or the high 52 bits of the product of the low 52 bits of A and B. */
VEC_INLINE vec vec_add_low(vec sum, vec a, vec b)
{
    return _mm512_madd52lo_epu64(sum, a, b);
}
VEC_INLINE vec vec_add_high(vec sum, vec a, vec b)
{
    return _mm512_madd52hi_epu64(sum, a, b);
}
VEC_INLINE vec_mask vec_equal(vec a, vec b)
{
    return _mm512_cmpeq_epi64_mask(a, b);
}
VEC_INLINE vec vec_or(vec a, vec b)
{
    return _mm512_or_si512(a, b);
}
VEC_INLINE vec vec_xor(vec a, vec b)
{
    return _mm512_xor_si512(a, b);
}
VEC_INLINE vec vec_left_by(vec a, unsigned bits)
{
    return _mm512_sll_epi64(a, _mm_cvtsi32_si128((int)bits));
}
#define vec_rotate(a, bits) _mm512_ror_epi64(a, bits) /* to the right */
/* Each bit of A where that of WHICH is set, of B elsewhere. */
VEC_INLINE vec vec_choose(vec which, vec a, vec b)
{
    return _mm512_ternarylogic_epi64(which, a, b, 0xca);
}
/* Each bit as at least two of the three have it. */
VEC_INLINE vec vec_majority(vec a, vec b, vec c)
{
    return _mm512_ternarylogic_epi64(a, b, c, 0xe8);
}
/* A ^ B ^ C */
VEC_INLINE vec vec_xor3(vec a, vec b, vec c)
{
    return _mm512_ternarylogic_epi64(a, b, c, 0x96);
}
/* Lane i gets what lane i ^ DISTANCE has; DISTANCE is 1, 2 or 4. */
#define vec_swap(a, distance)                                                                                \
    ((distance) == 1   ? _mm512_permutex_epi64(a, 0xb1)                                                      \
     : (distance) == 2 ? _mm512_permutex_epi64(a, 0x4e)                                                      \
                       : _mm512_shuffle_i64x2(a, a, 0x4e))
/* Of sixteen numbers, those in LOW before those in HIGH, each lane gets the one that the low four bits of
 * INDEX name. */
VEC_INLINE vec vec_pick(vec low, vec high, vec index)
{
    return _mm512_permutex2var_epi64(low, index, high);
}
/* The lanes of A that have any of the bits of B. */
VEC_INLINE vec_mask vec_any(vec a, vec b)
{
    return _mm512_test_epi64_mask(a, b);
}
VEC_INLINE vec_mask vec_either(vec_mask a, vec_mask b)
{
    return a | b;
}
VEC_INLINE vec_mask vec_not(vec_mask a)
{
    return (vec_mask)~a;
}
VEC_INLINE vec_mask vec_differ(vec_mask a, vec_mask b)
{
    return a ^ b;
}
VEC_INLINE vec_mask vec_both(vec_mask a, vec_mask b)
{
    return a & b;
}
/* THEN in the lanes of MASK, OTHERWISE elsewhere. */
VEC_INLINE vec vec_select(vec_mask mask, vec then, vec otherwise)
{
    return _mm512_mask_blend_epi64(mask, otherwise, then);
}
VEC_INLINE unsigned vec_bits(vec_mask mask)
{
    return mask;
}

#else
#define VEC_NATIVE 0

__extension__ typedef unsigned __int128 vec_wide;

typedef struct {
    uint64_t lane[VEC_LANES];
} vec;
typedef vec vec_mask; /* all ones or all zeros in each lane */

#define VEC_EACH(expression)                                                                                 \
    do {                                                                                                     \
        vec out;                                                                                             \
        for (unsigned i = 0; i < VEC_LANES; i++)                                                             \
            out.lane[i] = (expression);                                                                      \
        return out;                                                                                          \
    } while (0)
#define VEC_LOW_BITS ((UINT64_C(1) << 52) - 1)

VEC_INLINE vec vec_load(const uint64_t from[VEC_LANES])
{
    VEC_EACH(from[i]);
}
VEC_INLINE void vec_store(uint64_t to[VEC_LANES], vec v)
{
    for (unsigned i = 0; i < VEC_LANES; i++)
        to[i] = v.lane[i];
}
VEC_INLINE vec vec_all(uint64_t value)
{
    VEC_EACH(value);
}
VEC_INLINE vec vec_add(vec a, vec b)
{
    VEC_EACH(a.lane[i] + b.lane[i]);
}
VEC_INLINE vec vec_subtract(vec a, vec b)
{
    VEC_EACH(a.lane[i] - b.lane[i]);
}
VEC_INLINE vec vec_and(vec a, vec b)
{
    VEC_EACH(a.lane[i] & b.lane[i]);
}
VEC_INLINE vec vec_left(vec a, unsigned bits)
{
    VEC_EACH(a.lane[i] << bits);
}
VEC_INLINE vec vec_right(vec a, unsigned bits)
{
    VEC_EACH(a.lane[i] >> bits);
}
VEC_INLINE vec vec_right_signed(vec a, unsigned bits)
{
    VEC_EACH((uint64_t)((int64_t)a.lane[i] >> bits));
}
VEC_INLINE vec vec_right_by(vec a, unsigned bits)
{
    return vec_right(a, bits);
}
VEC_INLINE vec_wide vec_product(uint64_t a, uint64_t b)
{
    return (vec_wide)(a & VEC_LOW_BITS) * (b & VEC_LOW_BITS);
}
VEC_INLINE vec vec_add_low(vec sum, vec a, vec b)
{
    VEC_EACH(sum.lane[i] + ((uint64_t)vec_product(a.lane[i], b.lane[i]) & VEC_LOW_BITS));
}
VEC_INLINE vec vec_add_high(vec sum, vec a, vec b)
{
    VEC_EACH(sum.lane[i] + (uint64_t)(vec_product(a.lane[i], b.lane[i]) >> 52));
}
VEC_INLINE uint64_t vec_equal_lane(uint64_t a, uint64_t b)
{
    uint64_t difference = a ^ b, mask = ((difference | (0 - difference)) >> 63) - 1;
    __asm__("" : "+r"(mask)); /* or a compiler sees that it is one, and makes jumps or lookups of it */
    return mask;
}
VEC_INLINE vec_mask vec_equal(vec a, vec b)
{
    VEC_EACH(vec_equal_lane(a.lane[i], b.lane[i]));
}
VEC_INLINE vec vec_or(vec a, vec b)
{
    VEC_EACH(a.lane[i] | b.lane[i]);
}
VEC_INLINE vec vec_xor(vec a, vec b)
{
    VEC_EACH(a.lane[i] ^ b.lane[i]);
}
VEC_INLINE vec vec_left_by(vec a, unsigned bits)
{
    return vec_left(a, bits);
}
VEC_INLINE vec vec_rotate(vec a, unsigned bits)
{
    VEC_EACH(a.lane[i] >> bits | a.lane[i] << (64 - bits));
}
VEC_INLINE vec vec_choose(vec which, vec a, vec b)
{
    VEC_EACH((which.lane[i] & a.lane[i]) | (~which.lane[i] & b.lane[i]));
}
VEC_INLINE vec vec_majority(vec a, vec b, vec c)
{
    VEC_EACH((a.lane[i] & b.lane[i]) | (a.lane[i] & c.lane[i]) | (b.lane[i] & c.lane[i]));
}
VEC_INLINE vec vec_xor3(vec a, vec b, vec c)
{
    VEC_EACH(a.lane[i] ^ b.lane[i] ^ c.lane[i]);
}
VEC_INLINE vec vec_swap(vec a, unsigned distance)
{
    VEC_EACH(a.lane[i ^ distance]);
}
VEC_INLINE vec vec_pick(vec low, vec high, vec index)
{
    vec out = {{0}};
    for (unsigned i = 0; i < VEC_LANES; i++) {
        for (unsigned j = 0; j < VEC_LANES; j++) {
            out.lane[i] |= low.lane[j] & vec_equal_lane(index.lane[i] & 15, j);
            out.lane[i] |= high.lane[j] & vec_equal_lane(index.lane[i] & 15, j + VEC_LANES);
        }
    }
    return out;
}
VEC_INLINE vec_mask vec_any(vec a, vec b)
{
    VEC_EACH(~vec_equal_lane(a.lane[i] & b.lane[i], 0));
}
VEC_INLINE vec_mask vec_either(vec_mask a, vec_mask b)
{
    return vec_or(a, b);
}
VEC_INLINE vec_mask vec_not(vec_mask a)
{
    VEC_EACH(~a.lane[i]);
}
VEC_INLINE vec_mask vec_differ(vec_mask a, vec_mask b)
{
    return vec_xor(a, b);
}
VEC_INLINE vec_mask vec_both(vec_mask a, vec_mask b)
{
    return vec_and(a, b);
}
VEC_INLINE vec vec_select(vec_mask mask, vec then, vec otherwise)
{
    VEC_EACH((then.lane[i] & mask.lane[i]) | (otherwise.lane[i] & ~mask.lane[i]));
}
VEC_INLINE unsigned vec_bits(vec_mask mask)
{
    unsigned bits = 0;
    for (unsigned i = 0; i < VEC_LANES; i++)
        bits |= (unsigned)(mask.lane[i] & 1) << i;
    return bits;
}

#endif
#endif
