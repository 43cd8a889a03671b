#include "keyserver/vault/audit/audit_log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "keyserver/vault/audit/audit_roll.h"

#define FILES_AT_ONCE 1000000 /* gone through before a batch: a bound, so that nothing is without one */
#define LINES_FIRST   65536   /* bytes; doubled as needed, and kept */

/* ---- adding ---- */

void audit_log_reset(struct audit_log *log)
{
    log->length = 0;
    log->added = 0;
    log->made = log->follow.link;
    log->note.link.seq = 0;
    log->spoilt = 0;
}

/* Room for a line, or NULL. */
static char *get_room(struct audit_log *log)
{
    if (log->size - log->length >= AUDIT_LINE_MAX)
        return log->lines + log->length;
    size_t size = log->size == 0 ? LINES_FIRST : 2 * log->size;
    char *lines = realloc(log->lines, size);
    if (lines == NULL) {
        log->spoilt = ERR_MEMORY;
        return NULL;
    }
    log->lines = lines;
    log->size = size;
    return lines + log->length;
}

static void keep_line(struct audit_log *log, int length)
{
    if (length < 0) {
        log->spoilt = length;
        return;
    }
    log->length += (size_t)length;
    log->added++;
}

void audit_log_add_body(struct audit_log *log, const char *body, size_t length)
{
    char *room = get_room(log);
    if (room != NULL)
        keep_line(log, audit_chain_seal(log->follow.hasher, &log->made, body, length, room));
}

void audit_log_add(struct audit_log *log, struct audit_record *record)
{
    char body[AUDIT_BODY_MAX];
    record->time_ms = log->time_ms;
    audit_log_add_body(log, body, audit_record_pack(record, body));
}

bool audit_log_is_ours(const struct audit_log *log)
{
    return memcmp(log->follow.public_key, log->key->public, sizeof log->key->public) == 0;
}

uint64_t audit_log_epoch(const struct audit_log *log)
{
    return log->epoch_ms > log->follow.epoch_ms ? log->epoch_ms : log->follow.epoch_ms;
}

void audit_log_add_checkpoint(struct audit_log *log)
{
    const struct audit_record record = {.time_ms = log->time_ms, .epoch_ms = audit_log_epoch(log)};
    char *room = audit_log_is_ours(log) ? get_room(log) : NULL;
    if (room == NULL)
        return;
    keep_line(log, audit_checkpoint_seal(log->follow.hasher, &log->made, &record, log->key, room));
    log->note = (struct audit_head){.link = log->made, .epoch_ms = record.epoch_ms};
}

/* ---- writing ---- */

static int write_lines(struct audit_log *log, struct audit_segment *segment)
{
    if (log->spoilt != 0) {
        errno = ENOMEM;
        return log->spoilt;
    }
    if (log->sync_always && log->folder_dirty && fdatasync(log->folder) != 0)
        return ERR_SYSTEM;
    log->folder_dirty = log->folder_dirty && !log->sync_always;
    return audit_segment_append(segment, log->lines, log->length, log->sync_always);
}

static void note_written(struct audit_log *log)
{
    log->follow.link = log->made;
    log->follow.lines += log->added;
    log->follow.closed = false;
    log->follow.epoch_ms = audit_log_epoch(log);
    if (log->note.link.seq == 0)
        return;
    log->follow.checkpoint_seq = log->note.link.seq;
    log->head = log->note;
    audit_head_sign(&log->head, log->key);
}

int audit_log_write(struct audit_log *log, struct audit_segment *segment)
{
    int err = write_lines(log, segment), why = errno;
    if (err == 0)
        note_written(log);
    audit_log_reset(log);
    errno = why;
    return err;
}

/* ---- begin and end ---- */

/* What another vault has appended. An unfinished line is of one that was killed: it answered nobody. */
static int read_on(struct audit_log *log, uint64_t size)
{
    int err = audit_segment_read(&log->segment, &log->follow, size, false);
    audit_follow_check(&log->follow);
    if (err != 0 || log->segment.end == size)
        return err;
    log_event(LOG_WARN, "audit_torn",
              "file=%s bytes=%llu error=\"a writer was killed; its last line is cut off\"", log->segment.name,
              (unsigned long long)(size - log->segment.end));
    log->torn += size - log->segment.end;
    return audit_segment_cut(&log->segment);
}

