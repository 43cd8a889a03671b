#include "keyserver/audit/audit_check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/bytes.h"

static const char *const kind_names[FLAW_KINDS] = {
    [FLAW_NONE] = "none",           [FLAW_ALTERED] = "altered",   [FLAW_MISSING] = "missing",
    [FLAW_MOVED] = "moved",         [FLAW_REPEATED] = "repeated", [FLAW_INSERTED] = "inserted",
    [FLAW_TORN] = "torn",           [FLAW_FORGED] = "forged",     [FLAW_KEY] = "key",
    [FLAW_REWRITTEN] = "rewritten", [FLAW_CUT] = "cut",           [FLAW_OPEN] = "open",
    [FLAW_FORMAT] = "format",
};

const char *audit_flaw_name(enum audit_flaw_kind kind)
{
    return (unsigned)kind < FLAW_KINDS ? kind_names[kind] : "none";
}

/* ---- what was found ---- */

static int found(struct audit_check *check, enum audit_flaw_kind kind, uint64_t line, uint64_t seq,
                 const char *format, ...) PRINTF_LIKE(5, 6);
static int found(struct audit_check *check, enum audit_flaw_kind kind, uint64_t line, uint64_t seq,
                 const char *format, ...)
{
    struct audit_flaw *flaw = &check->flaw;
    va_list arguments;
    *flaw = (struct audit_flaw){.kind = kind, .line = line, .seq = seq};
    memcpy(flaw->file, check->file, sizeof flaw->file);
    va_start(arguments, format);
    vsnprintf(flaw->fault.text, sizeof flaw->fault.text, format, arguments);
    va_end(arguments);
    return 1;
}

static int found_missing(struct audit_check *check, uint64_t line, uint64_t from, uint64_t before)
{
    char name[AUDIT_FILE_SIZE];
    bool file = line == 1 && check->suspect.record.type == AUDIT_SEGMENT; /* one begins with `from` */
    return found(check, FLAW_MISSING, line, from, "records %" PRIu64 " to %" PRIu64 " are missing%s%s", from,
                 before - 1, file ? ": where is the file " : "", file ? audit_file_name(from, name) : "");
}

/* ---- a line that does not fit, judged by the one after it ---- */

/* What the line after the suspect follows from. */
struct clues {
    uint64_t seq;        /* its number; 0 = there is none, or it is no record */
    bool after_good;     /* the last good record */
    bool after_claim;    /* one with the hash that the suspect bears, at this place */
    bool after_computed; /* one with the hash that the suspect should bear */
    bool before_suspect; /* the suspect follows from it */
};

static void look_for_clues(struct audit_check *check, struct clues *clues, const char *line, size_t length)
{
    const uint64_t due = check->link.seq + 1;
    const struct audit_record *suspect = &check->suspect.record;
    struct audit_record next;
    uint8_t computed[AUDIT_HASH_SIZE];
    *clues = (struct clues){.seq = 0};
    if (line == NULL || audit_record_parse(&next, line, length) != 0)
        return;
    clues->seq = next.seq;
    clues->after_good = next.seq == due &&
                        audit_chain_fits(check->hasher, check->link.hash, line, length, &next);
    if (!check->suspect.is_record)
        return;
    clues->after_claim = next.seq == due + 1 &&
                         audit_chain_fits(check->hasher, suspect->hash, line, length, &next);
    clues->after_computed = next.seq == due + 1 &&
                            audit_chain_hash(check->hasher, check->link.hash, check->suspect.text,
                                             check->suspect.length - AUDIT_TAIL_SIZE, computed) == 0 &&
                            audit_chain_fits(check->hasher, computed, line, length, &next);
    clues->before_suspect = suspect->seq == next.seq + 1 &&
                            audit_chain_fits(check->hasher, next.hash, check->suspect.text,
                                             check->suspect.length, suspect);
}

/* True when the suspect is the record that is due, but for its number. */
static bool is_renumbered(struct audit_check *check)
{
    char line[AUDIT_LINE_MAX + AUDIT_SEQ_ROOM], old[AUDIT_SEQ_ROOM];
    size_t skipped = audit_record_pack_seq(old, check->suspect.record.seq);
    size_t begun = audit_record_pack_seq(line, check->link.seq + 1), rest = check->suspect.length - skipped;
    memcpy(line + begun, check->suspect.text + skipped, rest);
    return audit_chain_fits(check->hasher, check->link.hash, line, begun + rest, &check->suspect.record);
}

static int judge_other_line(struct audit_check *check, const struct clues *clues)
{
    const uint64_t due = check->link.seq + 1, line = check->suspect.line;
    if (clues->after_good)
        return found(check, FLAW_INSERTED, line, due,
                     "a line that is no record was inserted before record %" PRIu64, due);
    return found(check, FLAW_ALTERED, line, due, "this is no record any more; it was record %" PRIu64, due);
}

