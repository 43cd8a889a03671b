/* The writer: what it records, when it signs and rotates, and what it makes of a log that it finds. */
#include "tests/unit/keyserver/audit_rig.h"
#include "tests/unit/skip.h"

static struct rig rig;

static int set_up(void **state)
{
    (void)state;
    rig_set_up(&rig);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_tear_down(&rig);
    return 0;
}

static mode_t mode_of(const char *path)
{
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    return info.st_mode & 07777;
}

static const struct audit_record *find(const struct rig_records *records, enum audit_type type)
{
    for (size_t i = 0; i < records->count; i++)
        if (records->item[i].type == type)
            return &records->item[i];
    fail_msg("no record of type %d", (int)type);
    return NULL;
}

static void the_first_start_makes_what_is_missing(void **state)
{
    char public[128];
    uint8_t key[SIGN_PUBLIC_SIZE];
    struct rig_records records;
    (void)state;
    rig_open(&rig);
    assert_int_equal(mode_of(rig.log), 0700);
    assert_int_equal(mode_of(rig.key), 0400);
    snprintf(public, sizeof public, "%s/audit.pub", rig.folder);
    assert_int_equal(mode_of(public), 0444);
    assert_int_equal(sign_load_public(key, public, &rig.fault), 0);
    rig_close(&rig);
    assert_int_equal(mode_of(rig_path(&rig, "audit-000000000001.jsonl")), 0600);
    assert_int_equal(mode_of(rig_path(&rig, "head")), 0600);
    rig_records(&rig, &records);
    assert_int_equal(records.item[0].type, AUDIT_SEGMENT);
    assert_memory_equal(records.item[0].public_key, key, sizeof key);
    assert_int_equal(records.item[0].quotas, 0);
    const struct audit_record *start = find(&records, AUDIT_START);
    assert_string_equal(start->version, KEYLESS_VERSION);
    assert_int_equal(start->edges, RIG_EDGES);
    assert_int_equal(start->keys, RIG_KEYS);
    assert_memory_equal(start->policy, rig_policy, sizeof rig_policy);
    assert_int_equal(start->torn, 0);
    assert_int_equal(records.item[records.count - 1].type, AUDIT_CHECKPOINT);
    assert_int_equal(records.item[records.count - 2].type, AUDIT_STOP);
    free(records.item);
    rig_assert_whole(&rig, false);
}

static void a_use_says_who_what_how_and_what_came_of_it(void **state)
{
    struct rig_records records;
    (void)state;
    rig_open(&rig);
    struct request_identity identity = rig_identity(&rig, 4);
    identity.kind = OP_RSA_MASTER;
    identity.scheme = 0;
    strcpy(identity.server_name, "www.example.com");
    rig.now.unix_ms += 77;
    audit_tick(rig.audit, &rig.now);
    audit_add(rig.audit, &identity, AUDIT_OK);
    assert_int_equal(audit_commit(rig.audit), 0);
    rig_close(&rig);
    rig_records(&rig, &records);
    const struct audit_record *use = find(&records, AUDIT_USE);
    assert_int_equal(use->time_ms, RIG_START_MS + 77);
    assert_string_equal(use->edge, "edge1");
    assert_string_equal(use->key, identity.key->name);
    assert_string_equal(use->op, "rsa_master");
    assert_string_equal(use->mode, "bound");
    assert_string_equal(use->scheme, "");
    assert_string_equal(use->name, "www.example.com");
    assert_memory_equal(use->trace, identity.trace.bytes, TRACE_ID_SIZE);
    assert_memory_equal(use->channel, identity.channel, CHANNEL_NAME_SIZE);
    assert_memory_equal(use->digest, identity.digest, REQUEST_DIGEST_SIZE);
    assert_int_equal(use->result, AUDIT_OK);
    assert_string_equal(use->reason, "");
    const struct audit_record *edge = find(&records, AUDIT_EDGE), *key = find(&records, AUDIT_KEY);
    assert_string_equal(edge->edge, "edge1");
    assert_memory_equal(edge->edge_key, identity.edge->key, sizeof edge->edge_key);
    assert_string_equal(key->key, identity.key->name);
    assert_memory_equal(key->key_id, identity.key->id, sizeof key->key_id);
    assert_string_equal(key->kind, "ed25519");
    assert_int_equal(key->bits, identity.key->bits);
    assert_true(edge < use && key < use);
    free(records.item);
}

