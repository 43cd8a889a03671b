/* The chain: hashes known from elsewhere, what fits and what does not, checkpoints, the note of the last one,
 * and how the writer finds its way back behind damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/secret.h"
#include "keyserver/audit/audit_follow.h"

static struct audit_hasher *hasher;
static struct sign_key key;

static int set_up(void **state)
{
    static const uint8_t seed[SIGN_SEED_SIZE] = {5};
    (void)state;
    hasher = audit_hasher_new();
    sign_derive(&key, seed);
    return hasher == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    audit_hasher_free(hasher);
    audit_hasher_free(NULL);
    return 0;
}

/* Computed with sha256sum over 32 zero bytes and the line, then over that hash and the next line. */
static void hashes_are_known_from_elsewhere(void **state)
{
    static const char *const expected[] = {
        "{\"seq\":1,\"time\":\"1970-01-01T00:00:00.000Z\",\"type\":\"stop\",\"hash\":"
        "\"295f3eddde19d45ca10f9c630a74f288393fb47809224ba9d70c998d9a541481\"}\n",
        "{\"seq\":2,\"time\":\"1970-01-01T00:00:00.000Z\",\"type\":\"rotate\",\"hash\":"
        "\"37ca15485124d2734ade3711a94a956a785a85794f8d03319caf8cd024960528\"}\n"};
    static const enum audit_type types[] = {AUDIT_STOP, AUDIT_ROTATE};
    struct audit_link link = {.seq = 0};
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        const struct audit_record record = {.type = types[i]};
        char body[AUDIT_BODY_MAX], line[AUDIT_LINE_MAX];
        int length = audit_chain_seal(hasher, &link, body, audit_record_pack(&record, body), line);
        assert_int_equal(length, strlen(expected[i]));
        assert_memory_equal(line, expected[i], (size_t)length);
        assert_int_equal(link.seq, i + 1);
    }
}

static void a_record_fits_behind_one_hash_only(void **state)
{
    const struct audit_record record = {.type = AUDIT_STOP};
    struct audit_link link = {.seq = 8, .hash = {1, 2, 3}};
    const struct audit_link before = link;
    char body[AUDIT_BODY_MAX], line[AUDIT_LINE_MAX];
    struct audit_record parsed;
    (void)state;
    size_t length = (size_t)audit_chain_seal(hasher, &link, body, audit_record_pack(&record, body), line) - 1;
    assert_int_equal(audit_record_parse(&parsed, line, length), 0);
    assert_memory_equal(parsed.hash, link.hash, AUDIT_HASH_SIZE);
    assert_true(audit_chain_fits(hasher, before.hash, line, length, &parsed));
    for (unsigned i = 0; i < AUDIT_HASH_SIZE; i++) {
        struct audit_link other = before;
        other.hash[i] ^= 1;
        assert_false(audit_chain_fits(hasher, other.hash, line, length, &parsed));
    }
    assert_false(audit_chain_fits(hasher, before.hash, line, AUDIT_TAIL_SIZE, &parsed));
}

static void a_checkpoint_is_good_in_its_place_only(void **state)
{
    const struct audit_record record = {.time_ms = 77, .epoch_ms = 99};
    struct audit_link link = {.seq = 8, .hash = {1, 2, 3}};
    const struct audit_link before = link;
    char line[AUDIT_LINE_MAX];
    struct audit_record parsed;
    uint8_t other[SIGN_PUBLIC_SIZE];
    (void)state;
    size_t length = (size_t)audit_checkpoint_seal(hasher, &link, &record, &key, line) - 1;
    assert_int_equal(audit_record_parse(&parsed, line, length), 0);
    assert_int_equal(parsed.type, AUDIT_CHECKPOINT);
    assert_int_equal(parsed.time_ms, 77);
    assert_int_equal(parsed.epoch_ms, 99);
    assert_int_equal(parsed.seq, 9);
    assert_true(audit_chain_fits(hasher, before.hash, line, length, &parsed));
    assert_true(audit_checkpoint_verify(hasher, before.hash, line, length, &parsed, key.public));
    memcpy(other, key.public, sizeof other);
    other[3] ^= 1;
    assert_false(audit_checkpoint_verify(hasher, before.hash, line, length, &parsed, other));
    assert_false(audit_checkpoint_verify(hasher, link.hash, line, length, &parsed, key.public));
    assert_false(audit_checkpoint_verify(hasher, before.hash, line, 100, &parsed, key.public));
    parsed.epoch_ms++;
    assert_false(audit_checkpoint_verify(hasher, before.hash, line, length, &parsed, key.public));
    parsed.epoch_ms--;
    parsed.seq++;
    assert_false(audit_checkpoint_verify(hasher, before.hash, line, length, &parsed, key.public));
    parsed.seq--;
    line[25] ^= 1; /* its time, which only the signature's own hash covers */
    assert_false(audit_checkpoint_verify(hasher, before.hash, line, length, &parsed, key.public));
}

