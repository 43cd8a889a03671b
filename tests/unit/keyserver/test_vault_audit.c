/* The vault's account: what it decides stands in the audit log and in the access log before it is answered.
 */
#include "tests/unit/keyserver/vault_audit_rig.h"

#include "keyserver/vault/request/request_identity.h"

/* The log's lines of a turn are written when its answers have left: before the next turn. */
static void await_log(void)
{
    struct operation operation = signing();
    operation.u.sign_tls13.scheme = SCHEME_ED25519; /* which its key cannot do */
    assert_int_equal(rig_ask(&rig, EDGE_SIGNER, &operation).status, STATUS_REFUSED);
}

static void assert_same_trace(const char *event)
{
    struct trace_id trace;
    char text[2 * TRACE_ID_SIZE + 1], line[128];
    memset(trace.bytes, (int)(uint8_t)next_token, sizeof trace.bytes);
    await_log();
    snprintf(line, sizeof line, "trace=%s\n", trace_id_text(&trace, text));
    const char *log = rig_find_in_log(&rig, event);
    assert_non_null(log);
    assert_non_null(strstr(log, line));
}

static void a_use_is_recorded_with_all_that_names_it(void **state)
{
    struct operation operation = signing();
    uint8_t digest[REQUEST_DIGEST_SIZE];
    (void)state;
    assert_int_equal(ask(EDGE_SIGNER, &operation), STATUS_OK);
    const struct audit_record *use = find(AUDIT_USE, next_token);
    assert_non_null(use);
    assert_string_equal(use->edge, "edge1");
    assert_string_equal(use->key, "p256");
    assert_string_equal(use->op, "sign_tls13");
    assert_string_equal(use->scheme, "ecdsa_secp256r1_sha256");
    assert_string_equal(use->mode, "");
    assert_int_equal(use->result, AUDIT_OK);
    assert_memory_equal(use->channel, "channel1", CHANNEL_NAME_SIZE);
    struct hasher hasher;
    assert_int_equal(hasher_init(&hasher), 0);
    request_digest(&hasher, digest, &operation);
    hasher_clear(&hasher);
    assert_memory_equal(use->digest, digest, sizeof digest);
    assert_same_trace("event=request edge=edge1 op=sign_tls13 key=p256 scheme=ecdsa_secp256r1_sha256 sni=- "
                      "result=ok");
}

static void a_refusal_is_recorded_with_its_reason(void **state)
{
    struct operation operation = signing();
    (void)state;
    assert_int_equal(ask(EDGE_OTHER_KEY, &operation), STATUS_REFUSED);
    const struct audit_record *use = find(AUDIT_USE, next_token);
    assert_non_null(use);
    assert_string_equal(use->edge, "edge2");
    assert_string_equal(use->key, "p256");
    assert_int_equal(use->result, AUDIT_REFUSED);
    assert_string_equal(use->reason, "key_not_granted");
    assert_same_trace("event=request_refused edge=edge2");
    assert_null(strstr(rig_log(&rig), "event=request "));
}

static void strangers_are_recorded_by_their_key(void **state)
{
    struct operation operation = signing();
    uint8_t key[32];
    (void)state;
    rig_edge_key(key, EDGE_STRANGER);
    assert_int_equal(ask(EDGE_STRANGER, &operation), STATUS_REFUSED);
    const struct audit_record *use = find(AUDIT_USE, next_token);
    assert_non_null(use);
    assert_string_equal(use->edge, "");
    assert_memory_equal(use->edge_key, key, sizeof key);
    assert_string_equal(use->reason, "unknown_edge");
}

/* Good and bad ciphertexts have the same record, but for what names the request. */
static void whether_a_padding_was_right_is_not_recorded(void **state)
{
    struct audit_record seen[2];
    (void)state;
    for (unsigned bad = 0; bad < 2; bad++) {
        uint8_t block[256], secret[TLS_PREMASTER_SIZE] = {3, 3, 9};
        keys_pad(block, sizeof block, secret);
        block[1] ^= (uint8_t)bad;
        struct operation operation = keys_premaster(rig.pkey[HAS_RSA], 0x0303, block);
        assert_int_equal(ask(EDGE_ALL, &operation), STATUS_OK);
        const struct audit_record *use = find(AUDIT_USE, next_token);
        assert_non_null(use);
        assert_string_equal(use->mode, "plain");
        seen[bad] = *use;
        seen[bad].seq = seen[bad].time_ms = 0;
        memset(seen[bad].trace, 0, sizeof seen[bad].trace);
        memset(seen[bad].hash, 0, sizeof seen[bad].hash);
        memset(seen[bad].digest, 0, sizeof seen[bad].digest);
    }
    assert_memory_equal(&seen[0], &seen[1], sizeof seen[0]);
}

static void what_asks_for_no_key_is_not_recorded(void **state)
{
    const struct operation list = {.kind = OP_KEYS};
    struct wall_request request = rig_request(++next_token, EDGE_ALL, &list), wrong = request;
    (void)state;
    rig_send(&rig, &request, 1);
    assert_int_equal(rig_next(&rig, PATIENCE_MS)->kind, WALL_KEYS);
    wrong.token = ++next_token;
    wrong.operation.kind = OP_KINDS;
    rig_send(&rig, &wrong, 1);
    assert_int_equal(rig_outcome(&rig, next_token).status, STATUS_REFUSED);
    wrong.token = ++next_token;
    wrong.kind = 99;
    rig_send(&rig, &wrong, 1);
    assert_int_equal(rig_outcome(&rig, next_token).status, STATUS_REFUSED);
    assert_non_null(rig_find_in_log(&rig, "event=wall_malformed"));
    assert_int_equal(count(AUDIT_USE), 1); /* of the unknown operation */
    assert_string_equal(find(AUDIT_USE, request.token)->reason, "unknown_operation");
}