static void names_are_explained_once_in_each_file(void **state)
{
    (void)state;
    rig_open(&rig);
    rig_use_many(&rig, 0, 30);
    assert_int_equal(rig_count(&rig, AUDIT_EDGE), RIG_EDGES);
    assert_int_equal(rig_count(&rig, AUDIT_KEY), RIG_KEYS);
    rig_close(&rig);
    rig_open(&rig);
    rig_use_many(&rig, 30, 30);
    rig_close(&rig);
    assert_int_equal(rig_count(&rig, AUDIT_EDGE), 2 * RIG_EDGES);
    rig_assert_uses(&rig, 0, 60);
    rig_assert_whole(&rig, false);
}

static void a_refusal_of_nobody_known_has_the_keys_that_were_sent(void **state)
{
    struct rig_records records;
    uint8_t edge_key[IDENTITY_KEY_SIZE];
    struct operation operation = {.kind = (enum operation_kind)99};
    const struct key_request request = {.edge_key = edge_key, .operation = &operation};
    const struct request_identity nobody = {.kind = (enum operation_kind)99, .scheme = 0x9999};
    (void)state;
    rig_open(&rig);
    memset(edge_key, 0x55, sizeof edge_key);
    memset(operation.key_id, 0x66, sizeof operation.key_id);
    audit_add_refusal(rig.audit, &nobody, &request, REFUSAL_UNKNOWN_EDGE);
    assert_int_equal(audit_commit(rig.audit), 0);
    rig_close(&rig);
    rig_records(&rig, &records);
    const struct audit_record *use = find(&records, AUDIT_USE);
    assert_string_equal(use->edge, "");
    assert_memory_equal(use->edge_key, edge_key, sizeof use->edge_key);
    assert_memory_equal(use->key_id, operation.key_id, sizeof use->key_id);
    assert_string_equal(use->op, "unknown");
    assert_string_equal(use->scheme, "0x9999");
    assert_int_equal(use->result, AUDIT_REFUSED);
    assert_string_equal(use->reason, "unknown_edge");
    free(records.item);
}

/* An edge may send zeros, and may send nothing: neither is taken for the other. */
static void zeros_that_were_sent_are_on_record(void **state)
{
    for (unsigned none = 0; none < 2; none++) {
        struct rig_records records;
        const uint8_t edge_key[IDENTITY_KEY_SIZE] = {0};
        const struct operation operation = {.kind = OP_SIGN_TLS13};
        const struct key_request request = {
            .edge_key = edge_key, .no_trace = none != 0, .no_key_id = none != 0, .operation = &operation};
        const struct request_identity identity = {.kind = OP_SIGN_TLS13, .no_trace = none != 0};
        (void)state;
        rig_open(&rig);
        audit_add_refusal(rig.audit, &identity, &request, REFUSAL_UNKNOWN_KEY);
        assert_int_equal(audit_commit(rig.audit), 0);
        rig_close(&rig);
        rig_records(&rig, &records);
        const struct audit_record *use = NULL;
        for (size_t i = 0; i < records.count; i++)
            use = records.item[i].type == AUDIT_USE ? &records.item[i] : use;
        assert_non_null(use);
        assert_string_equal(use->scheme, "0x0000");
        assert_int_equal(use->has, AUDIT_HAS_EDGE_KEY | AUDIT_HAS_CHANNEL |
                                       (none != 0 ? 0 : AUDIT_HAS_TRACE | AUDIT_HAS_KEY_ID));
        free(records.item);
    }
}

