/* Questions to the judge, as a person writes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "keyserver/vault/judge/explain.h"

#define NOON 1798718400 /* 2026-12-31T12:00:00Z */

static void questions_are_read(void **state)
{
    struct question question = {.edge = "e"};
    struct fault fault;
    (void)state;
    assert_int_equal(question_take_operation(&question, "rsa_master", &fault), 0);
    assert_int_equal(question.operation, OP_RSA_MASTER);
    assert_int_equal(question_take_from(&question, "2001:db8::1", &fault), 0);
    assert_int_equal(question.from.u.any.sa_family, AF_INET6);
    assert_int_equal(question_take_from(&question, "192.0.2.1", &fault), 0);
    assert_int_equal(question.from.u.any.sa_family, AF_INET);
    assert_int_equal(question.from.length, sizeof question.from.u.v4);
    assert_int_equal(question_take_from(&question, "unix", &fault), 0);
    assert_true(address_is_local(&question.from));
    assert_string_equal(question.from_text, "unix");
    assert_int_equal(question_take_at(&question, "2026-12-31T12:00:00Z", &fault), 0);
    assert_true(question.at == NOON);
}

static void what_is_no_question_is_explained(void **state)
{
    static const char *const operations[] = {"", "keys", "ping", "sign", "RSA_MASTER"};
    static const char *const froms[] = {"", "192.0.2.1:5", "[::1]", "192.0.2.0/24", "localhost", "unix:/x"};
    struct question question = {.edge = "e"};
    struct fault fault;
    (void)state;
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        assert_int_equal(question_take_operation(&question, operations[i], &fault), ERR_CONFIG);
        assert_non_null(strstr(fault.text, "there are sign_tls13, sign_tls12, rsa_master and rsa_premaster"));
    }
    for (size_t i = 0; i < sizeof froms / sizeof froms[0]; i++) {
        assert_int_equal(question_take_from(&question, froms[i], &fault), ERR_CONFIG);
        assert_non_null(strstr(fault.text, "without port"));
    }
    assert_int_equal(question_take_at(&question, "tomorrow", &fault), ERR_CONFIG);
    assert_non_null(strstr(fault.text, "'tomorrow' is no date; write 2026-12-31"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(questions_are_read),
        cmocka_unit_test(what_is_no_question_is_explained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
