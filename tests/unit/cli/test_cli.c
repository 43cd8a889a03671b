#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

static int run_nothing(int argc, char *argv[])
{
    return argc < 0 || argv == NULL;
}

static const struct cli_verb verb = {
    .name = "try", .arguments = "[-c FILE]", .summary = "Tries.", .help = "", .run = run_nothing};

static FILE *caught;
static int terminal;

static void catch_errors(void)
{
    caught = tmpfile();
    terminal = dup(STDERR_FILENO);
    assert_true(caught != NULL && terminal >= 0 && dup2(fileno(caught), STDERR_FILENO) >= 0);
}

static const char *caught_errors(void)
{
    static char text[1024];
    fflush(stderr);
    assert_true(dup2(terminal, STDERR_FILENO) >= 0);
    close(terminal);
    rewind(caught);
    text[fread(text, 1, sizeof text - 1, caught)] = 0;
    fclose(caught);
    return text;
}

static void a_complaint_names_the_verb_and_returns_the_code(void **state)
{
    (void)state;
    catch_errors();
    int code = cli_fail(&verb, CLI_REFUSED, "%s: %d", "x", 7);
    assert_string_equal(caught_errors(), "keyless try: x: 7\n");
    assert_int_equal(code, CLI_REFUSED);
}

static void wrong_use_shows_the_usage(void **state)
{
    (void)state;
    catch_errors();
    int code = cli_usage(&verb, "no");
    assert_string_equal(caught_errors(),
                        "keyless try: no\nusage: keyless try [-c FILE]\nkeyless try --help tells more\n");
    assert_int_equal(code, CLI_USAGE);
}

static void every_error_has_an_exit_code(void **state)
{
    static const struct {
        int err, code;
    } cases[] = {
        {ERR_NONE, CLI_DONE},           {ERR_MEMORY, CLI_FAILED},      {ERR_SYSTEM, CLI_FAILED},
        {ERR_FORMAT, CLI_FAILED},       {ERR_LENGTH, CLI_FAILED},      {ERR_CRYPTO, CLI_FAILED},
        {ERR_REFUSED, CLI_REFUSED},     {ERR_NOT_FOUND, CLI_USAGE},    {ERR_BUSY, CLI_FAILED},
        {ERR_TIMEOUT, CLI_UNREACHABLE}, {ERR_CLOSED, CLI_UNREACHABLE}, {ERR_CUT, CLI_UNREACHABLE},
        {ERR_UNSUPPORTED, CLI_FAILED},  {ERR_CONFIG, CLI_USAGE},       {-1000, CLI_FAILED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(cli_exit_of(cases[i].err), cases[i].code);
}

static const struct option options[] = {
    {"config", required_argument, NULL, 'c'}, {"json", no_argument, NULL, 1}, {0}};

static void options_are_read_in_both_forms(void **state)
{
    static char name[] = "try", c[] = "-c", file[] = "f", json[] = "--json", config[] = "--config=g",
                rest[] = "rest";
    char *argv[] = {name, c, file, json, config, rest, NULL};
    (void)state;
    optind = 0;
    assert_int_equal(cli_option(&verb, 6, argv, "c:", options), 'c');
    assert_string_equal(optarg, "f");
    assert_int_equal(cli_option(&verb, 6, argv, "c:", options), 1);
    assert_int_equal(cli_option(&verb, 6, argv, "c:", options), 'c');
    assert_string_equal(optarg, "g");
    assert_int_equal(cli_option(&verb, 6, argv, "c:", options), -1);
    assert_string_equal(argv[optind], "rest");
}

static void unknown_or_incomplete_options_are_told(void **state)
{
    static char name[] = "try", unknown[] = "--unknown", c[] = "-c";
    char *first[] = {name, unknown, NULL}, *second[] = {name, c, NULL};
    (void)state;
    catch_errors();
    optind = 0;
    int one = cli_option(&verb, 2, first, "c:", options);
    optind = 0;
    int two = cli_option(&verb, 2, second, "c:", options);
    optind = 0;
    int none = cli_option(&verb, 2, first, "", NULL);
    assert_non_null(strstr(caught_errors(), "--unknown"));
    assert_int_equal(one, '?');
    assert_int_equal(two, '?');
    assert_int_equal(none, '?');
}

static void the_option_that_may_be_meant_is_told(void **state)
{
    static char name[] = "try", json[] = "--jsno", config[] = "--confg=x", value[] = "--json=1",
                letter[] = "-q", empty[] = "--config";
    static char *const given[] = {json, config, value, letter, empty};
    static const char *const said[] = {"there is no option --jsno; did you mean --json?",
                                       "there is no option --confg; did you mean --config?",
                                       "--json=1: this option takes no value", "there is no option -q",
                                       "--config needs a value"};
    (void)state;
    for (size_t i = 0; i < sizeof given / sizeof given[0]; i++) {
        char *argv[] = {name, given[i], NULL};
        catch_errors();
        optind = 0;
        int option = cli_option(&verb, 2, argv, "c:", options);
        assert_non_null(strstr(caught_errors(), said[i]));
        assert_int_equal(option, '?');
    }
}

static void colour_needs_a_terminal(void **state)
{
    int ends[2], saved = dup(STDOUT_FILENO);
    (void)state;
    fflush(stdout);
    assert_int_equal(setenv("TERM", "xterm", 1), 0);
    assert_true(saved >= 0 && pipe(ends) == 0 && dup2(ends[1], STDOUT_FILENO) >= 0);
    bool colour = cli_colour();
    assert_true(dup2(saved, STDOUT_FILENO) >= 0);
    close(saved);
    close(ends[0]);
    close(ends[1]);
    assert_false(colour);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_complaint_names_the_verb_and_returns_the_code),
        cmocka_unit_test(wrong_use_shows_the_usage),
        cmocka_unit_test(every_error_has_an_exit_code),
        cmocka_unit_test(options_are_read_in_both_forms),
        cmocka_unit_test(unknown_or_incomplete_options_are_told),
        cmocka_unit_test(the_option_that_may_be_meant_is_told),
        cmocka_unit_test(colour_needs_a_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