static void beyond_the_budget_refusals_are_counted_once_a_second(void **state)
{
    struct rig_records records;
    size_t own = 0, counts = 0;
    (void)state;
    rig_open(&rig);
    for (unsigned i = 0; i < 100 + 40; i++)
        rig_refuse(&rig, 0, REFUSAL_RATE);
    for (unsigned i = 0; i < 5; i++)
        rig_refuse(&rig, 0, REFUSAL_SCHEME);
    rig_add(&rig, 0, AUDIT_BUSY);
    rig_add(&rig, 0, AUDIT_OK);
    rig_refuse(&rig, 1, REFUSAL_RATE);
    assert_int_equal(audit_commit(rig.audit), 0);
    assert_int_equal(rig_count(&rig, AUDIT_REFUSALS), 0);
    rig_pass(&rig, 1000);
    rig_refuse(&rig, 0, REFUSAL_RATE);
    assert_int_equal(audit_commit(rig.audit), 0);
    rig_pass(&rig, 1000);
    rig_close(&rig);
    rig_records(&rig, &records);
    for (size_t i = 0; i < records.count; i++) {
        const struct audit_record *r = &records.item[i];
        own += r->type == AUDIT_USE && r->result == AUDIT_REFUSED && strcmp(r->edge, "edge0") == 0;
        if (r->type != AUDIT_REFUSALS)
            continue;
        assert_string_equal(r->edge, "edge0");
        assert_int_equal(r->count, r->result == AUDIT_BUSY ? 1 : strcmp(r->reason, "rate") == 0 ? 40 : 5);
        counts++;
    }
    assert_int_equal(own, 101);
    assert_int_equal(counts, 3);
    free(records.item);
    rig_assert_whole(&rig, false);
}

static void a_checkpoint_comes_at_most_once_in_its_interval(void **state)
{
    (void)state;
    rig.config.checkpoint = 3000;
    rig_open(&rig);
    size_t before = rig_count(&rig, AUDIT_CHECKPOINT);
    for (unsigned i = 0; i < 9; i++) {
        rig_use_many(&rig, i, 1);
        rig_pass(&rig, 1000);
    }
    assert_int_equal(rig_count(&rig, AUDIT_CHECKPOINT), before + 3);
    for (unsigned i = 0; i < 9; i++)
        rig_pass(&rig, 1000);
    assert_int_equal(rig_count(&rig, AUDIT_CHECKPOINT), before + 3);
    rig_close(&rig);
    rig_assert_whole(&rig, false);
}

static void a_restart_goes_on_where_the_log_ends(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        rig_open(&rig);
        rig_use_many(&rig, 10 * i, 10);
        rig_close(&rig);
    }
    rig_assert_uses(&rig, 0, 40);
    assert_int_equal(rig_count(&rig, AUDIT_SEGMENT), 1);
    assert_int_equal(rig_count(&rig, AUDIT_START), 4);
    rig_assert_whole(&rig, false);
}

static void files_rotate_by_size_and_each_stands_by_itself(void **state)
{
    static struct rig_files files;
    (void)state;
    rig.config.rotate_size = 8192;
    rig_open(&rig);
    rig_use_many(&rig, 0, 400);
    rig_close(&rig);
    rig_open(&rig);
    rig_use_many(&rig, 400, 400);
    rig_close(&rig);
    rig_assert_uses(&rig, 0, 800);
    rig_assert_whole(&rig, false);
    rig_read(&rig, &files);
    assert_true(files.count >= 30);
    for (size_t i = 0; i < files.count; i++) {
        static struct audit_check check;
        const struct rig_files one = {.item = &files.item[i], .count = 1};
        memset(&check, 0, sizeof check);
        check.part = true;
        assert_in_range(files.item[i].length, 1000, 8192 + 2000);
        assert_int_equal(rig_check(&check, &one), FLAW_NONE);
    }
    rig_forget(&files);
}

