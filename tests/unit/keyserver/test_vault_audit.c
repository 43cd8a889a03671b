/* The vault's account: what it decides stands in the audit log and in the access log before it is answered,
 * and what cannot stand there is not answered. */
#include "tests/unit/keyserver/vault_rig.h"

#include <fcntl.h>
#include <glob.h>

#include <sys/file.h>
#include <sys/resource.h>

#include "keyserver/audit/audit_record.h"
#include "keyserver/vault/audit/audit.h"
#include "keyserver/vault/request/request_identity.h"

static struct rig rig;
static uint64_t next_token = 5000;

static int start(void **state)
{
    (void)state;
    rig_set_up(&rig);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    rig_tear_down(&rig);
    return 0;
}

/* Each test has a log of its own. */
static int set_up(void **state)
{
    (void)state;
    keys_remove_folder(rig.audit);
    rig.config.audit.on_failure = SERVER_AUDIT_REFUSE;
    return rig_start(&rig) ? 0 : -1;
}

static int tear_down(void **state)
{
    rig_forget_left(&rig);
    (void)state;
    return rig.pid == 0 ? 0 : rig_end(&rig);
}

/* ---- the log, read back ---- */

static struct audit_record records[4096];
static size_t record_count;

/* The log's files, oldest first; globfree() is the caller's. */
static glob_t files_of_log(void)
{
    glob_t files;
    char pattern[KEYS_PATH_SIZE + 64];
    snprintf(pattern, sizeof pattern, "%s/audit-*.jsonl", rig.audit);
    assert_int_equal(glob(pattern, 0, NULL, &files), 0);
    return files;
}

static void read_file(const char *path)
{
    static char line[AUDIT_LINE_MAX + 1];
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    for (; fgets(line, sizeof line, file) != NULL; record_count++) {
        assert_true(record_count < 4096);
        assert_int_equal(audit_record_parse(&records[record_count], line, strcspn(line, "\n")), 0);
    }
    fclose(file);
}

static void read_records(void)
{
    glob_t files = files_of_log();
    record_count = 0;
    for (size_t i = 0; i < files.gl_pathc; i++)
        read_file(files.gl_pathv[i]);
    globfree(&files);
}

/* The only record of TYPE and, if it is a use, of the trace that rig_request() gives TOKEN; NULL if none. */
static const struct audit_record *find(enum audit_type type, uint64_t token)
{
    const struct audit_record *found = NULL;
    read_records();
    for (size_t i = 0; i < record_count; i++) {
        if (records[i].type != type || (type == AUDIT_USE && records[i].trace[0] != (uint8_t)token))
            continue;
        assert_null(found);
        found = &records[i];
    }
    return found;
}

static size_t count(enum audit_type type)
{
    size_t n = 0;
    read_records();
    for (size_t i = 0; i < record_count; i++)
        n += records[i].type == type;
    return n;
}

/* ---- asking ---- */

static struct operation signing(void)
{
    return keys_tls13(rig.pkey[HAS_P256], SCHEME_ECDSA_P256_SHA256, 32);
}

/* As EDGE with its own token; its answer came when this returns. */
static enum operation_status ask(unsigned edge, const struct operation *operation)
{
    struct wall_request request = rig_request(++next_token, edge, operation);
    memcpy(request.channel, "channel1", WALL_CHANNEL_SIZE);
    rig_send(&rig, &request, 1);
    return rig_outcome(&rig, next_token).status;
}

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
    assert_memory_equal(use->channel, "channel1", WALL_CHANNEL_SIZE);
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

/* ---- across vaults ---- */

static void a_quota_goes_on_after_a_restart(void **state)
{
    struct operation operation = signing();
    (void)state;
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(ask(EDGE_FEW, &operation), STATUS_OK);
    assert_int_equal(ask(EDGE_SIGNER, &operation), STATUS_OK);
    assert_int_equal(rig_end(&rig), 0);
    assert_true(rig_start(&rig));
    assert_int_equal(ask(EDGE_FEW, &operation), STATUS_OK);
    assert_int_equal(ask(EDGE_FEW, &operation), STATUS_REFUSED);
    assert_string_equal(find(AUDIT_USE, next_token)->reason, "quota");
    assert_int_equal(count(AUDIT_START), 2);
    assert_int_equal(count(AUDIT_STOP), 1);
}

