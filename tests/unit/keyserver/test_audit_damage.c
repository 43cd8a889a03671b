/* What the writer makes of a log that is not as it left it: it says so, records it, and goes on; nothing that
 * can still be read is lost, and the verifier finds the place. */
#include "tests/unit/keyserver/audit_rig.h"

static struct rig rig;
static struct audit_check check;
static struct rig_files files;

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

#define FIRST "audit-000000000001.jsonl"

/* Twenty uses, 0 to 19, and an orderly end. */
static void write_some(void)
{
    rig_open(&rig);
    rig_use_many(&rig, 0, 20);
    rig_close(&rig);
}

/* Three more by another vault, and an orderly end. */
static void write_more(void)
{
    rig_open(&rig);
    rig_use_many(&rig, 20, 3);
    rig_pass(&rig, 1000);
    rig_close(&rig);
}

static enum audit_flaw_kind verify(void)
{
    memset(&check, 0, sizeof check);
    rig_read(&rig, &files);
    enum audit_flaw_kind kind = rig_check(&check, &files);
    rig_forget(&files);
    return kind;
}

/* The only record of damage; COUNT of them must be there. */
static struct audit_record find_damage(size_t count)
{
    struct rig_records records;
    struct audit_record damage = {.seq = 0};
    size_t found = 0;
    rig_records(&rig, &records);
    for (size_t i = 0; i < records.count; i++)
        if (records.item[i].type == AUDIT_DAMAGE) {
            damage = records.item[i];
            found++;
        }
    free(records.item);
    assert_int_equal(found, count);
    return damage;
}

/* Where line NUMBER (1 …) of the text begins. */
static char *line_of(char *text, unsigned number)
{
    while (--number > 0)
        text = strchr(text, '\n') + 1;
    return text;
}

/* ---- ends ---- */

static void an_unfinished_line_is_cut_off_at_every_length(void **state)
{
    (void)state;
    write_some();
    size_t length;
    char *text = rig_read_file(rig_path(&rig, FIRST), &length);
    rig_open(&rig);
    rig_use_many(&rig, 20, 1);
    audit_close(rig.audit);
    rig.audit = NULL;
    size_t longer, torn = 0;
    char *more = rig_read_file(rig_path(&rig, FIRST), &longer);
    unlink(rig_path(&rig, "head"));
    for (size_t kept = length; kept < longer; kept += 37) {
        struct rig_records records;
        rig_write_file(rig_path(&rig, FIRST), more, kept);
        torn = kept - (size_t)((char *)memrchr(more, '\n', kept) + 1 - more);
        rig_open(&rig);
        rig_close(&rig);
        rig_records(&rig, &records);
        const struct audit_record *start = &records.item[records.count - 4]; /* signed, stop, signed */
        assert_int_equal(start->type, AUDIT_START);
        assert_int_equal(start->torn, torn);
        free(records.item);
        assert_int_equal(verify(), FLAW_NONE);
        unlink(rig_path(&rig, "head"));
    }
    free(text);
    free(more);
    find_damage(0);
}

static void a_log_cut_at_a_checkpoint_shows_by_the_note(void **state)
{
    (void)state;
    rig_open(&rig);
    rig_use_many(&rig, 0, 5);
    rig_pass(&rig, 1000);
    uint64_t kept = rig_assert_whole(&rig, true);
    size_t length;
    char *text = rig_read_file(rig_path(&rig, FIRST), &length);
    rig_use_many(&rig, 5, 5);
    rig_close(&rig);
    uint64_t all = rig_assert_whole(&rig, false);
    rig_write_file(rig_path(&rig, FIRST), text, length);
    free(text);
    assert_int_equal(verify(), FLAW_NONE); /* by itself it looks whole */
    write_more();
    struct audit_record damage = find_damage(1);
    assert_string_equal(damage.file, FIRST);
    assert_non_null(strstr(damage.what, "ends before"));
    assert_int_equal(verify(), FLAW_MISSING);
    assert_int_equal(check.flaw.seq, kept + 2); /* after the record that closes what is left */
    assert_true(damage.seq > all);              /* no number is given twice */
}

static void a_log_that_was_removed_shows_by_the_note(void **state)
{
    (void)state;
    write_some();
    uint64_t all = rig_assert_whole(&rig, false);
    unlink(rig_path(&rig, FIRST));
    write_more();
    struct audit_record damage = find_damage(1);
    assert_non_null(strstr(damage.what, "removed"));
    assert_int_equal(damage.seq, all + 2);
    assert_int_equal(verify(), FLAW_MISSING);
    assert_int_equal(check.flaw.seq, 1);
}