/* Quotas as a vault keeps them: one counter an edge. */
struct counters {
    uint64_t used[RIG_EDGES];
    unsigned quotas, rates, uses;
};

static void count_record(void *context, const struct audit_record *record, uint64_t reached_ms)
{
    (void)reached_ms;
    struct counters *c = context;
    unsigned edge = (unsigned)(record->edge[4] - '0');
    assert_true(edge < RIG_EDGES);
    if (record->type == AUDIT_QUOTA) {
        assert_int_equal(record->window_s, 86400);
        assert_int_equal(record->start_s, 1769817600);
        c->used[edge] = record->used;
        c->quotas++;
    } else if (record->type == AUDIT_RATE) {
        assert_int_equal(record->used, c->used[edge]);
        c->rates++;
    } else if (record->result == AUDIT_OK) {
        c->used[edge]++;
        c->uses++;
    }
}

static void each_quota(void *context, const struct now *now, audit_tell *tell, void *user)
{
    const struct counters *c = context;
    assert_in_range(now->reached_s, 1769817600, 1769817600 + 86399);
    assert_int_equal(now->mono_ns, rig.now.mono_ms * 1000000);
    for (size_t i = 0; i < RIG_EDGES; i++) {
        struct audit_record quota = {
            .type = AUDIT_QUOTA, .window_s = 86400, .start_s = 1769817600, .used = c->used[i]};
        struct audit_record rate = {.type = AUDIT_RATE, .used = c->used[i]};
        snprintf(quota.edge, sizeof quota.edge, "edge%zu", i);
        snprintf(rate.edge, sizeof rate.edge, "edge%zu", i);
        tell(&quota, user);
        tell(&rate, user);
    }
}

static void quotas_outlast_rotation_and_restart(void **state)
{
    (void)state;
    rig.config.rotate_size = 4096;
    uint64_t total = 0;
    for (unsigned run = 0; run < 5; run++) {
        struct counters counters = {.quotas = 0};
        const struct audit_quotas quotas = {
            .context = &counters, .on_record = count_record, .each = each_quota};
        assert_int_equal(rig_try_open(&rig, &quotas), 0);
        uint64_t sum = 0;
        for (unsigned i = 0; i < RIG_EDGES; i++)
            sum += counters.used[i];
        assert_int_equal(sum, total);
        assert_true(counters.quotas <= RIG_EDGES && counters.rates == counters.quotas);
        for (unsigned i = 0; i < 55; i++, total++) {
            assert_int_equal(rig_use(&rig, total), 0);
            counters.used[total % RIG_EDGES]++; /* once it is recorded */
        }
        rig_refuse(&rig, 0, REFUSAL_QUOTA); /* counts for nothing */
        assert_int_equal(audit_commit(rig.audit), 0);
        rig_close(&rig);
    }
    assert_true(rig_count(&rig, AUDIT_QUOTA) > 10);
    rig_assert_whole(&rig, false);
}

/* ---- a clock that was wrong ---- */

#define HOUR_MS 3600000u
#define HOURS   5

struct hours {
    uint64_t first;
    unsigned used[HOURS];
    bool back;
    uint64_t reached_ms;
};

static void count_hour(void *context, const struct audit_record *record, uint64_t reached_ms)
{
    struct hours *hours = context;
    uint64_t hour = reached_ms / HOUR_MS - hours->first;
    assert_true(reached_ms >= record->time_ms && hour < HOURS);
    hours->back |= reached_ms < hours->reached_ms;
    hours->reached_ms = reached_ms;
    hours->used[hour]++;
}

/* The clock was years ahead and is back: the times of the records are of one hour, but what is restored is
 * what was counted in each hour that passed. */
