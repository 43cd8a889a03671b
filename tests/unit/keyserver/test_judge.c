#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>

#include "common/log.h"
#include "keyserver/vault/gate.h"
#include "keyserver/vault/judge.h"
#include "tests/unit/keyserver/test_keys.h"

#define EDGES 32 /* one for every combination of the options below */

/* What is wrong with an edge's line, as bits of its number. */
enum { FROM_ELSEWHERE = 1, OTHER_KEY = 2, NO_TLS13 = 4, NO_TLS12 = 8, NO_PREMASTER = 16 };

static char folder[KEYS_PATH_SIZE];
static struct keystore *keys;
static struct authorized *edges;
static EVP_PKEY *rsa, *p256;

static void make_edge_key(uint8_t key[static 32], unsigned number)
{
    memset(key, 0x40, 32);
    key[0] = (uint8_t)(number + 1);
}

static void load_edges(void)
{
    static char text[16384];
    size_t at = 0;
    for (unsigned i = 0; i < EDGES; i++) {
        uint8_t key[32], psk[32] = {1};
        char key_text[45], psk_text[45], ops[64] = "ops=";
        make_edge_key(key, i);
        if (!(i & NO_TLS13))
            strcat(ops, "sign_tls13,");
        if (!(i & NO_TLS12))
            strcat(ops, "sign_tls12,");
        if (!(i & NO_PREMASTER))
            strcat(ops, "rsa_premaster,");
        strcat(ops, "keys"); /* always granted; keeps the list from being empty */
        int length = snprintf(text + at, sizeof text - at, "%s edge%u psk=%s %s from=%s keys=%s\n",
                              base64_encode(key_text, key, 32), i, base64_encode(psk_text, psk, 32), ops,
                              i & FROM_ELSEWHERE ? "10.0.0.0/8" : "192.0.2.0/24,2001:db8::/32",
                              i & OTHER_KEY ? "other" : "www,ec");
        assert_true(length > 0 && (size_t)length < sizeof text - at);
        at += (size_t)length;
    }
    struct fault fault = {0};
    if (authorized_parse(&edges, text, at, "edges", &fault) != 0)
        fail_msg("%s", fault.text);
}

static int start(void **state)
{
    static const uint8_t group_secret[32] = {1};
    struct fault fault;
    (void)state;
    log_init("test", LOG_ERROR, LOG_LOGFMT);
    if (secret_init() != 0 || gate_start() != 0)
        return -1;
    rsa = keys_rsa(2048);
    p256 = keys_ec("P-256");
    keys_make_folder(folder);
    keys_write(folder, "www.pem", rsa);
    keys_write(folder, "ec.pem", p256);
    load_edges();
    return keystore_load(&keys, folder, group_secret, &fault);
}

static int stop(void **state)
{
    (void)state;
    keystore_free(keys);
    authorized_free(edges);
    keys_remove_folder(folder);
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(p256);
    gate_stop();
    return 0;
}

static struct wall_request request_of(unsigned edge, const struct operation *operation)
{
    struct wall_request request = {.token = 1, .kind = WALL_OPERATION, .from_family = AF_INET};
    make_edge_key(request.edge_key, edge);
    inet_pton(AF_INET, "192.0.2.7", request.from);
    request.operation = *operation;
    return request;
}

static void decide(const struct wall_request *request, struct judgement *out)
{
    static const uint8_t epoch_secret[32] = {1};
    const struct judge judge = {.edges = edges, .keys = keys, .epoch_secret = epoch_secret};
    const struct moment now = {.epoch = 5};
    judge_request(&judge, request, &now, out);
}

static enum wall_refusal judge(const struct wall_request *request)
{
    assert_int_equal(wall_request_check(request), 0);
    struct judgement judgement;
    decide(request, &judgement);
    return judgement.refusal;
}

static struct operation good_operation(enum operation_kind kind)
{
    uint8_t block[256], secret[TLS_PREMASTER_SIZE] = {3, 3};
    if (kind == OP_SIGN_TLS13)
        return keys_tls13(rsa, SCHEME_RSA_PSS_RSAE_SHA256, 32);
    if (kind == OP_SIGN_TLS12)
        return keys_tls12(rsa, SCHEME_RSA_PKCS1_SHA256, CURVE_X25519);
    keys_pad(block, sizeof block, secret);
    return keys_premaster(rsa, 0x0303, block);
}

