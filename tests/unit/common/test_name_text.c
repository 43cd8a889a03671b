/* Names that a peer chose, in a line of the log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/name_text.h"

static void host_names_stay_readable(void **state)
{
    char out[64];

    (void)state;
    assert_string_equal(name_text(out, sizeof out, "www.example-1.com"), "www.example-1.com");
    assert_string_equal(name_text(out, sizeof out, "http/1.1"), "http/1.1");
}

static void absent_is_a_dash(void **state)
{
    char out[8];

    (void)state;
    assert_string_equal(name_text(out, sizeof out, NULL), "-");
    assert_string_equal(name_text(out, sizeof out, ""), "-");
    assert_string_equal(name_text(out, sizeof out, "-"), "%2D"); /* somebody's name */
    assert_string_equal(name_text(out, sizeof out, "--"), "--");
}

static void a_field_cannot_be_forged(void **state)
{
    char out[64];

    (void)state;
    assert_string_equal(name_text(out, sizeof out, "a result=ok"), "a%20result%3Dok");
    assert_string_equal(name_text(out, sizeof out, "\"\\\n\x7f\xff"), "%22%5C%0A%7F%FF");
    assert_string_equal(name_text(out, sizeof out, "100%"), "100%25");
    assert_string_equal(name_text(out, sizeof out,
                                  "a\xe2\x80\xae"
                                  "b"),
                        "a%E2%80%AEb"); /* U+202E */
}

static void too_long_is_cut_at_a_whole_character(void **state)
{
    char out[8];

    (void)state;
    assert_string_equal(name_text(out, sizeof out, "abcdefghij"), "abcde");
    assert_string_equal(name_text(out, sizeof out, "a      "), "a%20%20");
    assert_true(strlen(name_text(out, 5, "\n\n\n")) <= 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_names_stay_readable),
        cmocka_unit_test(absent_is_a_dash),
        cmocka_unit_test(a_field_cannot_be_forged),
        cmocka_unit_test(too_long_is_cut_at_a_whole_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