static void each_use_is_restored_in_the_hour_in_which_it_was_counted(void **state)
{
    struct hours hours = {.first = (RIG_START_MS + UINT64_C(87600) * HOUR_MS) / HOUR_MS};
    const struct audit_quotas quotas = {.context = &hours, .on_record = count_hour};
    unsigned number = 0;
    (void)state;
    rig.config.checkpoint = 100 * HOUR_MS; /* none comes by itself */
    rig.now.epoch_ms = hours.first * HOUR_MS;
    rig_open(&rig);
    for (unsigned hour = 0; hour < HOURS; hour++, rig.now.epoch_ms += HOUR_MS) {
        audit_tick(rig.audit, &rig.now);
        for (unsigned i = 0; i < 10 * hour; i++)
            assert_int_equal(rig_use(&rig, number++), 0);
    }
    rig_close(&rig);
    assert_int_equal(rig_try_open(&rig, &quotas), 0);
    for (unsigned hour = 0; hour < HOURS; hour++)
        assert_int_equal(hours.used[hour], 10 * hour);
    assert_false(hours.back);
    rig_close(&rig);
    assert_true(rig_count(&rig, AUDIT_CHECKPOINT) <= HOURS + 2);
    rig_assert_whole(&rig, false);
}

/* Before a vault signs: what was recorded says how far the time went. */
static void the_time_of_a_record_was_reached(void **state)
{
    struct audit *other;
    (void)state;
    rig_open(&rig);
    rig.now.unix_ms = rig.now.epoch_ms = RIG_START_MS + UINT64_C(1000) * HOUR_MS;
    audit_tick(rig.audit, &rig.now);
    assert_int_equal(rig_use(&rig, 0), 0);
    other = rig.audit; /* another vault's from here on, or one that stands still */
    rig.now.unix_ms = rig.now.epoch_ms = RIG_START_MS;
    rig_open(&rig);
    assert_int_equal(audit_epoch(rig.audit), RIG_START_MS + UINT64_C(1000) * HOUR_MS);
    audit_close(other);
}

static void the_time_of_epochs_comes_back(void **state)
{
    (void)state;
    rig.now.epoch_ms = RIG_START_MS + 5000000; /* ahead of the clock */
    rig_open(&rig);
    rig_use_many(&rig, 0, 3);
    rig_pass(&rig, 1000);
    uint64_t reached = rig.now.epoch_ms;
    rig_close(&rig);
    rig.now.epoch_ms = RIG_START_MS;
    rig_open(&rig);
    assert_int_equal(audit_epoch(rig.audit), reached);
    rig_close(&rig);
    /* Also from the head alone of a file that was just begun. */
    rig.config.rotate_size = 1;
    rig_open(&rig);
    rig_use_many(&rig, 3, 20);
    rig_close(&rig);
    rig_open(&rig);
    assert_int_equal(audit_epoch(rig.audit), reached);
    rig_close(&rig);
    rig_assert_whole(&rig, false);
}

static void a_commit_of_nothing_writes_nothing(void **state)
{
    (void)state;
    rig_open(&rig);
    uint64_t before = rig_assert_whole(&rig, true);
    assert_int_equal(audit_commit(rig.audit), 0);
    for (unsigned i = 0; i < 10; i++)
        rig_pass(&rig, 1000);
    assert_int_equal(rig_assert_whole(&rig, true), before);
    rig_close(&rig);
}

static void what_was_added_without_a_commit_is_not_recorded(void **state)
{
    (void)state;
    rig_open(&rig);
    rig_add(&rig, 1, AUDIT_OK);
    rig_pass(&rig, 1000);
    rig_close(&rig);
    assert_int_equal(rig_count(&rig, AUDIT_USE), 0);
    rig_assert_whole(&rig, false);
}

