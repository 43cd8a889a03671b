/* The verifier: a real log, altered in every way there is; each must be found, and the right place named. */
#include "tests/unit/keyserver/audit_rig.h"

#define LINES_MAX 4000
#define USES      60

struct line {
    const char *text; /* borrowed */
    size_t length, file;
    uint64_t seq;
    bool unended;
};

/* A log as lines, which a test may change. */
struct lines {
    struct line item[LINES_MAX];
    size_t count;
};

static struct rig rig;
static struct rig_files files; /* of a whole log */
static struct lines whole;     /* the same */
static struct audit_head head; /* its note of the last checkpoint */
static struct audit_hasher *hasher;
static struct sign_key *signer;  /* its key */
static struct audit_check check; /* of the last run */

static size_t loading;

static int keep_line(void *context, const char *line, size_t length, bool ended)
{
    struct lines *lines = context;
    struct audit_record record;
    assert_true(ended && lines->count < LINES_MAX);
    assert_int_equal(audit_record_parse(&record, line, length), 0);
    lines->item[lines->count++] = (struct line){
        .text = line, .length = length, .file = loading, .seq = record.seq};
    return 0;
}

static int set_up_group(void **state)
{
    (void)state;
    rig_set_up(&rig);
    rig.config.rotate_size = 6000;
    for (unsigned run = 0; run < 2; run++) {
        rig_open(&rig);
        for (uint64_t i = 0; i < USES / 2; i++) {
            rig_use_many(&rig, run * USES / 2 + i, 1);
            if (i % 4 == 0)
                rig_pass(&rig, 1000);
        }
        rig_refuse(&rig, 0, REFUSAL_RATE);
        assert_int_equal(audit_commit(rig.audit), 0);
        rig_close(&rig);
    }
    rig_assert_whole(&rig, false);
    rig_read(&rig, &files);
    assert_in_range(files.count, 4, 12);
    for (loading = 0; loading < files.count; loading++)
        assert_int_equal(rig_for_lines(&files.item[loading], &whole, keep_line), 0);
    int folder = open(rig.log, O_RDONLY | O_DIRECTORY);
    assert_int_equal(audit_head_load(folder, &head), 0);
    close(folder);
    hasher = audit_hasher_new();
    return sign_load(&signer, rig.key, &rig.fault) != 0 || hasher == NULL;
}

static int tear_down_group(void **state)
{
    (void)state;
    rig_forget(&files);
    audit_hasher_free(hasher);
    secret_free(signer);
    rig_tear_down(&rig);
    return 0;
}

/* ---- running it ---- */

enum { PART = 1, LIVE = 2, HEAD = 4, KEY = 8 };

static void begin(unsigned options)
{
    memset(&check, 0, sizeof check);
    check.hasher = hasher;
    check.part = options & PART;
    check.live = options & LIVE;
    if (options & HEAD)
        check.anchors[check.anchor_count++] = head.link;
    if (options & KEY)
        memcpy(check.keys[check.key_count++], signer->public, SIGN_PUBLIC_SIZE);
}

/* Goes on with the lines from FROM to END, not included. */
static int go_on(const struct lines *lines, size_t from, size_t end)
{
    int result = 0;
    for (size_t i = from; i < end && result == 0; i++) {
        const struct line *line = &lines->item[i];
        if (i == 0 || line->file != lines->item[i - 1].file)
            result = audit_check_file(&check, files.item[line->file].name);
        if (result == 0)
            result = audit_check_line(&check, line->text, line->length, !line->unended);
    }
    return result;
}

static enum audit_flaw_kind run_from(const struct lines *lines, size_t from)
{
    int result = go_on(lines, from, lines->count);
    if (result == 0)
        result = audit_check_end(&check);
    assert_int_equal(result, check.flaw.kind != FLAW_NONE);
    assert_true(check.flaw.kind == FLAW_NONE || check.flaw.fault.text[0] != 0);
    return check.flaw.kind;
}

static enum audit_flaw_kind run(const struct lines *lines, unsigned options)
{
    begin(options);
    return run_from(lines, 0);
}

static void assert_flaw(const struct lines *lines, unsigned options, enum audit_flaw_kind kind, uint64_t seq,
                        const char *what)
{
    enum audit_flaw_kind got = run(lines, options);
    if (got != kind || check.flaw.seq != seq)
        fail_msg("%s: found %s at record %llu (%s), expected %s at %llu", what, audit_flaw_name(got),
                 (unsigned long long)check.flaw.seq, check.flaw.fault.text, audit_flaw_name(kind),
                 (unsigned long long)seq);
}

