/* The verifier: a whole log is good, and every record of it that is altered, removed, moved, doubled or added
 * is found and named. */
#include "tests/unit/keyserver/audit_lines_rig.h"

/* ---- whole logs ---- */

static void a_whole_log_is_good_in_every_way(void **state)
{
    (void)state;
    for (unsigned options = 0; options < 16; options++) {
        assert_int_equal(lines_run(&lines_whole, options), FLAW_NONE);
        assert_int_equal(lines_check.link.seq, lines_whole.count);
        assert_int_equal(lines_check.first_seq, 1);
        assert_int_equal(lines_check.files, lines_files.count);
        assert_int_equal(lines_check.checkpoint.seq, lines_whole.count);
        assert_memory_equal(lines_check.key, lines_signer->public, SIGN_PUBLIC_SIZE);
    }
}

static void a_part_is_good_when_it_is_called_one(void **state)
{
    struct lines *lines = lines_copy();
    (void)state;
    size_t begins = lines_find("segment", 2), ends = lines_find("segment", 3);
    lines->count = ends;
    lines_drop(lines, 0, begins);
    assert_int_equal(lines_run(lines, PART), FLAW_NONE);
    assert_int_equal(lines_check.first_seq, lines_whole.item[begins].seq);
    assert_flaw(lines, 0, FLAW_MISSING, 1, "without --part");
    assert_non_null(strstr(lines_check.flaw.fault.text, "--part"));
}

/* ---- single records ---- */

/* In the records around a checkpoint, every byte is changed to another; each time that record is named. */
static void every_byte_of_a_record_counts(void **state)
{
    static const char others[] = {'0', '7', 'a', '"', '\\', ' ', '}', 'Z', '\x1b'};
    static char text[AUDIT_LINE_MAX];
    static struct audit_check before; /* the changed record */
    (void)state;
    size_t around = lines_find("checkpoint", 1), last = lines_whole.count - 1;
    const size_t victims[] = {
        0, around - 1, around, around + 1, lines_find("rotate", 1), lines_find("segment", 1), last};
    for (size_t v = 0; v < sizeof victims / sizeof victims[0]; v++) {
        struct lines *lines = lines_copy();
        struct line *line = &lines->item[victims[v]];
        memcpy(text, line->text, line->length);
        line->text = text;
        lines_begin(LIVE);
        assert_int_equal(lines_go_on(lines, 0, victims[v]), 0);
        before = lines_check;
        for (size_t i = 0; i < line->length; i++) {
            char was = text[i];
            text[i] = others[i % sizeof others] != was ? others[i % sizeof others] : (char)(was ^ 1);
            lines_check = before;
            enum audit_flaw_kind kind = lines_run_from(lines, victims[v]);
            if (lines_check.flaw.seq != line->seq || lines_check.flaw.line == 0)
                fail_msg("record %llu, byte %zu '%c' for '%c': %s at %llu: %s", (unsigned long long)line->seq,
                         i, text[i], was, audit_flaw_name(kind), (unsigned long long)lines_check.flaw.seq,
                         lines_check.flaw.fault.text);
            text[i] = was;
        }
    }
}

static void a_bit_anywhere_in_the_log_is_noticed(void **state)
{
    (void)state;
    for (size_t f = 0; f < lines_files.count; f++) {
        for (size_t i = f; i < lines_files.item[f].length; i += 29) {
            static struct audit_check any;
            memset(&any, 0, sizeof any);
            lines_files.item[f].text[i] = (char)(lines_files.item[f].text[i] ^ 1 << i % 7);
            if (rig_check(&any, &lines_files) == FLAW_NONE)
                fail_msg("file %zu, byte %zu", f, i);
            lines_files.item[f].text[i] = (char)(lines_files.item[f].text[i] ^ 1 << i % 7);
        }
    }
}

static void each_record_that_is_removed_is_missed(void **state)
{
    (void)state;
    for (size_t i = 0; i + 1 < lines_whole.count; i++) {
        struct lines *lines = lines_copy();
        lines_drop(lines, i, 1);
        assert_flaw(lines, LIVE, FLAW_MISSING, lines_whole.item[i].seq, "one removed");
    }
    for (size_t i = 0; i + 6 < lines_whole.count; i++) {
        struct lines *lines = lines_copy();
        lines_drop(lines, i, 5);
        assert_flaw(lines, LIVE, FLAW_MISSING, lines_whole.item[i].seq, "five removed");
    }
}

