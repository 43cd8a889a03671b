/* What a configuration says: defaults, values of every type, and the same written back. */
#include "tests/unit/common/config_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/config.h"

static void empty_file_gives_the_defaults(void **state)
{
    (void)state;
    struct sample s;
    char path[128];
    assert_int_equal(load(&s, ""), 0);
    assert_null(s.text);
    snprintf(path, sizeof path, "%s/default.path", folder);
    assert_string_equal(s.path, path);
    assert_int_equal(s.list.count, 2);
    assert_string_equal(s.list.item[1], "two");
    assert_true(s.flag);
    assert_int_equal(s.number, 5);
    assert_int_equal(s.time, 2000);
    assert_int_equal(s.size, 65536);
    assert_int_equal(s.choice, 1);
    assert_int_equal(s.section.depth, 3);
    assert_int_equal(s.inners.count, 0);
    config_clear(table, &s);
    assert_null(s.path);
    assert_null(s.list.item);
}

static void every_type_is_read(void **state)
{
    (void)state;
    struct sample s;
    assert_int_equal(
        load(&s, "# a comment\n/* and */ text = \"a \\\"b\\\" \\$x\"\npath = /etc/x\nlist = {a, 'b'}\n"
                 "list += {\"*:1\"}\nflag = NO\nnumber = 2\nany = -3\ntime = 1h\nsize = 1M\r\n"
                 "choice = low // end\nsection { depth = 4 word = w }\n"
                 "inner a { path = \"sub/x\" }\ninner \"b\" { number = 9 }\n"),
        0);
    assert_string_equal(s.text, "a \"b\" $x");
    assert_string_equal(s.path, "/etc/x");
    assert_int_equal(s.list.count, 3);
    assert_string_equal(s.list.item[2], "*:1");
    assert_false(s.flag);
    assert_int_equal(s.number, 2);
    assert_int_equal(s.any, -3);
    assert_int_equal(s.time, 3600000);
    assert_int_equal(s.size, 1048576);
    assert_int_equal(s.choice, 0);
    assert_int_equal(s.section.depth, 4);
    assert_string_equal(s.section.word, "w");
    assert_int_equal(s.inners.count, 2);
    const struct inner *inners = s.inners.item;
    assert_string_equal(inners[0].title, "a");
    assert_non_null(strstr(inners[0].path, "/sub/x"));
    assert_int_equal(inners[0].number, 7);
    assert_string_equal(inners[1].title, "b");
    assert_null(inners[1].path);
    assert_int_equal(inners[1].number, 9);
    config_clear(table, &s);
}

static void empty_list_is_not_the_default(void **state)
{
    (void)state;
    struct sample s;
    assert_int_equal(load(&s, "list = {}"), 0);
    assert_int_equal(s.list.count, 0);
    config_clear(table, &s);
}

static void dump(const struct sample *s, char *out, size_t size)
{
    struct buffer text;
    buffer_init(&text);
    assert_int_equal(config_dump(table, s, &text), 0);
    assert_true(buffer_length(&text) < size);
    memcpy(out, buffer_bytes(&text), buffer_length(&text));
    out[buffer_length(&text)] = 0;
    buffer_clear(&text);
}

static void sizes_have_units_in_small_letters_and_capitals(void **state)
{
    static const char *const inputs[] = {"size = 64k", "size = 64K", "size = 65536"};
    char text[4096];
    (void)state;
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        struct sample s;
        assert_int_equal(load(&s, inputs[i]), 0);
        assert_int_equal(s.size, 65536);
        dump(&s, text, sizeof text);
        assert_non_null(strstr(text, "size = 64k\n"));
        config_clear(table, &s);
    }
    struct sample whole;
    assert_int_equal(load(&whole, "size = 1m"), 0);
    assert_int_equal(whole.size, 1048576);
    config_clear(table, &whole);
}