static struct lines *copy(void)
{
    static struct lines lines;
    lines = whole;
    return &lines;
}

static void drop(struct lines *lines, size_t at, size_t count)
{
    memmove(&lines->item[at], &lines->item[at + count], (lines->count - at - count) * sizeof lines->item[0]);
    lines->count -= count;
}

static void insert(struct lines *lines, size_t at, struct line line)
{
    memmove(&lines->item[at + 1], &lines->item[at], (lines->count - at) * sizeof lines->item[0]);
    lines->item[at] = line;
    lines->count++;
}

static bool is_type(const struct line *line, const char *type)
{
    char text[64];
    snprintf(text, sizeof text, "\"type\":\"%s\"", type);
    return memmem(line->text, line->length, text, strlen(text)) != NULL;
}

/* Where the N-th record of a type stands. */
static size_t find(const char *type, unsigned n)
{
    for (size_t i = 0; i < whole.count; i++)
        if (is_type(&whole.item[i], type) && n-- == 0)
            return i;
    fail_msg("there is no such %s", type);
    return 0;
}

/* ---- whole logs ---- */

static void a_whole_log_is_good_in_every_way(void **state)
{
    (void)state;
    for (unsigned options = 0; options < 16; options++) {
        assert_int_equal(run(&whole, options), FLAW_NONE);
        assert_int_equal(check.link.seq, whole.count);
        assert_int_equal(check.first_seq, 1);
        assert_int_equal(check.files, files.count);
        assert_int_equal(check.checkpoint.seq, whole.count);
        assert_memory_equal(check.key, signer->public, SIGN_PUBLIC_SIZE);
    }
}

static void a_part_is_good_when_it_is_called_one(void **state)
{
    struct lines *lines = copy();
    (void)state;
    size_t begins = find("segment", 2), ends = find("segment", 3);
    lines->count = ends;
    drop(lines, 0, begins);
    assert_int_equal(run(lines, PART), FLAW_NONE);
    assert_int_equal(check.first_seq, whole.item[begins].seq);
    assert_flaw(lines, 0, FLAW_MISSING, 1, "without --part");
    assert_non_null(strstr(check.flaw.fault.text, "--part"));
}

/* ---- single records ---- */

/* In the records around a checkpoint, every byte is changed to another; each time that record is named. */
static void every_byte_of_a_record_counts(void **state)
{
    static const char others[] = {'0', '7', 'a', '"', '\\', ' ', '}', 'Z', '\x1b'};
    static char text[AUDIT_LINE_MAX];
    static struct audit_check before; /* the changed record */
    (void)state;
    size_t around = find("checkpoint", 1), last = whole.count - 1;
    const size_t victims[] = {0, around - 1, around, around + 1, find("rotate", 1), find("segment", 1), last};
    for (size_t v = 0; v < sizeof victims / sizeof victims[0]; v++) {
        struct lines *lines = copy();
        struct line *line = &lines->item[victims[v]];
        memcpy(text, line->text, line->length);
        line->text = text;
        begin(LIVE);
        assert_int_equal(go_on(lines, 0, victims[v]), 0);
        before = check;
        for (size_t i = 0; i < line->length; i++) {
            char was = text[i];
            text[i] = others[i % sizeof others] != was ? others[i % sizeof others] : (char)(was ^ 1);
            check = before;
            enum audit_flaw_kind kind = run_from(lines, victims[v]);
            if (check.flaw.seq != line->seq || check.flaw.line == 0)
                fail_msg("record %llu, byte %zu '%c' for '%c': %s at %llu: %s", (unsigned long long)line->seq,
                         i, text[i], was, audit_flaw_name(kind), (unsigned long long)check.flaw.seq,
                         check.flaw.fault.text);
            text[i] = was;
        }
    }
}

static void a_bit_anywhere_in_the_log_is_noticed(void **state)
{
    (void)state;
    for (size_t f = 0; f < files.count; f++) {
        for (size_t i = f; i < files.item[f].length; i += 29) {
            static struct audit_check any;
            memset(&any, 0, sizeof any);
            files.item[f].text[i] = (char)(files.item[f].text[i] ^ 1 << i % 7);
            if (rig_check(&any, &files) == FLAW_NONE)
                fail_msg("file %zu, byte %zu", f, i);
            files.item[f].text[i] = (char)(files.item[f].text[i] ^ 1 << i % 7);
        }
    }
}

