/* However a stream is cut into reads, the reader hands out the same frames as a plain walk over the whole. */
#include <stdlib.h>
#include <string.h>

#include "common/frame.h"

#define MINIMUM 3

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* Frames as expected: where the next one lies in the stream. */
struct walk {
    const uint8_t *at, *end;
};

static size_t next_length(const struct walk *w)
{
    return (size_t)w->at[0] << 8 | w->at[1];
}

static int compare(uint8_t *frame, size_t length, void *user)
{
    struct walk *w = user;
    must((size_t)(w->end - w->at) >= FRAME_HEADER_SIZE + length && next_length(w) == length);
    must(memcmp(frame, w->at + FRAME_HEADER_SIZE, length) == 0);
    memset(frame, 0, length);
    w->at += FRAME_HEADER_SIZE + length;
    return 0;
}

/* The first byte seeds the lengths of the reads, the rest is the stream. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    if (length < 1)
        return 0;
    uint32_t seed = bytes[0];
    size_t total = length - 1, at = 0;
    struct walk walk = {.at = bytes + 1, .end = bytes + length};
    struct frame_reader reader;
    uint8_t *copy = malloc(total + 1);
    int err = 0;
    must(copy != NULL);
    memcpy(copy, bytes + 1, total);
    frame_reader_init(&reader);
    while (at < total && err == 0) {
        seed = seed * 1664525u + 1013904223u;
        size_t step = 1 + (seed >> 16) % (bytes[0] < 128 ? 5 : 4096);
        if (step > total - at)
            step = total - at;
        err = frame_reader_feed(&reader, copy + at, step, MINIMUM, compare, &walk);
        at += step;
    }
    if (err == 0) {
        size_t left = (size_t)(walk.end - walk.at);
        must(frame_reader_empty(&reader) == (left == 0));
        must(left < FRAME_HEADER_SIZE || left < FRAME_HEADER_SIZE + next_length(&walk));
    } else {
        must(err == ERR_LENGTH && next_length(&walk) < MINIMUM);
    }
    frame_reader_clear(&reader);
    free(copy);
    return 0;
}
