/* A good transcript, built out of what a fuzzer says: as long as it says nothing (zeros), one that is read.
 */
#ifndef TESTS_LIB_TRANSCRIPT_SEED_H
#define TESTS_LIB_TRANSCRIPT_SEED_H

#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "proto/operation.h"

#define SEED_CIPHERTEXT_SIZE 256 /* unless the fuzzer says otherwise */

struct seed {
    struct reader say; /* the fuzzer's bytes; zeros when they are over */
    struct writer w;
    uint8_t bytes[HANDSHAKE_MAX];
};

static inline uint8_t seed_say(struct seed *seed)
{
    return reader_left(&seed->say) > 0 ? reader_u8(&seed->say) : 0;
}

/* A length field of WIDTH bytes at AT, for all that has been written behind it; the fuzzer may bend it. */
static inline void seed_length(struct seed *seed, size_t at, size_t width)
{
    size_t length = writer_length(&seed->w) - at - width;
    uint8_t bend = seed_say(seed);
    if (bend >= 0xfc)
        length += (size_t)bend - 0xfe; /* -2, -1, 0, 1 */
    for (size_t i = 0; !seed->w.bad && i < width; i++)
        seed->bytes[at + i] = (uint8_t)(length >> 8 * (width - 1 - i));
}

static inline size_t seed_gap(struct seed *seed, size_t width)
{
    size_t at = writer_length(&seed->w);
    for (size_t i = 0; i < width; i++)
        writer_u8(&seed->w, 0);
    return at;
}

/* COUNT bytes from the fuzzer, none of them VALUE unless it says so. */
static inline void seed_bytes(struct seed *seed, size_t count, uint8_t value)
{
    for (size_t i = 0; i < count; i++)
        writer_u8(&seed->w, seed_say(seed) ^ value);
}

static inline void seed_extension(struct seed *seed, uint16_t type, const void *data, size_t length)
{
    writer_u16(&seed->w, type);
    size_t at = seed_gap(seed, 2);
    writer_bytes(&seed->w, data, length);
    seed_length(seed, at, 2);
}

/* The one extension that must be there, and others that the fuzzer asks for. */
static inline void seed_extensions(struct seed *seed)
{
    static const uint8_t name[] = {0, 12, 0, 0, 9, 'w', 'w', 'W', '.', 'a', '.', 'b', 'c', 'd'};
    static const uint16_t types[] = {0, 23, 43, 16, 0xff01, 0x7a7a};
    size_t at = seed_gap(seed, 2);
    if (seed_say(seed) != 0xff)
        seed_extension(seed, 23, "", seed_say(seed) == 0xff);
    for (uint8_t count = seed_say(seed) % 8; count > 0; count--) {
        uint8_t which = seed_say(seed), data[256];
        size_t length = which & 0x80 ? seed_say(seed) : 0;
        for (size_t i = 0; i < length; i++)
            data[i] = seed_say(seed);
        uint16_t type = types[which % (sizeof types / sizeof types[0])];
        if (which & 0x40)
            type = (uint16_t)(type + seed_say(seed));
        if (type == 0 && !(which & 0x80))
            seed_extension(seed, type, name, sizeof name);
        else
            seed_extension(seed, type, data, length);
    }
    seed_length(seed, at, 2);
}

static inline void seed_client_hello(struct seed *seed)
{
    writer_u16(&seed->w, 0x0303 ^ seed_say(seed));
    seed_bytes(seed, 32, 0x11);
    size_t at = seed_gap(seed, 1);
    seed_bytes(seed, seed_say(seed) % 40, 0x22);
    seed_length(seed, at, 1);
    at = seed_gap(seed, 2);
    writer_u16(&seed->w, 0x009c);
    writer_u16(&seed->w, 0x009d ^ seed_say(seed));
    seed_bytes(seed, seed_say(seed) % 16, 0xc0);
    seed_length(seed, at, 2);
    at = seed_gap(seed, 1);
    writer_u8(&seed->w, seed_say(seed));
    seed_bytes(seed, seed_say(seed) % 4, 1);
    seed_length(seed, at, 1);
    seed_extensions(seed);
}

static inline void seed_server_hello(struct seed *seed)
{
    writer_u16(&seed->w, 0x0303 ^ seed_say(seed));
    seed_bytes(seed, 32, 0x33);
    size_t at = seed_gap(seed, 1);
    seed_bytes(seed, 32 ^ seed_say(seed), 0x44);
    seed_length(seed, at, 1);
    writer_u16(&seed->w, 0x009d ^ seed_say(seed));
    writer_u8(&seed->w, seed_say(seed));
    seed_extensions(seed);
}

static inline void seed_message(struct seed *seed, uint8_t type)
{
    writer_u8(&seed->w, type ^ seed_say(seed));
    size_t at = seed_gap(seed, 3);
    if (type == 1)
        seed_client_hello(seed);
    if (type == 2)
        seed_server_hello(seed);
    if (type == 11)
        seed_bytes(seed, 100, 0x55);
    if (type == 16) {
        size_t inner = seed_gap(seed, 2);
        seed_bytes(seed, SEED_CIPHERTEXT_SIZE + (size_t)(int8_t)seed_say(seed), 0x66);
        seed_length(seed, inner, 2);
    }
    seed_bytes(seed, seed_say(seed) >= 0xf8 ? 1 : 0, 0);
    seed_length(seed, at, 3);
}

/* Builds one; returns its length. */
static inline size_t seed_build(struct seed *seed, const uint8_t *say, size_t length)
{
    static const uint8_t types[] = {1, 2, 11, 14, 16};
    reader_init(&seed->say, say, length);
    writer_init(&seed->w, seed->bytes, sizeof seed->bytes);
    for (size_t i = 0; i < sizeof types; i++)
        seed_message(seed, types[i]);
    return writer_length(&seed->w);
}

#endif
