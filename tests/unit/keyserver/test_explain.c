/* The words of an explanation: they name the right line, and say how to mend what refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "tests/unit/keyserver/explain_rig.h"

static void what_nobody_has_said_is_the_default(void **state)
{
    struct question question = explain_question("www", OP_RSA_MASTER);
    char id[2 * KEY_ID_SIZE + 1], words[256];
    uint8_t key_id[KEY_ID_SIZE];
    (void)state;
    explain_load("", "");
    assert_true(explain_ask(&question));
    keys_id(explain_rsa, key_id);
    snprintf(words, sizeof words, "keys: the key www, rsa of 2048 bits, id %s",
             hex_encode(id, key_id, sizeof key_id));
    assert_said("granted", "edge", "authorized_edges:3: the edge paris1");
    assert_said("granted", "edge_from", "default: from= is not there: any address");
    assert_said("granted", "key_from", "default: from lists no networks: any address");
    assert_said("granted", "edge_valid", "default: neither not_before= nor not_after= is there: always");
    assert_said("granted", "key", words);
    assert_said("granted", "key_valid", "default: neither not_before nor not_after limits it: always");
    assert_said("granted", "keys", "default: keys= is not there: every key");
    assert_said("granted", "ops", "default: ops= is not there, so rsa_master is granted");
    assert_said("granted", "operations", "default: operations lists rsa_master");
    assert_said("granted", "mode", "default: modes lists bound");
    assert_said("granted", "type", "keys: a key of type rsa can do rsa_master");
    assert_said("open", "form", "request: scheme and structure must be those that TLS would have there");
    assert_said("open", "session",
                "request: its session id must be one that this edge made in an epoch that is live");
    assert_said("granted", "name", "default: names lists none: any name, or none at all");
    assert_said("granted", "rate", "default: no rate is limited");
    assert_said("granted", "quota", "default: no quota is set");
    assert_string_equal(explain_last_line(), "granted  verdict     paris1: may ask rsa_master of www\n");
    question.key = id;
    question.edge = EDGE_KEY;
    char before[sizeof explain_said];
    memcpy(before, explain_said, sizeof before);
    assert_true(explain_ask(&question)); /* by the edge's key and the key's id */
    assert_string_equal(explain_said, before);
}

static void what_does_not_matter_is_not_told(void **state)
{
    struct question question = explain_question("ec", OP_SIGN_TLS13);
    (void)state;
    explain_load("key_default { names = {\"www.example.com\"} modes = {\"plain\"} }", "");
    assert_true(explain_ask(&question));
    assert_null(strstr(explain_said, " mode "));
    assert_null(strstr(explain_said, " session "));
    assert_null(strstr(explain_said, " name "));
    assert_null(strstr(explain_said, " operation "));
}

