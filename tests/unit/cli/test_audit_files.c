/* Reading an audit log: its files in order, their lines whatever their length, and what a person sees. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/audit_files.h"
#include "cli/audit_print.h"
#include "common/secret.h"
#include "tests/unit/remove_tree.h"

static char folder[] = "/tmp/keyless-audit-files-XXXXXX";
static struct fault fault;

static const char *in_folder(const char *name)
{
    static char path[4][160];
    static unsigned turn;
    char *out = path[turn++ % 4];
    snprintf(out, sizeof path[0], "%s/%s", folder, name);
    return out;
}

static void append(const char *name, const char *text, size_t length)
{
    FILE *file = fopen(in_folder(name), "a");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static void files_come_in_the_order_of_their_numbers(void **state)
{
    static const char *const names[] = {"audit-000000000001.jsonl", "audit-000000000020.jsonl",
                                        "audit-999999999999.jsonl", "audit-1000000000000.jsonl"};
    static const char *const others[] = {"head", "audit-1.jsonl", "audit-000000000000.jsonl",
                                         "audit-000000000002.jsonl.gz", "audit-00000000000x.jsonl"};
    struct audit_files files = {.path = NULL};
    (void)state;
    for (size_t i = 4; i-- > 0;)
        append(names[i], "x", 1);
    for (size_t i = 0; i < 5; i++)
        append(others[i], "x", 1);
    assert_int_equal(audit_files_list(&files, folder, &fault), 0);
    assert_int_equal(files.count, 4);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(files.path[i], in_folder(names[i]));
    for (size_t i = 0; i < 4; i++) {
        char *next = audit_files_after(files.path[i]);
        if (i < 3)
            assert_string_equal(next, files.path[i + 1]);
        else
            assert_null(next);
        free(next);
    }
    audit_files_clear(&files);
    assert_int_equal(audit_files_list(&files, in_folder("none"), &fault), ERR_CONFIG);
    audit_files_clear(&files);
}

static void assert_line(struct audit_lines *lines, const char *expected, size_t expected_length)
{
    const char *line;
    size_t length;
    assert_int_equal(audit_lines_next(lines, &line, &length), 1);
    assert_int_equal(length, expected_length);
    assert_memory_equal(line, expected, length);
}

static void lines_come_as_the_file_grows(void **state)
{
    struct audit_lines lines;
    const char *line;
    size_t length;
    (void)state;
    append("grows", "one\n\nthr", 8);
    assert_int_equal(audit_lines_open(&lines, in_folder("grows"), PLAIN_FILE_ONLY, &fault), 0);
    assert_line(&lines, "one", 3);
    assert_line(&lines, "", 0);
    assert_int_equal(audit_lines_next(&lines, &line, &length), 0);
    assert_int_equal(audit_lines_rest(&lines, &line), 3);
    assert_memory_equal(line, "thr", 3);
    assert_int_equal(lines.taken, 5);
    append("grows", "ee\nfour\n", 8);
    assert_line(&lines, "three", 5);
    assert_line(&lines, "four", 4);
    assert_int_equal(audit_lines_next(&lines, &line, &length), 0);
    assert_int_equal(audit_lines_rest(&lines, &line), 0);
    audit_lines_close(&lines);
    assert_int_equal(audit_lines_open(&lines, in_folder("none"), PLAIN_FILE_ONLY, &fault), ERR_NOT_FOUND);
    assert_int_equal(audit_lines_open(&lines, folder, PLAIN_FILE_ONLY, &fault), ERR_CONFIG);
    assert_non_null(strstr(fault.text, "is a folder"));
    assert_int_equal(audit_lines_open(&lines, "/dev/zero", PLAIN_FILE_OR_GIVEN, &fault), ERR_CONFIG);
    assert_non_null(strstr(fault.text, "it is a device, not a regular file"));
}

/* Of a line longer than the window its beginning comes, once, and then the next line. */
static void an_endless_line_is_one_line(void **state)
{
    static char endless[3 * 262144 + 17];
    (void)state;
    memset(endless, 'x', sizeof endless);
    for (size_t length = 262144 - 2; length < sizeof endless; length += length < 262144 + 2 ? 1 : 99991) {
        struct audit_lines lines;
        const char *line;
        size_t got;
        unlink(in_folder("endless"));
        append("endless", "before\n", 7);
        append("endless", endless, length);
        append("endless", "\nafter\nrest", 11);
        assert_int_equal(audit_lines_open(&lines, in_folder("endless"), PLAIN_FILE_ONLY, &fault), 0);
        assert_line(&lines, "before", 6);
        assert_int_equal(audit_lines_next(&lines, &line, &got), 1);
        assert_int_equal(got, length < 262144 ? length : 262144);
        assert_line(&lines, "after", 5);
        assert_int_equal(audit_lines_next(&lines, &line, &got), 0);
        assert_int_equal(audit_lines_rest(&lines, &line), 4);
        audit_lines_close(&lines);
    }
}

static char *printed(const struct audit_record *record, bool colour)
{
    char *text = NULL;
    size_t length;
    FILE *stream = open_memstream(&text, &length);
    assert_non_null(stream);
    audit_print_record(stream, record, colour);
    fclose(stream);
    assert_int_equal(text[length - 1], '\n');
    assert_ptr_equal(strchr(text, '\n'), text + length - 1);
    return text;
}

static void every_record_is_one_harmless_line(void **state)
{
    (void)state;
    for (unsigned type = 1; type < AUDIT_TYPES; type++) {
        struct audit_record record;
        memset(&record, 1, sizeof record); /* every text is full of control characters */
        record.type = (enum audit_type)type;
        record.seq = 17;
        record.time_ms = 0;
        record.result = AUDIT_BUSY;
        record.edge[63] = record.key[127] = record.name[255] = record.what[255] = record.file[63] = 0;
        record.op[31] = record.scheme[31] = record.mode[31] = record.kind[31] = record.reason[31] =
            record.version[31] = 0;
        char *text = printed(&record, false);
        assert_memory_equal(text, "1970-01-01T00:00:00.000Z  17  ", 30);
        for (char *at = text; at[1] != 0; at++)
            assert_in_range(*at, ' ', '~');
        free(text);
    }
}

static void a_decision_reads_like_a_sentence(void **state)
{
    struct audit_record record = {.type = AUDIT_USE,
                                  .seq = 5,
                                  .edge = "paris1",
                                  .key = "www",
                                  .op = "rsa_premaster",
                                  .mode = "plain",
                                  .result = AUDIT_REFUSED,
                                  .reason = "mode",
                                  .has = AUDIT_HAS_TRACE,
                                  .trace = {0xab}};
    (void)state;
    char *text = printed(&record, false);
    assert_string_equal(text, "1970-01-01T00:00:00.000Z  5  paris1  www  rsa_premaster plain  refused: mode"
                              "  trace=ab000000000000000000000000000000\n");
    free(text);
    text = printed(&record, true);
    assert_non_null(strstr(text, "\033[31m  refused: mode\033[0m"));
    free(text);
}

static int set_up(void **state)
{
    (void)state;
    return secret_init() != 0 || mkdtemp(folder) == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    return remove_tree(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_come_in_the_order_of_their_numbers),
        cmocka_unit_test(lines_come_as_the_file_grows),
        cmocka_unit_test(an_endless_line_is_one_line),
        cmocka_unit_test(every_record_is_one_harmless_line),
        cmocka_unit_test(a_decision_reads_like_a_sentence),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
