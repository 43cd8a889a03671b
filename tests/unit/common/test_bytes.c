#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "common/bytes.h"
#include "common/secret.h"

static void reader_takes_numbers_in_network_order(void **state)
{
    (void)state;
    const uint8_t bytes[] = {1, 2, 3, 4, 5, 6};
    struct reader r;
    reader_init(&r, bytes, sizeof bytes);
    assert_int_equal(reader_u8(&r), 0x01);
    assert_int_equal(reader_u16(&r), 0x0203);
    assert_int_equal(reader_u24(&r), 0x040506);
    assert_true(reader_done(&r));
}

static void reader_fails_once_and_for_all_past_the_end(void **state)
{
    (void)state;
    const uint8_t bytes[] = {1, 2};
    struct reader r;
    reader_init(&r, bytes, sizeof bytes);
    assert_int_equal(reader_u24(&r), 0);
    assert_true(r.bad);
    assert_int_equal(reader_u8(&r), 0);
    assert_null(reader_bytes(&r, 1));
    assert_false(reader_done(&r));
}

static void reader_is_not_done_while_bytes_are_left(void **state)
{
    (void)state;
    const uint8_t bytes[] = {1, 2};
    struct reader r;
    reader_init(&r, bytes, sizeof bytes);
    reader_u8(&r);
    assert_false(reader_done(&r));
    assert_int_equal(reader_left(&r), 1);
    assert_non_null(reader_bytes(&r, 1));
    assert_true(reader_done(&r));
}

static void reader_of_nothing_is_done(void **state)
{
    (void)state;
    struct reader r;
    reader_init(&r, NULL, 0);
    assert_true(reader_done(&r));
    assert_null(reader_bytes(&r, 1));
}

static void writer_mirrors_reader(void **state)
{
    (void)state;
    uint8_t bytes[14];
    struct writer w;
    writer_init(&w, bytes, sizeof bytes);
    writer_u8(&w, 0x01);
    writer_u16(&w, 0x0203);
    writer_u24(&w, 0x040506);
    writer_u64(&w, 0x0708090a0b0c0d0eu);
    assert_false(w.bad);
    assert_int_equal(writer_length(&w), 14);
    for (uint8_t i = 0; i < 14; i++)
        assert_int_equal(bytes[i], i + 1);
}

static void writer_overflow_writes_nothing_more(void **state)
{
    (void)state;
    uint8_t bytes[4] = {9, 9, 9, 9};
    struct writer w;
    writer_init(&w, bytes, 3);
    writer_u16(&w, 0);
    writer_u16(&w, 0);
    assert_true(w.bad);
    assert_int_equal(bytes[2], 9);
    writer_u8(&w, 0);
    assert_int_equal(bytes[2], 9);
    assert_int_equal(writer_length(&w), 2);
}

static void buffer_keeps_order_through_growth_and_consumption(void **state)
{
    (void)state;
    struct buffer b = {0};
    uint8_t next_in = 0, next_out = 0;
    for (int round = 0; round < 500; round++) {
        for (int i = 0; i < 37; i++, next_in++)
            assert_int_equal(buffer_put(&b, &next_in, 1), 0);
        for (int i = 0; i < 29; i++, next_out++) {
            assert_int_equal(buffer_bytes(&b)[0], next_out);
            buffer_consume(&b, 1);
        }
    }
    assert_int_equal(buffer_length(&b), 500 * (37 - 29));
    buffer_consume(&b, SIZE_MAX);
    assert_int_equal(buffer_length(&b), 0);
    buffer_clear(&b);
    assert_null(b.bytes);
}

static void buffer_gives_back_large_memory_when_emptied(void **state)
{
    (void)state;
    struct buffer b = {0};
    static const uint8_t zeros[100000];
    assert_int_equal(buffer_put(&b, zeros, sizeof zeros), 0);
    assert_true(b.size >= sizeof zeros);
    buffer_consume(&b, sizeof zeros);
    assert_int_equal(b.size, 0);
}

static void buffer_wipes_what_is_consumed(void **state)
{
    (void)state;
    struct buffer b = {0};
    assert_int_equal(buffer_put(&b, "secretkeep", 10), 0);
    buffer_consume(&b, 6);
    assert_memory_equal(b.bytes, "\0\0\0\0\0\0keep", 10);
    buffer_clear(&b);
}

static void buffer_refuses_impossible_sizes(void **state)
{
    (void)state;
    struct buffer b = {0};
    assert_int_equal(buffer_put(&b, "x", 1), 0);
    assert_null(buffer_reserve(&b, SIZE_MAX));
    assert_null(buffer_reserve(&b, SIZE_MAX / 2 + 1));
    assert_int_equal(buffer_length(&b), 1);
    buffer_clear(&b);
}

static void buffer_printf_appends_text(void **state)
{
    (void)state;
    struct buffer b = {0};
    for (int i = 0; i < 300; i++)
        assert_int_equal(buffer_printf(&b, "%d,", i % 10), 0);
    assert_int_equal(buffer_length(&b), 600);
    assert_memory_equal(buffer_bytes(&b), "0,1,2,", 6);
    buffer_clear(&b);
}

static void hex_and_base64_go_both_ways(void **state)
{
    (void)state;
    uint8_t bytes[32], back[32];
    char text[65];
    random_bytes(bytes, sizeof bytes);
    assert_int_equal(hex_decode(back, 32, hex_encode(text, bytes, 32)), 0);
    assert_memory_equal(bytes, back, 32);
    assert_int_equal(base64_decode(back, 32, base64_encode(text, bytes, 32)), 0);
    assert_memory_equal(bytes, back, 32);
    assert_string_equal(base64_encode(text, "ab", 2), "YWI=");
}

static void decoding_takes_the_exact_size_only(void **state)
{
    (void)state;
    uint8_t back[4];
    assert_int_equal(hex_decode(back, 4, "01020304"), 0);
    assert_int_equal(hex_decode(back, 4, "010203"), ERR_FORMAT);
    assert_int_equal(hex_decode(back, 4, "0102030405"), ERR_FORMAT);
    assert_int_equal(hex_decode(back, 4, "0102030g"), ERR_FORMAT);
    assert_int_equal(base64_decode(back, 2, "YWI="), 0);
    assert_int_equal(base64_decode(back, 2, "YWI"), ERR_FORMAT);
    assert_int_equal(base64_decode(back, 2, "YWJj"), ERR_FORMAT);
    assert_int_equal(base64_decode(back, 2, "YWI=x"), ERR_FORMAT);
    assert_int_equal(base64_decode(back, 2, ""), ERR_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reader_takes_numbers_in_network_order),
        cmocka_unit_test(reader_fails_once_and_for_all_past_the_end),
        cmocka_unit_test(reader_is_not_done_while_bytes_are_left),
        cmocka_unit_test(reader_of_nothing_is_done),
        cmocka_unit_test(writer_mirrors_reader),
        cmocka_unit_test(writer_overflow_writes_nothing_more),
        cmocka_unit_test(buffer_keeps_order_through_growth_and_consumption),
        cmocka_unit_test(buffer_gives_back_large_memory_when_emptied),
        cmocka_unit_test(buffer_wipes_what_is_consumed),
        cmocka_unit_test(buffer_refuses_impossible_sizes),
        cmocka_unit_test(buffer_printf_appends_text),
        cmocka_unit_test(hex_and_base64_go_both_ways),
        cmocka_unit_test(decoding_takes_the_exact_size_only),
    };
    return secret_init() == 0 ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
