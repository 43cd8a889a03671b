/* The verifier: files that are missing or in the wrong place, and a log that is cut; each must be found. */
#include "tests/unit/keyserver/audit_lines_rig.h"

static void each_file_that_is_removed_is_missed(void **state)
{
    (void)state;
    for (unsigned f = 0; f < lines_files.count; f++) {
        struct lines *lines = lines_copy();
        size_t begins = lines_find("segment", f),
               ends = f + 1 < lines_files.count ? lines_find("segment", f + 1) : lines_whole.count;
        lines_drop(lines, begins, ends - begins);
        assert_flaw(lines, 0, FLAW_MISSING, lines_whole.item[begins].seq, "a file removed");
        assert_flaw(lines, f == 0 ? HEAD : PART | HEAD | LIVE,
                    f + 1 < lines_files.count ? FLAW_MISSING : FLAW_CUT, lines_whole.item[begins].seq,
                    "a file removed, live");
    }
}

static void a_file_in_the_place_of_another_is_noticed(void **state)
{
    (void)state;
    struct lines *lines = lines_copy();
    size_t begins = lines_find("segment", 1);
    for (size_t i = begins; i < lines_find("segment", 2); i++)
        lines->item[i] = lines_whole.item[i - begins]; /* the first one's lines again */
    for (size_t i = begins; i < lines_find("segment", 2); i++)
        lines->item[i].file = 1;
    assert_flaw(lines, 0, FLAW_REPEATED, 1, "the first file again");
}

static void each_cut_of_the_end_is_noticed(void **state)
{
    (void)state;
    for (size_t i = 1; i < lines_whole.count; i++) {
        struct lines *lines = lines_copy();
        lines->count = i;
        uint64_t last = lines_whole.item[i - 1].seq;
        if (line_is(&lines_whole.item[i - 1], "checkpoint"))
            assert_int_equal(lines_run(lines, 0), FLAW_NONE); /* that is what the note is for */
        else if (line_is(&lines_whole.item[i - 1], "rotate"))
            assert_flaw(lines, 0, FLAW_MISSING, last + 1, "cut");
        else
            assert_flaw(lines, 0, FLAW_OPEN, last, "cut");
        if (i > lines_find("checkpoint", 0))
            assert_int_equal(lines_run(lines, LIVE), FLAW_NONE);
        else
            assert_flaw(lines, LIVE, FLAW_OPEN, last, "cut before anything was signed");
        assert_flaw(lines, HEAD | LIVE, FLAW_CUT, last + 1, "cut, with a note");
        assert_flaw(lines, HEAD, FLAW_CUT, last + 1, "cut, with a note");
    }
}

static void a_log_without_a_record_is_never_good(void **state)
{
    (void)state;
    for (unsigned options = 0; options <= (PART | LIVE | HEAD | KEY); options++) {
        struct lines *lines = lines_copy();
        lines->count = 0;
        assert_flaw(lines, options, options & HEAD ? FLAW_CUT : FLAW_MISSING, 1, "emptied");
        lines->count = 1;
        lines->item[0].unended = true;
        assert_int_not_equal(lines_run(lines, options), FLAW_NONE);
    }
}

/* Whoever has no key can write a rotation, too. */
static void a_closed_file_is_good_when_it_is_signed_to_its_end(void **state)
{
    (void)state;
    struct lines *lines = lines_copy();
    lines->count = lines_find("segment", 1);
    assert_int_equal(lines_run(lines, PART | KEY), FLAW_NONE);
    assert_true(line_is(&lines->item[lines->count - 2], "checkpoint"));
    lines_drop(lines, lines->count - 2, 1);
    lines_seal_again(lines, lines->count - 1);
    assert_flaw(lines, PART | KEY, FLAW_OPEN, lines->item[lines->count - 1].seq - 1, "a forged rotation");
}

static void an_end_in_the_midst_of_a_record_is_noticed(void **state)
{
    (void)state;
    struct lines *lines = lines_copy();
    struct line *last = &lines->item[lines->count - 1];
    last->unended = true;
    for (; last->length > 0; last->length--) {
        assert_flaw(lines, 0, FLAW_TORN, last->seq, "torn");
        assert_int_equal(lines_run(lines, LIVE), FLAW_NONE);
        assert_flaw(lines, LIVE | HEAD, FLAW_CUT, last->seq, "torn, with a note");
    }
    lines = lines_copy();
    size_t at = lines_find("rotate", 1);
    lines->item[at].unended = true;
    assert_flaw(lines, LIVE, FLAW_TORN, lines->item[at].seq, "the end of a file that is not the last");
}

static void a_note_of_a_record_before_the_first_is_no_help(void **state)
{
    struct lines *lines = lines_copy();
    (void)state;
    lines_drop(lines, 0, lines_find("segment", 2));
    struct audit_head real = lines_head;
    lines_head.link.seq = 3;
    assert_flaw(lines, PART | HEAD, FLAW_MISSING, 3, "too early");
    lines_head = real;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_file_that_is_removed_is_missed),
        cmocka_unit_test(a_file_in_the_place_of_another_is_noticed),
        cmocka_unit_test(each_cut_of_the_end_is_noticed),
        cmocka_unit_test(a_log_without_a_record_is_never_good),
        cmocka_unit_test(a_closed_file_is_good_when_it_is_signed_to_its_end),
        cmocka_unit_test(an_end_in_the_midst_of_a_record_is_noticed),
        cmocka_unit_test(a_note_of_a_record_before_the_first_is_no_help),
    };
    return cmocka_run_group_tests(tests, lines_set_up, lines_tear_down);
}