/* The suspect is one too many: the record that is due stands behind it. */
static int judge_surplus(struct audit_check *check, const struct clues *clues)
{
    const uint64_t due = check->link.seq + 1, line = check->suspect.line, seq = check->suspect.record.seq;
    if (clues->before_suspect)
        return found(check, FLAW_MOVED, line, seq, "record %" PRIu64 " stands before record %" PRIu64, seq,
                     due);
    if (seq < due)
        return found(check, FLAW_REPEATED, line, seq,
                     "record %" PRIu64 " stands here once more, behind record %" PRIu64, seq, due - 1);
    return found(check, FLAW_INSERTED, line, seq,
                 "a record with the number %" PRIu64 " was inserted before record %" PRIu64, seq, due);
}

static int judge_suspect(struct audit_check *check, const char *next, size_t next_length)
{
    const uint64_t due = check->link.seq + 1, line = check->suspect.line, seq = check->suspect.record.seq;
    struct clues clues;
    if (!check->suspect.ended)
        return found(check, FLAW_TORN, line, due, "record %" PRIu64 " is cut off in its midst", due);
    look_for_clues(check, &clues, next, next_length);
    if (!check->suspect.is_record)
        return judge_other_line(check, &clues);
    if (is_renumbered(check))
        return found(check, FLAW_ALTERED, line, due, "the number of record %" PRIu64 " was altered", due);
    if (clues.after_computed)
        return found(check, FLAW_ALTERED, line, due, "the hash of record %" PRIu64 " was altered", due);
    if (clues.after_claim)
        return found(check, FLAW_ALTERED, line, due,
                     "record %" PRIu64
                     " was altered: it does not give its hash (or the record before it was, and "
                     "has a new one)",
                     due);
    if (clues.after_good)
        return judge_surplus(check, &clues);
    if (seq > due)
        return found_missing(check, line, due, seq);
    if (seq < due)
        return found(check, FLAW_REPEATED, line, seq,
                     "record %" PRIu64 " stands here, where record %" PRIu64 " is due", seq, due);
    return found(check, FLAW_ALTERED, line, due, "record %" PRIu64 " was altered: it does not give its hash",
                 due);
}

static void hold(struct audit_check *check, const char *line, size_t length, bool ended, bool is_record)
{
    size_t kept = length < sizeof check->suspect.text ? length : sizeof check->suspect.text;
    memcpy(check->suspect.text, line, kept);
    check->suspect.length = kept > 0 ? kept : 1; /* an empty line is held, too */
    check->suspect.line = check->line;
    check->suspect.ended = ended;
    check->suspect.is_record = is_record;
}

/* ---- a record that fits ---- */

static int check_key(struct audit_check *check, const struct audit_record *head)
{
    char text[45];
    bool good = check->key_count == 0 &&
                (check->files == 0 || memcmp(check->key, head->public_key, sizeof check->key) == 0);
    for (size_t i = 0; i < check->key_count; i++)
        good = good || memcmp(check->keys[i], head->public_key, sizeof check->keys[i]) == 0;
    memcpy(check->key, head->public_key, sizeof check->key);
    check->files++;
    if (good)
        return 0;
    return found(check, FLAW_KEY, check->line, head->seq, "from here on the log is signed with the key %s%s",
                 base64_encode(text, head->public_key, sizeof head->public_key),
                 check->key_count > 0 ? ", which is none of those that were given"
                                      : ", not with that before; if both are yours, give each with --key");
}

static int check_anchors(struct audit_check *check, const struct audit_record *record)
{
    for (size_t i = 0; i < check->anchor_count; i++)
        if (check->anchors[i].seq == record->seq &&
            memcmp(check->anchors[i].hash, record->hash, sizeof record->hash) != 0)
            return found(check, FLAW_REWRITTEN, check->line, record->seq,
                         "record %" PRIu64 " has another hash than was noted: the log was written anew",
                         record->seq);
    return 0;
}

static int check_checkpoint(struct audit_check *check, const char *line, size_t length,
                            const struct audit_record *record)
{
    if (audit_checkpoint_verify(check->hasher, check->link.hash, line, length, record, check->key)) {
        check->checkpoints++;
        check->checkpoint.seq = record->seq;
        memcpy(check->checkpoint.hash, record->hash, sizeof record->hash);
        return 0;
    }
    return found(
        check, FLAW_FORGED, check->line, record->seq,
        "the signature of checkpoint %" PRIu64 " is not one of the key of this file over what stands "
        "before it: of the records %" PRIu64 " to %" PRIu64 " some were altered and their hashes made anew",
        record->seq, check->checkpoint.seq + 1, record->seq);
}

static int accept(struct audit_check *check, const char *line, size_t length,
                  const struct audit_record *record)
{
    int result = 0;
    if (record->type == AUDIT_SEGMENT)
        result = check_key(check, record);
    else if (record->type == AUDIT_CHECKPOINT)
        result = check_checkpoint(check, line, length, record);
    if (result == 0)
        result = check_anchors(check, record);
    if (result != 0)
        return result;
    if (check->first_seq == 0) {
        check->first_seq = record->seq;
        check->first_ms = record->time_ms;
    }
    check->link.seq = record->seq;
    memcpy(check->link.hash, record->hash, sizeof record->hash);
    check->last = *record;
    if (check->on_record != NULL)
        check->on_record(check->context, record);
    return 0;
}