/* Ends the other one before anything is asserted: nobody else would. */
static void a_quota_is_shared_by_two_vaults_at_once(void **state)
{
    struct operation operation = signing();
    struct rig other = rig;
    (void)state;
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(ask(EDGE_FEW, &operation), STATUS_OK);
    other.pid = 0;
    assert_true(rig_start(&other));
    enum operation_status third = rig_ask(&other, EDGE_FEW, &operation).status,
                          fourth = ask(EDGE_FEW, &operation),
                          fifth = rig_ask(&other, EDGE_FEW, &operation).status;
    assert_int_equal(rig_end(&other), 0);
    assert_int_equal(third, STATUS_OK);
    assert_int_equal(fourth, STATUS_REFUSED);
    assert_int_equal(fifth, STATUS_REFUSED);
}

/* As at a reload: the old one goes on until the new one has its first request, and that one counts from where
 * it is. */
static void a_quota_that_is_used_up_when_another_vault_takes_over_stays_so(void **state)
{
    struct operation operation = signing();
    struct rig other = rig;
    unsigned granted = 0;
    (void)state;
    other.pid = 0;
    assert_true(rig_start(&other));
    for (unsigned i = 0; i < 4; i++)
        granted += ask(EDGE_FEW, &operation) == STATUS_OK;
    enum operation_status first = rig_ask(&other, EDGE_FEW, &operation).status;
    assert_int_equal(rig_end(&other), 0);
    assert_int_equal(granted, 3);
    assert_int_equal(first, STATUS_REFUSED);
}

/* The epoch of an edge now. */
static uint64_t epoch_number(void)
{
    struct wall_request request = {.kind = WALL_EPOCH_WANTED};
    rig_edge_key(request.edge_key, EDGE_ALL);
    rig_send(&rig, &request, 1);
    const struct wall_answer *answer = rig_next(&rig, PATIENCE_MS);
    assert_non_null(answer);
    assert_int_equal(answer->kind, WALL_EPOCH);
    return answer->u.epoch.number;
}

/* As if the clock had been an hour ahead, and was set right between two vaults. */
static void put_log_ahead(void)
{
    struct fault fault = {.text = ""};
    struct audit *audit;
    static const uint8_t policy[AUDIT_KEY_SIZE];
    struct audit_time ahead = {.mono_ms = clock_ms(), .unix_ms = clock_unix_ms()};
    ahead.epoch_ms = ahead.unix_ms + 3600000;
    struct authorized *edges;
    struct keystore *keys;
    const uint8_t secret[32] = {1};
    log_init("test", LOG_ERROR, LOG_LOGFMT);
    assert_int_equal(authorized_load(&edges, rig.edges_file, &fault), 0);
    assert_int_equal(keystore_load(&keys, NULL, rig.keys, secret, NULL, &fault), 0);
    assert_int_equal(audit_open(&audit, &rig.config.audit, NULL, NULL, NULL, &ahead, &fault), 0);
    assert_int_equal(audit_start(audit, edges, keys, policy, &ahead), 0);
    audit_close(audit);
    keystore_free(keys);
    authorized_free(edges);
}

static void epochs_never_go_back_behind_the_log(void **state)
{
    uint64_t before = epoch_number();
    (void)state;
    assert_int_equal(rig_end(&rig), 0);
    put_log_ahead();
    assert_true(rig_start(&rig));
    assert_in_range(epoch_number(), before + 120, before + 125);
    rig_await_stats(&rig);
    assert_in_range(rig.stats.epoch_ahead_ms, 3590000, 3601000);
}

/* A vault with short epochs that is ahead of the clock and records nothing dies; returns the epoch it was in.
 */