static void each_exchange_of_neighbours_is_noticed(void **state)
{
    (void)state;
    for (size_t i = 0; i + 1 < lines_whole.count; i++) {
        struct lines *lines = lines_copy();
        if (lines->item[i].file != lines->item[i + 1].file)
            continue;
        struct line first = lines->item[i];
        lines->item[i] = lines->item[i + 1];
        lines->item[i + 1] = first;
        /* A record in the place of a head is one that is missing. */
        if (line_is(&first, "segment"))
            assert_true(lines_run(lines, 0) != FLAW_NONE && lines_check.flaw.line == 1);
        else
            assert_flaw(lines, 0, FLAW_MOVED, lines_whole.item[i].seq + 1, "exchanged");
    }
}

static void each_record_that_stands_twice_is_noticed(void **state)
{
    (void)state;
    for (size_t i = 0; i < lines_whole.count; i++) {
        struct lines *lines = lines_copy();
        lines_insert(lines, i, lines_whole.item[i]);
        assert_flaw(lines, 0, FLAW_REPEATED, lines_whole.item[i].seq, "doubled");
        lines = lines_copy();
        if (i < 3 || lines_whole.item[i - 2].file != lines_whole.item[i].file)
            continue;
        struct line old = lines_whole.item[i - 3];
        old.file = lines_whole.item[i].file;
        lines_insert(lines, i, old);
        assert_flaw(lines, 0, FLAW_REPEATED, old.seq, "an older one");
    }
}

static void what_is_inserted_is_noticed(void **state)
{
    static const char garbage[] = "{\"seq\":1}";
    char text[AUDIT_LINE_MAX];
    (void)state;
    for (size_t i = 1; i < lines_whole.count; i++) {
        struct lines *lines = lines_copy();
        lines_insert(
            lines, i,
            (struct line){.text = garbage, .length = sizeof garbage - 1, .file = lines_whole.item[i].file});
        assert_flaw(lines, 0, FLAW_INSERTED, lines_whole.item[i].seq, "garbage");
        assert_int_equal(lines_check.flaw.line,
                         1 + i - lines_find("segment", (unsigned)lines_whole.item[i].file));
        if (line_is(&lines_whole.item[i], "segment"))
            continue;
        /* A record of the right form, number and hash: it shows in the one that it pushes away. */
        const struct audit_record lie = {.type = AUDIT_USE, .time_ms = 5, .op = "ping"};
        struct audit_link link = lines_check.link;
        char body[AUDIT_BODY_MAX];
        int length = audit_chain_seal(lines_hasher, &link, body, audit_record_pack(&lie, body), text);
        lines->item[i].text = text;
        lines->item[i].length = (size_t)length - 1;
        assert_flaw(lines, 0, FLAW_REPEATED, lines_whole.item[i].seq, "a forged one");
    }
}

static void a_later_format_is_said_to_be_one(void **state)
{
    static const char later[] =
        "{\"seq\":1,\"time\":\"2026-01-31T12:00:00.123Z\",\"type\":\"segment\",\"format\":3,\"hash\":\"\"}";
    struct lines *lines = lines_copy();
    (void)state;
    lines->item[0].text = later;
    lines->item[0].length = sizeof later - 1;
    assert_flaw(lines, 0, FLAW_FORMAT, 1, "format 3");
}

static void empty_lines_and_endless_ones_are_no_records(void **state)
{
    static char endless[3 * AUDIT_LINE_MAX];
    (void)state;
    memset(endless, 'x', sizeof endless);
    struct lines *lines = lines_copy();
    lines_insert(lines, 5, (struct line){.text = "", .length = 0, .file = 0});
    assert_flaw(lines, 0, FLAW_INSERTED, lines->item[6].seq, "an empty line");
    lines->item[5].text = endless;
    lines->item[5].length = sizeof endless;
    assert_flaw(lines, 0, FLAW_INSERTED, lines->item[6].seq, "an endless line");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_log_is_good_in_every_way),
        cmocka_unit_test(a_part_is_good_when_it_is_called_one),
        cmocka_unit_test(every_byte_of_a_record_counts),
        cmocka_unit_test(a_bit_anywhere_in_the_log_is_noticed),
        cmocka_unit_test(each_record_that_is_removed_is_missed),
        cmocka_unit_test(each_exchange_of_neighbours_is_noticed),
        cmocka_unit_test(each_record_that_stands_twice_is_noticed),
        cmocka_unit_test(what_is_inserted_is_noticed),
        cmocka_unit_test(a_later_format_is_said_to_be_one),
        cmocka_unit_test(empty_lines_and_endless_ones_are_no_records),
    };
    return cmocka_run_group_tests(tests, lines_set_up, lines_tear_down);
}
