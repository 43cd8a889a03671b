#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/findings.h"

static FILE *caught;
static int terminal;

static void catch_output(void)
{
    fflush(stdout);
    caught = tmpfile();
    terminal = dup(STDOUT_FILENO);
    assert_true(caught != NULL && terminal >= 0 && dup2(fileno(caught), STDOUT_FILENO) >= 0);
}

static const char *caught_output(void)
{
    static char text[4096];
    fflush(stdout);
    assert_true(dup2(terminal, STDOUT_FILENO) >= 0);
    close(terminal);
    rewind(caught);
    text[fread(text, 1, sizeof text - 1, caught)] = 0;
    fclose(caught);
    return text;
}

static void a_line_has_level_and_text(void **state)
{
    struct findings findings = {0};
    (void)state;
    catch_output();
    findings_add(&findings, FINDING_OK, "a: fine");
    findings_add(&findings, FINDING_WARNING, "b: %s; mend", "odd");
    findings_add(&findings, FINDING_ERROR, "c: bad");
    int result = findings_end(&findings);
    assert_string_equal(caught_output(), "ok       a: fine\nwarning  b: odd; mend\nerror    c: bad\n");
    assert_int_equal(result, CLI_FAILED);
}

static void the_last_line_sums_up(void **state)
{
    struct findings findings = {.looked_at = "x.conf"};
    (void)state;
    catch_output();
    findings_add(&findings, FINDING_OK, "a: fine");
    findings_add(&findings, FINDING_OK, "b: fine");
    findings_add(&findings, FINDING_WARNING, "c: odd");
    findings_end(&findings);
    assert_string_equal(caught_output(), "ok       a: fine\nok       b: fine\nwarning  c: odd\n"
                                         "0 errors, 1 warning, 2 things found good; looked at x.conf\n");
}

static void what_was_said_is_not_said_again(void **state)
{
    struct findings findings = {0};
    (void)state;
    catch_output();
    findings_add(&findings, FINDING_ERROR, "a: bad");
    findings_add(&findings, FINDING_ERROR, "a: bad");
    size_t errors = findings.counts[FINDING_ERROR];
    findings_end(&findings);
    assert_string_equal(caught_output(), "error    a: bad\n");
    assert_int_equal(errors, 1);
}

static void control_characters_do_not_reach_the_terminal(void **state)
{
    struct findings findings = {0};
    (void)state;
    catch_output();
    findings_add(&findings, FINDING_OK, "a\033[2J\n\x7f: x");
    findings_end(&findings);
    assert_string_equal(caught_output(), "ok       a?[2J??: x\n");
}

static int result_of(unsigned warnings, unsigned errors, unsigned unreachable)
{
    struct findings findings = {0};
    catch_output();
    for (unsigned i = 0; i < warnings; i++)
        findings_add(&findings, FINDING_WARNING, "w%u: x", i);
    for (unsigned i = 0; i < errors; i++)
        findings_add(&findings, FINDING_ERROR, "e%u: x", i);
    for (unsigned i = 0; i < unreachable; i++)
        findings_add_unreachable(&findings, "u%u: x", i);
    int result = findings_end(&findings);
    caught_output();
    assert_int_equal(findings.count, 0);
    assert_null(findings.item);
    return result;
}

static void exit_code_is_that_of_the_worst(void **state)
{
    (void)state;
    assert_int_equal(result_of(0, 0, 0), CLI_DONE);
    assert_int_equal(result_of(40, 0, 0), CLI_DONE);
    assert_int_equal(result_of(0, 40, 0), CLI_FAILED);
    assert_int_equal(result_of(1, 0, 2), CLI_UNREACHABLE);
    assert_int_equal(result_of(0, 1, 1), CLI_FAILED);
}

static void json_has_every_finding_apart(void **state)
{
    struct findings findings = {.json = true};
    (void)state;
    catch_output();
    findings_add(&findings, FINDING_WARNING, "/a/b.pem: odd: very; run: \"x\"");
    findings_add(&findings, FINDING_ERROR, "no colon");
    findings_add(&findings, FINDING_OK, "\xff: not UTF-8");
    findings_end(&findings);
    json_t *all = json_loads(caught_output(), JSON_REJECT_DUPLICATES, NULL);
    const json_t *list = json_object_get(all, "findings"), *first = json_array_get(list, 0);
    assert_int_equal(json_integer_value(json_object_get(all, "errors")), 1);
    assert_int_equal(json_integer_value(json_object_get(all, "warnings")), 1);
    assert_int_equal(json_array_size(list), 3);
    assert_string_equal(json_string_value(json_object_get(first, "level")), "warning");
    assert_string_equal(json_string_value(json_object_get(first, "what")), "/a/b.pem");
    assert_string_equal(json_string_value(json_object_get(first, "why")), "odd: very; run: \"x\"");
    assert_string_equal(json_string_value(json_object_get(json_array_get(list, 1), "what")), "no colon");
    assert_true(json_is_null(json_object_get(json_array_get(list, 2), "what")));
    json_decref(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_level_and_text),
        cmocka_unit_test(the_last_line_sums_up),
        cmocka_unit_test(what_was_said_is_not_said_again),
        cmocka_unit_test(control_characters_do_not_reach_the_terminal),
        cmocka_unit_test(exit_code_is_that_of_the_worst),
        cmocka_unit_test(json_has_every_finding_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
