/* The explanation: its words name the right line, and its verdict is the judge's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/log.h"
#include "keyserver/vault/judge/explain.h"
#include "keyserver/vault/judge/gate.h"
#include "tests/unit/keyserver/written_handshake.h"

#define NOON      1798718400 /* 2026-12-31T12:00:00Z */
#define EPOCH     61
#define EDGE_KEY  "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
#define OTHER_KEY "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="
#define PSK       " psk=AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM= "

static const uint8_t group_secret[32] = {1};
static char folder[KEYS_PATH_SIZE], keys_folder[KEYS_PATH_SIZE], conf[KEYS_PATH_SIZE + 32];
static struct keystore *keys;
static EVP_PKEY *rsa, *p256;
static struct authorized *edges;
static struct server_config config;
static struct policy *policy;
static struct usage *usage;
static struct hasher hasher;
static struct judge judge;
static char said[8192];

static void unload(void)
{
    usage_free(usage);
    policy_free(policy);
    authorized_free(edges);
    server_config_clear(&config);
    usage = NULL;
    policy = NULL;
    edges = NULL;
}

static int tear_down(void **state)
{
    (void)state;
    unload();
    return 0;
}

/* server.conf with TEXT, and authorized_edges with paris1 in line 3, which has OPTIONS. */
static void load(const char *text, const char *options)
{
    char lines[1024];
    struct fault fault = {.text = ""};
    unload();
    keys_write_text(folder, "server.conf", text);
    snprintf(lines, sizeof lines, OTHER_KEY " rome1" PSK "\n\n" EDGE_KEY " paris1" PSK "%s\n", options);
    if (server_config_load(&config, conf, &fault) != 0 ||
        policy_new(&policy, &config.key_default, &config.key_sections, &fault) != 0 ||
        authorized_parse(&edges, lines, strlen(lines), "authorized_edges", &fault) != 0)
        fail_msg("%s", fault.text);
    usage = usage_new(edges, keys, policy);
    judge = (struct judge){.edges = edges,
                           .keys = keys,
                           .policy = policy,
                           .usage = usage,
                           .epoch_secret = group_secret,
                           .hasher = &hasher};
}

static bool ask(const struct question *question)
{
    const struct explain_files files = {.edges = "authorized_edges", .keys = "keys"};
    memset(said, 0, sizeof said);
    FILE *out = fmemopen(said, sizeof said - 1, "w");
    assert_non_null(out);
    bool granted = explain(&judge, &files, question, out);
    assert_int_equal(fclose(out), 0);
    return granted;
}

static struct question question_of(const char *key, enum operation_kind operation)
{
    return (struct question){.edge = "paris1", .key = key, .operation = operation, .at = NOON};
}

/* A line that begins with ANSWER and STEP, and goes on with WORDS, where @ is for the name of server.conf. */
static void assert_said(const char *answer, const char *step, const char *words)
{
    char line[2048], full[1024] = "";
    const char *at = strchr(words, '@');
    if (at != NULL)
        snprintf(full, sizeof full, "%.*s%s%s", (int)(at - words), words, conf, at + 1);
    snprintf(line, sizeof line, "%-8s %-11s %s\n", answer, step, at != NULL ? full : words);
    if (strncmp(said, line, strlen(line)) == 0)
        return;
    memmove(line + 1, line, strlen(line) + 1);
    line[0] = '\n';
    if (strstr(said, line) == NULL)
        fail_msg("no line '%s' in\n%s", line + 1, said);
}

static const char *last_line(void)
{
    size_t length = strlen(said);
    assert_true(length > 1 && said[length - 1] == '\n');
    size_t at = length - 1;
    while (at > 0 && said[at - 1] != '\n')
        at--;
    return said + at;
}

/* ---- words ---- */

static void what_nobody_has_said_is_the_default(void **state)
{
    struct question question = question_of("www", OP_RSA_MASTER);
    char id[2 * KEY_ID_SIZE + 1], words[256];
    uint8_t key_id[KEY_ID_SIZE];
    (void)state;
    load("", "");
    assert_true(ask(&question));
    keys_id(rsa, key_id);
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
    assert_string_equal(last_line(), "granted  verdict     paris1: may ask rsa_master of www\n");
    question.key = id;
    question.edge = EDGE_KEY;
    char before[sizeof said];
    memcpy(before, said, sizeof before);
    assert_true(ask(&question)); /* by the edge's key and the key's id */
    assert_string_equal(said, before);
}