static void a_log_written_anew_shows_by_the_note(void **state)
{
    char aside[200];
    (void)state;
    write_some();
    snprintf(aside, sizeof aside, "%s/aside", rig.folder);
    assert_int_equal(rename(rig_path(&rig, "head"), aside), 0);
    unlink(rig_path(&rig, FIRST));
    rig_open(&rig);
    rig_use_many(&rig, 100, 30);
    rig_close(&rig);
    assert_int_equal(rename(aside, rig_path(&rig, "head")), 0);
    write_more();
    struct audit_record damage = find_damage(1);
    assert_non_null(strstr(damage.what, "another record than the checkpoint"));
}

static void a_note_that_is_none_is_ignored(void **state)
{
    (void)state;
    write_some();
    rig_write_file(rig_path(&rig, "head"), "nonsense", 8);
    write_more();
    find_damage(0);
    rig_assert_uses(&rig, 0, 23);
    rig_assert_whole(&rig, false);
}

/* ---- the newest file ---- */

static void a_changed_byte_is_recorded_and_the_rest_still_counts(void **state)
{
    size_t length;
    (void)state;
    write_some();
    for (unsigned line = 1; line <= 27; line += 2) {
        char *text = rig_read_file(rig_path(&rig, FIRST), &length);
        char *at = line_of(text, line) + 40;
        char was = *at;
        *at = was == 'X' ? 'Y' : 'X';
        rig_write_file(rig_path(&rig, FIRST), text, length);
        write_more();
        struct audit_record damage = find_damage(1);
        assert_string_equal(damage.file, FIRST);
        assert_int_equal(damage.line, line);
        assert_true(verify() == FLAW_ALTERED);
        assert_int_equal(check.flaw.line, line);
        if (line == 1) { /* without its head a file is only a list of records */
            assert_int_equal(rig_count(&rig, AUDIT_USE), 23);
        }
        /* The rest is one chain with what came later: mended, it is whole. */
        free(text);
        text = rig_read_file(rig_path(&rig, FIRST), &length);
        *(line_of(text, line) + 40) = was;
        rig_write_file(rig_path(&rig, FIRST), text, length);
        free(text);
        rig_assert_uses(&rig, 0, 23);
        rig_assert_whole(&rig, false);
        /* Again from the start. */
        rig_tear_down(&rig);
        rig_set_up(&rig);
        write_some();
    }
}

/* Puts BYTES at the end of the first file. */
static void append(const char *bytes, size_t length)
{
    int fd = open(rig_path(&rig, FIRST), O_WRONLY | O_APPEND);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, length), length);
    close(fd);
}

static void garbage_at_the_end_does_not_stop_it(void **state)
{
    static char endless[200000];
    static const struct {
        const char *bytes;
        size_t length;
    } garbage[] = {{"\n", 1},
                   {"nonsense\n", 9},
                   {"{\"seq\":1}\n{\"seq\":2}\nand no end", 30},
                   {endless, 5000},
                   {endless, sizeof endless}};
    (void)state;
    memset(endless, 'x', sizeof endless);
    for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++) {
        write_some();
        uint64_t all = rig_assert_whole(&rig, false);
        append(garbage[i].bytes, garbage[i].length);
        write_more();
        struct audit_record damage = find_damage(1);
        assert_string_equal(damage.file, FIRST);
        assert_int_equal(damage.line, all + 1);
        rig_assert_uses(&rig, 0, 23);
        assert_int_equal(verify(), i == 2 ? FLAW_ALTERED : FLAW_INSERTED); /* more of it follows */
        assert_int_equal(check.flaw.line, all + 1);
        rig_tear_down(&rig);
        rig_set_up(&rig);
    }
}

static void a_file_without_any_record_is_left_and_another_begun(void **state)
{
    (void)state;
    write_some();
    uint64_t all = rig_assert_whole(&rig, false);
    rig_write_file(rig_path(&rig, FIRST), "nothing\nof the kind\n", 20);
    write_more();
    assert_true(find_damage(1).seq > all);
    size_t length;
    char *text = rig_read_file(rig_path(&rig, FIRST), &length);
    assert_string_equal(text, "nothing\nof the kind\n"); /* it is evidence */
    free(text);
    assert_int_equal(verify(), FLAW_ALTERED);
    assert_int_equal(check.flaw.line, 1);
}