#define MANY 96 /* more than are computed before the vault has read on */

static void what_nobody_waits_for_is_recorded_as_that(void **state)
{
    struct operation rsa = keys_tls13(rig.pkey[HAS_RSA], SCHEME_RSA_PSS_RSAE_SHA256, 32);
    static struct wall_request requests[2 * MANY];
    (void)state;
    uint64_t first = next_token + 1;
    for (unsigned i = 0; i < MANY; i++) {
        requests[i] = rig_request(++next_token, EDGE_SIGNER, &rsa);
        requests[MANY + i] = requests[i];
        requests[MANY + i].kind = WALL_CANCEL;
    }
    rig_send(&rig, requests, 2 * MANY);
    struct operation late = signing();
    struct wall_request expired = rig_request(++next_token, EDGE_SIGNER, &late);
    expired.deadline_ns = 1;
    rig_send(&rig, &expired, 1);
    struct wall_request last = rig_request(++next_token, EDGE_SIGNER, &rsa); /* behind all of them */
    rig_send(&rig, &last, 1);
    const struct wall_answer *answer;
    size_t answered = 0;
    while ((answer = rig_next(&rig, PATIENCE_MS)) != NULL && answer->token != next_token)
        answered += answer->u.outcome.status == STATUS_OK;
    assert_non_null(answer);
    answered++;
    assert_int_equal(find(AUDIT_USE, expired.token)->result, AUDIT_EXPIRED);
    assert_int_equal(rig_end(&rig), 0);
    size_t cancelled = 0, ok = 0;
    read_records();
    for (size_t i = 0; i < record_count; i++) {
        cancelled += records[i].type == AUDIT_USE && records[i].result == AUDIT_CANCELLED;
        ok += records[i].type == AUDIT_USE && records[i].result == AUDIT_OK;
    }
    assert_in_range(ok, answered, answered + BATCH_MAX); /* another thread's may come after the last */
    assert_true(first + cancelled + ok <= next_token + 1);
    assert_true(cancelled > 0);
}

static size_t count_lines(const char *with)
{
    size_t lines = 0;
    for (const char *at = rig_log(&rig); (at = strstr(at, with)) != NULL; at += strlen(with))
        lines++;
    return lines;
}

/* A thread of the vault's writes them. */
static void await_lines(const char *with, size_t count)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    for (int i = 0; i < PATIENCE_MS && count_lines(with) < count; i++)
        nanosleep(&pause, NULL);
    assert_int_equal(count_lines(with), count);
}

/* Which costs an edge nothing. Its uses, in between, have a line each. */
static void lines_of_what_was_not_computed_are_held_back(void **state)
{
    enum { ROUNDS = 32 };
    struct wall_request expired[16];
    struct operation operation = signing();
    (void)state;
    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < 16; i++) {
            expired[i] = rig_request(++next_token, EDGE_SIGNER, &operation);
            expired[i].deadline_ns = 1;
        }
        rig_send(&rig, expired, 16);
        for (size_t i = 0; i < 16; i++) {
            const struct wall_answer *answer = rig_next(&rig, PATIENCE_MS);
            assert_non_null(answer);
            assert_int_equal(answer->u.outcome.status, STATUS_EXPIRED);
        }
        assert_int_equal(ask(EDGE_SIGNER, &operation), STATUS_OK);
    }
    await_lines(
        "event=request edge=edge1 op=sign_tls13 key=p256 scheme=ecdsa_secp256r1_sha256 sni=- result=ok",
        ROUNDS);
    assert_in_range(count_lines(" result=expired"), 1, 16 * ROUNDS / 2);
}

static void a_log_that_cannot_be_opened_ends_it_with_2(void **state)
{
    char missing[] = "/nonexistent/audit";
    (void)state;
    assert_int_equal(rig_end(&rig), 0);
    rig.config.audit.folder = missing;
    assert_false(rig_start(&rig));
    rig.config.audit.folder = rig.audit;
    assert_int_equal(rig_end(&rig), 2);
    assert_non_null(rig_find_in_log(&rig, missing));
}

static void the_access_log_can_be_off(void **state)
{
    struct operation operation = signing();
    (void)state;
    assert_int_equal(rig_end(&rig), 0);
    rig.config.access_log = false;
    assert_true(rig_start(&rig));
    rig.config.access_log = true;
    assert_int_equal(ask(EDGE_SIGNER, &operation), STATUS_OK);
    assert_null(strstr(rig_log(&rig), "event=request "));
    assert_non_null(find(AUDIT_USE, next_token));
}

static void a_trial_leaves_no_record_of_a_start(void **state)
{
    (void)state;
    assert_int_equal(count(AUDIT_START), 1);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        if (freopen("/dev/null", "w", stdout) == NULL)
            _exit(99);
        _exit(vault_try(&rig.config, "server.conf"));
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(rig_end(&rig), 0);
    assert_int_equal(count(AUDIT_START), 1);
    assert_int_equal(count(AUDIT_STOP), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_use_is_recorded_with_all_that_names_it),
        TEST(a_refusal_is_recorded_with_its_reason),
        TEST(strangers_are_recorded_by_their_key),
        TEST(whether_a_padding_was_right_is_not_recorded),
        TEST(what_asks_for_no_key_is_not_recorded),
        TEST(what_nobody_waits_for_is_recorded_as_that),
        TEST(lines_of_what_was_not_computed_are_held_back),
        TEST(a_log_that_cannot_be_opened_ends_it_with_2),
        TEST(the_access_log_can_be_off),
        TEST(a_trial_leaves_no_record_of_a_start),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
