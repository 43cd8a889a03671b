#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/config.h"

struct inner {
    char *title;
    char *path;
    int number;
    struct config_strings words;
    char *even;
    struct {
        char *number, *words, *even;
    } place;
};

struct sample {
    char *text;
    char *path;
    struct config_strings list;
    bool flag;
    int number;
    int any;
    uint64_t time;
    uint64_t size;
    int choice;
    struct {
        int depth;
        char *word;
        char *depth_place;
    } section;
    struct config_sections inners;
    struct {
        char *list, *any;
    } place;
};

static const char *const choices[] = {"low", "high", NULL};
static const char *const colours[] = {"red", "green", NULL};

static const char *check_even(const char *text)
{
    return strlen(text) % 2 == 0 ? NULL : "not even; write an even number of letters";
}

#define FIELD(member) offsetof(struct sample, member)
#define INNER(member) offsetof(struct inner, member)

static const struct config_option inner_table[] = {
    {.name = "path", .type = CONFIG_PATH, .offset = INNER(path)},
    {.name = "number",
     .type = CONFIG_INT,
     .offset = INNER(number),
     .fallback = "7",
     .min = 1,
     .max = 9,
     .place_offset = INNER(place.number)},
    {.name = "words",
     .type = CONFIG_STRINGS,
     .offset = INNER(words),
     .choices = colours,
     .place_offset = INNER(place.words)},
    {.name = "even",
     .type = CONFIG_STRING,
     .offset = INNER(even),
     .check = check_even,
     .place_offset = INNER(place.even)},
    {.name = NULL},
};
static const struct config_option section_table[] = {
    {.name = "depth",
     .type = CONFIG_INT,
     .fallback = "3",
     .min = 0,
     .max = 5,
     .place_offset = FIELD(section.depth_place) - FIELD(section)},
    {.name = "word", .type = CONFIG_STRING, .offset = FIELD(section.word) - FIELD(section)},
    {.name = NULL},
};
static const struct config_option table[] = {
    {.name = "text", .type = CONFIG_STRING, .offset = FIELD(text), .help = "A text; \"any\"."},
    {.name = "path", .type = CONFIG_PATH, .offset = FIELD(path), .fallback = "default.path"},
    {.name = "list",
     .type = CONFIG_STRINGS,
     .offset = FIELD(list),
     .fallback = "{\"one\", \"two\"}",
     .place_offset = FIELD(place.list)},
    {.name = "flag", .type = CONFIG_BOOL, .offset = FIELD(flag), .fallback = "on"},
    {.name = "number", .type = CONFIG_INT, .offset = FIELD(number), .fallback = "5", .min = 2, .max = 8},
    {.name = "any", .type = CONFIG_INT, .offset = FIELD(any), .place_offset = FIELD(place.any)},
    {.name = "time",
     .type = CONFIG_DURATION,
     .offset = FIELD(time),
     .fallback = "2s",
     .min = 10,
     .max = 3600000},
    {.name = "size", .type = CONFIG_SIZE, .offset = FIELD(size), .fallback = "64k", .max = 1048576},
    {.name = "choice",
     .type = CONFIG_CHOICE,
     .offset = FIELD(choice),
     .fallback = "high",
     .choices = choices},
    {.name = "section", .type = CONFIG_SECTION, .offset = FIELD(section), .options = section_table},
    {.name = "inner",
     .type = CONFIG_SECTIONS,
     .offset = FIELD(inners),
     .options = inner_table,
     .size = sizeof(struct inner)},
    {.name = NULL},
};

static char folder[] = "/tmp/keyless-config-XXXXXX";
static char main_file[64];
static struct fault fault;

static void put_file(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fputs(text, file) >= 0, 1);
    fclose(file);
}

static int load(struct sample *out, const char *text)
{
    put_file("main.conf", text);
    memset(out, 0, sizeof *out);
    memset(&fault, 0, sizeof fault);
    return config_load(main_file, table, out, &fault);
}

/* TEXT fails with PLACE and WORDS in the fault, and leaves nothing behind. */
static void assert_fault(const char *text, const char *place, const char *words)
{
    static const struct sample empty;
    struct sample sample;
    char expected[256];
    assert_int_equal(load(&sample, text), ERR_CONFIG);
    snprintf(expected, sizeof expected, "main.conf%s", place);
    if (strstr(fault.text, expected) == NULL || strstr(fault.text, words) == NULL)
        fail_msg("'%s' gave '%s', expected '%s' and '%s'", text, fault.text, expected, words);
    assert_memory_equal(&sample, &empty, sizeof sample);
}

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

