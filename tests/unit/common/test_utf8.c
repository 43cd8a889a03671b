/* Characters in UTF-8, and which of them a reader sees. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/utf8.h"

static size_t encode(char out[static 4], uint32_t point)
{
    size_t length = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    static const uint8_t marks[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = length - 1; i > 0; i--, point >>= 6)
        out[i] = (char)(0x80 | (point & 0x3f));
    out[0] = (char)(marks[length] | point);
    return length;
}

static void every_character_is_read_and_nothing_else_is_one(void **state)
{
    char text[4];
    uint32_t point;
    (void)state;
    for (uint32_t p = 0; p < 0x200000; p++) {
        size_t length = encode(text, p);
        bool is_one = p < 0xd800 || (p > 0xdfff && p <= 0x10ffff);
        assert_int_equal(utf8_read(text, sizeof text, &point), is_one ? length : 0);
        if (is_one)
            assert_int_equal(point, p);
        for (size_t left = 0; left < length; left++)
            assert_int_equal(utf8_read(text, left, &point), 0);
    }
}

static void no_character_has_two_forms(void **state)
{
    static const char *const longer[] = {"\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf"};
    static const char *const no_beginning[] = {"\x80", "\xbf", "\xf5\x80\x80\x80", "\xff"};
    uint32_t point;
    (void)state;
    for (size_t i = 0; i < sizeof longer / sizeof longer[0]; i++)
        assert_int_equal(utf8_read(longer[i], 4, &point), 0);
    for (size_t i = 0; i < sizeof no_beginning / sizeof no_beginning[0]; i++)
        assert_int_equal(utf8_read(no_beginning[i], 4, &point), 0);
    assert_int_equal(utf8_read("\xc3(", 2, &point), 0);
}

static void what_a_reader_does_not_see_is_known(void **state)
{
    static const uint32_t seen[] = {' ',    'a',    '~',     0xa0,   0xe4,    0x20ac,
                                    0x4e2d, 0x05d0, 0x1f600, 0xfffd, 0x10fffd};
    static const uint32_t not_seen[] = {0,      '\n',   0x7f,   0x9b,    0xad,    0x200b,   0x200e,  0x202e,
                                        0x2028, 0x2029, 0x2066, 0xfeff,  0xfffe,  0xffff,   0xfdd0,  0xfe0f,
                                        0xd800, 0xdfff, 0x3164, 0xe0041, 0x1fffe, 0x10ffff, 0x110000};
    (void)state;
    for (size_t i = 0; i < sizeof seen / sizeof seen[0]; i++)
        assert_true(utf8_is_visible(seen[i]));
    for (size_t i = 0; i < sizeof not_seen / sizeof not_seen[0]; i++)
        assert_false(utf8_is_visible(not_seen[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_character_is_read_and_nothing_else_is_one),
        cmocka_unit_test(no_character_has_two_forms),
        cmocka_unit_test(what_a_reader_does_not_see_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