static uint64_t live_ahead_and_die(void)
{
    assert_int_equal(rig_end(&rig), 0);
    put_log_ahead();
    rig.config.epoch = 100;
    assert_true(rig_start(&rig));
    uint64_t first = epoch_number(), last = first, end = clock_ms() + PATIENCE_MS;
    while (last < first + 30 && clock_ms() < end)
        last = epoch_number();
    assert_true(last >= first + 30);
    kill(rig.pid, SIGKILL);
    assert_int_equal(rig_end(&rig), 128 + SIGKILL);
    return last;
}

static void epochs_of_an_idle_vault_are_on_the_disk(void **state)
{
    uint64_t last = live_ahead_and_die();
    (void)state;
    assert_true(rig_start(&rig));
    assert_in_range(epoch_number(), last, last + 600);
}

/* Nothing is on the disk any more. */
static void epochs_are_handed_to_the_next_vault(void **state)
{
    (void)state;
    rig.hands_over = true;
    uint64_t last = live_ahead_and_die();
    keys_remove_folder(rig.audit);
    assert_int_equal(mkdir(rig.audit, 0700), 0);
    assert_true(rig_start(&rig));
    assert_in_range(epoch_number(), last, last + 600);
}

/* ---- a log that goes while vaults come and go ---- */

static bool use_up(void)
{
    struct operation operation = signing();
    bool good = true;
    for (unsigned i = 0; i < 3; i++)
        good = ask(EDGE_FEW, &operation) == STATUS_OK && good;
    rig_await_stats(&rig); /* what is handed over is as it is now */
    return good && ask(EDGE_FEW, &operation) == STATUS_REFUSED;
}

static void begin_handing_over(void)
{
    assert_int_equal(rig_end(&rig), 0);
    rig.hands_over = true;
    assert_true(rig_start(&rig));
}

static void empty_folder(void)
{
    keys_remove_folder(rig.audit);
    assert_int_equal(mkdir(rig.audit, 0700), 0);
}

/* The first record of the newest file, and whether all is refused that was used up. */
static void assert_log_goes_on(struct rig *vault, uint64_t after)
{
    struct operation operation = signing();
    glob_t files = files_of_log();
    assert_true(audit_file_seq(strrchr(files.gl_pathv[files.gl_pathc - 1], '/') + 1) > after);
    globfree(&files);
    assert_int_equal(rig_ask(vault, EDGE_FEW, &operation).status, STATUS_REFUSED);
}

static void what_was_used_of_a_quota_outlasts_the_log(void **state)
{
    (void)state;
    begin_handing_over();
    assert_true(use_up());
    rig_await_stats(&rig);
    uint64_t seq = rig.stats.audit_seq;
    kill(rig.pid, SIGKILL);
    assert_int_equal(rig_end(&rig), 128 + SIGKILL);
    empty_folder();
    assert_true(rig_start(&rig));
    assert_log_goes_on(&rig, seq);
    assert_non_null(rig_find_in_log(&rig, "event=audit_damaged"));
}

/* A use that is answered, and was not the next one after another, is left by then: no moment passes until the
 * death. */
static void a_use_that_is_answered_counts_after_a_death(void **state)
{
    struct operation operation = signing();
    (void)state;
    begin_handing_over();
    for (unsigned i = 0; i < 3; i++) {
        rig_await_stats(&rig);
        assert_int_equal(ask(EDGE_FEW, &operation), STATUS_OK);
    }
    kill(rig.pid, SIGKILL);
    assert_int_equal(rig_end(&rig), 128 + SIGKILL);
    empty_folder();
    assert_true(rig_start(&rig));
    assert_int_equal(ask(EDGE_FEW, &operation), STATUS_REFUSED);
}

