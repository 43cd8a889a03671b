/* Numbers as the outside has them: big-endian bytes, and words of 64 bits in between.
 *
 * For the files of a kernel only. Nothing branches, or looks anything up, by a number. */
#ifndef KEYSERVER_LANES_EC_WORDS_H
#define KEYSERVER_LANES_EC_WORDS_H

#include "common/secret.h"
#include "keyserver/lanes/ec_field.h"
#include "keyserver/lanes/ec_kernel.h"

#define EC_WORDS  (EC_SIZE / 8) /* of a number */
#define WORD_BITS 64

/* What lanes without an item read. */
static const uint8_t words_nothing[EC_SIZE_MAX];

/* COUNT words, the most significant first, from FROM[lane] for each lane. */
static void words_get(vec *out, const uint8_t *const from[static EC_LANES], unsigned count)
{
    _Alignas(64) uint64_t word[EC_LANES];
    for (unsigned i = 0; i < count; i++) {
        for (unsigned lane = 0; lane < EC_LANES; lane++) {
            const uint8_t *b = from[lane] + 8 * (size_t)i;
            word[lane] = (uint64_t)b[0] << 56 | (uint64_t)b[1] << 48 | (uint64_t)b[2] << 40 |
                         (uint64_t)b[3] << 32 | (uint64_t)b[4] << 24 | (uint64_t)b[5] << 16 |
                         (uint64_t)b[6] << 8 | (uint64_t)b[7];
        }
        out[i] = vec_load(word);
    }
    wipe(word, sizeof word);
}

/* The words of WORDS to TO[lane], where that is not NULL. */
static void words_put(uint8_t *const to[static EC_LANES], const vec words[static EC_WORDS])
{
    _Alignas(64) uint64_t word[EC_LANES];
    for (unsigned i = 0; i < EC_WORDS; i++) {
        vec_store(word, words[i]);
        for (unsigned lane = 0; lane < EC_LANES; lane++) {
            for (unsigned j = 0; to[lane] != NULL && j < 8; j++)
                to[lane][8 * i + j] = (uint8_t)(word[lane] >> (56 - 8 * j));
        }
    }
    wipe(word, sizeof word);
}

/* The digits FIRST … FIRST + EC_DIGITS - 1 of a number of COUNT words. */
FIELD_INLINE void words_digits(vec out[static EC_DIGITS], const vec *words, unsigned count, unsigned first)
{
    EACH_DIGIT(i)
    {
        unsigned bit = DIGIT_BITS * (first + i), word = bit / WORD_BITS, shift = bit % WORD_BITS;
        vec digit = word < count ? vec_right(words[count - 1 - word], shift) : vec_all(0);
        if (shift > WORD_BITS - DIGIT_BITS && word + 1 < count)
            digit = vec_or(digit, vec_left(words[count - 2 - word], WORD_BITS - shift));
        out[i] = vec_and(digit, vec_all(DIGIT_MASK));
    }
}

/* The words of a number below 2^EC_BITS. */
FIELD_INLINE void words_of(vec out[static EC_WORDS], const vec digits[static EC_DIGITS])
{
    UNROLL for (unsigned i = 0; i < EC_WORDS; i++)
    {
        unsigned bit = WORD_BITS * i, digit = bit / DIGIT_BITS, shift = bit % DIGIT_BITS;
        vec word = vec_right(digits[digit], shift);
        for (unsigned at = DIGIT_BITS - shift; at < WORD_BITS && ++digit < EC_DIGITS; at += DIGIT_BITS)
            word = vec_or(word, vec_left(digits[digit], at));
        out[EC_WORDS - 1 - i] = word;
    }
}

#endif
