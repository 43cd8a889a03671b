#include "common/bytes.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_FIRST_SIZE 512
#define BUFFER_KEEP_SIZE  4096 /* an empty buffer up to this size keeps its memory */

void reader_init(struct reader *r, const void *bytes, size_t length)
{
    r->at = bytes;
    r->end = length ? r->at + length : r->at;
    r->bad = false;
}

size_t reader_left(const struct reader *r)
{
    return (size_t)(r->end - r->at);
}

const uint8_t *reader_bytes(struct reader *r, size_t length)
{
    if (r->bad || length > reader_left(r)) {
        r->bad = true;
        return NULL;
    }
    const uint8_t *bytes = r->at;
    if (length > 0)
        r->at += length;
    return bytes;
}

static uint64_t read_big_endian(struct reader *r, size_t size)
{
    const uint8_t *bytes = reader_bytes(r, size);
    if (bytes == NULL)
        return 0;
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value = value << 8 | bytes[i];
    return value;
}

uint8_t reader_u8(struct reader *r)
{
    return (uint8_t)read_big_endian(r, 1);
}

uint16_t reader_u16(struct reader *r)
{
    return (uint16_t)read_big_endian(r, 2);
}

uint32_t reader_u24(struct reader *r)
{
    return (uint32_t)read_big_endian(r, 3);
}

bool reader_done(const struct reader *r)
{
    return !r->bad && r->at == r->end;
}

void writer_init(struct writer *w, void *bytes, size_t size)
{
    w->start = bytes;
    w->at = w->start;
    w->end = size ? w->start + size : w->start;
    w->bad = false;
}

void writer_bytes(struct writer *w, const void *bytes, size_t length)
{
    if (w->bad || length > (size_t)(w->end - w->at)) {
        w->bad = true;
        return;
    }
    if (length == 0)
        return;
    memcpy(w->at, bytes, length);
    w->at += length;
}

static void write_big_endian(struct writer *w, uint64_t value, size_t size)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(value >> (8 * (size - 1 - i)));
    writer_bytes(w, bytes, size);
}

void writer_u8(struct writer *w, uint8_t value)
{
    write_big_endian(w, value, 1);
}

void writer_u16(struct writer *w, uint16_t value)
{
    write_big_endian(w, value, 2);
}

void writer_u24(struct writer *w, uint32_t value)
{
    write_big_endian(w, value, 3);
}

void writer_u64(struct writer *w, uint64_t value)
{
    write_big_endian(w, value, 8);
}

size_t writer_length(const struct writer *w)
{
    return (size_t)(w->at - w->start);
}

void buffer_init(struct buffer *b)
{
    *b = (struct buffer){0};
}

void buffer_clear(struct buffer *b)
{
    if (b->bytes != NULL)
        sodium_memzero(b->bytes, b->end);
    free(b->bytes);
    buffer_init(b);
}

size_t buffer_length(const struct buffer *b)
{
    return b->end - b->start;
}

const uint8_t *buffer_bytes(const struct buffer *b)
{
    return b->bytes == NULL ? NULL : b->bytes + b->start;
}

/* Moves the content to the front, so that consumed room is used before more is asked for. */
static void buffer_compact(struct buffer *b)
{
    if (b->start == 0)
        return;
    size_t length = buffer_length(b);
    memmove(b->bytes, b->bytes + b->start, length);
    sodium_memzero(b->bytes + length, b->end - length);
    b->start = 0;
    b->end = length;
}

/* Not realloc: it would leave an unwiped copy of the content behind. */
static int buffer_grow(struct buffer *b, size_t least)
{
    size_t size = b->size ? b->size : BUFFER_FIRST_SIZE;
    while (size < least) {
        if (size > SIZE_MAX / 2)
            return ERR_MEMORY;
        size *= 2;
    }
    uint8_t *bytes = malloc(size);
    if (bytes == NULL)
        return ERR_MEMORY;
    size_t length = buffer_length(b);
    if (length > 0)
        memcpy(bytes, b->bytes + b->start, length);
    buffer_clear(b);
    *b = (struct buffer){.bytes = bytes, .start = 0, .end = length, .size = size};
    return 0;
}

uint8_t *buffer_reserve(struct buffer *b, size_t length)
{
    if (length > SIZE_MAX - b->end)
        return NULL;
    if (b->bytes != NULL && b->size - b->end >= length)
        return b->bytes + b->end;
    size_t needed = buffer_length(b) + length;
    if (needed <= b->size)
        buffer_compact(b);
    else if (buffer_grow(b, needed) != 0)
        return NULL;
    return b->bytes == NULL ? NULL : b->bytes + b->end;
}

void buffer_commit(struct buffer *b, size_t length)
{
    b->end += length;
}

int buffer_put(struct buffer *b, const void *bytes, size_t length)
{
    if (length == 0)
        return 0;
    uint8_t *room = buffer_reserve(b, length);
    if (room == NULL)
        return ERR_MEMORY;
    memcpy(room, bytes, length);
    buffer_commit(b, length);
    return 0;
}

int buffer_printf(struct buffer *b, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0)
        return ERR_FORMAT;
    uint8_t *room = buffer_reserve(b, (size_t)length + 1);
    if (room == NULL)
        return ERR_MEMORY;
    va_start(arguments, format);
    vsnprintf((char *)room, (size_t)length + 1, format, arguments);
    va_end(arguments);
    buffer_commit(b, (size_t)length);
    return 0;
}

void buffer_consume(struct buffer *b, size_t length)
{
    if (length > buffer_length(b))
        length = buffer_length(b);
    if (length == 0)
        return;
    sodium_memzero(b->bytes + b->start, length);
    b->start += length;
    if (b->start < b->end)
        return;
    b->start = 0;
    b->end = 0;
    if (b->size > BUFFER_KEEP_SIZE)
        buffer_clear(b);
}

char *hex_encode(char *out, const void *bytes, size_t length)
{
    return sodium_bin2hex(out, 2 * length + 1, bytes, length);
}

int hex_decode(uint8_t *out, size_t size, const char *text)
{
    size_t length = strlen(text);
    size_t decoded = 0;
    if (length != 2 * size)
        return ERR_FORMAT;
    if (sodium_hex2bin(out, size, text, length, NULL, &decoded, NULL) != 0 || decoded != size)
        return ERR_FORMAT;
    return 0;
}

char *base64_encode(char *out, const void *bytes, size_t length)
{
    size_t size = sodium_base64_encoded_len(length, sodium_base64_VARIANT_ORIGINAL);
    return sodium_bin2base64(out, size, bytes, length, sodium_base64_VARIANT_ORIGINAL);
}

int base64_decode(uint8_t *out, size_t size, const char *text)
{
    size_t decoded = 0;
    if (sodium_base642bin(out, size, text, strlen(text), NULL, &decoded, NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0 ||
        decoded != size)
        return ERR_FORMAT;
    return 0;
}