static void includes_are_relative_to_their_file(void **state)
{
    (void)state;
    struct sample s;
    put_file("sub/a.conf", "\npath = here\ninclude(\"b.conf\")\n");
    put_file("sub/b.conf", "number = 8\nsection { include(\"../c.conf\") }\n");
    put_file("c.conf", "depth = 1");
    assert_int_equal(load(&s, "include(\"sub/a.conf\")\nflag = off\n"), 0);
    assert_non_null(strstr(s.path, "/sub/here"));
    assert_int_equal(s.number, 8);
    assert_int_equal(s.section.depth, 1);
    assert_false(s.flag);
    config_clear(table, &s);
}

static void errors_in_includes_name_the_right_file_and_line(void **state)
{
    (void)state;
    struct sample s;
    put_file("sub/a.conf", "number = 3\n\nnumbr = 3\n");
    assert_int_equal(load(&s, "include(\"sub/a.conf\")\n"), ERR_CONFIG);
    assert_non_null(strstr(fault.text, "sub/a.conf:3: unknown option 'numbr'"));
    put_file("sub/a.conf", "number = 3\n\n\n");
    assert_fault("\ninclude(\"sub/a.conf\")\n\nnumber = 99\n", ":4: ", "out of range");
    assert_fault("\ninclude(\"none.conf\")\n", ":2: ", "cannot be read: No such file");
    assert_fault("include(\"main.conf\")", ":1: ", "include each other");
    put_file("sub/a.conf", "include(\"../main.conf\")");
    assert_int_equal(load(&s, "include(\"sub/a.conf\")\n"), ERR_CONFIG);
    assert_non_null(strstr(fault.text, "include each other"));
}

static void includes_go_eight_deep_and_not_nine(void **state)
{
    (void)state;
    struct sample s;
    for (int last = 8; last <= 9; last++) {
        for (int i = 1; i <= last; i++) {
            char name[32], text[64];
            snprintf(name, sizeof name, "deep%d.conf", i);
            snprintf(text, sizeof text, i < last ? "include(\"deep%d.conf\")" : "number = 4 # %d", i + 1);
            put_file(name, text);
        }
        assert_int_equal(load(&s, "include(\"deep1.conf\")"), last == 8 ? 0 : ERR_CONFIG);
        if (last == 8)
            config_clear(table, &s);
        else
            assert_non_null(strstr(fault.text, "8 deep"));
    }
}

