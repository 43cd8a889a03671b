/* Where in which file an option was set; configurations of several files. */
#include "tests/unit/common/config_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/config.h"

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

/* ---- places ---- */

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(includes_are_relative_to_their_file),
        cmocka_unit_test(errors_in_includes_name_the_right_file_and_line),
        cmocka_unit_test(includes_go_eight_deep_and_not_nine),
        cmocka_unit_test(places_are_the_lines_of_the_names),
        cmocka_unit_test(what_is_not_set_has_no_place),
        cmocka_unit_test(places_in_includes_name_their_file),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