static void a_note_comes_back_and_nothing_else_does(void **state)
{
    struct audit_head head = {.link = {.seq = AUDIT_SEQ_MAX, .hash = {7}}, .epoch_ms = UINT64_MAX}, parsed;
    char text[AUDIT_HEAD_SIZE];
    (void)state;
    audit_head_sign(&head, &key);
    assert_true(audit_head_verify(&head, key.public));
    audit_head_pack(&head, text);
    assert_int_equal(text[AUDIT_HEAD_SIZE - 1], '\n');
    assert_int_equal(audit_head_parse(&parsed, text, sizeof text), 0);
    assert_memory_equal(&parsed, &head, sizeof head);
    parsed.link.seq--;
    assert_false(audit_head_verify(&parsed, key.public));
    assert_int_equal(audit_head_parse(&parsed, text, sizeof text - 1), ERR_FORMAT);
    for (size_t i = 0; i < sizeof text; i++) {
        char was = text[i];
        text[i] = was == 'Z' ? 'Y' : 'Z';
        if (audit_head_parse(&parsed, text, sizeof text) == 0)
            assert_false(audit_head_verify(&parsed, key.public)); /* a letter of the signature */
        text[i] = was;
    }
}

static void files_are_named_by_their_first_record(void **state)
{
    static const struct {
        uint64_t seq;
        const char *name;
    } names[] = {{1, "audit-000000000001.jsonl"},
                 {999999999999, "audit-999999999999.jsonl"},
                 {1000000000000, "audit-1000000000000.jsonl"},
                 {AUDIT_SEQ_MAX, "audit-999999999999999.jsonl"}};
    static const char *const others[] = {"audit-1.jsonl",
                                         "audit-0000000000001.jsonl",
                                         "audit-000000000000.jsonl",
                                         "audit-000000000001.json",
                                         "audit-000000000001.jsonl~",
                                         "audit- 00000000001.jsonl",
                                         "audit--00000000001.jsonl",
                                         "audit-9999999999999999.jsonl",
                                         "head",
                                         ""};
    char text[AUDIT_FILE_SIZE];
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_string_equal(audit_file_name(names[i].seq, text), names[i].name);
        assert_int_equal(audit_file_seq(text), names[i].seq);
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_int_equal(audit_file_seq(others[i]), 0);
}

/* ---- following ---- */

#define LINES 12

static char lines[LINES][512];
static struct audit_link links[LINES + 1];

/* A head, ten records and a checkpoint, after record 40. */
static void make_lines(void)
{
    struct audit_link link = {.seq = 40, .hash = {4}};
    links[0] = link;
    for (unsigned i = 0; i < LINES; i++) {
        struct audit_record record = {
            .type = i == 0 ? AUDIT_SEGMENT : AUDIT_USE, .format = 1, .op = "ping", .count = i};
        char body[AUDIT_BODY_MAX], line[AUDIT_LINE_MAX];
        int length;
        memcpy(record.previous, link.hash, sizeof record.previous);
        memcpy(record.public_key, key.public, sizeof record.public_key);
        if (i == LINES - 1)
            length = audit_checkpoint_seal(hasher, &link, &record, &key, line);
        else
            length = audit_chain_seal(hasher, &link, body, audit_record_pack(&record, body), line);
        assert_in_range(length, 1, sizeof lines[i] - 1);
        memcpy(lines[i], line, (size_t)length);
        lines[i][length] = 0;
        links[i + 1] = link;
    }
}

static unsigned told;

static struct audit_follow follow;

static void tell(void *context, const struct audit_record *record, uint64_t epoch_ms)
{
    assert_true(epoch_ms >= record->time_ms && epoch_ms == follow.epoch_ms);
    (void)context;
    told += record->type == AUDIT_USE;
}

static void begin_following(void)
{
    memset(&follow, 0, sizeof follow);
    follow.hasher = hasher;
    follow.on_record = tell;
    follow.link = links[0];
    told = 0;
    audit_follow_file(&follow, false);
}

