#include "keyserver/audit/audit_follow.h"

#include <string.h>

#include "common/clock.h"

void audit_follow_file(struct audit_follow *follow, bool anywhere)
{
    follow->records = follow->lines = 0;
    follow->quota_replay_due = follow->format = 0;
    follow->headed = follow->closed = follow->skipping = false;
    follow->checkpoint.length = 0;
    follow->anywhere = anywhere;
    follow->astray = (struct audit_link){0};
    follow->wound = (struct audit_wound){.what = NULL};
    memset(follow->public_key, 0, sizeof follow->public_key);
}

bool audit_follow_is_ready(const struct audit_follow *follow)
{
    return follow->headed && follow->quota_replay_due == 0;
}

static void note_wound(struct audit_follow *follow, const char *what)
{
    if (follow->wound.what == NULL)
        follow->wound = (struct audit_wound){
            .what = what, .line = follow->lines, .seq = follow->link.seq + 1};
}

/* What a record that fits means for what is kept. */
static void note_record(struct audit_follow *follow, const struct audit_record *record)
{
    bool of_head = record->type == AUDIT_QUOTA || record->type == AUDIT_RATE;
    follow->records++;
    if (record->type == AUDIT_SEGMENT) {
        follow->headed = true;
        follow->format = record->format;
        follow->quota_replay_due = record->quotas;
        memcpy(follow->public_key, record->public_key, sizeof follow->public_key);
    } else if (follow->quota_replay_due > 0) {
        follow->quota_replay_due = of_head ? follow->quota_replay_due - 1 : 0;
    }
    if (record->type == AUDIT_CHECKPOINT)
        follow->checkpoint_seq = record->seq;
    follow->closed = record->type == AUDIT_ROTATE;
    follow->epoch_ms = clock_later(follow->epoch_ms, clock_later(record->epoch_ms, record->time_ms));
    bool wanted = record->type == AUDIT_USE || (of_head && follow->quota_replay_wanted);
    if (follow->on_record != NULL && wanted)
        follow->on_record(follow->context, record, follow->epoch_ms);
}

/* The first record of a file is its head and names the record before; no other is a head. */
static bool is_in_place(const struct audit_follow *follow, const struct audit_record *record)
{
    if (record->type != AUDIT_SEGMENT)
        return follow->lines > 1;
    return follow->lines == 1 && memcmp(record->previous, follow->link.hash, AUDIT_HASH_SIZE) == 0;
}

static bool fits_after(struct audit_follow *follow, const struct audit_link *before, const char *line,
                       size_t length, const struct audit_record *record)
{
    return record->seq == before->seq + 1 &&
           audit_chain_fits(follow->hasher, before->hash, line, length, record);
}

/* A line that does not follow from the last good record. When it follows from the one before it in the file,
 * which did not fit either, the way is found again. */
static bool finds_back(struct audit_follow *follow, const char *line, size_t length,
                       const struct audit_record *record)
{
    bool found = follow->astray.seq != 0 && fits_after(follow, &follow->astray, line, length, record);
    follow->astray.seq = record->seq;
    memcpy(follow->astray.hash, record->hash, sizeof record->hash);
    return found;
}

static void keep_checkpoint(struct audit_follow *follow, const char *line, size_t length)
{
    if (length > sizeof follow->checkpoint.line)
        return; /* none that was packed */
    memcpy(follow->checkpoint.line, line, length);
    memcpy(follow->checkpoint.before, follow->link.hash, AUDIT_HASH_SIZE);
    follow->checkpoint.length = length;
    follow->checkpoint.number = follow->lines;
}

void audit_follow_check(struct audit_follow *follow)
{
    struct audit_record record;
    size_t length = follow->checkpoint.length;
    follow->checkpoint.length = 0;
    if (length == 0 || follow->wound.what != NULL || !follow->headed)
        return;
    if (audit_record_parse(&record, follow->checkpoint.line, length) != 0 ||
        !audit_checkpoint_verify(follow->hasher, follow->checkpoint.before, follow->checkpoint.line, length,
                                 &record, follow->public_key))
        follow->wound = (struct audit_wound){.what = "a checkpoint that is not signed by the key of its file",
                                             .line = follow->checkpoint.number,
                                             .seq = record.seq};
}

static void take_line(struct audit_follow *follow, const char *line, size_t length)
{
    struct audit_record record;
    follow->lines++;
    if (audit_record_parse(&record, line, length) != 0) {
        note_wound(follow, "not a record");
        return;
    }
    if (follow->anywhere && follow->lines == 1 && record.type == AUDIT_SEGMENT) {
        follow->link.seq = record.seq - 1;
        memcpy(follow->link.hash, record.previous, sizeof record.previous);
    }
    if (!fits_after(follow, &follow->link, line, length, &record) || !is_in_place(follow, &record)) {
        note_wound(follow, "a record that does not follow from the one before");
        if (!finds_back(follow, line, length, &record))
            return;
    }
    if (record.seq == follow->anchor.seq && memcmp(record.hash, follow->anchor.hash, AUDIT_HASH_SIZE) != 0)
        note_wound(follow, "another record than the checkpoint that was noted");
    if (record.type == AUDIT_CHECKPOINT)
        keep_checkpoint(follow, line, length);
    follow->link.seq = record.seq;
    memcpy(follow->link.hash, record.hash, sizeof record.hash);
    note_record(follow, &record);
}

static void take_overlong(struct audit_follow *follow)
{
    follow->lines++;
    note_wound(follow, "a line longer than any record");
}

size_t audit_follow_bytes(struct audit_follow *follow, const char *bytes, size_t length)
{
    size_t taken = 0;
    for (;;) {
        const char *at = bytes + taken, *end = memchr(at, '\n', length - taken);
        size_t left = length - taken, line = end == NULL ? left : (size_t)(end - at);
        if (line >= AUDIT_LINE_MAX && !follow->skipping) {
            take_overlong(follow);
            follow->skipping = true;
        }
        if (end == NULL)
            return follow->skipping ? length : taken;
        if (!follow->skipping)
            take_line(follow, at, line);
        follow->skipping = false;
        taken += line + 1;
    }
}