static const struct {
    const char *conf, *options; /* of server.conf, of the edge */
    const char *key;
    enum operation_kind operation;
    const char *from, *name;
    const char *answer, *step, *words; /* of one line */
    const char *reason;                /* NULL: granted */
} cases[] = {
    {"", "from=192.0.2.0/24", "www", OP_SIGN_TLS12, "192.0.2.9", NULL, "granted", "edge_from",
     "authorized_edges:3: from= covers 192.0.2.9", NULL},
    {"", "from=192.0.2.0/24", "www", OP_SIGN_TLS12, "::1", NULL, "refused", "edge_from",
     "authorized_edges:3: from= does not cover ::1", "from"},
    {"", "from=192.0.2.0/24", "www", OP_SIGN_TLS12, NULL, NULL, "open", "edge_from",
     "authorized_edges:3: from= says which addresses; try one with --from", NULL},
    {"\nkey www {\n from = {\"192.0.2.0/24\"} }", "", "www", OP_SIGN_TLS12, "192.0.2.9", NULL, "granted",
     "key_from", "@:3: from covers 192.0.2.9", NULL},
    {"\nkey www {\n from = {\"192.0.2.0/24\"} }", "", "www", OP_SIGN_TLS12, "unix", NULL, "refused",
     "key_from", "@:3: from does not cover unix", "from"},
    {"\nkey www {\n from = {\"192.0.2.0/24\"} }", "", "www", OP_SIGN_TLS12, NULL, NULL, "open", "key_from",
     "@:3: from says which addresses; try one with --from", NULL},
    {"key_default { from = {\"10.0.0.0/8\"} } key www {\n from = {\"::/0\"} }", "", "www", OP_SIGN_TLS12,
     "::1", NULL, "granted", "key_from", "@:2: from covers ::1", NULL},
    {"", "not_before=2026-12-31T12:00:00Z", "www", OP_SIGN_TLS12, NULL, NULL, "granted", "edge_valid",
     "authorized_edges:3: 2026-12-31T12:00:00Z is within its time", NULL},
    {"", "not_before=2027-01-01", "www", OP_SIGN_TLS12, NULL, NULL, "refused", "edge_valid",
     "authorized_edges:3: not_before= is 2027-01-01T00:00:00Z, and it is only 2026-12-31T12:00:00Z",
     "not_valid_now"},
    {"", "not_after=2026-12-31", "www", OP_SIGN_TLS12, NULL, NULL, "refused", "edge_valid",
     "authorized_edges:3: not_after= was 2026-12-31T00:00:00Z, and it is 2026-12-31T12:00:00Z",
     "not_valid_now"},
    {"key_default {\n\n not_before = 2027-01-01 }", "", "www", OP_SIGN_TLS12, NULL, NULL, "refused",
     "key_valid", "@:3: not_before is 2027-01-01T00:00:00Z, and it is only 2026-12-31T12:00:00Z",
     "not_valid_now"},
    {"key_default { not_before = 2020-01-01\n not_after = 2026-12-31 }", "", "www", OP_SIGN_TLS12, NULL, NULL,
     "refused", "key_valid", "@:2: not_after was 2026-12-31T00:00:00Z, and it is 2026-12-31T12:00:00Z",
     "not_valid_now"},
    {"key_default { not_before = 2020-01-01\n not_after = 2027-01-01 }", "", "www", OP_SIGN_TLS12, NULL, NULL,
     "granted", "key_valid", "@:2: 2026-12-31T12:00:00Z is within its time", NULL},
    {"key_default { not_before = 2020-01-01 }", "", "www", OP_SIGN_TLS12, NULL, NULL, "granted", "key_valid",
     "@:1: 2026-12-31T12:00:00Z is within its time", NULL},
    {"key_default { not_after = 2020-01-01 }\nkey www { not_after = off }", "", "www", OP_SIGN_TLS12, NULL,
     NULL, "granted", "key_valid", "@:2: neither not_before nor not_after limits it: always", NULL},
    {"", "keys=api,www", "www", OP_SIGN_TLS12, NULL, NULL, "granted", "keys",
     "authorized_edges:3: keys= lists www", NULL},
    {"", "keys=api", "www", OP_SIGN_TLS12, NULL, NULL, "refused", "keys",
     "authorized_edges:3: keys= does not list www", "key_not_granted"},
    {"", "ops=rsa_premaster", "www", OP_SIGN_TLS12, NULL, NULL, "refused", "ops",
     "authorized_edges:3: ops= does not list sign_tls12", "operation_not_granted"},
    {"", "ops=sign_tls12", "www", OP_RSA_PREMASTER, NULL, NULL, "refused", "ops",
     "authorized_edges:3: ops= does not list rsa_premaster", "operation_not_granted"},
    {"", "", "www", OP_RSA_PREMASTER, NULL, NULL, "refused", "ops",
     "default: ops= is not there, so rsa_premaster is not granted", "operation_not_granted"},
    {"", "ops=sign_tls12", "www", OP_SIGN_TLS12, NULL, NULL, "granted", "ops",
     "authorized_edges:3: ops= lists sign_tls12", NULL},
    {"key_default {\noperations = {\"sign_tls13\"} }", "", "ec", OP_SIGN_TLS12, NULL, NULL, "refused",
     "operations", "@:2: operations does not list sign_tls12", "operation_not_granted"},
    {"key www {\n\n\n modes = {\"bound\"} }", "ops=rsa_premaster", "www", OP_RSA_PREMASTER, NULL, NULL,
     "refused", "mode", "@:4: modes lists bound only", "mode_not_granted"},
    {"key www {\n modes = {\"plain\"} }", "", "www", OP_RSA_MASTER, NULL, NULL, "refused", "mode",
     "@:2: modes lists plain only", "mode_not_granted"},
    {"key www {\n modes = {\"plain\", \"bound\"} }", "ops=rsa_premaster", "www", OP_RSA_PREMASTER, NULL, NULL,
     "granted", "mode", "@:2: modes lists plain", NULL},
    {"", "ops=rsa_premaster", "www", OP_RSA_PREMASTER, NULL, NULL, "refused", "mode",
     "default: modes lists bound only", "mode_not_granted"},
    {"", "", "ec", OP_RSA_MASTER, NULL, NULL, "refused", "type",
     "keys: a key of type p256 cannot do rsa_master", "scheme"},
    {"key www {\n names = {\"*.example.com\"} }", "", "www", OP_RSA_MASTER, NULL, "WWW.example.com",
     "granted", "name", "@:2: names covers WWW.example.com", NULL},
    {"key www {\n names = {\"*.example.com\"} }", "", "www", OP_RSA_MASTER, NULL, "example.com", "refused",
     "name", "@:2: names does not cover example.com", "name_not_granted"},
    {"key www {\n names = {\"*.example.com\"} }", "", "www", OP_RSA_MASTER, NULL, "", "refused", "name",
     "@:2: names lists some, and the client asks for none", "name_not_granted"},
    {"key www {\n names = {\"*.example.com\"} }", "", "www", OP_RSA_MASTER, NULL, NULL, "open", "name",
     "@:2: names says which server names; try one with --name", NULL},
    {"", "rate=100/s", "www", OP_SIGN_TLS12, NULL, NULL, "open", "rate",
     "authorized_edges:3: rate= is 100/s, of this edge on all keys", NULL},
    {"key www {\n rate = 5/m }", "", "www", OP_SIGN_TLS12, NULL, NULL, "open", "rate",
     "@:2: rate is 5/m, of the key by all edges", NULL},
    {"key www {\n\n rate_per_edge = 5/h }", "rate=1/s", "www", OP_SIGN_TLS12, NULL, NULL, "open", "rate",
     "@:3: rate_per_edge is 5/h, of this edge on the key", NULL},
    {"", "quota=100/d", "www", OP_SIGN_TLS12, NULL, NULL, "open", "quota",
     "authorized_edges:3: quota= is 100/d, of this edge on all keys", NULL},
    {"key_default { quota = 5/h }", "", "www", OP_SIGN_TLS12, NULL, NULL, "open", "quota",
     "@:1: quota is 5/h, of the key by all edges", NULL},
    {"key_default { quota_per_edge = 5/h }", "", "www", OP_SIGN_TLS12, NULL, NULL, "open", "quota",
     "@:1: quota_per_edge is 5/h, of this edge on the key", NULL},
};

