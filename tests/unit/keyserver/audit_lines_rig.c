#include "tests/unit/keyserver/audit_lines_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct rig_files lines_files;
struct lines lines_whole;
struct audit_head lines_head;
struct audit_hasher *lines_hasher;
struct sign_key *lines_signer;
struct audit_check lines_check;

static struct rig rig;

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

int lines_set_up(void **state)
{
    (void)state;
    rig_set_up(&rig);
    rig.config.rotate_size = 6000;
    for (unsigned lines_run = 0; lines_run < 2; lines_run++) {
        rig_open(&rig);
        for (uint64_t i = 0; i < LINES_USES / 2; i++) {
            rig_use_many(&rig, lines_run * LINES_USES / 2 + i, 1);
            if (i % 4 == 0)
                rig_pass(&rig, 1000);
        }
        rig_refuse(&rig, 0, REFUSAL_RATE);
        assert_int_equal(audit_commit(rig.audit), 0);
        rig_close(&rig);
    }
    rig_assert_whole(&rig, false);
    rig_read(&rig, &lines_files);
    assert_in_range(lines_files.count, 4, 12);
    for (loading = 0; loading < lines_files.count; loading++)
        assert_int_equal(rig_for_lines(&lines_files.item[loading], &lines_whole, keep_line), 0);
    int folder = open(rig.log, O_RDONLY | O_DIRECTORY);
    assert_int_equal(audit_head_load(folder, &lines_head), 0);
    close(folder);
    lines_hasher = audit_hasher_new();
    return sign_load(&lines_signer, rig.key, &rig.fault) != 0 || lines_hasher == NULL;
}

int lines_tear_down(void **state)
{
    (void)state;
    rig_forget(&lines_files);
    audit_hasher_free(lines_hasher);
    secret_free(lines_signer);
    rig_tear_down(&rig);
    return 0;
}

/* ---- checking it ---- */

void lines_begin(unsigned options)
{
    memset(&lines_check, 0, sizeof lines_check);
    lines_check.hasher = lines_hasher;
    lines_check.part = options & PART;
    lines_check.live = options & LIVE;
    if (options & HEAD)
        lines_check.anchors[lines_check.anchor_count++] = lines_head.link;
    if (options & KEY)
        memcpy(lines_check.keys[lines_check.key_count++], lines_signer->public, SIGN_PUBLIC_SIZE);
}

/* Goes on with the lines from FROM to END, not included. */
int lines_go_on(const struct lines *lines, size_t from, size_t end)
{
    int result = 0;
    for (size_t i = from; i < end && result == 0; i++) {
        const struct line *line = &lines->item[i];
        if (i == 0 || line->file != lines->item[i - 1].file)
            result = audit_check_file(&lines_check, lines_files.item[line->file].name);
        if (result == 0)
            result = audit_check_line(&lines_check, line->text, line->length, !line->unended);
    }
    return result;
}

enum audit_flaw_kind lines_run_from(const struct lines *lines, size_t from)
{
    int result = lines_go_on(lines, from, lines->count);
    if (result == 0)
        result = audit_check_end(&lines_check);
    assert_int_equal(result, lines_check.flaw.kind != FLAW_NONE);
    assert_true(lines_check.flaw.kind == FLAW_NONE || lines_check.flaw.fault.text[0] != 0);
    return lines_check.flaw.kind;
}

enum audit_flaw_kind lines_run(const struct lines *lines, unsigned options)
{
    lines_begin(options);
    return lines_run_from(lines, 0);
}

void assert_flaw(const struct lines *lines, unsigned options, enum audit_flaw_kind kind, uint64_t seq,
                 const char *what)
{
    enum audit_flaw_kind got = lines_run(lines, options);
    if (got != kind || lines_check.flaw.seq != seq)
        fail_msg("%s: found %s at record %llu (%s), expected %s at %llu", what, audit_flaw_name(got),
                 (unsigned long long)lines_check.flaw.seq, lines_check.flaw.fault.text, audit_flaw_name(kind),
                 (unsigned long long)seq);
}

/* ---- changing it ---- */

struct lines *lines_copy(void)
{
    static struct lines lines;
    lines = lines_whole;
    return &lines;
}

void lines_drop(struct lines *lines, size_t at, size_t count)
{
    memmove(&lines->item[at], &lines->item[at + count], (lines->count - at - count) * sizeof lines->item[0]);
    lines->count -= count;
}

void lines_insert(struct lines *lines, size_t at, struct line line)
{
    memmove(&lines->item[at + 1], &lines->item[at], (lines->count - at) * sizeof lines->item[0]);
    lines->item[at] = line;
    lines->count++;
}

bool line_is(const struct line *line, const char *type)
{
    char text[64];
    snprintf(text, sizeof text, "\"type\":\"%s\"", type);
    return memmem(line->text, line->length, text, strlen(text)) != NULL;
}

/* Where the N-th record of a type stands. */
size_t lines_find(const char *type, unsigned n)
{
    for (size_t i = 0; i < lines_whole.count; i++)
        if (line_is(&lines_whole.item[i], type) && n-- == 0)
            return i;
    fail_msg("there is no such %s", type);
    return 0;
}

/* Makes the hashes anew from record AT on, as somebody does who has no key; signatures stay as they are. */
void lines_seal_again(struct lines *lines, size_t at)
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
        int length = audit_chain_seal(lines_hasher, &link, body, audit_record_pack(&record, body), sealed);
        assert_in_range(length, 1, sizeof texts[0]);
        memcpy(texts[i], sealed, (size_t)length);
        line->text = texts[i];
        line->length = (size_t)length - 1;
    }
}
