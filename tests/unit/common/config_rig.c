#include "tests/unit/common/config_rig.h"

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
#include "tests/unit/remove_tree.h"

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
const struct config_option table[] = {
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
char folder[] = "/tmp/keyless-config-XXXXXX";
static char main_file[64];
struct fault fault;

void put_file(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fputs(text, file) >= 0, 1);
    fclose(file);
}

int load(struct sample *out, const char *text)
{
    put_file("main.conf", text);
    memset(out, 0, sizeof *out);
    memset(&fault, 0, sizeof fault);
    return config_load(main_file, table, out, NULL, &fault);
}

void assert_fault(const char *text, const char *place, const char *words)
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

void assert_place(const char *place, const char *expected)
{
    char full[160];
    snprintf(full, sizeof full, "%s/%s", folder, expected);
    assert_non_null(place);
    assert_string_equal(place, full);
}

int make_folder(void **state)
{
    (void)state;
    char path[128];
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(main_file, sizeof main_file, "%s/main.conf", folder);
    snprintf(path, sizeof path, "%s/sub", folder);
    return mkdir(path, 0700);
}

int remove_folder(void **state)
{
    (void)state;
    return remove_tree(folder);
}
