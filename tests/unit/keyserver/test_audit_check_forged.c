/* The verifier: chains that somebody made anew, with and without a key; each must be found. */
#include "tests/unit/keyserver/audit_lines_rig.h"

static uint64_t next_checkpoint(size_t at)
{
    while (!line_is(&lines_whole.item[at], "checkpoint"))
        at++;
    return lines_whole.item[at].seq;
}

static void a_forged_record_with_a_new_chain_shows_at_the_next_checkpoint(void **state)
{
    char text[AUDIT_LINE_MAX];
    (void)state;
    for (unsigned n = 0; n < LINES_USES; n += 7) {
        size_t at = lines_find("use", n);
        struct lines *lines = lines_copy();
        struct line *line = &lines->item[at];
        memcpy(text, line->text, line->length);
        char *op = memmem(text, line->length, "sign_tls13", 10);
        assert_non_null(op);
        memcpy(op, "sign_tls12", 10);
        line->text = text;
        lines_seal_again(lines, at);
        assert_flaw(lines, 0, FLAW_FORGED, next_checkpoint(at), "altered");
        lines = lines_copy();
        lines_drop(lines, at, 1);
        lines_seal_again(lines, at);
        assert_int_equal(lines_run(lines, 0), FLAW_FORGED);
        assert_in_range(lines_check.flaw.seq, next_checkpoint(at) - 1, next_checkpoint(at));
    }
}

/* Only its own hash is made anew: then the one after it does not follow. */
static void a_forged_record_with_a_new_hash_shows_in_the_next_one(void **state)
{
    (void)state;
    size_t at = lines_find("use", 20);
    struct lines *lines = lines_copy();
    static char text[AUDIT_LINE_MAX];
    memcpy(text, lines->item[at].text, lines->item[at].length);
    memcpy((char *)memmem(text, lines->item[at].length, "sign_tls13", 10), "sign_tls12", 10);
    lines->item[at].text = text;
    lines_seal_again(lines, at);
    for (size_t i = at + 1; i < lines->count; i++)
        lines->item[i] = lines_whole.item[i];
    assert_flaw(lines, 0, FLAW_ALTERED, lines_whole.item[at].seq + 1, "altered");
    assert_non_null(strstr(lines_check.flaw.fault.text, "or the record before it was"));
}

static void the_signature_of_another_checkpoint_is_noticed(void **state)
{
    char text[AUDIT_LINE_MAX];
    (void)state;
    size_t at = lines_find("checkpoint", 3), other = lines_find("checkpoint", 2);
    struct lines *lines = lines_copy();
    struct line *line = &lines->item[at];
    memcpy(text, line->text, line->length);
    char *to = memmem(text, line->length, "\"signature\":\"", 13);
    const char *from = memmem(lines_whole.item[other].text, lines_whole.item[other].length,
                              "\"signature\":\"", 13);
    memcpy(to, from, 13 + 88);
    line->text = text;
    assert_flaw(lines, 0, FLAW_ALTERED, line->seq, "replaced");
    lines_seal_again(lines, at);
    assert_flaw(lines, 0, FLAW_FORGED, line->seq, "replaced, with a new chain");
}

/* Somebody with a key of his own signs everything anew, from line AT on. */
static struct lines *sign_again(const struct sign_key *key, size_t at)
{
    static char texts[LINES_MAX][700];
    struct lines *lines = lines_copy();
    struct audit_link link = {.seq = 0};
    for (size_t i = 0; i < lines->count; i++) {
        struct audit_record record;
        char body[AUDIT_BODY_MAX], sealed[AUDIT_LINE_MAX];
        int length;
        assert_int_equal(audit_record_parse(&record, lines->item[i].text, lines->item[i].length), 0);
        if (i < at) {
            link.seq = record.seq;
            memcpy(link.hash, record.hash, sizeof link.hash);
            continue;
        }
        memcpy(record.public_key, key->public, sizeof record.public_key);
        memcpy(record.previous, link.hash, sizeof record.previous);
        if (record.type == AUDIT_CHECKPOINT)
            length = audit_checkpoint_seal(lines_hasher, &link, &record, key, sealed);
        else
            length = audit_chain_seal(lines_hasher, &link, body, audit_record_pack(&record, body), sealed);
        assert_in_range(length, 1, sizeof texts[0]);
        memcpy(texts[i], sealed, (size_t)length);
        lines->item[i].text = texts[i];
        lines->item[i].length = (size_t)length - 1;
    }
    return lines;
}

static void another_key_is_noticed_by_who_has_the_right_one(void **state)
{
    static const uint8_t seed[SIGN_SEED_SIZE] = {7};
    struct sign_key other;
    (void)state;
    sign_derive(&other, seed);
    struct lines *lines = sign_again(&other, 0);
    assert_int_equal(lines_run(lines, 0), FLAW_NONE);
    assert_memory_equal(lines_check.key, other.public, SIGN_PUBLIC_SIZE);
    assert_flaw(lines, KEY, FLAW_KEY, 1, "another key");
    assert_flaw(lines, HEAD, FLAW_REWRITTEN, lines_whole.count, "another hash than was noted");
}

static void a_key_that_changes_is_noticed_without_any(void **state)
{
    static const uint8_t seed[SIGN_SEED_SIZE] = {7};
    struct sign_key other;
    (void)state;
    size_t at = lines_find("segment", 2);
    sign_derive(&other, seed);
    struct lines *lines = sign_again(&other, at);
    assert_flaw(lines, 0, FLAW_KEY, lines_whole.item[at].seq, "another key from here on");
    assert_non_null(strstr(lines_check.flaw.fault.text, "give each with --key"));
    assert_flaw(lines, KEY, FLAW_KEY, lines_whole.item[at].seq, "another key from here on");
    /* In the midst of a file it is a signature that is wrong. */
    at = lines_find("checkpoint", 2);
    lines = sign_again(&other, at);
    assert_flaw(lines, 0, FLAW_FORGED, lines_whole.item[at].seq, "another key in a file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_forged_record_with_a_new_chain_shows_at_the_next_checkpoint),
        cmocka_unit_test(a_forged_record_with_a_new_hash_shows_in_the_next_one),
        cmocka_unit_test(the_signature_of_another_checkpoint_is_noticed),
        cmocka_unit_test(another_key_is_noticed_by_who_has_the_right_one),
        cmocka_unit_test(a_key_that_changes_is_noticed_without_any),
    };
    return cmocka_run_group_tests(tests, lines_set_up, lines_tear_down);
}
