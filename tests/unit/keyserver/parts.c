#include "tests/unit/keyserver/parts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/bytes.h"

/* ---- apart ---- */

static struct piece take_piece(struct reader *r, size_t length)
{
    return (struct piece){reader_bytes(r, length), length};
}

static struct reader read_piece(struct piece piece)
{
    struct reader r;
    reader_init(&r, piece.bytes, piece.length);
    return r;
}

static void split_hello(struct hello_parts *out, struct piece body, bool client)
{
    struct reader r = read_piece(body);
    *out = (struct hello_parts){.version = reader_u16(&r), .random = take_piece(&r, TLS_RANDOM_SIZE)};
    out->session_id = take_piece(&r, reader_u8(&r));
    out->suites = take_piece(&r, client ? reader_u16(&r) : 2);
    out->compression = take_piece(&r, client ? reader_u8(&r) : 1);
    out->has_extensions = reader_left(&r) > 0;
    if (out->has_extensions) {
        struct reader list = read_piece(take_piece(&r, reader_u16(&r)));
        while (reader_left(&list) > 0) {
            struct extension_part *extension = &out->extensions[out->extension_count++];
            extension->type = reader_u16(&list);
            extension->data = take_piece(&list, reader_u16(&list));
            assert_false(list.bad);
        }
    }
    assert_true(reader_done(&r));
}

void split_messages(struct piece *out, size_t count, const uint8_t *messages, size_t length)
{
    struct reader r;
    reader_init(&r, messages, length);
    for (size_t i = 0; i < count; i++) {
        out[i].bytes = r.at;
        reader_u8(&r);
        out[i].length = 4 + take_piece(&r, reader_u24(&r)).length;
    }
    assert_true(reader_done(&r));
}

static struct piece body_of(struct piece message)
{
    return (struct piece){message.bytes + 4, message.length - 4};
}

void split_parts(struct parts *out, const uint8_t *messages, size_t length)
{
    struct piece message[5];
    split_messages(message, 5, messages, length);
    split_hello(&out->client, body_of(message[0]), true);
    split_hello(&out->server, body_of(message[1]), false);
    out->certificate = body_of(message[2]);
    out->done = body_of(message[3]);
    struct reader exchange = read_piece(body_of(message[4]));
    out->ciphertext = take_piece(&exchange, reader_u16(&exchange));
    out->exchange_rest = (struct piece){NULL, 0};
    assert_true(reader_done(&exchange));
}

/* ---- together ---- */

static void put(struct composed *out, const void *bytes, size_t length)
{
    assert_true(out->length + length <= sizeof out->bytes);
    if (length > 0)
        memcpy(out->bytes + out->length, bytes, length);
    out->length += length;
}

void put_piece(struct composed *out, struct piece piece)
{
    put(out, piece.bytes, piece.length);
}

void put_number(struct composed *out, uint64_t value, size_t width)
{
    for (size_t i = 0; i < width; i++)
        put(out, &(uint8_t){(uint8_t)(value >> 8 * (width - 1 - i))}, 1);
}

size_t begin_length(struct composed *out, size_t width)
{
    size_t which = out->length_count++;
    assert_true(which < PARTS_LENGTHS_MAX);
    out->lengths[which].at = out->length;
    out->lengths[which].width = width;
    put_number(out, 0, width);
    return which;
}

void end_length(struct composed *out, size_t which)
{
    size_t end = out->length, at = out->lengths[which].at, width = out->lengths[which].width;
    out->length = at;
    put_number(out, end - at - width, width);
    out->length = end;
}

void put_counted(struct composed *out, struct piece piece, size_t width)
{
    size_t length = begin_length(out, width);
    put_piece(out, piece);
    end_length(out, length);
}

static void put_hello(struct composed *out, const struct hello_parts *hello, bool client)
{
    put_number(out, client ? 1 : 2, 1);
    size_t message = begin_length(out, 3);
    put_number(out, hello->version, 2);
    put_piece(out, hello->random);
    put_counted(out, hello->session_id, 1);
    if (client) {
        put_counted(out, hello->suites, 2);
        put_counted(out, hello->compression, 1);
    } else {
        put_piece(out, hello->suites);
        put_piece(out, hello->compression);
    }
    if (hello->has_extensions) {
        size_t list = begin_length(out, 2);
        for (size_t i = 0; i < hello->extension_count; i++) {
            put_number(out, hello->extensions[i].type, 2);
            put_counted(out, hello->extensions[i].data, 2);
        }
        end_length(out, list);
    }
    put_piece(out, hello->rest);
    end_length(out, message);
}

void compose(struct composed *out, const struct parts *parts)
{
    out->length = out->length_count = 0;
    put_hello(out, &parts->client, true);
    put_hello(out, &parts->server, false);
    put_number(out, 11, 1);
    put_counted(out, parts->certificate, 3);
    put_number(out, 14, 1);
    put_counted(out, parts->done, 3);
    put_number(out, 16, 1);
    size_t message = begin_length(out, 3);
    put_counted(out, parts->ciphertext, 2);
    put_piece(out, parts->exchange_rest);
    end_length(out, message);
}

/* ---- extensions ---- */

size_t find_extension(const struct hello_parts *hello, uint16_t type)
{
    size_t i = 0;
    while (i < hello->extension_count && hello->extensions[i].type != type)
        i++;
    assert_true(i < hello->extension_count);
    return i;
}

bool has_extension(const struct hello_parts *hello, uint16_t type)
{
    for (size_t i = 0; i < hello->extension_count; i++)
        if (hello->extensions[i].type == type)
            return true;
    return false;
}

void add_extension(struct hello_parts *hello, uint16_t type, const void *bytes, size_t length)
{
    assert_true(hello->extension_count < PARTS_EXTENSIONS_MAX);
    hello->extensions[hello->extension_count++] = (struct extension_part){type, {bytes, length}};
    hello->has_extensions = true;
}

void drop_extension(struct hello_parts *hello, uint16_t type)
{
    size_t at = find_extension(hello, type);
    hello->extensions[at] = hello->extensions[--hello->extension_count];
}