static void files_that_cannot_be_read_are_named(void **state)
{
    (void)state;
    struct sample s = {0};
    assert_int_equal(config_load("/nonexistent/x.conf", table, &s, &fault), ERR_CONFIG);
    assert_string_equal(fault.text, "/nonexistent/x.conf: cannot be read: No such file or directory");
    assert_int_equal(config_load(folder, table, &s, &fault), ERR_CONFIG);
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

static void assert_place(const char *place, const char *expected)
{
    char full[160];
    snprintf(full, sizeof full, "%s/%s", folder, expected);
    assert_non_null(place);
    assert_string_equal(place, full);
}

static void places_are_the_lines_of_the_names(void **state)
{
    (void)state;
    struct sample s;
    assert_int_equal(load(&s, "/* a\n comment */ any = 3\n"
                              "section { depth = 5 } list\n=\n{\n\"any\",\n\"list\"\n}\n\n"
                              "inner a {\n\n words = {\n\"red\" } even = \"\"\n}\n"
                              "inner b { number = 3 }\ninner c {\n number = 4\n words = {}\n # words = x\n}"),
                     0);
    const struct inner *inners = s.inners.item;
    assert_place(s.place.any, "main.conf:2");
    assert_place(s.section.depth_place, "main.conf:3");
    assert_place(s.place.list, "main.conf:3");
    assert_null(inners[0].place.number);
    assert_place(inners[0].place.words, "main.conf:12");
    assert_place(inners[0].place.even, "main.conf:13");
    assert_place(inners[1].place.number, "main.conf:15");
    assert_null(inners[1].place.words);
    assert_place(inners[2].place.number, "main.conf:17");
    assert_place(inners[2].place.words, "main.conf:18");
    config_clear(table, &s);
    assert_null(s.place.any);
}

static void what_is_not_set_has_no_place(void **state)
{
    (void)state;
    struct sample s;
    assert_int_equal(load(&s, "# any = 3\ninner a { }"), 0);
    const struct inner *inner = s.inners.item;
    assert_null(s.place.any);
    assert_null(s.place.list);
    assert_null(s.section.depth_place);
    assert_null(inner->place.number);
    assert_null(inner->place.words);
    assert_null(inner->place.even);
    config_clear(table, &s);
}

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

static void places_in_includes_name_their_file(void **state)
{
    (void)state;
    struct sample s;
    put_file("sub/a.conf", "\nany = 4\n\ninner b { words = {}\nnumber = 2 }\ninclude(\"b.conf\")\n");
    put_file("sub/b.conf", "section {\ndepth = 1 }\nlist = {}");
    put_file("sub/c.conf", "\n\nwords = {}\neven = \"\"");
    assert_int_equal(load(&s, "\n\ninclude(\"sub/a.conf\")\n\n"
                              "inner a {\n number = 9\n include(\"sub/c.conf\")\n}\n"
                              "inner c { include(\"sub/c.conf\") number = 7 }"),
                     0);
    const struct inner *inners = s.inners.item;
    assert_place(s.place.any, "sub/a.conf:2");
    assert_place(s.section.depth_place, "sub/b.conf:2");
    assert_place(s.place.list, "sub/b.conf:3");
    assert_string_equal(inners[0].title, "b");
    assert_place(inners[0].place.words, "sub/a.conf:4");
    assert_place(inners[0].place.number, "sub/a.conf:5");
    assert_place(inners[1].place.number, "main.conf:6");
    assert_place(inners[1].place.words, "sub/c.conf:3");
    assert_place(inners[1].place.even, "sub/c.conf:4");
    assert_int_equal(inners[2].number, 7);
    assert_place(inners[2].place.number, "main.conf:9");
    assert_int_equal(inners[2].words.count, 0);
    assert_place(inners[2].place.words, "sub/c.conf:3");
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

static int make_folder(void **state)
{
    (void)state;
    char path[128];
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(main_file, sizeof main_file, "%s/main.conf", folder);
    snprintf(path, sizeof path, "%s/sub", folder);
    return mkdir(path, 0700);
}

static int remove_folder(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_file_gives_the_defaults),
        cmocka_unit_test(every_type_is_read),
        cmocka_unit_test(empty_list_is_not_the_default),
        cmocka_unit_test(sizes_have_units_in_small_letters_and_capitals),
        cmocka_unit_test(dump_reads_back_to_the_same_values),
        cmocka_unit_test(unknown_options_are_refused_with_the_nearest_name),
        cmocka_unit_test(values_are_checked_at_their_line),
        cmocka_unit_test(what_is_not_closed_is_found_where_it_begins),
        cmocka_unit_test(what_would_vanish_is_refused),
        cmocka_unit_test(grammar_is_explained),
        cmocka_unit_test(environment_is_taken_only_when_set),
        cmocka_unit_test(includes_are_relative_to_their_file),
        cmocka_unit_test(errors_in_includes_name_the_right_file_and_line),
        cmocka_unit_test(includes_go_eight_deep_and_not_nine),
        cmocka_unit_test(files_that_cannot_be_read_are_named),
        cmocka_unit_test(a_file_may_have_one_mebibyte_and_not_more),
        cmocka_unit_test(texts_may_be_choices_or_be_checked),
        cmocka_unit_test(places_are_the_lines_of_the_names),
        cmocka_unit_test(what_is_not_set_has_no_place),
        cmocka_unit_test(what_stands_there_twice_is_refused_with_both_places),
        cmocka_unit_test(the_same_name_in_other_sections_is_another_option),
        cmocka_unit_test(a_byte_order_mark_is_skipped),
        cmocka_unit_test(places_in_includes_name_their_file),
        cmocka_unit_test(what_has_a_place_and_is_not_set_stays_so_in_a_dump),
        cmocka_unit_test(titles_have_127_bytes_and_not_more),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