/* ---- lines and files ---- */

/* A head is the first record of its file, and nothing else is; it names the record before. */
static bool is_in_place(const struct audit_check *check, const struct audit_record *record)
{
    if (record->type != AUDIT_SEGMENT)
        return check->line > 1;
    return check->line == 1 && memcmp(record->previous, check->link.hash, sizeof record->previous) == 0;
}

static bool fits(struct audit_check *check, const char *line, size_t length,
                 const struct audit_record *record)
{
    return record->seq == check->link.seq + 1 && is_in_place(check, record) &&
           audit_chain_fits(check->hasher, check->link.hash, line, length, record);
}

/* The very first line says where a part of a log begins. */
static int check_first(struct audit_check *check, const struct audit_record *record)
{
    if (check->part) {
        check->link.seq = record->seq - 1;
        memcpy(check->link.hash, record->previous, sizeof record->previous);
    } else if (record->seq > 1) {
        return found(check, FLAW_MISSING, check->line, 1,
                     "the log begins with record %" PRIu64
                     ": the files before it are missing; if they are kept "
                     "elsewhere, name them, too, or say --part",
                     record->seq);
    }
    return 0;
}

int audit_check_line(struct audit_check *check, const char *line, size_t length, bool ended)
{
    struct audit_record *record = &check->suspect.record;
    check->line++;
    if (check->suspect.length > 0)
        return judge_suspect(check, line, length);
    int err = ended ? audit_record_parse(record, line, length) : ERR_FORMAT;
    if (err == ERR_UNSUPPORTED)
        return found(check, FLAW_FORMAT, check->line, record->seq,
                     "this file is in a format that this version does not know; update keyless");
    if (err == 0 && check->first_seq == 0 && record->type == AUDIT_SEGMENT && check->line == 1 &&
        check_first(check, record) != 0)
        return 1;
    if (err == 0 && fits(check, line, length, record))
        return accept(check, line, length, record);
    hold(check, line, length, ended, err == 0);
    return 0;
}

int audit_check_file(struct audit_check *check, const char *name)
{
    if (check->suspect.length > 0 && judge_suspect(check, NULL, 0) != 0)
        return 1;
    snprintf(check->file, sizeof check->file, "%s", name);
    check->line = 0;
    return 0;
}

static int check_noted(struct audit_check *check)
{
    for (size_t i = 0; i < check->anchor_count; i++) {
        uint64_t seq = check->anchors[i].seq;
        if (seq > check->link.seq)
            return found(check, FLAW_CUT, check->line, check->link.seq + 1,
                         "the log ends with record %" PRIu64 ", but checkpoint %" PRIu64
                         " was noted: what came after it was cut off",
                         check->link.seq, seq);
        if (seq < check->first_seq)
            return found(check, FLAW_MISSING, 0, seq,
                         "checkpoint %" PRIu64 " was noted, and the first record here is %" PRIu64
                         ": name the files before it, too",
                         seq, check->first_seq);
    }
    return 0;
}

/* What a rotation adds proves nothing: its file is signed to the end when a checkpoint stands right before
 * it.
 */
static bool is_signed_to_its_end(const struct audit_check *check)
{
    if (check->checkpoints == 0)
        return false;
    return check->last.type == AUDIT_CHECKPOINT ||
           (check->part && check->last.type == AUDIT_ROTATE && check->checkpoint.seq + 1 == check->link.seq);
}

static int found_open(struct audit_check *check)
{
    if (check->checkpoints == 0)
        return found(check, FLAW_OPEN, check->line, check->link.seq,
                     "no checkpoint signs any of its records; a key server that runs signs every second: if "
                     "it has only just begun, look again; otherwise the log was cut there, or is forged");
    return found(check, FLAW_OPEN, check->line, check->link.seq,
                 "the log ends with record %" PRIu64
                 ", which no checkpoint covers: it was cut there, or a vault was "
                 "killed there; if one is running, say --live",
                 check->link.seq);
}

int audit_check_end(struct audit_check *check)
{
    char name[AUDIT_FILE_SIZE];
    bool unfinished = check->suspect.length > 0 && !check->suspect.ended && check->live;
    if (check->suspect.length > 0 && !unfinished)
        return judge_suspect(check, NULL, 0);
    if (check_noted(check) != 0)
        return 1;
    if (check->first_seq == 0)
        return found(check, FLAW_MISSING, 0, 1, "no record is there: the log was emptied");
    if (is_signed_to_its_end(check) || (check->live && check->checkpoints > 0))
        return 0;
    if (check->last.type == AUDIT_ROTATE && !check->part)
        return found(check, FLAW_MISSING, check->line, check->link.seq + 1,
                     "the log goes on in the file %s, which is missing or empty",
                     audit_file_name(check->link.seq + 1, name));
    return found_open(check);
}