/* The one before goes on in another file as soon as it sees that its own is gone; there is one chain. */
static void a_log_that_goes_in_a_reload_goes_on(void **state)
{
    struct rig other;
    (void)state;
    begin_handing_over();
    assert_true(use_up());
    uint64_t seq = rig.stats.audit_seq;
    glob_t files;
    char found[PATH_MAX];
    snprintf(found, sizeof found, "%s/*", rig.audit);
    assert_int_equal(glob(found, 0, NULL, &files), 0);
    for (size_t i = 0; i < files.gl_pathc; i++)
        assert_int_equal(unlink(files.gl_pathv[i]), 0);
    globfree(&files);
    other = rig;
    other.pid = 0;
    other.served = true;
    bool ready = rig_start(&other);
    rig.before_fd = 0; /* the other's now */
    assert_true(ready);
    assert_log_goes_on(&other, seq);
    assert_int_equal(rig_end(&other), 0);
    rig_forget_left(&other);
}

/* For two vaults to which counts are handed, and for one that has the folder alone. */
static void assert_used_up_for_good(void)
{
    struct operation operation = signing();
    for (unsigned i = 0; i < 3; i++) {
        if (i == 2)
            rig_forget_left(&rig);
        assert_true(rig_start(&rig));
        assert_int_equal(ask(EDGE_FEW, &operation), STATUS_REFUSED);
        assert_int_equal(rig_end(&rig), 0);
    }
}

/* The counts came to another log than that which they are counted in now: it must tell of them from then on,
 * also to who begins with nothing but the folder. */
static void a_folder_that_is_changed_and_changed_back_gives_no_quota_again(void **state)
{
    char other[KEYS_PATH_SIZE];
    (void)state;
    begin_handing_over();
    assert_int_equal(rig_end(&rig), 0);
    keys_make_folder(other);
    rig.config.audit.folder = other;
    assert_true(rig_start(&rig));
    bool used = use_up();
    int status = rig_end(&rig);
    keys_remove_folder(other);
    rig.config.audit.folder = rig.audit;
    assert_true(used);
    assert_int_equal(status, 0);
    assert_used_up_for_good();
}

/* The one before serves until the next one has begun to, and writes to a log that this one does not read. */
static void what_is_used_while_the_folder_is_changed_counts(void **state)
{
    char folder[KEYS_PATH_SIZE];
    struct operation operation = signing();
    struct rig other;
    unsigned granted = 0;
    (void)state;
    begin_handing_over();
    granted += ask(EDGE_FEW, &operation) == STATUS_OK;
    other = rig;
    other.pid = 0;
    other.served = true;
    keys_make_folder(folder);
    other.config.audit.folder = folder;
    bool ready = rig_start(&other);
    rig.before_fd = 0; /* the other's now */
    for (unsigned i = 0; ready && i < 3; i++) {
        rig_await_stats(&rig); /* each of them is left when it is answered */
        granted += ask(EDGE_FEW, &operation) == STATUS_OK;
    }
    for (unsigned i = 0; ready && i < 2; i++)
        rig_await_stats(&other); /* it has looked since */
    enum operation_status first = ready ? rig_ask(&other, EDGE_FEW, &operation).status : STATUS_OK;
    int status = rig_end(&other);
    rig_forget_left(&other);
    bool again = rig_start(&other); /* with the folder alone */
    enum operation_status second = again ? rig_ask(&other, EDGE_FEW, &operation).status : STATUS_OK;
    (void)rig_end(&other);
    keys_remove_folder(folder);
    assert_true(ready && again);
    assert_int_equal(status, 0);
    assert_int_equal(granted, 3);
    assert_int_equal(first, STATUS_REFUSED);
    assert_int_equal(second, STATUS_REFUSED);
}

static void a_vault_that_serves_is_not_left_behind_in_another_folder(void **state)
{
    char moved[KEYS_PATH_SIZE + 8];
    struct rig other;
    (void)state;
    begin_handing_over();
    assert_true(use_up());
    snprintf(moved, sizeof moved, "%s.moved", rig.audit);
    assert_int_equal(rename(rig.audit, moved), 0);
    assert_int_equal(mkdir(rig.audit, 0700), 0);
    other = rig;
    other.pid = 0;
    other.served = true;
    other.before_fd = dup(rig.before_fd);
    bool ready = rig_start(&other);
    bool said = rig_find_in_log(&other, "move it back and reload") != NULL;
    int status = rig_end(&other);
    rig_forget_left(&other);
    bool empty = rmdir(rig.audit) == 0;
    assert_int_equal(rename(moved, rig.audit), 0);
    assert_false(ready);
    assert_true(said);
    assert_int_equal(status, 2);
    assert_true(empty);
    other = rig;
    other.pid = 0;
    other.served = true;
    ready = rig_start(&other);
    rig.before_fd = 0;
    assert_true(ready);
    assert_int_equal(rig_end(&other), 0);
    rig_forget_left(&other);
}

