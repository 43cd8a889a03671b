/* What is wrong in a configuration, and how it is said. */
#include "tests/unit/common/config_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/config.h"

static void unknown_options_are_refused_with_the_nearest_name(void **state)
{
    (void)state;
    assert_fault("\n\nnumbr = 3\n", ":3: ", "unknown option 'numbr'; did you mean 'number'?");
    assert_fault("section {\n dept = 3\n}", ":2: ", "'dept' in section; did you mean 'depth'?");
    assert_fault("depth = 3", ":1: ", "belongs into section 'section'");
    assert_fault("section { choice = low }", ":1: ", "belongs outside");
    assert_fault("zzzzzzzzzz = 3", ":1: ", "unknown option 'zzzzzzzzzz'");
    assert_fault("section { } section|depth = 3", ":1: ", "in quotes");
}

static void values_are_checked_at_their_line(void **state)
{
    (void)state;
    assert_fault("/* a\n b */\nnumber = x", ":3: ", "number: 'x' is not a number");
    assert_fault("\nnumber = 1", ":2: ", "number: 1 is out of range; it may be 2 to 8");
    assert_fault("number = 9", ":1: ", "out of range");
    assert_fault("number = 99999999999999999999", ":1: ", "out of range");
    assert_fault("any = 2147483648", ":1: ", "-2147483648 to 2147483647");
    assert_fault("time = 5", ":1: ", "time: '5' is not a duration; write a number with ms, s, m or h");
    assert_fault("time = 9ms", ":1: ", "it may be 10ms to 1h");
    assert_fault("time = 3600001ms", ":1: ", "out of range");
    assert_fault("time = 99999999999999999999h", ":1: ", "out of range");
    assert_fault("time = -1s", ":1: ", "not a duration");
    assert_fault("size = 1T", ":1: ", "not a size");
    assert_fault("size = 1048577", ":1: ", "it may be 0 to 1M");
    assert_fault("flag = maybe", ":1: ", "neither on nor off");
    assert_fault("choice = medium", ":1: ", "choice: 'medium' is not known; it may be low, high");
    assert_fault("path = \"\"", ":1: ", "path: the value is empty");
    assert_fault("text = \"a\tb\"", ":1: ", "control character");
    assert_fault("inner a {\n number = 0 }", ":2: ", "1 to 9");
}

static void what_is_not_closed_is_found_where_it_begins(void **state)
{
    (void)state;
    assert_fault("\nsection {\n depth = 1\n\n", ":2: ", "never closed; add the missing '}'");
    assert_fault("\n\ninner a {\ninner b { }\n", ":3: ", "never closed");
    assert_fault("list = {\"a\"\n", ":1: ", "never closed");
    assert_fault("\n}", ":2: ", "closes nothing");
    assert_fault("\n/* x\n\n", ":2: ", "comment is never closed");
    assert_fault("\ntext = \"x\nnumber = 3\n", ":2: ", "missing quote");
    assert_fault("text = 'x\n", ":1: ", "missing quote");
    assert_fault("text = \"x\\", ":1: ", "missing quote");
    assert_fault("number", ":1: ", "the file ends in the midst");
    assert_fault("number =", ":1: ", "the file ends in the midst");
}

static void what_would_vanish_is_refused(void **state)
{
    (void)state;
    assert_fault("list = *:443", ":1: ", "must stand in quotes");
    assert_fault("path = /a/", ":1: ", "must stand in quotes");
    assert_fault("text = http://x", ":1: ", "must stand in quotes");
    assert_fault("text = a+b", ":1: ", "must stand in quotes");
    assert_fault("text = ${HOME}", ":1: ", "must stand in quotes");
    assert_fault("text = \"\\x00\"", ":1: ", "backslash");
    assert_fault("text = (x)", ":1: ", "include(\"file\") only");
    assert_fault("text = x)", ":1: ", "closes nothing");
    assert_fault("text = \001", ":1: ", "byte 0x01");
}

static void grammar_is_explained(void **state)
{
    (void)state;
    assert_fault("number 3", ":1: ", "write NAME = VALUE");
    assert_fault("number += 3", ":1: ", "write = instead of +=");
    assert_fault("inner { }", ":1: ", "write NAME TITLE");
    assert_fault("inner a { } inner a { }", ":1: ", "title 'a' stands in ");
    assert_fault("inner 'a b' { }", ":1: ", "is no name");
    assert_fault("inner '' { }", ":1: ", "is no name");
    assert_fault("section = 3", ":1: ", "write NAME { … }");
    assert_fault("list = {\"a\" \"b\"}", ":1: ", "unexpected token");
    assert_fault("include 3", ":1: ", "write include");
}

