/* The verdict of an explanation is the judge's, by all kinds of rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "tests/unit/keyserver/explain_rig.h"
#include "tests/unit/keyserver/written_handshake.h"

#define EPOCH 61

static struct handshake handshake;

static struct operation good_operation(enum operation_kind kind, const char *name)
{
    uint8_t block[256], secret[TLS_PREMASTER_SIZE] = {3, 3}, edge_key[32], session[SESSION_ID_SIZE];
    if (kind == OP_SIGN_TLS13)
        return keys_tls13(explain_rsa, SCHEME_RSA_PSS_RSAE_SHA256, 32);
    if (kind == OP_SIGN_TLS12)
        return keys_tls12(explain_rsa, SCHEME_RSA_PKCS1_SHA256, CURVE_X25519);
    if (kind == OP_RSA_MASTER) {
        memset(edge_key, 1, sizeof edge_key);
        handshake_session(session, explain_group_secret, edge_key, EPOCH);
        handshake_make(&handshake, explain_rsa, name[0] != 0 ? name : NULL, session, secret);
        return handshake_operation(&handshake, explain_rsa);
    }
    keys_pad(block, sizeof block, secret);
    return keys_premaster(explain_rsa, 0x0303, block);
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
    judge_request(&explain_judge, &request, &now, &judgement);
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
        explain_load(confs[i % (sizeof confs / sizeof confs[0])],
                     options[i / (sizeof confs / sizeof confs[0])]);
        for (unsigned j = 0; j < 4 * 3 * 2 * 3; j++) {
            struct question question = explain_question("www", kinds[j % 4]);
            struct fault fault;
            question.name = names[j / 4 % 3];
            assert_int_equal(question_take_from(&question, froms[j / 12 % 2], &fault), 0);
            question.at = NOON + (int64_t)(j / 24) * 7200 - 7200;
            enum refusal refusal = judged(&question, &operations[j % 4][j / 4 % 3]);
            char verdict[64];
            snprintf(verdict, sizeof verdict,
                     "%-8s verdict     %s: ", refusal == REFUSAL_NONE ? "granted" : "refused",
                     refusal == REFUSAL_NONE ? "paris1" : refusal_name(refusal));
            assert_int_equal(explain_ask(&question), refusal == REFUSAL_NONE);
            if (strncmp(explain_last_line(), verdict, strlen(verdict)) != 0)
                fail_msg("expected '%s' of\n%s", verdict, explain_said);
            *(refusal == REFUSAL_NONE ? &granted : &refused) += 1;
        }
    }
    assert_true(granted > 300 && refused > 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_verdict_is_the_judges),
    };
    return cmocka_run_group_tests(tests, explain_start, explain_stop);
}