static void a_record_that_was_taken_out_or_doubled_is_recorded(void **state)
{
    size_t length;
    (void)state;
    for (unsigned kind = 0; kind < 2; kind++) {
        write_some();
        char *text = rig_read_file(rig_path(&rig, FIRST), &length);
        char *from = line_of(text, 12), *to = line_of(text, 13);
        char *changed = malloc(2 * length);
        size_t before = (size_t)((kind == 0 ? from : to) - text);
        memcpy(changed, text, before);
        const char *rest = kind == 0 ? to : from;
        memcpy(changed + before, rest, length - (size_t)(rest - text));
        rig_write_file(rig_path(&rig, FIRST), changed, before + length - (size_t)(rest - text));
        write_more();
        assert_int_equal(find_damage(1).line, 12 + kind);
        assert_int_equal(verify(), kind == 0 ? FLAW_MISSING : FLAW_REPEATED);
        assert_int_equal(check.flaw.line, 12 + kind);
        free(text);
        free(changed);
        rig_tear_down(&rig);
        rig_set_up(&rig);
    }
}

static void a_chain_made_anew_without_the_key_is_recorded(void **state)
{
    struct rig_records records;
    char body[AUDIT_BODY_MAX], line[AUDIT_LINE_MAX];
    struct audit_hasher *hasher = audit_hasher_new();
    struct audit_link link = {.seq = 0};
    (void)state;
    write_some();
    rig_records(&rig, &records);
    FILE *file = fopen(rig_path(&rig, FIRST), "w");
    for (size_t i = 0; i < records.count; i++) {
        if (rig_number(&records.item[i]) == 7)
            strcpy(records.item[i].op, "sign_tls12");
        size_t packed = audit_record_pack(&records.item[i], body);
        int length = audit_chain_seal(hasher, &link, body, packed, line);
        assert_int_equal(fwrite(line, 1, (size_t)length, file), length);
    }
    fclose(file);
    unlink(rig_path(&rig, "head")); /* that would tell at once */
    write_more();
    assert_non_null(strstr(find_damage(1).what, "not signed by the key"));
    assert_int_equal(verify(), FLAW_FORGED);
    free(records.item);
    audit_hasher_free(hasher);
}

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
    rig_read(&rig, &files);
    char newest[64];
    strcpy(newest, files.item[files.count - 1].name);
    size_t head_part = (size_t)(line_of(files.item[files.count - 1].text, 5) -
                                files.item[files.count - 1].text);
    char *text = strdup(files.item[files.count - 1].text);
    rig_forget(&files);
    unlink(rig_path(&rig, "head"));
    for (size_t kept = 0; kept < head_part; kept += 41) {
        rig_write_file(rig_path(&rig, newest), text, kept);
        quota_replay_told = 0;
        assert_int_equal(rig_try_open(&rig, &quotas), 0);
        assert_int_equal(quota_replay_told, 3);
        rig_close(&rig);
        assert_int_equal(rig_count(&rig, AUDIT_SEGMENT), 3);
        assert_int_equal(verify(), FLAW_NONE);
        unlink(rig_path(&rig, "head"));
    }
    /* Nor is it there at all. */
    unlink(rig_path(&rig, newest));
    assert_int_equal(rig_try_open(&rig, &quotas), 0);
    rig_close(&rig);
    assert_int_equal(verify(), FLAW_NONE);
    free(text);
    find_damage(0);
}

static void a_first_file_that_is_empty_is_used(void **state)
{
    (void)state;
    assert_int_equal(mkdir(rig.log, 0700), 0);
    rig_write_file(rig_path(&rig, FIRST), "", 0);
    write_some();
    rig_assert_whole(&rig, false);
    find_damage(0);
}

static void something_else_with_the_name_of_the_next_file_is_passed_by(void **state)
{
    char name[AUDIT_FILE_SIZE];
    (void)state;
    write_some();
    rig.config.rotate_size = 1;
    uint64_t next = rig_assert_whole(&rig, false) +
                    4; /* start, checkpoint, then at once checkpoint and rotate */
    for (uint64_t i = 0; i < 8; i++)
        rig_write_file(rig_path(&rig, audit_file_name(next - 4 + i, name)), "boo\n", 4);
    write_more();
    assert_true(rig_count(&rig, AUDIT_DAMAGE) >= 1);
    struct rig_records records;
    rig_records(&rig, &records);
    size_t uses = 0;
    for (size_t i = 0; i < records.count; i++)
        uses += records.item[i].type == AUDIT_USE;
    assert_int_equal(uses, 23);
    free(records.item);
    assert_int_not_equal(verify(), FLAW_NONE);
}