/* ---- a log that cannot be written ---- */

/* No file of the vault grows beyond SIZE; 0: as large as it likes. Its own log is one of them. */
static void limit_files(uint64_t size)
{
    struct rlimit limit;
    assert_int_equal(prlimit(rig.pid, RLIMIT_FSIZE, NULL, &limit), 0);
    limit.rlim_cur = size == 0 ? limit.rlim_max : size;
    assert_int_equal(prlimit(rig.pid, RLIMIT_FSIZE, &limit, NULL), 0);
}

static void await_failing(uint32_t failing)
{
    uint64_t until = clock_ms() + PATIENCE_MS;
    do
        rig_await_stats(&rig);
    while (rig.stats.audit_failing != failing && clock_ms() < until);
    assert_int_equal(rig.stats.audit_failing, failing);
}

static void without_a_record_there_is_no_answer(void **state)
{
    struct operation operation = signing();
    (void)state;
    assert_int_equal(ask(EDGE_SIGNER, &operation), STATUS_OK);
    limit_files(1);
    assert_int_equal(ask(EDGE_SIGNER, &operation), STATUS_UNAVAILABLE); /* computed, and withheld */
    assert_int_equal(ask(EDGE_SIGNER, &operation), STATUS_UNAVAILABLE); /* not computed any more */
    assert_int_equal(ask(EDGE_OTHER_KEY, &operation), STATUS_UNAVAILABLE);
    await_failing(1);
    assert_int_equal(rig.stats.audit_withheld, 1);
    assert_int_equal(rig.stats.audit_unrecorded, 0);
    assert_int_equal(rig.stats.refusals[REFUSAL_AUDIT], 2);
    limit_files(0);
    await_failing(0);
    assert_int_equal(ask(EDGE_SIGNER, &operation), STATUS_OK);
    assert_int_equal(count(AUDIT_USE), 2);
    const struct audit_record *gap = find(AUDIT_GAP, 0);
    assert_non_null(gap);
    assert_int_equal(gap->withheld, 1);
    assert_int_equal(gap->unrecorded, 0);
}

/* Holds the lock of the newest file, so that nothing can be recorded; the descriptor is the caller's. */
static int hold_log(void)
{
    glob_t files = files_of_log();
    int fd = open(files.gl_pathv[files.gl_pathc - 1], O_RDONLY | O_CLOEXEC);
    globfree(&files);
    assert_true(fd >= 0);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    return fd;
}

/* Two of three are used while nothing can be recorded. */
static int use_up_unrecorded(void)
{
    struct operation operation = signing();
    rig.config.audit.on_failure = SERVER_AUDIT_SERVE;
    begin_handing_over();
    assert_int_equal(ask(EDGE_FEW, &operation), STATUS_OK);
    int fd = hold_log();
    assert_int_equal(ask(EDGE_FEW, &operation), STATUS_OK);
    assert_int_equal(ask(EDGE_FEW, &operation), STATUS_OK);
    await_failing(1);
    assert_int_equal(ask(EDGE_FEW, &operation), STATUS_REFUSED);
    assert_int_equal(rig.stats.audit_unrecorded, 2);
    return fd;
}

static void what_was_used_unrecorded_counts_after_a_death(void **state)
{
    (void)state;
    int fd = use_up_unrecorded();
    kill(rig.pid, SIGKILL);
    assert_int_equal(rig_end(&rig), 128 + SIGKILL);
    close(fd);
    assert_used_up_for_good();
}