static void what_does_not_matter_is_not_told(void **state)
{
    struct question question = question_of("ec", OP_SIGN_TLS13);
    (void)state;
    load("key_default { names = {\"www.example.com\"} modes = {\"plain\"} }", "");
    assert_true(ask(&question));
    assert_null(strstr(said, " mode "));
    assert_null(strstr(said, " session "));
    assert_null(strstr(said, " name "));
    assert_null(strstr(said, " operation "));
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
        struct question question = question_of(cases[i].key, cases[i].operation);
        struct fault fault;
        char verdict[128];
        load(cases[i].conf, cases[i].options);
        if (cases[i].from != NULL)
            assert_int_equal(question_take_from(&question, cases[i].from, &fault), 0);
        question.name = cases[i].name;
        assert_int_equal(ask(&question), cases[i].reason == NULL);
        assert_said(cases[i].answer, cases[i].step, cases[i].words);
        snprintf(verdict, sizeof verdict,
                 "%-8s verdict     %s: ", cases[i].reason == NULL ? "granted" : "refused",
                 cases[i].reason == NULL ? "paris1" : cases[i].reason);
        if (strncmp(last_line(), verdict, strlen(verdict)) != 0)
            fail_msg("the last line is no '%s' in\n%s", verdict, said);
        assert_int_equal(strstr(said, "\nfix ") != NULL, cases[i].reason != NULL);
        assert_int_equal(strstr(last_line(), ", where what is open above holds") != NULL,
                         strstr(said, "try one with") != NULL && cases[i].reason == NULL);
    }
}

static void all_that_refuses_is_told_and_the_first_is_the_verdict(void **state)
{
    struct question question = question_of("ec", OP_RSA_MASTER);
    (void)state;
    load("key_default { not_after = 2020-01-01 operations = {\"sign_tls13\"} modes = {\"plain\"} names = "
         "{\"a.test\"} }",
         "keys=www ops=sign_tls13");
    question.name = "b.test";
    assert_false(ask(&question));
    static const char *const steps[] = {"key_valid", "keys", "ops", "operations", "mode", "type", "name"};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        char start[32];
        snprintf(start, sizeof start, "\nrefused  %-11s ", steps[i]);
        char *line = strstr(said, start);
        assert_non_null(line);
        snprintf(start, sizeof start, "\nfix      %-11s ", steps[i]); /* in the next line */
        assert_true(strncmp(strchr(line + 1, '\n'), start, strlen(start)) == 0);
    }
    assert_true(strncmp(last_line(), "refused  verdict     not_valid_now: change not_before=", 50) == 0);
}

static void nobody_and_nothing_end_it(void **state)
{
    struct question question = question_of("none", OP_SIGN_TLS13);
    (void)state;
    load("", "");
    assert_false(ask(&question));
    assert_said("refused", "key", "keys: no key has the name or the id 'none'");
    assert_null(strstr(said, "key_valid"));
    assert_non_null(strstr(last_line(), "verdict     unknown_key: put the key into the keys folder"));
    question.key = "0000000000000000000000000000000000000000000000000000000000000000";
    assert_false(ask(&question));
    question.edge = "none";
    assert_false(ask(&question));
    assert_said("refused", "edge", "authorized_edges: no line has the name or the key 'none'");
    assert_ptr_equal(strchr(strchr(said, '\n') + 1, '\n') + 1,
                     last_line()); /* three lines in all, one of them a fix */
    assert_non_null(strstr(last_line(), "verdict     unknown_edge: add its line"));
}

static void an_explanation_counts_nothing(void **state)
{
    struct question question = question_of("www", OP_SIGN_TLS13);
    (void)state;
    load("key_default { rate = 1/h quota = 1/d rate_per_edge = 1/h }", "rate=1/h quota=1/d");
    for (unsigned i = 0; i < 5; i++)
        assert_true(ask(&question));
}

/* ---- agreement ---- */

static struct handshake handshake;

static struct operation good_operation(enum operation_kind kind, const char *name)
{
    uint8_t block[256], secret[TLS_PREMASTER_SIZE] = {3, 3}, edge_key[32], session[SESSION_ID_SIZE];
    if (kind == OP_SIGN_TLS13)
        return keys_tls13(rsa, SCHEME_RSA_PSS_RSAE_SHA256, 32);
    if (kind == OP_SIGN_TLS12)
        return keys_tls12(rsa, SCHEME_RSA_PKCS1_SHA256, CURVE_X25519);
    if (kind == OP_RSA_MASTER) {
        memset(edge_key, 1, sizeof edge_key);
        handshake_session(session, group_secret, edge_key, EPOCH);
        handshake_make(&handshake, rsa, name[0] != 0 ? name : NULL, session, secret);
        return handshake_operation(&handshake, rsa);
    }
    keys_pad(block, sizeof block, secret);
    return keys_premaster(rsa, 0x0303, block);
}

/* The judge's word on a good request that is what QUESTION asks about. */
static enum refusal judged(const struct question *question, const struct operation *operation)
{
    uint8_t edge_key[IDENTITY_KEY_SIZE];
    const struct key_request request = {
        .token = 1, .edge_key = edge_key, .from = question->from, .operation = operation};
    const struct now now = {.unix_s = question->at, .reached_s = question->at, .epoch = EPOCH};
    struct judgement judgement;
    memset(edge_key, 1, sizeof edge_key);
    judge_request(&judge, &request, &now, &judgement);
    return judgement.refusal;
}