static void another_key_begins_another_file(void **state)
{
    uint8_t first[SIGN_PUBLIC_SIZE], second[SIGN_PUBLIC_SIZE];
    char public[128];
    (void)state;
    write_some();
    snprintf(public, sizeof public, "%s/audit.pub", rig.folder);
    assert_int_equal(sign_load_public(first, public, &rig.fault), 0);
    unlink(rig.key);
    unlink(public);
    write_more();
    assert_int_equal(sign_load_public(second, public, &rig.fault), 0);
    assert_memory_not_equal(first, second, sizeof first);
    assert_int_equal(rig_count(&rig, AUDIT_SEGMENT), 2);
    find_damage(0);
    assert_int_equal(verify(), FLAW_KEY);
    memset(&check, 0, sizeof check);
    memcpy(check.keys[0], first, sizeof first);
    memcpy(check.keys[1], second, sizeof second);
    check.key_count = 2;
    rig_read(&rig, &files);
    assert_int_equal(rig_check(&check, &files), FLAW_NONE);
    rig_forget(&files);
}

/* ---- while it runs ---- */

static void a_file_that_is_removed_meanwhile_is_followed_by_another(void **state)
{
    (void)state;
    rig_open(&rig);
    rig_use_many(&rig, 0, 20);
    unlink(rig_path(&rig, FIRST));
    rig_use_many(&rig, 20, 5);
    rig_close(&rig);
    assert_non_null(strstr(find_damage(1).what, "removed"));
    assert_int_equal(rig_count(&rig, AUDIT_USE), 5);
    assert_int_equal(verify(), FLAW_MISSING);
    assert_int_equal(check.flaw.seq, 1);
}

static void a_file_that_is_moved_or_cut_meanwhile_is_followed_by_another(void **state)
{
    (void)state;
    rig_open(&rig);
    rig_use_many(&rig, 0, 20);
    assert_int_equal(rename(rig_path(&rig, FIRST), rig_path(&rig, "moved")), 0);
    rig_pass(&rig, 1000);
    rig_use_many(&rig, 20, 5);
    assert_int_equal(rename(rig_path(&rig, "moved"), rig_path(&rig, FIRST)), 0);
    assert_non_null(strstr(find_damage(1).what, "moved"));
    rig_assert_uses(&rig, 0, 25);
    rig_assert_whole(&rig, true);
    rig_read(&rig, &files);
    assert_int_equal(files.count, 2);
    assert_int_equal(truncate(rig_path(&rig, files.item[1].name), (off_t)files.item[1].length - 400), 0);
    rig_forget(&files);
    rig_use_many(&rig, 25, 5);
    rig_close(&rig);
    assert_non_null(strstr(find_damage(2).what, "cut"));
    assert_int_not_equal(verify(), FLAW_NONE);
}

static void what_another_writes_there_without_right_is_noticed(void **state)
{
    (void)state;
    rig_open(&rig);
    rig_use_many(&rig, 0, 20);
    append("not a record\n", 13);
    rig_use_many(&rig, 20, 5);
    rig_close(&rig);
    assert_non_null(strstr(find_damage(1).what, "not a record"));
    rig_assert_uses(&rig, 0, 25);
    assert_int_equal(verify(), FLAW_INSERTED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_unfinished_line_is_cut_off_at_every_length),
        TEST(a_log_cut_at_a_checkpoint_shows_by_the_note),
        TEST(a_log_that_was_removed_shows_by_the_note),
        TEST(a_log_written_anew_shows_by_the_note),
        TEST(a_note_that_is_none_is_ignored),
        TEST(a_changed_byte_is_recorded_and_the_rest_still_counts),
        TEST(garbage_at_the_end_does_not_stop_it),
        TEST(a_file_without_any_record_is_left_and_another_begun),
        TEST(a_record_that_was_taken_out_or_doubled_is_recorded),
        TEST(a_chain_made_anew_without_the_key_is_recorded),
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
