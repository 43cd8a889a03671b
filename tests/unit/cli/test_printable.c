/* What reaches a terminal of texts that peers choose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "cli/printable.h"

static char *make(enum printable kind, const char *format, ...) __attribute__((format(printf, 2, 3)));
static char *make(enum printable kind, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = printable_text(kind, format, arguments);
    va_end(arguments);
    assert_non_null(text);
    return text;
}

static void assert_made(enum printable kind, const char *given, const char *wanted)
{
    char *text = make(kind, "%s", given);
    assert_string_equal(text, wanted);
    free(text);
}

static void text_of_people_stays(void **state)
{
    static const char *const texts[] = {"",
                                        "plain ~ text",
                                        "\xc2\xa0\xc3\xa4\xdf\xbf",             /* U+00A0, U+00E4, U+07FF */
                                        "\xe0\xa0\x80\xe2\x82\xac\xef\xbf\xbd", /* U+0800, U+20AC, U+FFFD */
                                        "\xed\x9f\xbf\xee\x80\x80",             /* around the surrogates */
                                        "\xf0\x90\x80\x80\xf4\x8f\xbf\xbd"};    /* U+10000, U+10FFFF */
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_made(PRINTABLE_LINE, texts[i], texts[i]);
        assert_made(PRINTABLE_LINES, texts[i], texts[i]);
    }
    assert_made(PRINTABLE_LINES, "a\nb", "a\nb");
    assert_made(PRINTABLE_LINE, "a\nb", "a?b");
    assert_made(PRINTABLE_ASCII, "a\xc3\xa4\n", "a???");
}

static void what_a_terminal_obeys_does_not(void **state)
{
    (void)state;
    for (int kind = PRINTABLE_LINE; kind <= PRINTABLE_ASCII; kind++) {
        assert_made((enum printable)kind, "\x1b[2J\r\t\x7f", "?[2J???");
        assert_made((enum printable)kind,
                    "\xc2\x9b"
                    "2J\xc2\x80\xc2\x9d\xc2\x9f",
                    "??2J??????"); /* CSI and OSC of C1 */
        assert_made((enum printable)kind,
                    "\x9b"
                    "2J\x90",
                    "?2J?"); /* as single bytes */
    }
}

static void what_a_reader_does_not_see_does_not(void **state)
{
    (void)state;
    assert_made(PRINTABLE_LINES,
                "a\xe2\x80\xae"
                "b\xe2\x80\xa8",
                "a???b???"); /* U+202E, U+2028 */
}

static void bytes_that_are_no_utf8_do_not(void **state)
{
    static const struct {
        const char *given, *wanted;
    } rows[] = {{"\xc3", "?"},
                {"\xc3z", "?z"},
                {"\xe2\x82", "??"},
                {"\xe2\x82z", "??z"},
                {"\xf0\x9f\x98", "???"},
                {"\xbf\xc3\xa4", "?\xc3\xa4"},
                {"\xc0\x9b\xc1\xbf", "????"}, /* too long for what they are */
                {"\xe0\x82\x9b", "???"},
                {"\xf0\x80\x82\x9b", "????"},
                {"\xed\xa0\x80", "???"},      /* a surrogate */
                {"\xf4\x90\x80\x80", "????"}, /* beyond U+10FFFF */
                {"\xf5\x80\x80\x80\xff\xfe", "??????"}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_made(PRINTABLE_LINES, rows[i].given, rows[i].wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_of_people_stays),
        cmocka_unit_test(what_a_terminal_obeys_does_not),
        cmocka_unit_test(what_a_reader_does_not_see_does_not),
        cmocka_unit_test(bytes_that_are_no_utf8_do_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