/* What makes this file one that is not to be written to any more; NULL = nothing. */
static const char *find_damage(const struct audit_log *log, enum audit_segment_state state, bool named)
{
    if (state == SEGMENT_GONE)
        return "the file was removed";
    if (state == SEGMENT_CUT)
        return "the file was cut";
    if (log->follow.wound.what != NULL)
        return log->follow.wound.what;
    if (!named)
        return "the file was moved, or another has its name";
    return NULL;
}

void audit_log_note_other_key(const struct audit_log *log)
{
    log_event(LOG_WARN, "audit_key_changed", "file=%s hint=\"give both public keys to keyless audit verify\"",
              log->segment.name);
}

/* One step; SETTLED when there is none left to do. */
static int settle_step(struct audit_log *log, bool thorough, bool *settled)
{
    enum audit_segment_state state;
    uint64_t size;
    int err = audit_segment_look(&log->segment, &state, &size);
    if (err == 0 && size > log->segment.end)
        err = read_on(log, size);
    if (err != 0)
        return err;
    if (log->follow.closed)
        return audit_roll_next(log);
    if (state == SEGMENT_CUT)
        log->segment.end = size;
    bool named = true;
    if (thorough && (err = audit_segment_look_up(&log->segment, log->folder, &named)) != 0)
        return err;
    const char *damage = find_damage(log, state, named);
    if (damage != NULL)
        return audit_roll_away(log, damage, log->follow.wound.line);
    if (log->head_due && log->sync != NULL) /* after the start, which a full disk does not prevent */
        return audit_roll(log);
    if (log->follow.format != AUDIT_FORMAT) /* of an older version, which must be able to read its own file */
        return audit_roll(log);
    if (thorough && !audit_log_is_ours(log)) {
        audit_log_note_other_key(log);
        return audit_roll(log);
    }
    if (log->segment.end >= log->rotate_size + log->segment.head_end)
        return audit_roll(log);
    *settled = true;
    return 0;
}

bool audit_log_has_grown(const struct audit_log *log)
{
    enum audit_segment_state state;
    uint64_t size;
    return audit_segment_look(&log->segment, &state, &size) == 0 && state == SEGMENT_GROWN;
}

int audit_log_begin(struct audit_log *log, bool thorough)
{
    bool settled = false;
    if (log->sync != NULL)
        audit_sync_keep_pace(log->sync);
    int err = log->segment.fd >= 0 ? audit_segment_lock(&log->segment, !log->impatient)
                                   : audit_roll_next(log);
    for (unsigned i = 0; i < FILES_AT_ONCE && err == 0 && !settled; i++)
        err = settle_step(log, thorough, &settled);
    if (err != 0 || !settled) {
        int why = err != 0 ? errno : EBUSY;
        audit_segment_unlock(&log->segment);
        errno = why;
        return err != 0 ? err : ERR_BUSY;
    }
    audit_log_reset(log);
    if (log->damage.type != 0)
        audit_log_add(log, &log->damage);
    return 0;
}

int audit_log_end(struct audit_log *log)
{
    int err = log->length > 0 || log->spoilt != 0 ? audit_log_write(log, &log->segment) : 0;
    int why = errno;
    if (err == 0)
        log->damage.type = (enum audit_type)0;
    else
        log->generation++; /* what was explained in this batch is not */
    if (log->handover != NULL)
        handover_leave_link(log->handover, &log->follow.link);
    audit_segment_unlock(&log->segment);
    errno = why;
    return err;
}

void audit_log_close(struct audit_log *log)
{
    audit_segment_close(&log->segment);
    free(log->lines);
    log->lines = NULL;
    audit_hasher_free(log->follow.hasher);
    log->follow.hasher = NULL;
}
