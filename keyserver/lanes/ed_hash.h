/* SHA-512 of eight messages of different lengths at once, each in up to three parts.
 *
 * For the files of a kernel only. Lengths are public, and so is how many blocks a lane has; nothing branches,
 * or looks anything up, by a byte. */
#ifndef KEYSERVER_LANES_ED_HASH_H
#define KEYSERVER_LANES_ED_HASH_H

#ifndef EC_DIGITS
#include "keyserver/lanes/ed_25519.h"
#endif

#include <string.h>

#include "keyserver/lanes/ec_sha512.h"
#include "keyserver/lanes/ec_words.h"

#define HASH_PARTS 3
#define HASH_WORDS 8

/* The message of one lane. A part may be empty. */
struct parts {
    const uint8_t *bytes[HASH_PARTS];
    size_t length[HASH_PARTS];
};

struct hash_blocks {
    uint8_t lane[VEC_LANES][BLOCK_BYTES];
};

static size_t parts_length(const struct parts *parts)
{
    size_t length = 0;
    for (unsigned i = 0; i < HASH_PARTS; i++)
        length += parts->length[i];
    return length;
}

/* Blocks of a message of LENGTH bytes with its padding: a bit, and 128 bits for the length. */
static size_t hash_blocks_of(size_t length)
{
    return (length + 1 + 16 + BLOCK_BYTES - 1) / BLOCK_BYTES;
}

/* OUT = the bytes from FROM on, as many as fit and are there, padded (FIPS 180-4, 5.1.2). */
static void hash_fill(uint8_t out[static BLOCK_BYTES], const struct parts *parts, size_t from)
{
    size_t length = parts_length(parts), begin = 0; /* of the part, in the message */
    memset(out, 0, BLOCK_BYTES);
    for (unsigned i = 0; i < HASH_PARTS; begin += parts->length[i++]) {
        size_t end = begin + parts->length[i];
        size_t low = begin > from ? begin : from;
        size_t high = end < from + BLOCK_BYTES ? end : from + BLOCK_BYTES;
        if (low < high)
            memcpy(out + low - from, parts->bytes[i] + low - begin, high - low);
    }
    if (length >= from && length < from + BLOCK_BYTES)
        out[length - from] = 0x80;
    if (from / BLOCK_BYTES + 1 == hash_blocks_of(length)) {
        for (unsigned i = 0; i < 8; i++)
            out[BLOCK_BYTES - 1 - i] = (uint8_t)((uint64_t)length * 8 >> 8 * i);
    }
}

/* STATE = SHA-512 of what each lane has, as words. BLOCKS is to work in. */
static void hash_eight(vec state[static HASH_WORDS], const struct parts parts[static VEC_LANES],
                       struct hash_blocks *blocks)
{
    _Alignas(64) uint64_t count[VEC_LANES];
    const uint8_t *from[VEC_LANES];
    struct block block;
    vec next[HASH_WORDS];
    size_t most = 0;
    for (unsigned lane = 0; lane < VEC_LANES; lane++) {
        count[lane] = hash_blocks_of(parts_length(&parts[lane]));
        most = count[lane] > most ? count[lane] : most;
        from[lane] = blocks->lane[lane];
    }
    for (unsigned i = 0; i < HASH_WORDS; i++)
        state[i] = vec_all(sha512_start[i]);
    for (size_t at = 0; at < most; at++) {
        for (unsigned lane = 0; lane < VEC_LANES; lane++)
            hash_fill(blocks->lane[lane], &parts[lane], at * BLOCK_BYTES);
        words_get(block.word, from, BLOCK_WORDS);
        for (unsigned i = 0; i < HASH_WORDS; i++)
            next[i] = state[i];
        sha512_block(next, &block);
        vec_mask over = vec_any(vec_subtract(vec_load(count), vec_all(at + 1)), vec_all(SIGN_BIT));
        for (unsigned i = 0; i < HASH_WORDS; i++)
            state[i] = vec_select(over, state[i], next[i]);
    }
}

#endif