static void both_ways_to_the_disk_give_the_same_log(void **state)
{
    (void)state;
    rig.config.sync = SERVER_AUDIT_SYNC_ALWAYS;
    rig.config.rotate_size = 4096;
    rig_open(&rig);
    rig_use_many(&rig, 0, 50);
    for (uint64_t i = 50; i < 114; i++)
        rig_add(&rig, i, AUDIT_OK);
    assert_int_equal(audit_commit(rig.audit), 0);
    rig_pass(&rig, 1000);
    rig_close(&rig);
    rig_assert_uses(&rig, 0, 114);
    rig_assert_whole(&rig, false);
}

static void a_large_batch_is_one_piece(void **state)
{
    (void)state;
    rig_open(&rig);
    for (uint64_t i = 0; i < 5000; i++)
        rig_add(&rig, i, AUDIT_OK);
    assert_int_equal(audit_commit(rig.audit), 0);
    rig_close(&rig);
    rig_assert_uses(&rig, 0, 5000);
    rig_assert_whole(&rig, false);
}

static void the_tick_says_when_it_is_due(void **state)
{
    (void)state;
    rig.config.checkpoint = 100;
    rig_open(&rig);
    assert_int_equal(audit_due(rig.audit), rig.now.mono_ms + 100);
    rig.config.checkpoint = 60000;
    rig_pass(&rig, 100);
    assert_int_equal(audit_due(rig.audit), rig.now.mono_ms + 1000);
    rig_close(&rig);
}

static void loose_modes_and_other_owners_are_refused_with_a_mend(void **state)
{
    (void)state;
    assert_int_equal(mkdir(rig.log, 0755), 0);
    assert_int_equal(rig_try_open(&rig, NULL), ERR_CONFIG);
    assert_non_null(strstr(rig.fault.text, "run: chmod 0700"));
    assert_int_equal(chmod(rig.log, 0700), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(rig.log, 12345, 12345), 0);
        assert_int_equal(rig_try_open(&rig, NULL), ERR_CONFIG);
        assert_non_null(strstr(rig.fault.text, "run: chown -R 0"));
        assert_int_equal(chown(rig.log, 0, 0), 0);
    }
    rig_open(&rig);
    rig_close(&rig);
    assert_int_equal(chmod(rig.key, 0440), 0);
    assert_int_equal(rig_try_open(&rig, NULL), ERR_CONFIG);
    assert_non_null(strstr(rig.fault.text, "run: chmod 0400"));
    rig.config.folder = rig.key;
    assert_int_equal(rig_try_open(&rig, NULL), ERR_CONFIG);
    char nowhere[] = "/nonexistent/audit";
    rig.config.folder = nowhere;
    assert_int_equal(rig_try_open(&rig, NULL), ERR_CONFIG);
}

/* Like /var/log: to make it the vault's, as is said of a folder of its own, would take it from the others. */
static void a_folder_with_files_of_others_is_left_to_them(void **state)
{
    char other[4096];
    (void)state;
    assert_int_equal(mkdir(rig.log, 0755), 0);
    snprintf(other, sizeof other, "%s/syslog", rig.log);
    close(creat(other, 0640));
    for (unsigned turn = 0; turn < (geteuid() == 0 ? 2 : 1); turn++) {
        assert_int_equal(rig_try_open(&rig, NULL), ERR_CONFIG);
        assert_null(strstr(rig.fault.text, "run: ch"));
        assert_non_null(strstr(rig.fault.text, "'syslog'"));
        assert_non_null(strstr(rig.fault.text, "/keyless-audit'"));
        if (geteuid() == 0)
            assert_int_equal(chown(rig.log, 12345, 12345), 0);
    }
    if (geteuid() == 0)
        assert_int_equal(chown(rig.log, 0, 0), 0);
    assert_int_equal(unlink(other), 0);
}