static void each_record_that_is_removed_is_missed(void **state)
{
    (void)state;
    for (size_t i = 0; i + 1 < whole.count; i++) {
        struct lines *lines = copy();
        drop(lines, i, 1);
        assert_flaw(lines, LIVE, FLAW_MISSING, whole.item[i].seq, "one removed");
    }
    for (size_t i = 0; i + 6 < whole.count; i++) {
        struct lines *lines = copy();
        drop(lines, i, 5);
        assert_flaw(lines, LIVE, FLAW_MISSING, whole.item[i].seq, "five removed");
    }
}

static void each_exchange_of_neighbours_is_noticed(void **state)
{
    (void)state;
    for (size_t i = 0; i + 1 < whole.count; i++) {
        struct lines *lines = copy();
        if (lines->item[i].file != lines->item[i + 1].file)
            continue;
        struct line first = lines->item[i];
        lines->item[i] = lines->item[i + 1];
        lines->item[i + 1] = first;
        /* A record in the place of a head is one that is missing. */
        if (is_type(&first, "segment"))
            assert_true(run(lines, 0) != FLAW_NONE && check.flaw.line == 1);
        else
            assert_flaw(lines, 0, FLAW_MOVED, whole.item[i].seq + 1, "exchanged");
    }
}

static void each_record_that_stands_twice_is_noticed(void **state)
{
    (void)state;
    for (size_t i = 0; i < whole.count; i++) {
        struct lines *lines = copy();
        insert(lines, i, whole.item[i]);
        assert_flaw(lines, 0, FLAW_REPEATED, whole.item[i].seq, "doubled");
        lines = copy();
        if (i < 3 || whole.item[i - 2].file != whole.item[i].file)
            continue;
        struct line old = whole.item[i - 3];
        old.file = whole.item[i].file;
        insert(lines, i, old);
        assert_flaw(lines, 0, FLAW_REPEATED, old.seq, "an older one");
    }
}

static void what_is_inserted_is_noticed(void **state)
{
    static const char garbage[] = "{\"seq\":1}";
    char text[AUDIT_LINE_MAX];
    (void)state;
    for (size_t i = 1; i < whole.count; i++) {
        struct lines *lines = copy();
        insert(lines, i,
               (struct line){.text = garbage, .length = sizeof garbage - 1, .file = whole.item[i].file});
        assert_flaw(lines, 0, FLAW_INSERTED, whole.item[i].seq, "garbage");
        assert_int_equal(check.flaw.line, 1 + i - find("segment", (unsigned)whole.item[i].file));
        if (is_type(&whole.item[i], "segment"))
            continue;
        /* A record of the right form, number and hash: it shows in the one that it pushes away. */
        const struct audit_record lie = {.type = AUDIT_USE, .time_ms = 5, .op = "ping"};
        struct audit_link link = check.link;
        char body[AUDIT_BODY_MAX];
        int length = audit_chain_seal(hasher, &link, body, audit_record_pack(&lie, body), text);
        lines->item[i].text = text;
        lines->item[i].length = (size_t)length - 1;
        assert_flaw(lines, 0, FLAW_REPEATED, whole.item[i].seq, "a forged one");
    }
}

/* ---- chains made anew ---- */

/* Makes the hashes anew from record AT on, as somebody does who has no key; signatures stay as they are. */
static void seal_again(struct lines *lines, size_t at)
{
    static char texts[LINES_MAX][700];
    struct audit_record record;
    assert_int_equal(audit_record_parse(&record, lines->item[at - 1].text, lines->item[at - 1].length), 0);
    struct audit_link link = {.seq = record.seq};
    memcpy(link.hash, record.hash, sizeof link.hash);
    for (size_t i = at; i < lines->count; i++) {
        struct line *line = &lines->item[i];
        char body[AUDIT_BODY_MAX], sealed[AUDIT_LINE_MAX];
        assert_int_equal(audit_record_parse(&record, line->text, line->length), 0);
        if (record.type == AUDIT_SEGMENT)
            memcpy(record.previous, link.hash, sizeof record.previous);
        int length = audit_chain_seal(hasher, &link, body, audit_record_pack(&record, body), sealed);
        assert_in_range(length, 1, sizeof texts[0]);
        memcpy(texts[i], sealed, (size_t)length);
        line->text = texts[i];
        line->length = (size_t)length - 1;
    }
}

static uint64_t next_checkpoint(size_t at)
{
    while (!is_type(&whole.item[at], "checkpoint"))
        at++;
    return whole.item[at].seq;
}

