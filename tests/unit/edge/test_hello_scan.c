/* How long a ClientHello is, known from its first bytes, in whatever pieces they come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "edge/tls/hello_scan.h"

#define ALERT     21
#define HANDSHAKE 22
#define DATA      23
#define STREAM    (8 * HELLO_LENGTH_MAX)

static uint8_t stream[STREAM];
static size_t stream_length;

static void begin_stream(void)
{
    stream_length = 0;
}

static void put_record(uint8_t kind, const uint8_t *content, size_t length)
{
    const uint8_t header[] = {kind, 3, 1, (uint8_t)(length >> 8), (uint8_t)length};

    assert_true(stream_length + sizeof header + length <= STREAM);
    memcpy(stream + stream_length, header, sizeof header);
    if (length > 0)
        memcpy(stream + stream_length + sizeof header, content, length);
    stream_length += sizeof header + length;
}

/* A message of LENGTH bytes, header included, of which PRESENT are there, in records of STEP bytes. */
static void put_message(uint8_t kind, size_t length, size_t present, size_t step)
{
    static uint8_t message[2 * HELLO_LENGTH_MAX];
    size_t body = length - HELLO_MESSAGE_HEADER;

    memset(message, 1, sizeof message); /* looks like a ClientHello from wherever it is read */
    message[0] = kind;
    message[1] = (uint8_t)(body >> 16);
    message[2] = (uint8_t)(body >> 8);
    message[3] = (uint8_t)body;
    for (size_t at = 0; at < present; at += step)
        put_record(HANDSHAKE, message + at, present - at < step ? present - at : step);
}

/* Gives the stream in pieces of STEP bytes; how many were given without an error. */
static size_t scan_in(struct hello_scan *scan, size_t step)
{
    *scan = (struct hello_scan){0};
    for (size_t at = 0; at < stream_length; at += step) {
        size_t length = stream_length - at < step ? stream_length - at : step;
        if (hello_scan_put(scan, stream + at, length) != 0)
            return at;
    }
    return stream_length;
}

static const size_t steps[] = {1, 2, 3, 5, 7, 9, 1000, 16384, STREAM};
#define STEPS (sizeof steps / sizeof steps[0])

static void the_longest_is_taken_in_any_pieces(void **state)
{
    struct hello_scan scan;

    (void)state;
    for (size_t of_records = 0; of_records < 7; of_records++) {
        begin_stream();
        put_message(1, HELLO_LENGTH_MAX, HELLO_LENGTH_MAX, steps[of_records]);
        for (size_t of_reads = 0; of_reads < STEPS; of_reads++) {
            assert_int_equal(scan_in(&scan, steps[of_reads]), stream_length);
            assert_int_equal(scan.longest, HELLO_LENGTH_MAX);
            assert_false(scan.over);
        }
    }
}

static void one_byte_more_is_refused_when_the_length_has_come(void **state)
{
    struct hello_scan scan;

    (void)state;
    for (size_t of_records = 1; of_records <= HELLO_MESSAGE_HEADER; of_records++) {
        begin_stream();
        put_message(1, HELLO_LENGTH_MAX + 1, HELLO_MESSAGE_HEADER, of_records);
        assert_int_equal(scan_in(&scan, 1), stream_length - 1);
        put_message(1, HELLO_LENGTH_MAX, HELLO_LENGTH_MAX, 1000);
        assert_int_equal(scan_in(&scan, STREAM), 0);
    }
}

static void what_lies_between_the_pieces_does_not_count(void **state)
{
    static const uint8_t message[] = {1, 0, 0xfb, 0xfc, 3, 3}, alert[] = {1, 0x5a};
    struct hello_scan scan;

    (void)state;
    begin_stream();
    for (size_t i = 0; i < sizeof message; i++) {
        put_record(HANDSHAKE, message + i, 1);
        put_record(HANDSHAKE, NULL, 0);
        put_record(ALERT, alert, sizeof alert);
        put_record(DATA, (const uint8_t *)"\1\xff\xff\xff\xff", 5);
    }
    for (size_t i = 0; i < STEPS; i++) {
        assert_int_equal(scan_in(&scan, steps[i]), stream_length);
        assert_int_equal(scan.longest, HELLO_LENGTH_MAX);
    }
}

static void a_second_hello_is_measured(void **state)
{
    static const uint8_t early_data[3000] = {1};
    struct hello_scan scan;

    (void)state;
    begin_stream();
    put_message(1, 300, 300, 100);
    put_record(20, (const uint8_t *)"\1", 1); /* for middleboxes */
    put_record(DATA, early_data, sizeof early_data);
    size_t first = stream_length;
    put_message(1, 20000, 19999, 16384);
    for (size_t i = 0; i < STEPS; i++) {
        assert_int_equal(scan_in(&scan, steps[i]), stream_length);
        assert_int_equal(scan.longest, 20000);
    }
    stream_length = first;
    put_message(1, 2 * HELLO_LENGTH_MAX, 100, 100);
    assert_true(scan_in(&scan, 1) == first + HELLO_RECORD_HEADER + HELLO_MESSAGE_HEADER - 1);
}

/* OpenSSL refuses them by their kind, before it makes room for them. */
static void other_messages_are_no_hello(void **state)
{
    struct hello_scan scan;

    (void)state;
    begin_stream();
    put_message(2, 2 * HELLO_LENGTH_MAX, HELLO_LENGTH_MAX, 16384);
    assert_int_equal(scan_in(&scan, 1000), stream_length);
    assert_int_equal(scan.longest, 0);
}

static void a_record_of_ssl_2_ends_the_scan(void **state)
{
    static const uint8_t hello[] = {0x80, 0x2e, 1, 3, 1, 0, 21, 0, 0, 0, 16, 1, 0xff, 0xff, 0xff};
    struct hello_scan scan;

    (void)state;
    memcpy(stream, hello, stream_length = sizeof hello);
    for (size_t i = 0; i < STEPS; i++) {
        assert_int_equal(scan_in(&scan, steps[i]), stream_length);
        assert_true(scan.over);
        assert_int_equal(scan.longest, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_longest_is_taken_in_any_pieces),
        cmocka_unit_test(one_byte_more_is_refused_when_the_length_has_come),
        cmocka_unit_test(what_lies_between_the_pieces_does_not_count),
        cmocka_unit_test(a_second_hello_is_measured),
        cmocka_unit_test(other_messages_are_no_hello),
        cmocka_unit_test(a_record_of_ssl_2_ends_the_scan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