static void the_verdict_is_the_judges(void **state)
{
    static const char *const options[] = {"",
                                          "from=192.0.2.0/24",
                                          "keys=ec",
                                          "keys=www,ec ops=rsa_premaster,rsa_master,sign_tls12",
                                          "not_before=2026-12-31T13:00:00Z",
                                          "not_after=2026-12-31T11:00:00Z ops=sign_tls13",
                                          "rate=1000000/s"};
    static const char *const confs[] = {
        "",
        "key_default { modes = {\"bound\", \"plain\"} }",
        "key_default { modes = {\"plain\"} operations = {\"rsa_premaster\", \"rsa_master\"} }",
        "key www { names = {\"*.example.com\"} quota = 100000/d }",
        "key www { from = {\"192.0.2.0/24\"} modes = {\"plain\"} }",
        "key www { not_before = 2026-12-31T13:00:00Z }",
        "key www { not_after = 2026-12-31T11:00:00Z }",
        "key ec { operations = {\"sign_tls12\"} }"};
    static const enum operation_kind kinds[] = {OP_SIGN_TLS13, OP_SIGN_TLS12, OP_RSA_MASTER,
                                                OP_RSA_PREMASTER};
    static const char *const names[] = {"www.example.com", "example.org", ""}, *const froms[] = {"192.0.2.1",
                                                                                                 "10.0.0.1"};
    static struct operation operations[4][3];
    static struct handshake handshakes[3];
    unsigned granted = 0, refused = 0;
    (void)state;
    for (size_t kind = 0; kind < 4; kind++)
        for (size_t name = 0; name < 3; name++) {
            operations[kind][name] = good_operation(kinds[kind], names[name]);
            if (kinds[kind] == OP_RSA_MASTER) {
                handshakes[name] = handshake;
                operations[kind][name].u.rsa_master.messages = handshakes[name].messages;
            }
        }
    for (size_t i = 0; i < sizeof options / sizeof options[0] * (sizeof confs / sizeof confs[0]); i++) {
        load(confs[i % (sizeof confs / sizeof confs[0])], options[i / (sizeof confs / sizeof confs[0])]);
        for (unsigned j = 0; j < 4 * 3 * 2 * 3; j++) {
            struct question question = question_of("www", kinds[j % 4]);
            struct fault fault;
            question.name = names[j / 4 % 3];
            assert_int_equal(question_take_from(&question, froms[j / 12 % 2], &fault), 0);
            question.at = NOON + (int64_t)(j / 24) * 7200 - 7200;
            enum refusal refusal = judged(&question, &operations[j % 4][j / 4 % 3]);
            char verdict[64];
            snprintf(verdict, sizeof verdict,
                     "%-8s verdict     %s: ", refusal == REFUSAL_NONE ? "granted" : "refused",
                     refusal == REFUSAL_NONE ? "paris1" : refusal_name(refusal));
            assert_int_equal(ask(&question), refusal == REFUSAL_NONE);
            if (strncmp(last_line(), verdict, strlen(verdict)) != 0)
                fail_msg("expected '%s' of\n%s", verdict, said);
            *(refusal == REFUSAL_NONE ? &granted : &refused) += 1;
        }
    }
    assert_true(granted > 300 && refused > 300);
}

/* ---- questions ---- */

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

static int start(void **state)
{
    struct fault fault;
    (void)state;
    log_init("test", LOG_ERROR, LOG_LOGFMT);
    if (secret_init() != 0 || gate_start() != 0 || hasher_init(&hasher) != 0)
        return -1;
    rsa = keys_rsa(2048);
    p256 = keys_ec("P-256");
    keys_make_folder(folder);
    keys_make_folder(keys_folder);
    snprintf(conf, sizeof conf, "%s/server.conf", folder);
    keys_write(keys_folder, "www.pem", rsa);
    keys_write(keys_folder, "ec.pem", p256);
    return keystore_load(&keys, NULL, keys_folder, group_secret, NULL, NULL, &fault);
}

static int stop(void **state)
{
    (void)state;
    keystore_free(keys);
    keys_remove_folder(folder);
    keys_remove_folder(keys_folder);
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(p256);
    hasher_clear(&hasher);
    gate_stop();
    return 0;
}

int main(void)
{
#define EXPLAIN_TEST(test) cmocka_unit_test_teardown(test, tear_down)
    const struct CMUnitTest tests[] = {
        EXPLAIN_TEST(what_nobody_has_said_is_the_default),
        EXPLAIN_TEST(what_does_not_matter_is_not_told),
        EXPLAIN_TEST(every_step_names_the_line_that_says_so),
        EXPLAIN_TEST(all_that_refuses_is_told_and_the_first_is_the_verdict),
        EXPLAIN_TEST(nobody_and_nothing_end_it),
        EXPLAIN_TEST(an_explanation_counts_nothing),
        EXPLAIN_TEST(the_verdict_is_the_judges),
        EXPLAIN_TEST(questions_are_read),
        EXPLAIN_TEST(what_is_no_question_is_explained),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
