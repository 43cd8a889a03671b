/* What the writer makes of files that are not as it left them: heads that are not complete, something else in
 * their place, and what happens to them while it runs. */
#include "tests/unit/keyserver/audit_damage_rig.h"

/* ---- between two files ---- */

static void some_quotas(void *context, const struct now *now, audit_tell *tell, void *user)
{
    (void)context;
    (void)now;
    for (unsigned i = 0; i < 3; i++) {
        struct audit_record quota = {.type = AUDIT_QUOTA, .used = i + 1};
        snprintf(quota.edge, sizeof quota.edge, "edge%u", i);
        tell(&quota, user);
    }
}

static unsigned quota_replay_told;

static void tell_quota(void *context, const struct audit_record *record, uint64_t reached_ms)
{
    (void)reached_ms;
    (void)context;
    quota_replay_told += record->type == AUDIT_QUOTA;
}

/* Whatever of a head part a writer was killed in, the next one makes it whole. */
static void a_head_part_that_is_not_complete_is_made_anew(void **state)
{
    const struct audit_quotas quotas = {.on_record = tell_quota, .each = some_quotas};
    (void)state;
    rig.config.rotate_size = 3000;
    assert_int_equal(rig_try_open(&rig, &quotas), 0);
    uint64_t number = 0;
    do
        rig_use_many(&rig, number++, 1);
    while (rig_count(&rig, AUDIT_SEGMENT) < 3);
    rig_close(&rig);
    rig_read(&rig, &damage_files);
    char newest[64];
    strcpy(newest, damage_files.item[damage_files.count - 1].name);
    size_t head_part = (size_t)(damage_line(damage_files.item[damage_files.count - 1].text, 5) -
                                damage_files.item[damage_files.count - 1].text);
    char *text = strdup(damage_files.item[damage_files.count - 1].text);
    rig_forget(&damage_files);
    unlink(rig_path(&rig, "head"));
    for (size_t kept = 0; kept < head_part; kept += 41) {
        rig_write_file(rig_path(&rig, newest), text, kept);
        quota_replay_told = 0;
        assert_int_equal(rig_try_open(&rig, &quotas), 0);
        assert_int_equal(quota_replay_told, 3);
        rig_close(&rig);
        assert_int_equal(rig_count(&rig, AUDIT_SEGMENT), 3);
        assert_int_equal(damage_verify(), FLAW_NONE);
        unlink(rig_path(&rig, "head"));
    }
    /* Nor is it there at all. */
    unlink(rig_path(&rig, newest));
    assert_int_equal(rig_try_open(&rig, &quotas), 0);
    rig_close(&rig);
    assert_int_equal(damage_verify(), FLAW_NONE);
    free(text);
    damage_find(0);
}

static void a_first_file_that_is_empty_is_used(void **state)
{
    (void)state;
    assert_int_equal(mkdir(rig.log, 0700), 0);
    rig_write_file(rig_path(&rig, FIRST_FILE), "", 0);
    damage_write_some();
    rig_assert_whole(&rig, false);
    damage_find(0);
}

static void something_else_with_the_name_of_the_next_file_is_passed_by(void **state)
{
    char name[AUDIT_FILE_SIZE];
    (void)state;
    damage_write_some();
    rig.config.rotate_size = 1;
    uint64_t next = rig_assert_whole(&rig, false) +
                    4; /* start, checkpoint, then at once checkpoint and rotate */
    for (uint64_t i = 0; i < 8; i++)
        rig_write_file(rig_path(&rig, audit_file_name(next - 4 + i, name)), "boo\n", 4);
    damage_write_more();
    assert_true(rig_count(&rig, AUDIT_DAMAGE) >= 1);
    struct rig_records records;
    rig_records(&rig, &records);
    size_t uses = 0;
    for (size_t i = 0; i < records.count; i++)
        uses += records.item[i].type == AUDIT_USE;
    assert_int_equal(uses, 23);
    free(records.item);
    assert_int_not_equal(damage_verify(), FLAW_NONE);
}