static void follow_text(const char *text)
{
    assert_int_equal(audit_follow_bytes(&follow, text, strlen(text)), strlen(text));
}

static void it_finds_back_behind_whatever_is_wrong(void **state)
{
    (void)state;
    make_lines();
    for (unsigned bad = 1; bad < LINES - 2; bad++) {
        static const char *const kinds[] = {"altered", "removed", "doubled", "exchanged", "garbage"};
        for (unsigned kind = 0; kind < 5; kind++) {
            char altered[512];
            begin_following();
            for (unsigned i = 0; i < LINES; i++) {
                strcpy(altered, lines[i]);
                altered[40] = '6'; /* in the time */
                if (i == bad && kind == 4)
                    follow_text("garbage\n");
                if (i == bad && kind == 3)
                    follow_text(lines[i + 1]);
                if (!(i == bad && kind == 1) && !(i == bad + 1 && kind == 3))
                    follow_text(i == bad && kind == 0 ? altered : lines[i]);
                if (i == bad && kind == 2)
                    follow_text(lines[i]);
            }
            audit_follow_check(&follow);
            if (follow.wound.what == NULL || follow.link.seq != links[LINES].seq ||
                memcmp(follow.link.hash, links[LINES].hash, AUDIT_HASH_SIZE) != 0 || told < LINES - 4)
                fail_msg("line %u %s: at record %llu, %u told", bad, kinds[kind],
                         (unsigned long long)follow.link.seq, told);
            assert_in_range(follow.wound.line, bad + 1, bad + 2);
        }
    }
}

static void a_file_begins_where_it_should_or_anywhere(void **state)
{
    (void)state;
    make_lines();
    begin_following();
    follow.link.hash[0] ^= 1; /* the log is another one */
    follow_text(lines[0]);
    assert_int_equal(follow.wound.line, 1);
    assert_false(audit_follow_is_ready(&follow));
    begin_following();
    follow.link = (struct audit_link){.seq = 0};
    audit_follow_file(&follow, true);
    assert_false(audit_follow_is_ready(&follow));
    for (unsigned i = 0; i < LINES; i++)
        follow_text(lines[i]);
    audit_follow_check(&follow);
    assert_null(follow.wound.what);
    assert_true(audit_follow_is_ready(&follow));
    assert_int_equal(follow.checkpoint_seq, 40 + LINES);
    assert_int_equal(follow.records, LINES);
}

static void what_was_noted_elsewhere_must_be_there(void **state)
{
    (void)state;
    make_lines();
    for (unsigned wrong = 0; wrong < 2; wrong++) {
        begin_following();
        follow.anchor = links[5];
        follow.anchor.hash[31] ^= (uint8_t)wrong;
        for (unsigned i = 0; i < LINES; i++)
            follow_text(lines[i]);
        assert_int_equal(follow.wound.line, wrong ? 5 : 0);
    }
}

static void a_line_without_an_end_waits_until_it_is_too_long(void **state)
{
    static char endless[AUDIT_LINE_MAX + 10];
    (void)state;
    make_lines();
    memset(endless, 'x', sizeof endless);
    begin_following();
    follow_text(lines[0]);
    assert_int_equal(audit_follow_bytes(&follow, lines[1], strlen(lines[1]) - 1), 0);
    assert_int_equal(audit_follow_bytes(&follow, endless, AUDIT_LINE_MAX - 1), 0);
    assert_null(follow.wound.what);
    assert_int_equal(audit_follow_bytes(&follow, endless, AUDIT_LINE_MAX), AUDIT_LINE_MAX);
    assert_true(follow.skipping);
    assert_int_equal(follow.wound.line, 2);
    follow_text("the rest of it\n");
    assert_false(follow.skipping);
    follow_text(lines[1]);
    assert_int_equal(follow.link.seq, 42);
    assert_int_equal(follow.lines, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_are_known_from_elsewhere),
        cmocka_unit_test(a_record_fits_behind_one_hash_only),
        cmocka_unit_test(a_checkpoint_is_good_in_its_place_only),
        cmocka_unit_test(a_note_comes_back_and_nothing_else_does),
        cmocka_unit_test(files_are_named_by_their_first_record),
        cmocka_unit_test(it_finds_back_behind_whatever_is_wrong),
        cmocka_unit_test(a_file_begins_where_it_should_or_anywhere),
        cmocka_unit_test(what_was_noted_elsewhere_must_be_there),
        cmocka_unit_test(a_line_without_an_end_waits_until_it_is_too_long),
    };
    if (secret_init() != 0)
        return 1;
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
