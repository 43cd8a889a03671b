/* Whose configuration a file is, and what is said of one that is given to the other daemon. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/side.h"
#include "edge/config/edge_config.h"
#include "keyserver/rules/server_config.h"

static char folder[] = "/tmp/keyless-side-XXXXXX";
static char path[64], included[64];

static void put(const char *file, const char *text)
{
    FILE *out = fopen(file, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

static enum config_side side_of(const char *text)
{
    put(path, text);
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    enum config_side side = side_find(path, in);
    fclose(in);
    return side;
}

static bool has(const struct config_option *table, const char *name)
{
    for (; table->name != NULL; table++)
        if (strcmp(table->name, name) == 0)
            return true;
    return false;
}

/* NAMES are exactly those of TABLE that OTHER has not. */
static void assert_names(const char *const *names, const struct config_option *table,
                         const struct config_option *other)
{
    size_t named = 0, alone = 0;
    for (; names[named] != NULL; named++)
        if (!has(table, names[named]) || has(other, names[named]))
            fail_msg("%s is no option of this side alone", names[named]);
    for (const struct config_option *option = table; option->name != NULL; option++)
        alone += !has(other, option->name);
    assert_int_equal(named, alone);
}

static void the_options_of_one_side_alone_are_known(void **state)
{
    (void)state;
    assert_names(config_side_names(CONFIG_SIDE_SERVER), server_config_table, edge_config_table);
    assert_names(config_side_names(CONFIG_SIDE_EDGE), edge_config_table, server_config_table);
}

static void most_options_tell_the_side(void **state)
{
    (void)state;
    assert_int_equal(side_of("keys = k\nworkers = 2\norigin = x\n"), CONFIG_SIDE_SERVER);
    assert_int_equal(side_of("origin = x\nthreads = 2\nworkers = 2\n"), CONFIG_SIDE_EDGE);
    assert_int_equal(side_of("wrong = 1\nnonsense { }\n"), CONFIG_SIDE_UNKNOWN);
}

static void what_stands_in_sections_comments_and_texts_tells_nothing(void **state)
{
    (void)state;
    assert_int_equal(side_of("key_server a {\naddress = x\nkey = y\n}\n"), CONFIG_SIDE_EDGE);
    assert_int_equal(side_of("/* keys = x\nworkers = 2 */ # epoch = 1s\npsk = \"keys = 1\"\n"),
                     CONFIG_SIDE_EDGE);
    assert_int_equal(side_of("wrong {\nkeys = x\n}\npsk = x\n"), CONFIG_SIDE_EDGE);
}

static void what_stands_before_a_fault_tells_the_side(void **state)
{
    (void)state;
    assert_int_equal(side_of("keys = x\nworkers = /tmp/x\n"), CONFIG_SIDE_SERVER);
}

static void a_file_that_includes_others_is_told_by_who_can_read_it(void **state)
{
    (void)state;
    char text[128];
    snprintf(text, sizeof text, "include(\"%s\")\n", included);
    put(included, "workers = 2\n");
    assert_int_equal(side_of(text), CONFIG_SIDE_SERVER);
    put(included, "origin = \"127.0.0.1:80\"\n"
                  "key_server a { address = \"127.0.0.1:1\" key = "
                  "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=\" }\n");
    assert_int_equal(side_of(text), CONFIG_SIDE_EDGE);
}

static void assert_said(const struct fault *fault, const char *line, const char *said)
{
    char wanted[512];
    snprintf(wanted, sizeof wanted, "%s:%s: %s", path, line, said);
    assert_string_equal(fault->text, wanted);
}

static void the_other_daemon_says_whose_it_is(void **state)
{
    (void)state;
    struct fault fault = {.text = ""};
    struct edge_config edge;
    struct server_config server;
    put(path, "listen = {\"*:1\"}\n\nkeys = k\n");
    assert_int_equal(edge_config_load(&edge, path, &fault), ERR_CONFIG);
    assert_said(&fault, "3",
                "this is a key server's configuration: only a key server has an option 'keys'; name that of "
                "an edge here, and give this one to keyless-server");
    put(path, "admin = off\nkey_server a {\n}\n");
    assert_int_equal(server_config_load(&server, path, &fault), ERR_CONFIG);
    assert_non_null(strstr(fault.text, "this is an edge's configuration: only an edge has an option "
                                       "'key_server'; name that of a key server here, and give this one to "
                                       "keyless-edge"));
}

static void one_option_of_the_other_side_is_an_unknown_one(void **state)
{
    (void)state;
    struct fault fault = {.text = ""};
    struct edge_config edge;
    put(path, "workers = 2\norigin = x\nthreads = 3\n");
    assert_int_equal(edge_config_load(&edge, path, &fault), ERR_CONFIG);
    assert_said(&fault, "1", "unknown option 'workers'; -T shows those that there are");
}

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/a.conf", folder);
    snprintf(included, sizeof included, "%s/b.conf", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    unlink(included);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_options_of_one_side_alone_are_known),
        cmocka_unit_test(most_options_tell_the_side),
        cmocka_unit_test(what_stands_in_sections_comments_and_texts_tells_nothing),
        cmocka_unit_test(what_stands_before_a_fault_tells_the_side),
        cmocka_unit_test(a_file_that_includes_others_is_told_by_who_can_read_it),
        cmocka_unit_test(the_other_daemon_says_whose_it_is),
        cmocka_unit_test(one_option_of_the_other_side_is_an_unknown_one),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
