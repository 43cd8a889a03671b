#include "common/frame.h"

#include <string.h>

void frame_reader_init(struct frame_reader *r)
{
    buffer_init(&r->tail);
}

void frame_reader_clear(struct frame_reader *r)
{
    buffer_clear(&r->tail);
}

bool frame_reader_empty(const struct frame_reader *r)
{
    return buffer_length(&r->tail) == 0;
}

void frame_header(uint8_t out[static FRAME_HEADER_SIZE], size_t length)
{
    out[0] = (uint8_t)(length >> 8);
    out[1] = (uint8_t)length;
}

static size_t header_length(const uint8_t *header)
{
    return (size_t)header[0] << 8 | header[1];
}

/* Moves bytes from *AT to the tail until it holds TOTAL of them or the input ends. */
static int fill_tail(struct frame_reader *r, size_t total, uint8_t **at, const uint8_t *end)
{
    size_t missing = total - buffer_length(&r->tail);
    size_t left = (size_t)(end - *at);
    size_t length = missing < left ? missing : left;
    int err = buffer_put(&r->tail, *at, length);
    *at += length;
    return err;
}

/* Completes the unfinished frame with bytes from *AT and hands it out if it is whole now. */
static int feed_tail(struct frame_reader *r, uint8_t **at, const uint8_t *end, size_t minimum,
                     frame_handler handle, void *user)
{
    if (buffer_length(&r->tail) < FRAME_HEADER_SIZE) {
        int err = fill_tail(r, FRAME_HEADER_SIZE, at, end);
        if (err != 0 || buffer_length(&r->tail) < FRAME_HEADER_SIZE)
            return err;
    }
    size_t length = header_length(buffer_bytes(&r->tail));
    if (length < minimum)
        return ERR_LENGTH;
    int err = fill_tail(r, FRAME_HEADER_SIZE + length, at, end);
    if (err != 0 || buffer_length(&r->tail) < FRAME_HEADER_SIZE + length)
        return err;
    struct buffer whole = r->tail; /* the handler may feed again or clear the reader */
    buffer_init(&r->tail);
    err = handle(whole.bytes + whole.start + FRAME_HEADER_SIZE, length, user);
    buffer_clear(&whole);
    return err;
}

int frame_reader_feed(struct frame_reader *r, uint8_t *bytes, size_t length, size_t minimum,
                      frame_handler handle, void *user)
{
    uint8_t *at = bytes;
    const uint8_t *end = bytes + length;
    if (length > 0 && !frame_reader_empty(r)) {
        int err = feed_tail(r, &at, end, minimum, handle, user);
        if (err != 0)
            return err;
    }
    while (end - at >= FRAME_HEADER_SIZE) {
        size_t size = header_length(at);
        if (size < minimum)
            return ERR_LENGTH;
        if ((size_t)(end - at) < FRAME_HEADER_SIZE + size)
            break;
        uint8_t *frame = at + FRAME_HEADER_SIZE;
        at = frame + size;
        int err = handle(frame, size, user);
        if (err != 0)
            return err;
    }
    return at < end ? buffer_put(&r->tail, at, (size_t)(end - at)) : 0;
}