static void dump_reads_back_to_the_same_values(void **state)
{
    (void)state;
    static const char *const inputs[] = {"",
                                         "list = {} time = 90s size = 1000 any = -1 flag = off choice = low",
                                         "text = \"\\\"quoted\\\" back\\\\slash \\${HOME} #x /*y*/ {z} ü\" "
                                         "time = 61001ms size = 0 section { word = \"\" }",
                                         "inner a { path = x number = 1 } inner b { } list = {\"a,b\", "
                                         "\"*\"} time = 1h size = 512k text = ''"};
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        struct sample first, second;
        char once[4096], twice[4096];
        assert_int_equal(load(&first, inputs[i]), 0);
        dump(&first, once, sizeof once);
        if (load(&second, once) != 0)
            fail_msg("%s\n%s", fault.text, once);
        dump(&second, twice, sizeof twice);
        assert_string_equal(once, twice);
        assert_int_equal(first.time, second.time);
        assert_int_equal(first.size, second.size);
        assert_int_equal(first.any, second.any);
        assert_int_equal(first.flag, second.flag);
        assert_int_equal(first.list.count, second.list.count);
        assert_int_equal(first.inners.count, second.inners.count);
        assert_int_equal(first.text == NULL, second.text == NULL);
        if (first.text != NULL)
            assert_string_equal(first.text, second.text);
        config_clear(table, &first);
        config_clear(table, &second);
    }
}

static void environment_is_taken_only_when_set(void **state)
{
    (void)state;
    struct sample s;
    unsetenv("KEYLESS_TEST_X");
    assert_fault("\ntext = \"${KEYLESS_TEST_X}\"", ":2: ", "no variable KEYLESS_TEST_X");
    assert_fault("text = \"${}\"", ":1: ", "begins a variable");
    setenv("KEYLESS_TEST_X", "value", 1);
    assert_int_equal(load(&s, "text = \"<${KEYLESS_TEST_X}${KEYLESS_TEST_Y:-or}>\""), 0);
    assert_string_equal(s.text, "<valueor>");
    config_clear(table, &s);
}

static void texts_may_be_choices_or_be_checked(void **state)
{
    (void)state;
    struct sample s;
    assert_int_equal(load(&s, "inner a { words = {green, \"red\", green} even = four }"), 0);
    const struct inner *inner = s.inners.item;
    assert_int_equal(inner->words.count, 3);
    assert_string_equal(inner->even, "four");
    config_clear(table, &s);
    assert_fault("inner a {\n words = {\"red\",\n \"blue\"} }",
                 ":3: ", "words: 'blue' is not known; it may be red, green");
    assert_fault("inner a {\n even = odd }",
                 ":2: ", "even: 'odd' is not even; write an even number of letters");
}

/* ---- places ---- */

static void a_byte_order_mark_is_skipped(void **state)
{
    (void)state;
    struct sample s;
    assert_int_equal(load(&s, "\xef\xbb\xbf"
                              "any = 3"),
                     0);
    assert_int_equal(s.any, 3);
    config_clear(table, &s);
}

static void what_has_a_place_and_is_not_set_stays_so_in_a_dump(void **state)
{
    (void)state;
    struct sample first, second;
    char text[8192];
    assert_int_equal(load(&first, "inner a { words = {} }\ninner b { even = \"\" }"), 0);
    dump(&first, text, sizeof text);
    assert_non_null(strstr(text, "    words = {}\n"));
    assert_non_null(strstr(text, "    # words is not set\n"));
    assert_non_null(strstr(text, "    even = \"\"\n"));
    assert_non_null(strstr(text, "    # even is not set\n"));
    assert_non_null(strstr(text, "# any is not set\n"));
    assert_int_equal(load(&second, text), 0);
    const struct inner *inners = second.inners.item;
    assert_non_null(inners[0].place.words);
    assert_null(inners[0].place.even);
    assert_null(inners[1].place.words);
    assert_non_null(inners[1].place.even);
    config_clear(table, &first);
    config_clear(table, &second);
}

static void titles_have_127_bytes_and_not_more(void **state)
{
    (void)state;
    struct sample s;
    char text[200] = "inner ";
    memset(text + 6, 't', 127);
    strcpy(text + 6 + 127, " { }");
    assert_int_equal(load(&s, text), 0);
    config_clear(table, &s);
    strcpy(text + 6 + 127, "t { }");
    assert_fault(text, ":1: ", "write 1 to 127 letters");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_file_gives_the_defaults),
        cmocka_unit_test(every_type_is_read),
        cmocka_unit_test(empty_list_is_not_the_default),
        cmocka_unit_test(sizes_have_units_in_small_letters_and_capitals),
        cmocka_unit_test(dump_reads_back_to_the_same_values),
        cmocka_unit_test(environment_is_taken_only_when_set),
        cmocka_unit_test(texts_may_be_choices_or_be_checked),
        cmocka_unit_test(a_byte_order_mark_is_skipped),
        cmocka_unit_test(what_has_a_place_and_is_not_set_stays_so_in_a_dump),
        cmocka_unit_test(titles_have_127_bytes_and_not_more),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
