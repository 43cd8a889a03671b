/* Frames: a two-byte big-endian length before each transport message. Pure.
 *
 * Whole frames are handed out straight from the bytes that were read; only an unfinished tail is kept, so an
 * idle channel keeps nothing. */
#ifndef COMMON_FRAME_H
#define COMMON_FRAME_H

#include "common/bytes.h"

#define FRAME_HEADER_SIZE 2
#define FRAME_MAX         65535 /* bytes after the header */

struct frame_reader {
    struct buffer tail; /* the unfinished frame, header included; empty between frames */
};

/* Called for each whole frame; BYTES are mutable and borrowed for the call. A non-zero return ends the
 * feeding. */
typedef int (*frame_handler)(uint8_t *bytes, size_t length, void *user);

void frame_reader_init(struct frame_reader *r);
void frame_reader_clear(struct frame_reader *r);
/* Takes LENGTH mutable bytes as they came from the socket. Returns 0, the handler's non-zero result,
 * ERR_MEMORY, or ERR_LENGTH for a frame below MINIMUM bytes. */
int frame_reader_feed(struct frame_reader *r, uint8_t *bytes, size_t length, size_t minimum,
                      frame_handler handle, void *user) MUST_USE;
/* True when the stream may end here: no unfinished frame. */
bool frame_reader_empty(const struct frame_reader *r);
void frame_header(uint8_t out[static FRAME_HEADER_SIZE], size_t length);

#endif
