/* Any bytes are a record that packs to the same bytes again, or none; any fields survive packing and parsing;
 * a log of such records is good, and never again when one of its bytes is another. */
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/secret.h"
#include "keyserver/audit/audit_check.h"
#include "keyserver/audit/audit_follow.h"
#include "keyserver/audit/audit_members.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

#define RECORDS_MAX 6

static struct audit_hasher *hasher;
static struct sign_key key;

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void stop_fuzzing(void)
{
    audit_hasher_free(hasher);
}

static void start_fuzzing(void)
{
    static const uint8_t seed[SIGN_SEED_SIZE] = {1};
    must(secret_init() == 0);
    hasher = audit_hasher_new();
    must(hasher != NULL);
    sign_derive(&key, seed);
    atexit(stop_fuzzing);
}

/* ---- one line ---- */

static size_t write_line(char out[static AUDIT_LINE_MAX], const struct audit_record *record)
{
    size_t length = audit_record_pack_seq(out, record->seq);
    length += audit_record_pack(record, out + length);
    return length + audit_record_pack_hash(out + length, record->hash);
}

static void parse_raw(const char *line, size_t length)
{
    char again[AUDIT_LINE_MAX];
    struct audit_record record;
    struct audit_head head;
    if (audit_record_parse(&record, line, length) == 0)
        must(write_line(again, &record) == length && memcmp(again, line, length) == 0);
    (void)!audit_head_parse(&head, line, length);
}

static uint64_t take_u64(struct reader *r)
{
    uint64_t high = reader_u24(r), middle = reader_u24(r);
    return high << 40 | middle << 16 | reader_u16(r);
}

/* Fields from the input, and what every type must have. */
static void fill(struct audit_record *record, struct reader *r)
{
    enum audit_type type = (enum audit_type)(1 + reader_u8(r) % (AUDIT_TYPES - 1));
    memset(record, 0, sizeof *record);
    for (const struct audit_member *m = audit_forms[type].members; m->head != NULL; m++) {
        uint8_t *field = (uint8_t *)record + m->offset;
        if (m->bit != 0 && (reader_u8(r) & 1) == 0)
            continue;
        record->has |= m->bit;
        size_t size = reader_u8(r) % (m->size + 1u);
        bool text = m->kind == MEMBER_TEXT || m->kind == MEMBER_WORD;
        const uint8_t *from = reader_bytes(r, text && size == m->size ? size - 1 : size);
        if (m->kind == MEMBER_RESULT)
            record->result = (enum audit_result)(size % AUDIT_RESULTS);
        else if (from != NULL)
            memcpy(field, from, text && size == m->size ? size - 1 : size);
        if (text && !m->optional && field[0] == 0)
            field[0] = 'x';
        for (size_t i = 0; m->kind == MEMBER_WORD && field[i] != 0; i++)
            field[i] = (uint8_t) "abcdefghijklmnopqrstuvwxyz0123456789_.-"[field[i] % 39];
        for (size_t i = strnlen((char *)field, m->size); text && i < m->size; i++)
            field[i] = 0;
    }
    record->type = type;
    record->time_ms = take_u64(r) % (AUDIT_TIME_MAX + 1);
    record->since_ms %= AUDIT_TIME_MAX + 1;
    record->seq = 1 + take_u64(r) % AUDIT_SEQ_MAX;
}

static void pack_and_parse(const struct audit_record *record)
{
    char line[AUDIT_LINE_MAX];
    struct audit_record parsed;
    struct audit_record expected = *record;
    size_t length = write_line(line, record);
    must(length < AUDIT_LINE_MAX);
    for (size_t i = 0; i < length; i++)
        must(line[i] >= ' ' && line[i] <= '~');
    int err = audit_record_parse(&parsed, line, length);
    if (record->type == AUDIT_SEGMENT &&
        (record->format < AUDIT_FORMAT_FIRST || record->format > AUDIT_FORMAT)) {
        must(err == ERR_UNSUPPORTED);
        return;
    }
    must(err == 0 && memcmp(&parsed, &expected, sizeof parsed) == 0);
}

/* ---- a log ---- */

struct log {
    char text[(RECORDS_MAX + 2) * AUDIT_LINE_MAX];
    size_t length;
    struct audit_link link;
};

static void add(struct log *log, struct audit_record *record)
{
    char body[AUDIT_BODY_MAX], line[AUDIT_LINE_MAX];
    int length;
    if (record->type == AUDIT_CHECKPOINT)
        length = audit_checkpoint_seal(hasher, &log->link, record, &key, line);
    else
        length = audit_chain_seal(hasher, &log->link, body, audit_record_pack(record, body), line);
    must(length > 0);
    memcpy(log->text + log->length, line, (size_t)length);
    log->length += (size_t)length;
}

static enum audit_flaw_kind check_log(const struct log *log)
{
    static struct audit_check check;
    memset(&check, 0, sizeof check);
    check.hasher = hasher;
    int result = audit_check_file(&check, "file");
    for (size_t at = 0; at < log->length && result == 0;) {
        const char *end = memchr(log->text + at, '\n', log->length - at);
        size_t length = (end != NULL ? (size_t)(end - log->text) : log->length) - at;
        result = audit_check_line(&check, log->text + at, length, end != NULL);
        at += length + 1;
    }
    if (result == 0)
        result = audit_check_end(&check);
    must(result == (check.flaw.kind != FLAW_NONE));
    return check.flaw.kind;
}

/* However it is cut into reads, following gives the same; a wound is seen where there is one. */
static bool follow_log(const struct log *log, size_t step)
{
    static struct audit_follow follow;
    size_t taken = 0;
    memset(&follow, 0, sizeof follow);
    follow.hasher = hasher;
    audit_follow_file(&follow, false);
    for (size_t end = 0; end < log->length;) {
        end = end + step < log->length ? end + step : log->length;
        taken += audit_follow_bytes(&follow, log->text + taken, end - taken);
    }
    audit_follow_check(&follow);
    return follow.wound.what == NULL && taken == log->length &&
           memcmp(follow.link.hash, log->link.hash, AUDIT_HASH_SIZE) == 0;
}

static void make_log(struct log *log, struct reader *r)
{
    struct audit_record record = {.type = AUDIT_SEGMENT, .format = AUDIT_FORMAT};
    log->length = 0;
    log->link = (struct audit_link){.seq = 0};
    memcpy(record.public_key, key.public, sizeof record.public_key);
    add(log, &record);
    for (unsigned i = 0; i < RECORDS_MAX && reader_left(r) > 16; i++) {
        fill(&record, r);
        pack_and_parse(&record);
        if (record.type != AUDIT_SEGMENT)
            add(log, &record);
    }
    record = (struct audit_record){.type = AUDIT_CHECKPOINT};
    add(log, &record);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static struct log log;
    struct reader r;
    if (hasher == NULL)
        start_fuzzing();
    parse_raw((const char *)bytes, length);
    reader_init(&r, bytes, length);
    size_t where = reader_u16(&r), step = 1 + reader_u8(&r) * 7u;
    uint8_t change = reader_u8(&r);
    make_log(&log, &r);
    must(check_log(&log) == FLAW_NONE && follow_log(&log, step));
    if (change == 0)
        return 0;
    log.text[where % log.length] = (char)(log.text[where % log.length] ^ change);
    must(check_log(&log) != FLAW_NONE && !follow_log(&log, step));
    return 0;
}
