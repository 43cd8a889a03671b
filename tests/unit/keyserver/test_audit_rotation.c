/* A log in several files and over several runs: where one ends and the next begins, and what goes along. */
#include "tests/unit/keyserver/audit_log_rig.h"

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
    rig_write_file(rig_path(&rig, FIRST_FILE), line, (size_t)length);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_file_has_records_of_one_format),
        TEST(a_restart_goes_on_where_the_log_ends),
        TEST(files_rotate_by_size_and_each_stands_by_itself),
        TEST(quotas_outlast_rotation_and_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