static void root_makes_the_files_for_the_user_of_the_vault(void **state)
{
    struct stat info;
    uid_t uid;
    gid_t gid;
    (void)state;
    if (geteuid() != 0)
        SKIP_FOR("needs root");
    assert_int_equal(audit_open(&rig.audit, &rig.config, "nobody", NULL, NULL, &rig.now, &rig.fault), 0);
    rig_close(&rig);
    assert_int_equal(stat(rig.log, &info), 0);
    assert_int_equal(privileges_find_user("nobody", &uid, &gid, &rig.fault), 0);
    assert_int_equal(info.st_uid, uid);
    assert_int_equal(stat(rig_path(&rig, "audit-000000000001.jsonl"), &info), 0);
    assert_int_equal(info.st_uid, uid);
    assert_int_equal(stat(rig.key, &info), 0);
    assert_int_equal(info.st_uid, 0); /* read before the user is dropped, and by nobody after */
    assert_int_equal(audit_open(&rig.audit, &rig.config, "no-such-user", NULL, NULL, &rig.now, &rig.fault),
                     ERR_CONFIG);
}

/* The head of a file of format 1, as an older version has left it. */
static void write_old_file(void)
{
    struct audit_record head = {.type = AUDIT_SEGMENT, .time_ms = RIG_START_MS, .format = AUDIT_FORMAT_FIRST};
    struct audit_link link = {.seq = 0};
    char body[AUDIT_BODY_MAX], line[AUDIT_LINE_MAX];
    struct audit_hasher *hasher = audit_hasher_new();
    head.epoch_ms = RIG_START_MS;
    assert_int_equal(mkdir(rig.log, 0700), 0);
    int length = audit_chain_seal(hasher, &link, body, audit_record_pack(&head, body), line);
    assert_true(length > 0);
    rig_write_file(rig_path(&rig, "audit-000000000001.jsonl"), line, (size_t)length);
    audit_hasher_free(hasher);
}

static void a_file_has_records_of_one_format(void **state)
{
    struct rig_files files = {.item = NULL};
    (void)state;
    write_old_file();
    rig_open(&rig);
    rig_use_many(&rig, 0, 3);
    rig_close(&rig);
    rig_read(&rig, &files);
    assert_int_equal(files.count, 2);
    assert_non_null(strstr(files.item[0].text, "\"format\":1"));
    assert_non_null(strstr(files.item[0].text, "\"type\":\"rotate\""));
    assert_null(strstr(files.item[0].text, "\"type\":\"use\""));
    assert_null(strstr(files.item[0].text, "\"type\":\"start\""));
    assert_non_null(strstr(files.item[1].text, "\"format\":2"));
    rig_forget(&files);
    rig_assert_uses(&rig, 0, 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_file_has_records_of_one_format),
        TEST(the_first_start_makes_what_is_missing),
        TEST(a_use_says_who_what_how_and_what_came_of_it),
        TEST(names_are_explained_once_in_each_file),
        TEST(a_refusal_of_nobody_known_has_the_keys_that_were_sent),
        TEST(zeros_that_were_sent_are_on_record),
        TEST(beyond_the_budget_refusals_are_counted_once_a_second),
        TEST(a_checkpoint_comes_at_most_once_in_its_interval),
        TEST(a_restart_goes_on_where_the_log_ends),
        TEST(files_rotate_by_size_and_each_stands_by_itself),
        TEST(quotas_outlast_rotation_and_restart),
        TEST(each_use_is_restored_in_the_hour_in_which_it_was_counted),
        TEST(the_time_of_a_record_was_reached),
        TEST(the_time_of_epochs_comes_back),
        TEST(a_commit_of_nothing_writes_nothing),
        TEST(what_was_added_without_a_commit_is_not_recorded),
        TEST(both_ways_to_the_disk_give_the_same_log),
        TEST(a_large_batch_is_one_piece),
        TEST(the_tick_says_when_it_is_due),
        TEST(loose_modes_and_other_owners_are_refused_with_a_mend),
        TEST(a_folder_with_files_of_others_is_left_to_them),
        TEST(root_makes_the_files_for_the_user_of_the_vault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