/* Makes a scheme that does not fit. */
static void spoil_scheme(struct operation *operation)
{
    if (operation->kind == OP_SIGN_TLS13)
        operation->u.sign_tls13.scheme = SCHEME_RSA_PKCS1_SHA256;
    else if (operation->kind == OP_SIGN_TLS12)
        operation->u.sign_tls12.scheme = SCHEME_ED25519;
    else
        keys_id(p256, operation->key_id); /* not a key that decrypts */
}

static void spoil_structure(struct operation *operation)
{
    if (operation->kind == OP_SIGN_TLS13)
        operation->u.sign_tls13.hash_length = 31;
    else if (operation->kind == OP_SIGN_TLS12)
        operation->u.sign_tls12.params_length--;
    else
        operation->u.rsa_premaster.ciphertext_length--;
}

/* What is asked wrongly, as bits. */
enum { STRANGER = 1, UNKNOWN_KEY = 2, BAD_SCHEME = 4, BAD_STRUCTURE = 8, ASKED_WRONGLY = 16 };

/* The first thing that is wrong, in the order of the house. */
static enum wall_refusal expected(unsigned edge, unsigned wrong, enum operation_kind kind)
{
    static const unsigned denied[OP_KINDS] = {
        [OP_SIGN_TLS13] = NO_TLS13, [OP_SIGN_TLS12] = NO_TLS12, [OP_RSA_PREMASTER] = NO_PREMASTER};
    if (wrong & STRANGER)
        return REFUSAL_UNKNOWN_EDGE;
    if (edge & FROM_ELSEWHERE)
        return REFUSAL_FROM;
    if (wrong & UNKNOWN_KEY)
        return REFUSAL_UNKNOWN_KEY;
    if (edge & OTHER_KEY)
        return REFUSAL_KEY_NOT_GRANTED;
    if (edge & denied[kind])
        return REFUSAL_OPERATION_NOT_GRANTED;
    if (wrong & BAD_SCHEME)
        return REFUSAL_SCHEME;
    return wrong & BAD_STRUCTURE ? REFUSAL_STRUCTURE : REFUSAL_NONE;
}

static void every_combination_is_refused_for_its_first_cause(void **state)
{
    static const enum operation_kind kinds[] = {OP_SIGN_TLS13, OP_SIGN_TLS12, OP_RSA_PREMASTER};
    unsigned granted = 0;
    (void)state;
    for (size_t k = 0; k < 3; k++)
        for (unsigned wrong = 0; wrong < ASKED_WRONGLY; wrong++)
            for (unsigned edge = 0; edge < EDGES; edge++) {
                struct operation operation = good_operation(kinds[k]);
                if (wrong & BAD_STRUCTURE)
                    spoil_structure(&operation);
                if (wrong & BAD_SCHEME)
                    spoil_scheme(&operation);
                if (wrong & UNKNOWN_KEY)
                    operation.key_id[31] ^= 1;
                struct wall_request request = request_of(wrong & STRANGER ? EDGES : edge, &operation);
                enum wall_refusal refusal = judge(&request);
                if (refusal != expected(edge, wrong, kinds[k]))
                    fail_msg("op %s edge %u wrong %u: %s", operation_name(kinds[k]), edge, wrong,
                             wall_refusal_name(refusal));
                granted += refusal == REFUSAL_NONE;
            }
    assert_int_equal(granted,
                     3 * 4); /* each kind by half of the eight lines with the right key and network */
}

static void a_judgement_names_edge_and_key_as_far_as_they_are_known(void **state)
{
    struct operation operation = good_operation(OP_SIGN_TLS13);
    struct wall_request request = request_of(0, &operation);
    (void)state;
    struct judgement judgement;
    decide(&request, &judgement);
    assert_int_equal(judgement.refusal, REFUSAL_NONE);
    assert_string_equal(judgement.claim.edge->name, "edge0");
    assert_string_equal(judgement.claim.key->name, "www");
    request.operation.key_id[0] ^= 1;
    decide(&request, &judgement);
    assert_string_equal(judgement.claim.edge->name, "edge0");
    assert_null(judgement.claim.key);
    request.edge_key[5] ^= 1;
    decide(&request, &judgement);
    assert_null(judgement.claim.edge);
    assert_null(judgement.claim.key);
}