static void every_step_names_the_line_that_says_so(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct question question = explain_question(cases[i].key, cases[i].operation);
        struct fault fault;
        char verdict[128];
        explain_load(cases[i].conf, cases[i].options);
        if (cases[i].from != NULL)
            assert_int_equal(question_take_from(&question, cases[i].from, &fault), 0);
        question.name = cases[i].name;
        assert_int_equal(explain_ask(&question), cases[i].reason == NULL);
        assert_said(cases[i].answer, cases[i].step, cases[i].words);
        snprintf(verdict, sizeof verdict,
                 "%-8s verdict     %s: ", cases[i].reason == NULL ? "granted" : "refused",
                 cases[i].reason == NULL ? "paris1" : cases[i].reason);
        if (strncmp(explain_last_line(), verdict, strlen(verdict)) != 0)
            fail_msg("the last line is no '%s' in\n%s", verdict, explain_said);
        assert_int_equal(strstr(explain_said, "\nfix ") != NULL, cases[i].reason != NULL);
        assert_int_equal(strstr(explain_last_line(), ", where what is open above holds") != NULL,
                         strstr(explain_said, "try one with") != NULL && cases[i].reason == NULL);
    }
}

static void all_that_refuses_is_told_and_the_first_is_the_verdict(void **state)
{
    struct question question = explain_question("ec", OP_RSA_MASTER);
    (void)state;
    explain_load(
        "key_default { not_after = 2020-01-01 operations = {\"sign_tls13\"} modes = {\"plain\"} names = "
        "{\"a.test\"} }",
        "keys=www ops=sign_tls13");
    question.name = "b.test";
    assert_false(explain_ask(&question));
    static const char *const steps[] = {"key_valid", "keys", "ops", "operations", "mode", "type", "name"};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        char begin[32];
        snprintf(begin, sizeof begin, "\nrefused  %-11s ", steps[i]);
        char *line = strstr(explain_said, begin);
        assert_non_null(line);
        snprintf(begin, sizeof begin, "\nfix      %-11s ", steps[i]); /* in the next line */
        assert_true(strncmp(strchr(line + 1, '\n'), begin, strlen(begin)) == 0);
    }
    assert_true(strncmp(explain_last_line(), "refused  verdict     not_valid_now: change not_before=", 50) ==
                0);
}

static void nobody_and_nothing_end_it(void **state)
{
    struct question question = explain_question("none", OP_SIGN_TLS13);
    (void)state;
    explain_load("", "");
    assert_false(explain_ask(&question));
    assert_said("refused", "key", "keys: no key has the name or the id 'none'");
    assert_null(strstr(explain_said, "key_valid"));
    assert_non_null(strstr(explain_last_line(), "verdict     unknown_key: put the key into the keys folder"));
    question.key = "0000000000000000000000000000000000000000000000000000000000000000";
    assert_false(explain_ask(&question));
    question.edge = "none";
    assert_false(explain_ask(&question));
    assert_said("refused", "edge", "authorized_edges: no line has the name or the key 'none'");
    assert_ptr_equal(strchr(strchr(explain_said, '\n') + 1, '\n') + 1,
                     explain_last_line()); /* three lines in all, one of them a fix */
    assert_non_null(strstr(explain_last_line(), "verdict     unknown_edge: add its line"));
}

static void an_explanation_counts_nothing(void **state)
{
    struct question question = explain_question("www", OP_SIGN_TLS13);
    (void)state;
    explain_load("key_default { rate = 1/h quota = 1/d rate_per_edge = 1/h }", "rate=1/h quota=1/d");
    for (unsigned i = 0; i < 5; i++)
        assert_true(explain_ask(&question));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_nobody_has_said_is_the_default),
        TEST(what_does_not_matter_is_not_told),
        TEST(every_step_names_the_line_that_says_so),
        TEST(all_that_refuses_is_told_and_the_first_is_the_verdict),
        TEST(nobody_and_nothing_end_it),
        TEST(an_explanation_counts_nothing),
    };
    return cmocka_run_group_tests(tests, explain_start, explain_stop);
}
