/* A transcript taken apart into its fields and put together again, for tests that change one of them: written
 * down once more from RFC 5246, and less strict than what it tests. Not a test program by itself. */
#ifndef TESTS_UNIT_KEYSERVER_PARTS_H
#define TESTS_UNIT_KEYSERVER_PARTS_H

#include "proto/operation.h"

#define PARTS_EXTENSIONS_MAX 700
#define PARTS_LENGTHS_MAX    800

struct piece {
    const uint8_t *bytes; /* borrowed */
    size_t length;
};

struct extension_part {
    uint16_t type;
    struct piece data;
};

struct hello_parts {
    uint16_t version;
    struct piece random, session_id, suites, compression; /* a server's: one suite, one method */
    bool has_extensions;
    size_t extension_count;
    struct extension_part extensions[PARTS_EXTENSIONS_MAX];
    struct piece rest; /* behind all that */
};

struct parts {
    struct hello_parts client, server;
    struct piece certificate, done, ciphertext, exchange_rest; /* certificate and done are whole bodies */
};

/* Parts in one piece, and where its length fields are. */
struct composed {
    uint8_t bytes[0x12000]; /* a field of the longest length, and what is around it */
    size_t length;
    struct {
        size_t at, width;
    } lengths[PARTS_LENGTHS_MAX];
    size_t length_count;
};

/* ---- apart ---- */

/* The COUNT messages that MESSAGES are, headers included. */
void split_messages(struct piece *out, size_t count, const uint8_t *messages, size_t length);
void split_parts(struct parts *out, const uint8_t *messages, size_t length);

/* ---- together ---- */

void put_piece(struct composed *out, struct piece piece);
void put_number(struct composed *out, uint64_t value, size_t width);
/* A length field, yet unknown; the result is for end_length(). */
size_t begin_length(struct composed *out, size_t width);
void end_length(struct composed *out, size_t which);
void put_counted(struct composed *out, struct piece piece, size_t width);
void compose(struct composed *out, const struct parts *parts);

/* ---- extensions ---- */

/* The place of extension TYPE, which is there. */
size_t find_extension(const struct hello_parts *hello, uint16_t type);
bool has_extension(const struct hello_parts *hello, uint16_t type);
void add_extension(struct hello_parts *hello, uint16_t type, const void *bytes, size_t length);
void drop_extension(struct hello_parts *hello, uint16_t type);

#endif
