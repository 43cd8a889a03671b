/* What the writer makes of a newest file that was altered: it says so, records it, and goes on; nothing that
 * can still be read is lost, and the verifier finds the place. */
#include "tests/unit/keyserver/audit_damage_rig.h"

static void a_changed_byte_is_recorded_and_the_rest_still_counts(void **state)
{
    size_t length;
    (void)state;
    damage_write_some();
    for (unsigned line = 1; line <= 27; line += 2) {
        char *text = rig_read_file(rig_path(&rig, FIRST_FILE), &length);
        char *at = damage_line(text, line) + 40;
        char was = *at;
        *at = was == 'X' ? 'Y' : 'X';
        rig_write_file(rig_path(&rig, FIRST_FILE), text, length);
        damage_write_more();
        struct audit_record damage = damage_find(1);
        assert_string_equal(damage.file, FIRST_FILE);
        assert_int_equal(damage.line, line);
        assert_true(damage_verify() == FLAW_ALTERED);
        assert_int_equal(damage_check.flaw.line, line);
        if (line == 1) { /* without its head a file is only a list of records */
            assert_int_equal(rig_count(&rig, AUDIT_USE), 23);
        }
        /* The rest is one chain with what came later: mended, it is whole. */
        free(text);
        text = rig_read_file(rig_path(&rig, FIRST_FILE), &length);
        *(damage_line(text, line) + 40) = was;
        rig_write_file(rig_path(&rig, FIRST_FILE), text, length);
        free(text);
        rig_assert_uses(&rig, 0, 23);
        rig_assert_whole(&rig, false);
        /* Again from the start. */
        rig_tear_down(&rig);
        rig_set_up(&rig);
        damage_write_some();
    }
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
        damage_write_some();
        uint64_t all = rig_assert_whole(&rig, false);
        damage_append(garbage[i].bytes, garbage[i].length);
        damage_write_more();
        struct audit_record damage = damage_find(1);
        assert_string_equal(damage.file, FIRST_FILE);
        assert_int_equal(damage.line, all + 1);
        rig_assert_uses(&rig, 0, 23);
        assert_int_equal(damage_verify(), i == 2 ? FLAW_ALTERED : FLAW_INSERTED); /* more of it follows */
        assert_int_equal(damage_check.flaw.line, all + 1);
        rig_tear_down(&rig);
        rig_set_up(&rig);
    }
}

static void a_file_without_any_record_is_left_and_another_begun(void **state)
{
    (void)state;
    damage_write_some();
    uint64_t all = rig_assert_whole(&rig, false);
    rig_write_file(rig_path(&rig, FIRST_FILE), "nothing\nof the kind\n", 20);
    damage_write_more();
    assert_true(damage_find(1).seq > all);
    size_t length;
    char *text = rig_read_file(rig_path(&rig, FIRST_FILE), &length);
    assert_string_equal(text, "nothing\nof the kind\n"); /* it is evidence */
    free(text);
    assert_int_equal(damage_verify(), FLAW_ALTERED);
    assert_int_equal(damage_check.flaw.line, 1);
}

static void a_record_that_was_taken_out_or_doubled_is_recorded(void **state)
{
    size_t length;
    (void)state;
    for (unsigned kind = 0; kind < 2; kind++) {
        damage_write_some();
        char *text = rig_read_file(rig_path(&rig, FIRST_FILE), &length);
        char *from = damage_line(text, 12), *to = damage_line(text, 13);
        char *changed = malloc(2 * length);
        size_t before = (size_t)((kind == 0 ? from : to) - text);
        memcpy(changed, text, before);
        const char *rest = kind == 0 ? to : from;
        memcpy(changed + before, rest, length - (size_t)(rest - text));
        rig_write_file(rig_path(&rig, FIRST_FILE), changed, before + length - (size_t)(rest - text));
        damage_write_more();
        assert_int_equal(damage_find(1).line, 12 + kind);
        assert_int_equal(damage_verify(), kind == 0 ? FLAW_MISSING : FLAW_REPEATED);
        assert_int_equal(damage_check.flaw.line, 12 + kind);
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
    damage_write_some();
    rig_records(&rig, &records);
    FILE *file = fopen(rig_path(&rig, FIRST_FILE), "w");
    for (size_t i = 0; i < records.count; i++) {
        if (rig_number(&records.item[i]) == 7)
            strcpy(records.item[i].op, "sign_tls12");
        size_t packed = audit_record_pack(&records.item[i], body);
        int length = audit_chain_seal(hasher, &link, body, packed, line);
        assert_int_equal(fwrite(line, 1, (size_t)length, file), length);
    }
    fclose(file);
    unlink(rig_path(&rig, "head")); /* that would tell at once */
    damage_write_more();
    assert_non_null(strstr(damage_find(1).what, "not signed by the key"));
    assert_int_equal(damage_verify(), FLAW_FORGED);
    free(records.item);
    audit_hasher_free(hasher);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_changed_byte_is_recorded_and_the_rest_still_counts),
        TEST(garbage_at_the_end_does_not_stop_it),
        TEST(a_file_without_any_record_is_left_and_another_begun),
        TEST(a_record_that_was_taken_out_or_doubled_is_recorded),
        TEST(a_chain_made_anew_without_the_key_is_recorded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