static void what_was_used_unrecorded_counts_after_a_recovery(void **state)
{
    (void)state;
    int fd = use_up_unrecorded();
    close(fd);
    await_failing(0);
    assert_int_equal(rig_end(&rig), 0);
    assert_used_up_for_good();
}

static void add_used(const struct handover_count *count, void *sum)
{
    *(uint64_t *)sum += count->used;
}

/* What the next vault would count of all quotas. */
static uint64_t left_used(void)
{
    struct handover reader;
    uint64_t sum = 0;
    handover_init(&reader, rig.before_fd, -1, false);
    (void)handover_each_count(&reader, 0, SIZE_MAX, add_used, &sum);
    return sum;
}

/* The files of the log are below the limit, the memory file would be above it. */
static void what_cannot_be_left_is_told_once_and_left_later(void **state)
{
    struct operation operation = signing();
    uint64_t until = clock_ms() + PATIENCE_MS;
    (void)state;
    begin_handing_over();
    limit_files(2 * 4096 + EDGE_FEW * 256);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(ask(EDGE_FEW, &operation), STATUS_OK);
    rig_await_stats(&rig);
    const char *line = rig_find_in_log(&rig, "event=audit_counts_lost");
    bool said = line != NULL, once = said && strstr(line + 1, "event=audit_counts_lost") == NULL;
    uint64_t before = left_used();
    limit_files(0);
    while (left_used() < 3 && clock_ms() < until)
        rig_await_stats(&rig);
    assert_true(said && once);
    assert_int_equal(before, 0);
    assert_int_equal(left_used(), 3);
}

static void who_prefers_service_has_the_number(void **state)
{
    struct operation operation = signing();
    (void)state;
    assert_int_equal(rig_end(&rig), 0);
    rig.config.audit.on_failure = SERVER_AUDIT_SERVE;
    assert_true(rig_start(&rig));
    limit_files(1);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(ask(EDGE_SIGNER, &operation), STATUS_OK);
    assert_int_equal(ask(EDGE_OTHER_KEY, &operation), STATUS_REFUSED);
    await_failing(1);
    assert_int_equal(rig.stats.audit_unrecorded, 3);
    limit_files(0);
    await_failing(0);
    assert_int_equal(find(AUDIT_GAP, 0)->unrecorded, 3);
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
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_use_is_recorded_with_all_that_names_it),
        TEST(a_refusal_is_recorded_with_its_reason),
        TEST(strangers_are_recorded_by_their_key),
        TEST(whether_a_padding_was_right_is_not_recorded),
        TEST(what_asks_for_no_key_is_not_recorded),
        TEST(what_nobody_waits_for_is_recorded_as_that),
        TEST(a_quota_goes_on_after_a_restart),
        TEST(a_quota_is_shared_by_two_vaults_at_once),
        TEST(a_quota_that_is_used_up_when_another_vault_takes_over_stays_so),
        TEST(epochs_never_go_back_behind_the_log),
        TEST(epochs_of_an_idle_vault_are_on_the_disk),
        TEST(epochs_are_handed_to_the_next_vault),
        TEST(what_was_used_of_a_quota_outlasts_the_log),
        TEST(a_use_that_is_answered_counts_after_a_death),
        TEST(a_log_that_goes_in_a_reload_goes_on),
        TEST(a_folder_that_is_changed_and_changed_back_gives_no_quota_again),
        TEST(what_is_used_while_the_folder_is_changed_counts),
        TEST(a_vault_that_serves_is_not_left_behind_in_another_folder),
        TEST(without_a_record_there_is_no_answer),
        TEST(what_was_used_unrecorded_counts_after_a_death),
        TEST(what_was_used_unrecorded_counts_after_a_recovery),
        TEST(what_cannot_be_left_is_told_once_and_left_later),
        TEST(who_prefers_service_has_the_number),
        TEST(a_log_that_cannot_be_opened_ends_it_with_2),
        TEST(the_access_log_can_be_off),
        TEST(a_trial_leaves_no_record_of_a_start),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