static void a_forged_record_with_a_new_chain_shows_at_the_next_checkpoint(void **state)
{
    char text[AUDIT_LINE_MAX];
    (void)state;
    for (unsigned n = 0; n < USES; n += 7) {
        size_t at = find("use", n);
        struct lines *lines = copy();
        struct line *line = &lines->item[at];
        memcpy(text, line->text, line->length);
        char *op = memmem(text, line->length, "sign_tls13", 10);
        assert_non_null(op);
        memcpy(op, "sign_tls12", 10);
        line->text = text;
        seal_again(lines, at);
        assert_flaw(lines, 0, FLAW_FORGED, next_checkpoint(at), "altered");
        lines = copy();
        drop(lines, at, 1);
        seal_again(lines, at);
        assert_int_equal(run(lines, 0), FLAW_FORGED);
        assert_in_range(check.flaw.seq, next_checkpoint(at) - 1, next_checkpoint(at));
    }
}

/* Only its own hash is made anew: then the one after it does not follow. */
static void a_forged_record_with_a_new_hash_shows_in_the_next_one(void **state)
{
    (void)state;
    size_t at = find("use", 20);
    struct lines *lines = copy();
    static char text[AUDIT_LINE_MAX];
    memcpy(text, lines->item[at].text, lines->item[at].length);
    memcpy((char *)memmem(text, lines->item[at].length, "sign_tls13", 10), "sign_tls12", 10);
    lines->item[at].text = text;
    seal_again(lines, at);
    for (size_t i = at + 1; i < lines->count; i++)
        lines->item[i] = whole.item[i];
    assert_flaw(lines, 0, FLAW_ALTERED, whole.item[at].seq + 1, "altered");
    assert_non_null(strstr(check.flaw.fault.text, "or the record before it was"));
}

static void the_signature_of_another_checkpoint_is_noticed(void **state)
{
    char text[AUDIT_LINE_MAX];
    (void)state;
    size_t at = find("checkpoint", 3), other = find("checkpoint", 2);
    struct lines *lines = copy();
    struct line *line = &lines->item[at];
    memcpy(text, line->text, line->length);
    char *to = memmem(text, line->length, "\"signature\":\"", 13);
    const char *from = memmem(whole.item[other].text, whole.item[other].length, "\"signature\":\"", 13);
    memcpy(to, from, 13 + 88);
    line->text = text;
    assert_flaw(lines, 0, FLAW_ALTERED, line->seq, "replaced");
    seal_again(lines, at);
    assert_flaw(lines, 0, FLAW_FORGED, line->seq, "replaced, with a new chain");
}

/* Somebody with a key of his own signs everything anew, from line AT on. */
static struct lines *sign_again(const struct sign_key *key, size_t at)
{
    static char texts[LINES_MAX][700];
    struct lines *lines = copy();
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
            length = audit_checkpoint_seal(hasher, &link, &record, key, sealed);
        else
            length = audit_chain_seal(hasher, &link, body, audit_record_pack(&record, body), sealed);
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
    assert_int_equal(run(lines, 0), FLAW_NONE);
    assert_memory_equal(check.key, other.public, SIGN_PUBLIC_SIZE);
    assert_flaw(lines, KEY, FLAW_KEY, 1, "another key");
    assert_flaw(lines, HEAD, FLAW_REWRITTEN, whole.count, "another hash than was noted");
}

static void a_key_that_changes_is_noticed_without_any(void **state)
{
    static const uint8_t seed[SIGN_SEED_SIZE] = {7};
    struct sign_key other;
    (void)state;
    size_t at = find("segment", 2);
    sign_derive(&other, seed);
    struct lines *lines = sign_again(&other, at);
    assert_flaw(lines, 0, FLAW_KEY, whole.item[at].seq, "another key from here on");
    assert_non_null(strstr(check.flaw.fault.text, "give each with --key"));
    assert_flaw(lines, KEY, FLAW_KEY, whole.item[at].seq, "another key from here on");
    /* In the midst of a file it is a signature that is wrong. */
    at = find("checkpoint", 2);
    lines = sign_again(&other, at);
    assert_flaw(lines, 0, FLAW_FORGED, whole.item[at].seq, "another key in a file");
}

/* ---- files and ends ---- */