static void keys_may_be_asked_by_every_known_edge_from_its_network(void **state)
{
    struct operation operation = {.kind = OP_KEYS};
    (void)state;
    for (unsigned edge = 0; edge <= EDGES; edge++) {
        struct wall_request request = request_of(edge, &operation);
        assert_int_equal(judge(&request), edge == EDGES           ? REFUSAL_UNKNOWN_EDGE
                                          : edge & FROM_ELSEWHERE ? REFUSAL_FROM
                                                                  : REFUSAL_NONE);
    }
}

static void operations_nobody_knows_are_refused(void **state)
{
    static const unsigned kinds[] = {0, OP_PING, OP_KINDS, 31, 32, 33, 35, 0x80000003, 0xffffffff};
    struct operation operation = good_operation(OP_SIGN_TLS13);
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        operation.kind = (enum operation_kind)kinds[i];
        struct wall_request request = request_of(0, &operation);
        assert_int_equal(judge(&request), REFUSAL_UNKNOWN_OPERATION);
    }
}

static void addresses_of_every_family_are_compared(void **state)
{
    static const struct {
        int family;
        const char *text;
        enum wall_refusal refusal;
    } froms[] = {
        {AF_INET, "192.0.2.0", REFUSAL_NONE},
        {AF_INET, "192.0.2.255", REFUSAL_NONE},
        {AF_INET, "192.0.1.255", REFUSAL_FROM},
        {AF_INET, "192.0.3.0", REFUSAL_FROM},
        {AF_INET6, "2001:db8::1", REFUSAL_NONE},
        {AF_INET6, "2001:db9::1", REFUSAL_FROM},
        {AF_INET6, "::ffff:192.0.2.9", REFUSAL_NONE},
        {AF_INET6, "::ffff:192.0.3.9", REFUSAL_FROM},
        {0, NULL, REFUSAL_FROM},
    };
    struct operation operation = {.kind = OP_KEYS};
    (void)state;
    for (size_t i = 0; i < sizeof froms / sizeof froms[0]; i++) {
        struct wall_request request = request_of(0, &operation);
        memset(request.from, 0, sizeof request.from);
        request.from_family = (uint32_t)froms[i].family;
        if (froms[i].text != NULL)
            assert_int_equal(inet_pton(froms[i].family, froms[i].text, request.from), 1);
        assert_int_equal(judge(&request), froms[i].refusal);
    }
}

static void grants_are_what_edge_and_key_have_in_common(void **state)
{
    const struct judge plain = {.edges = edges, .keys = keys};
    const struct key *ec = NULL, *www = NULL;
    (void)state;
    for (size_t i = 0; i < keystore_count(keys); i++)
        *(keystore_at(keys, i)->type == KEY_RSA ? &www : &ec) = keystore_at(keys, i);
    for (unsigned i = 0; i < EDGES; i++) {
        const struct authorized_edge *edge = authorized_at(edges, i);
        uint32_t sign = (i & NO_TLS13 ? 0 : 1u << OP_SIGN_TLS13) | (i & NO_TLS12 ? 0 : 1u << OP_SIGN_TLS12);
        uint32_t all = sign | (i & NO_PREMASTER ? 0 : 1u << OP_RSA_PREMASTER);
        assert_int_equal(judge_grants(&plain, edge, ec), i & OTHER_KEY ? 0 : sign);
        assert_int_equal(judge_grants(&plain, edge, www), i & OTHER_KEY ? 0 : all);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_combination_is_refused_for_its_first_cause),
        cmocka_unit_test(a_judgement_names_edge_and_key_as_far_as_they_are_known),
        cmocka_unit_test(keys_may_be_asked_by_every_known_edge_from_its_network),
        cmocka_unit_test(operations_nobody_knows_are_refused),
        cmocka_unit_test(addresses_of_every_family_are_compared),
        cmocka_unit_test(grants_are_what_edge_and_key_have_in_common),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
