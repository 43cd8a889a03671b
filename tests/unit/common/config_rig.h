/* A configuration with an option of every type, in a folder of its own. Not a test program by itself. */
#ifndef TESTS_UNIT_COMMON_CONFIG_RIG_H
#define TESTS_UNIT_COMMON_CONFIG_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

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

extern const struct config_option table[];
extern char folder[sizeof "/tmp/keyless-config-XXXXXX"];
extern struct fault fault;

void put_file(const char *name, const char *text);
int load(struct sample *out, const char *text);
/* TEXT fails with PLACE and WORDS in the fault, and leaves nothing behind. */
void assert_fault(const char *text, const char *place, const char *words);

void assert_place(const char *place, const char *expected);
int make_folder(void **state);
int remove_folder(void **state);

#endif
