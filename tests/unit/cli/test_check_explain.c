#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "cli/check.h"

static const char refused[] = "granted  edge        edges:1: the edge a\n"
                              "refused  ops         edges:1: ops= does not list rsa_premaster\n"
                              "fix      ops         append it\n"
                              "open     form        request: depends\n"
                              "refused  mode        default: modes lists bound only\n"
                              "fix      mode        append plain\n"
                              "refused  verdict     operation_not_granted: do this\n";

static void check(const char *text, bool colour, const char *wanted)
{
    char *page = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&page, &length);
    check_explain_print(out, text, colour);
    fclose(out);
    assert_string_equal(page, wanted);
    free(page);
}

static void the_verdict_comes_first_then_what_refuses_with_its_fix(void **state)
{
    (void)state;
    check(refused, false,
          "refused  verdict     operation_not_granted: do this\n"
          "refused  ops         edges:1: ops= does not list rsa_premaster\n"
          "fix      ops         append it\n"
          "refused  mode        default: modes lists bound only\n"
          "fix      mode        append plain\n"
          "\n"
          "granted  edge        edges:1: the edge a\n"
          "open     form        request: depends\n");
}

static void colour_marks_the_verdict_and_what_refuses(void **state)
{
    (void)state;
    check("refused  ops         e:1: no\nfix      ops         do\nrefused  verdict     r: do\n", true,
          "\033[31mrefused  verdict     r: do\033[0m\n\033[31mrefused  ops         e:1: no\033[0m\n"
          "\033[1mfix      ops         do\033[0m\n\n");
    check("granted  ops         e:1: yes\ngranted  verdict     a: may\n", true,
          "\033[32mgranted  verdict     a: may\033[0m\n\ngranted  ops         e:1: yes\n");
}

/* However the output of a program ends. */
static void a_text_without_an_end_of_line_is_printed_whole(void **state)
{
    (void)state;
    check("granted  ops         e:1: yes", false, "\ngranted  ops         e:1: yes\n");
    check("", false, "\n");
    check("fix", false, "\nfix\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_verdict_comes_first_then_what_refuses_with_its_fix),
        cmocka_unit_test(colour_marks_the_verdict_and_what_refuses),
        cmocka_unit_test(a_text_without_an_end_of_line_is_printed_whole),
    };
    return cmocka_run_group_tests_name("check_explain", tests, NULL, NULL);
}
