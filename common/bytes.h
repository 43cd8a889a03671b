/* Bytes: bounds-checked reading and writing in network byte order, and a growing buffer that wipes itself.
 *
 * Not for secrets that stay (see secret.h). Pure; an object belongs to one thread at a time. */
#ifndef COMMON_BYTES_H
#define COMMON_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

/* Reads forward over borrowed bytes. A read past the end sets `bad`, returns zero or NULL, and every later
 * read does the same: check once, at the end, with reader_done(). */
struct reader {
    const uint8_t *at;  /* next byte, borrowed */
    const uint8_t *end; /* one past the last byte */
    bool bad;           /* a read went past the end */
};

void reader_init(struct reader *r, const void *bytes, size_t length);
uint8_t reader_u8(struct reader *r);
uint16_t reader_u16(struct reader *r);
uint32_t reader_u24(struct reader *r);
/* LENGTH bytes, borrowed from the input, or NULL when fewer are left. */
const uint8_t *reader_bytes(struct reader *r, size_t length);
size_t reader_left(const struct reader *r);
/* True when nothing failed and nothing is left over. */
bool reader_done(const struct reader *r);

/* Writes forward into a borrowed array of fixed size; overflow sets `bad` and writes nothing more. */
struct writer {
    uint8_t *start; /* borrowed */
    uint8_t *at;
    uint8_t *end;
    bool bad;
};

void writer_init(struct writer *w, void *bytes, size_t size);
void writer_u8(struct writer *w, uint8_t value);
void writer_u16(struct writer *w, uint16_t value);
void writer_u24(struct writer *w, uint32_t value);
void writer_u64(struct writer *w, uint64_t value);
void writer_bytes(struct writer *w, const void *bytes, size_t length);
size_t writer_length(const struct writer *w);

/* A growing byte buffer, embedded in its owner. Bytes between `start` and `end` are its content. What is
 * consumed, shrunk or freed is wiped. Zero-initialised is empty and valid. */
struct buffer {
    uint8_t *bytes; /* owned */
    size_t start;   /* first byte of content */
    size_t end;     /* one past the last byte of content */
    size_t size;    /* bytes allocated */
};

void buffer_init(struct buffer *b);
/* Wipes and releases everything; the buffer is empty and usable afterwards. */
void buffer_clear(struct buffer *b);
size_t buffer_length(const struct buffer *b);
const uint8_t *buffer_bytes(const struct buffer *b);
/* Room for LENGTH more bytes: where to write them, or NULL without memory. Follow with buffer_commit(). */
uint8_t *buffer_reserve(struct buffer *b, size_t length);
void buffer_commit(struct buffer *b, size_t length);
int buffer_put(struct buffer *b, const void *bytes, size_t length) MUST_USE;
/* Appends text; ERR_MEMORY when there is none. */
int buffer_printf(struct buffer *b, const char *format, ...) PRINTF_LIKE(2, 3);
/* Drops LENGTH bytes from the front. An emptied buffer larger than a few KB gives its memory back. */
void buffer_consume(struct buffer *b, size_t length);

/* Text forms. hex: OUT holds 2 × LENGTH + 1 chars. base64: standard alphabet with padding, OUT holds
 * 4 × ceil(LENGTH / 3) + 1 chars. Both return OUT. Decoding takes exactly SIZE bytes or fails with
 * ERR_FORMAT; it is constant-time in the content (libsodium), so secrets may pass. */
char *hex_encode(char *out, const void *bytes, size_t length);
int hex_decode(uint8_t *out, size_t size, const char *text) MUST_USE;
char *base64_encode(char *out, const void *bytes, size_t length);
int base64_decode(uint8_t *out, size_t size, const char *text) MUST_USE;

#endif
