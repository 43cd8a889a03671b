/* What is written into a configuration is what is read from it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/config.h"
#include "common/config_value.h"
#include "common/config_write.h"

struct part {
    char *title;
    char *text;
};

struct sample {
    char *text;
    char *path;
    struct config_strings list;
    struct config_sections parts;
};

#define FIELD(member) offsetof(struct sample, member)

static const struct config_option part_table[] = {
    {.name = "text", .type = CONFIG_STRING, .offset = offsetof(struct part, text)}, {.name = NULL}};
static const struct config_option table[] = {{.name = "text", .type = CONFIG_STRING, .offset = FIELD(text)},
                                             {.name = "path", .type = CONFIG_PATH, .offset = FIELD(path)},
                                             {.name = "list", .type = CONFIG_STRINGS, .offset = FIELD(list)},
                                             {.name = "part",
                                              .type = CONFIG_SECTIONS,
                                              .offset = FIELD(parts),
                                              .options = part_table,
                                              .size = sizeof(struct part)},
                                             {.name = NULL}};

static void load(struct sample *out, const struct buffer *text)
{
    char file[] = "/tmp/keyless-write-XXXXXX";
    struct fault fault = {.text = ""};
    int fd = mkstemp(file);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, buffer_bytes(text), buffer_length(text)), (ssize_t)buffer_length(text));
    close(fd);
    memset(out, 0, sizeof *out);
    int err = config_load(file, table, out, NULL, &fault);
    unlink(file);
    if (err != 0)
        fail_msg("%s in: %.*s", fault.text, (int)buffer_length(text), (const char *)buffer_bytes(text));
}

static void assert_read_again(const char *text)
{
    struct buffer out = {0};
    struct sample sample;
    char path[512];
    snprintf(path, sizeof path, "/%s", text);
    assert_int_equal(config_write_text(&out, 0, "text", text), 0);
    assert_int_equal(config_write_text(&out, 0, "path", path), 0);
    assert_int_equal(config_write_list(&out, 0, "list", path), 0);
    buffer_printf(&out, "part one {\n");
    assert_int_equal(config_write_text(&out, 4, "text", text), 0);
    buffer_printf(&out, "}\n");
    load(&sample, &out);
    assert_string_equal(sample.text, text);
    assert_string_equal(sample.path, path);
    assert_int_equal(sample.list.count, 1);
    assert_string_equal(sample.list.item[0], path);
    assert_int_equal(sample.parts.count, 1);
    assert_string_equal(((struct part *)sample.parts.item)[0].text, text);
    config_clear(table, &sample);
    buffer_clear(&out);
}

static void hostile_texts_are_read_again(void **state)
{
    static const char *const texts[] = {
        "",
        "a b",
        "\"",
        "\\",
        "\\\"",
        "\\\\\"",
        "\"; user = \"root",
        "$HOME",
        "${HOME}",
        "$${X}",
        "\\${HOME}",
        "${X:-}",
        "#",
        "a # b",
        "//",
        "a//b",
        "/*",
        "/* a */",
        "'",
        "a'b\"c",
        "{",
        "}",
        "{}",
        "(",
        ")",
        "include(x)",
        "=",
        "+=",
        "a|b",
        ",",
        "\\n",
        "\\x41",
        "\\101",
        "\\",
        "%s%n",
        "a\\",
        "~root",
        "*",
        "caf\xc3\xa9",
        "\xff\xfe",
        "\xe2\x80\xa8",
        " lead",
        "trail ",
        "`id`",
        "$(id)",
        "a;b&c",
        "\\\"\\\"",
        "\"\"\"",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_read_again(texts[i]);
}

/* Alone, twice, and between what could change its meaning. */
static void every_byte_is_read_again_or_refused(void **state)
{
    struct buffer out = {0};
    (void)state;
    for (int byte = 1; byte < 256; byte++) {
        const char forms[][6] = {{(char)byte},
                                 {(char)byte, (char)byte},
                                 {'\\', (char)byte, '"'},
                                 {'$', (char)byte, '}'},
                                 {'a', (char)byte, '\\', (char)byte, 'z'}};
        for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
            if (byte >= 0x20 && byte != 0x7f) {
                assert_read_again(forms[i]);
                continue;
            }
            assert_false(config_value_is_text(forms[i]));
            assert_int_equal(config_write_text(&out, 0, "text", forms[i]), ERR_FORMAT);
            assert_int_equal(config_write_list(&out, 0, "list", forms[i]), ERR_FORMAT);
            assert_int_equal(config_value_quote(forms[i], &out), ERR_FORMAT);
            assert_int_equal(buffer_length(&out), 0);
        }
    }
}

/* A program that makes up texts of the letters that mean something; the same ones in every run. */
static void made_up_texts_are_read_again(void **state)
{
    static const char letters[] = "\"\\${}#/*'nx0a =,()|+\xc3\xff";
    uint32_t random = 1;
    (void)state;
    for (int round = 0; round < 2000; round++) {
        char text[24] = "";
        size_t length = (size_t)round % (sizeof text - 1);
        for (size_t i = 0; i < length; i++) {
            random = random * 1664525u + 1013904223u;
            text[i] = letters[(random >> 16) % (sizeof letters - 1)];
        }
        assert_read_again(text);
    }
}

static void a_file_in_a_folder_that_cannot_be_written_is_refused(void **state)
{
    char folder[] = "/tmp/keyless-write\n-XXXXXX", file[64];
    struct sample sample = {.text = NULL};
    struct fault fault = {.text = ""};
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(file, sizeof file, "%s/a.conf", folder);
    fclose(fopen(file, "w"));
    assert_int_equal(config_load(file, table, &sample, NULL, &fault), ERR_CONFIG);
    assert_non_null(
        strstr(fault.text, "the path of its folder has a tab, line end or other control character"));
    unlink(file);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_texts_are_read_again),
        cmocka_unit_test(every_byte_is_read_again_or_refused),
        cmocka_unit_test(made_up_texts_are_read_again),
        cmocka_unit_test(a_file_in_a_folder_that_cannot_be_written_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
