#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/frame.h"

#define MINIMUM 3

/* What the handler saw. */
struct seen {
    struct buffer bytes; /* of all frames, one after the other */
    size_t count;
    size_t stop_at; /* the handler fails at this frame; 0 = never */
    uint8_t *last;  /* where the last frame lay, borrowed */
};

static int note(uint8_t *bytes, size_t length, void *user)
{
    struct seen *seen = user;
    seen->count++;
    seen->last = bytes;
    assert_int_equal(buffer_put(&seen->bytes, bytes, length), 0);
    memset(bytes, 0xee, length); /* frames are ours to change */
    return seen->count == seen->stop_at ? 42 : 0;
}

static void put_frame(struct buffer *out, uint8_t fill, size_t length)
{
    uint8_t header[FRAME_HEADER_SIZE];
    frame_header(header, length);
    assert_int_equal(buffer_put(out, header, sizeof header), 0);
    uint8_t *room = buffer_reserve(out, length + 1);
    assert_non_null(room);
    memset(room, fill, length);
    buffer_commit(out, length);
}

static int feed(struct frame_reader *r, struct buffer *in, struct seen *seen)
{
    return frame_reader_feed(r, in->bytes + in->start, buffer_length(in), MINIMUM, note, seen);
}

static void header_is_big_endian(void **state)
{
    (void)state;
    uint8_t out[FRAME_HEADER_SIZE];
    frame_header(out, 0x1234);
    assert_memory_equal(out, "\x12\x34", 2);
    frame_header(out, FRAME_MAX);
    assert_memory_equal(out, "\xff\xff", 2);
}

static void whole_frames_are_handed_out_where_they_lie_and_nothing_is_kept(void **state)
{
    (void)state;
    struct frame_reader r;
    struct seen seen = {.count = 0};
    struct buffer in = {0};
    frame_reader_init(&r);
    put_frame(&in, 'a', 3);
    put_frame(&in, 'b', 4);
    assert_int_equal(feed(&r, &in, &seen), 0);
    assert_int_equal(seen.count, 2);
    assert_memory_equal(buffer_bytes(&seen.bytes), "aaabbbb", 7);
    assert_ptr_equal(seen.last, in.bytes + 7);
    assert_true(frame_reader_empty(&r));
    assert_null(r.tail.bytes);
    buffer_clear(&in);
    buffer_clear(&seen.bytes);
}

static void any_cut_of_the_stream_gives_the_same_frames(void **state)
{
    (void)state;
    for (size_t step = 1; step < 20; step++) {
        struct frame_reader r;
        struct seen seen = {.count = 0};
        struct buffer in = {0};
        frame_reader_init(&r);
        put_frame(&in, 'a', 3);
        put_frame(&in, 'b', 11);
        put_frame(&in, 'c', 5);
        size_t total = buffer_length(&in);
        for (size_t at = 0; at < total; at += step) {
            size_t length = total - at < step ? total - at : step;
            assert_int_equal(frame_reader_feed(&r, in.bytes + at, length, MINIMUM, note, &seen), 0);
        }
        assert_int_equal(seen.count, 3);
        assert_memory_equal(buffer_bytes(&seen.bytes), "aaabbbbbbbbbbbccccc", 19);
        assert_true(frame_reader_empty(&r));
        assert_null(r.tail.bytes);
        buffer_clear(&in);
        buffer_clear(&seen.bytes);
    }
}

static void the_largest_frame_passes(void **state)
{
    (void)state;
    struct frame_reader r;
    struct seen seen = {.count = 0};
    struct buffer in = {0};
    frame_reader_init(&r);
    put_frame(&in, 'z', FRAME_MAX);
    size_t total = buffer_length(&in);
    assert_int_equal(frame_reader_feed(&r, in.bytes, total - 1, MINIMUM, note, &seen), 0);
    assert_int_equal(seen.count, 0);
    assert_false(frame_reader_empty(&r));
    assert_int_equal(frame_reader_feed(&r, in.bytes + total - 1, 1, MINIMUM, note, &seen), 0);
    assert_int_equal(seen.count, 1);
    assert_int_equal(buffer_length(&seen.bytes), FRAME_MAX);
    buffer_clear(&in);
    buffer_clear(&seen.bytes);
}

static void a_frame_below_the_minimum_is_refused_at_its_header(void **state)
{
    (void)state;
    struct frame_reader r;
    struct seen seen = {.count = 0};
    uint8_t whole[] = {0, MINIMUM - 1, 1, 2};
    frame_reader_init(&r);
    assert_int_equal(frame_reader_feed(&r, whole, 2, MINIMUM, note, &seen), ERR_LENGTH);
    assert_int_equal(frame_reader_feed(&r, whole, 1, MINIMUM, note, &seen), 0);
    assert_int_equal(frame_reader_feed(&r, whole + 1, 1, MINIMUM, note, &seen), ERR_LENGTH);
    frame_reader_clear(&r);
    whole[1] = 0;
    assert_int_equal(frame_reader_feed(&r, whole, 2, MINIMUM, note, &seen), ERR_LENGTH);
    assert_int_equal(seen.count, 0);
    frame_reader_clear(&r);
}

static void a_failing_handler_ends_the_feeding(void **state)
{
    (void)state;
    for (size_t head = 0; head < 3; head++) { /* from the bytes read, and from the tail */
        struct frame_reader r;
        struct seen seen = {.stop_at = 1};
        struct buffer in = {0};
        frame_reader_init(&r);
        put_frame(&in, 'a', 3);
        put_frame(&in, 'b', 3);
        if (head > 0)
            assert_int_equal(frame_reader_feed(&r, in.bytes, head, MINIMUM, note, &seen), 0);
        buffer_consume(&in, head);
        assert_int_equal(feed(&r, &in, &seen), 42);
        assert_int_equal(seen.count, 1);
        frame_reader_clear(&r);
        buffer_clear(&in);
        buffer_clear(&seen.bytes);
    }
}

static void nothing_in_nothing_out(void **state)
{
    (void)state;
    struct frame_reader r;
    uint8_t byte = 1;
    frame_reader_init(&r);
    assert_int_equal(frame_reader_feed(&r, &byte, 0, MINIMUM, note, NULL), 0);
    assert_true(frame_reader_empty(&r));
    assert_int_equal(frame_reader_feed(&r, &byte, 1, MINIMUM, note, NULL), 0);
    assert_int_equal(frame_reader_feed(&r, &byte, 0, MINIMUM, note, NULL), 0);
    assert_false(frame_reader_empty(&r));
    frame_reader_clear(&r);
    assert_true(frame_reader_empty(&r));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_is_big_endian),
        cmocka_unit_test(whole_frames_are_handed_out_where_they_lie_and_nothing_is_kept),
        cmocka_unit_test(any_cut_of_the_stream_gives_the_same_frames),
        cmocka_unit_test(the_largest_frame_passes),
        cmocka_unit_test(a_frame_below_the_minimum_is_refused_at_its_header),
        cmocka_unit_test(a_failing_handler_ends_the_feeding),
        cmocka_unit_test(nothing_in_nothing_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