static void each_file_that_is_removed_is_missed(void **state)
{
    (void)state;
    for (unsigned f = 0; f < files.count; f++) {
        struct lines *lines = copy();
        size_t begins = find("segment", f), ends = f + 1 < files.count ? find("segment", f + 1) : whole.count;
        drop(lines, begins, ends - begins);
        assert_flaw(lines, 0, FLAW_MISSING, whole.item[begins].seq, "a file removed");
        assert_flaw(lines, f == 0 ? HEAD : PART | HEAD | LIVE, f + 1 < files.count ? FLAW_MISSING : FLAW_CUT,
                    whole.item[begins].seq, "a file removed, live");
    }
}

static void a_file_in_the_place_of_another_is_noticed(void **state)
{
    (void)state;
    struct lines *lines = copy();
    size_t begins = find("segment", 1);
    for (size_t i = begins; i < find("segment", 2); i++)
        lines->item[i] = whole.item[i - begins]; /* the first one's lines again */
    for (size_t i = begins; i < find("segment", 2); i++)
        lines->item[i].file = 1;
    assert_flaw(lines, 0, FLAW_REPEATED, 1, "the first file again");
}

static void each_cut_of_the_end_is_noticed(void **state)
{
    (void)state;
    for (size_t i = 1; i < whole.count; i++) {
        struct lines *lines = copy();
        lines->count = i;
        uint64_t last = whole.item[i - 1].seq;
        if (is_type(&whole.item[i - 1], "checkpoint"))
            assert_int_equal(run(lines, 0), FLAW_NONE); /* that is what the note is for */
        else if (is_type(&whole.item[i - 1], "rotate"))
            assert_flaw(lines, 0, FLAW_MISSING, last + 1, "cut");
        else
            assert_flaw(lines, 0, FLAW_OPEN, last, "cut");
        assert_int_equal(run(lines, LIVE), FLAW_NONE);
        assert_flaw(lines, HEAD | LIVE, FLAW_CUT, last + 1, "cut, with a note");
        assert_flaw(lines, HEAD, FLAW_CUT, last + 1, "cut, with a note");
    }
}

static void an_end_in_the_midst_of_a_record_is_noticed(void **state)
{
    (void)state;
    struct lines *lines = copy();
    struct line *last = &lines->item[lines->count - 1];
    last->unended = true;
    for (; last->length > 0; last->length--) {
        assert_flaw(lines, 0, FLAW_TORN, last->seq, "torn");
        assert_int_equal(run(lines, LIVE), FLAW_NONE);
        assert_flaw(lines, LIVE | HEAD, FLAW_CUT, last->seq, "torn, with a note");
    }
    lines = copy();
    size_t at = find("rotate", 1);
    lines->item[at].unended = true;
    assert_flaw(lines, LIVE, FLAW_TORN, lines->item[at].seq, "the end of a file that is not the last");
}

static void a_note_of_a_record_before_the_first_is_no_help(void **state)
{
    struct lines *lines = copy();
    (void)state;
    drop(lines, 0, find("segment", 2));
    struct audit_head real = head;
    head.link.seq = 3;
    assert_flaw(lines, PART | HEAD, FLAW_MISSING, 3, "too early");
    head = real;
}

static void a_later_format_is_said_to_be_one(void **state)
{
    static const char later[] =
        "{\"seq\":1,\"time\":\"2026-01-31T12:00:00.123Z\",\"type\":\"segment\",\"format\":3,\"hash\":\"\"}";
    struct lines *lines = copy();
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
    struct lines *lines = copy();
    insert(lines, 5, (struct line){.text = "", .length = 0, .file = 0});
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
        cmocka_unit_test(a_forged_record_with_a_new_chain_shows_at_the_next_checkpoint),
        cmocka_unit_test(a_forged_record_with_a_new_hash_shows_in_the_next_one),
        cmocka_unit_test(the_signature_of_another_checkpoint_is_noticed),
        cmocka_unit_test(another_key_is_noticed_by_who_has_the_right_one),
        cmocka_unit_test(a_key_that_changes_is_noticed_without_any),
        cmocka_unit_test(each_file_that_is_removed_is_missed),
        cmocka_unit_test(a_file_in_the_place_of_another_is_noticed),
        cmocka_unit_test(each_cut_of_the_end_is_noticed),
        cmocka_unit_test(an_end_in_the_midst_of_a_record_is_noticed),
        cmocka_unit_test(a_note_of_a_record_before_the_first_is_no_help),
        cmocka_unit_test(a_later_format_is_said_to_be_one),
        cmocka_unit_test(empty_lines_and_endless_ones_are_no_records),
    };
    return cmocka_run_group_tests(tests, set_up_group, tear_down_group);
}