static void files_that_cannot_be_read_are_named(void **state)
{
    (void)state;
    struct sample s = {0};
    assert_int_equal(config_load("/nonexistent/x.conf", table, &s, NULL, &fault), ERR_CONFIG);
    assert_string_equal(fault.text, "/nonexistent/x.conf: cannot be read: No such file or directory");
    assert_int_equal(config_load(folder, table, &s, NULL, &fault), ERR_CONFIG);
    assert_non_null(strstr(fault.text, "it is a folder, not a regular file"));
}

static void a_file_may_have_one_mebibyte_and_not_more(void **state)
{
    (void)state;
    struct sample s;
    char *text = malloc(1048578);
    assert_non_null(text);
    memset(text, '\n', 1048577);
    text[1048577] = 0;
    assert_fault(text, ": ", "larger than 1 MiB");
    text[1048576] = 0;
    assert_int_equal(load(&s, text), 0);
    config_clear(table, &s);
    free(text);
}

/* ---- places ---- */

/* TEXT fails with SECOND and then FIRST in the fault. */
static void assert_twice(const char *text, const char *second, const char *first)
{
    struct sample sample;
    assert_int_equal(load(&sample, text), ERR_CONFIG);
    const char *at = strstr(fault.text, second);
    if (at == NULL || strstr(at, first) == NULL)
        fail_msg("'%s' gave '%s', expected '%s' and '%s'", text, fault.text, second, first);
}

static void what_stands_there_twice_is_refused_with_both_places(void **state)
{
    (void)state;
    assert_twice("any = 1\n\nany = 2", "main.conf:3: option 'any' stands in ", "main.conf:1 already");
    assert_twice("any = 1 any = 1", "main.conf:1: option 'any' stands in ", "main.conf:1 already");
    assert_twice("list = {a}\nlist = {b}", "main.conf:2: option 'list' stands in ", "main.conf:1 already");
    assert_twice("list = {a}\nlist = {}", "main.conf:2: option 'list' stands in ", "main.conf:1 already");
    assert_twice("section {\n depth = 1\n depth = 2 }", "main.conf:3: option 'depth' stands in ",
                 "main.conf:2 already");
    assert_twice("section { depth = 1 }\nany = 1\nsection {\n\n}",
                 "main.conf:3: section 'section' stands in ", "main.conf:1 already");
    assert_twice("inner a { }\ninner b { }\ninner a { }",
                 "main.conf:3: a section with the title 'a' stands in ", "main.conf:1 already");
    assert_twice("inner \"a\" {\n }\ninner 'a' { }", "main.conf:3: a section with the title 'a' stands in ",
                 "main.conf:1 already");
    put_file("twice.conf", "\nany = 2\ninner a { }\nsection { }\n");
    assert_twice("any = 1\ninclude(\"twice.conf\")", "twice.conf:2: option 'any' stands in ",
                 "main.conf:1 already");
    assert_twice("include(\"twice.conf\")\nany = 1", "main.conf:2: option 'any' stands in ",
                 "twice.conf:2 already");
    assert_twice("include(\"twice.conf\")\ninner a { }",
                 "main.conf:2: a section with the title 'a' stands in ", "twice.conf:3 already");
    assert_twice("section { }\ninclude(\"twice.conf\")", "twice.conf:4: section 'section' stands in ",
                 "main.conf:1 already");
}

static void the_same_name_in_other_sections_is_another_option(void **state)
{
    (void)state;
    struct sample s;
    assert_int_equal(load(&s, "inner a { number = 1 } inner b { number = 2 }\ninner c { number = 3\n}"
                              "list = {a,\n b} list += {c}\nlist += {\nd}"),
                     0);
    assert_int_equal(s.inners.count, 3);
    assert_int_equal(s.list.count, 4);
    assert_place(s.place.list, "main.conf:3");
    config_clear(table, &s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_options_are_refused_with_the_nearest_name),
        cmocka_unit_test(values_are_checked_at_their_line),
        cmocka_unit_test(what_is_not_closed_is_found_where_it_begins),
        cmocka_unit_test(what_would_vanish_is_refused),
        cmocka_unit_test(grammar_is_explained),
        cmocka_unit_test(files_that_cannot_be_read_are_named),
        cmocka_unit_test(a_file_may_have_one_mebibyte_and_not_more),
        cmocka_unit_test(what_stands_there_twice_is_refused_with_both_places),
        cmocka_unit_test(the_same_name_in_other_sections_is_another_option),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
