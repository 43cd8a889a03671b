/* What the writer makes of a log that does not end as it left it: cut, removed or written anew, beside the
 * note of its last checkpoint. */
#include "tests/unit/keyserver/audit_damage_rig.h"

static void an_unfinished_line_is_cut_off_at_every_length(void **state)
{
    (void)state;
    damage_write_some();
    size_t length;
    char *text = rig_read_file(rig_path(&rig, FIRST_FILE), &length);
    rig_open(&rig);
    rig_use_many(&rig, 20, 1);
    audit_close(rig.audit);
    rig.audit = NULL;
    size_t longer, torn = 0;
    char *more = rig_read_file(rig_path(&rig, FIRST_FILE), &longer);
    unlink(rig_path(&rig, "head"));
    for (size_t kept = length; kept < longer; kept += 37) {
        struct rig_records records;
        rig_write_file(rig_path(&rig, FIRST_FILE), more, kept);
        torn = kept - (size_t)((char *)memrchr(more, '\n', kept) + 1 - more);
        rig_open(&rig);
        rig_close(&rig);
        rig_records(&rig, &records);
        const struct audit_record *start = &records.item[records.count - 4]; /* signed, stop, signed */
        assert_int_equal(start->type, AUDIT_START);
        assert_int_equal(start->torn, torn);
        free(records.item);
        assert_int_equal(damage_verify(), FLAW_NONE);
        unlink(rig_path(&rig, "head"));
    }
    free(text);
    free(more);
    damage_find(0);
}

static void a_log_cut_at_a_checkpoint_shows_by_the_note(void **state)
{
    (void)state;
    rig_open(&rig);
    rig_use_many(&rig, 0, 5);
    rig_pass(&rig, 1000);
    uint64_t kept = rig_assert_whole(&rig, true);
    size_t length;
    char *text = rig_read_file(rig_path(&rig, FIRST_FILE), &length);
    rig_use_many(&rig, 5, 5);
    rig_close(&rig);
    uint64_t all = rig_assert_whole(&rig, false);
    rig_write_file(rig_path(&rig, FIRST_FILE), text, length);
    free(text);
    assert_int_equal(damage_verify(), FLAW_NONE); /* by itself it looks whole */
    damage_write_more();
    struct audit_record damage = damage_find(1);
    assert_string_equal(damage.file, FIRST_FILE);
    assert_non_null(strstr(damage.what, "ends before"));
    assert_int_equal(damage_verify(), FLAW_MISSING);
    assert_int_equal(damage_check.flaw.seq, kept + 2); /* after the record that closes what is left */
    assert_true(damage.seq > all);                     /* no number is given twice */
}

static void a_log_that_was_removed_shows_by_the_note(void **state)
{
    (void)state;
    damage_write_some();
    uint64_t all = rig_assert_whole(&rig, false);
    unlink(rig_path(&rig, FIRST_FILE));
    damage_write_more();
    struct audit_record damage = damage_find(1);
    assert_non_null(strstr(damage.what, "removed"));
    assert_int_equal(damage.seq, all + 2);
    assert_int_equal(damage_verify(), FLAW_MISSING);
    assert_int_equal(damage_check.flaw.seq, 1);
}

static void a_log_written_anew_shows_by_the_note(void **state)
{
    char aside[200];
    (void)state;
    damage_write_some();
    snprintf(aside, sizeof aside, "%s/aside", rig.folder);
    assert_int_equal(rename(rig_path(&rig, "head"), aside), 0);
    unlink(rig_path(&rig, FIRST_FILE));
    rig_open(&rig);
    rig_use_many(&rig, 100, 30);
    rig_close(&rig);
    assert_int_equal(rename(aside, rig_path(&rig, "head")), 0);
    damage_write_more();
    struct audit_record damage = damage_find(1);
    assert_non_null(strstr(damage.what, "another record than the checkpoint"));
}

static void a_note_that_is_none_is_ignored(void **state)
{
    (void)state;
    damage_write_some();
    rig_write_file(rig_path(&rig, "head"), "nonsense", 8);
    damage_write_more();
    damage_find(0);
    rig_assert_uses(&rig, 0, 23);
    rig_assert_whole(&rig, false);
}

/* It says neither how long the log must be nor which epoch was reached: no reason to go on without. */
static void a_note_that_cannot_be_read_ends_the_start(void **state)
{
    (void)state;
    damage_write_some();
    unlink(rig_path(&rig, "head"));
    assert_int_equal(mkdir(rig_path(&rig, "head"), 0700), 0);
    assert_int_equal(rig_try_open(&rig, NULL), ERR_SYSTEM);
    assert_non_null(strstr(rig.fault.text,
                           ": the file head cannot be read: Is a directory; mend its disk, or put "
                           "its copy of a backup there"));
    assert_int_equal(rmdir(rig_path(&rig, "head")), 0);
    damage_write_more();
    damage_find(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_unfinished_line_is_cut_off_at_every_length),
        TEST(a_log_cut_at_a_checkpoint_shows_by_the_note),
        TEST(a_log_that_was_removed_shows_by_the_note),
        TEST(a_log_written_anew_shows_by_the_note),
        TEST(a_note_that_is_none_is_ignored),
        TEST(a_note_that_cannot_be_read_ends_the_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