static void another_key_begins_another_file(void **state)
{
    uint8_t first[SIGN_PUBLIC_SIZE], second[SIGN_PUBLIC_SIZE];
    char public[128];
    (void)state;
    damage_write_some();
    snprintf(public, sizeof public, "%s/audit.pub", rig.folder);
    assert_int_equal(sign_load_public(first, public, &rig.fault), 0);
    unlink(rig.key);
    unlink(public);
    damage_write_more();
    assert_int_equal(sign_load_public(second, public, &rig.fault), 0);
    assert_memory_not_equal(first, second, sizeof first);
    assert_int_equal(rig_count(&rig, AUDIT_SEGMENT), 2);
    damage_find(0);
    assert_int_equal(damage_verify(), FLAW_KEY);
    memset(&damage_check, 0, sizeof damage_check);
    memcpy(damage_check.keys[0], first, sizeof first);
    memcpy(damage_check.keys[1], second, sizeof second);
    damage_check.key_count = 2;
    rig_read(&rig, &damage_files);
    assert_int_equal(rig_check(&damage_check, &damage_files), FLAW_NONE);
    rig_forget(&damage_files);
}

/* ---- while it runs ---- */

static void a_file_that_is_removed_meanwhile_is_followed_by_another(void **state)
{
    (void)state;
    rig_open(&rig);
    rig_use_many(&rig, 0, 20);
    unlink(rig_path(&rig, FIRST_FILE));
    rig_use_many(&rig, 20, 5);
    rig_close(&rig);
    assert_non_null(strstr(damage_find(1).what, "removed"));
    assert_int_equal(rig_count(&rig, AUDIT_USE), 5);
    assert_int_equal(damage_verify(), FLAW_MISSING);
    assert_int_equal(damage_check.flaw.seq, 1);
}

static void a_file_that_is_moved_or_cut_meanwhile_is_followed_by_another(void **state)
{
    (void)state;
    rig_open(&rig);
    rig_use_many(&rig, 0, 20);
    assert_int_equal(rename(rig_path(&rig, FIRST_FILE), rig_path(&rig, "moved")), 0);
    rig_pass(&rig, 1000);
    rig_use_many(&rig, 20, 5);
    assert_int_equal(rename(rig_path(&rig, "moved"), rig_path(&rig, FIRST_FILE)), 0);
    assert_non_null(strstr(damage_find(1).what, "moved"));
    rig_assert_uses(&rig, 0, 25);
    rig_assert_whole(&rig, true);
    rig_read(&rig, &damage_files);
    assert_int_equal(damage_files.count, 2);
    assert_int_equal(
        truncate(rig_path(&rig, damage_files.item[1].name), (off_t)damage_files.item[1].length - 400), 0);
    rig_forget(&damage_files);
    rig_use_many(&rig, 25, 5);
    rig_close(&rig);
    assert_non_null(strstr(damage_find(2).what, "cut"));
    assert_int_not_equal(damage_verify(), FLAW_NONE);
}

static void what_another_writes_there_without_right_is_noticed(void **state)
{
    (void)state;
    rig_open(&rig);
    rig_use_many(&rig, 0, 20);
    damage_append("not a record\n", 13);
    rig_use_many(&rig, 20, 5);
    rig_close(&rig);
    assert_non_null(strstr(damage_find(1).what, "not a record"));
    rig_assert_uses(&rig, 0, 25);
    assert_int_equal(damage_verify(), FLAW_INSERTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_head_part_that_is_not_complete_is_made_anew),
        TEST(a_first_file_that_is_empty_is_used),
        TEST(something_else_with_the_name_of_the_next_file_is_passed_by),
        TEST(another_key_begins_another_file),
        TEST(a_file_that_is_removed_meanwhile_is_followed_by_another),
        TEST(a_file_that_is_moved_or_cut_meanwhile_is_followed_by_another),
        TEST(what_another_writes_there_without_right_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
