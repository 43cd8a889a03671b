#include "keyserver/vault/audit/audit_roll.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"

#define NAMES_MAX 1000 /* tried for a file before it is given up */

void audit_roll_note_damage(struct audit_log *log, const char *file, uint64_t line, const char *what)
{
    log_event(LOG_ERROR, "audit_damaged",
              "file=%s line=%llu error=\"%s\" hint=\"find out who did it: keyless audit verify FOLDER\"",
              file, (unsigned long long)line, what);
    if (log->damage.type != 0)
        return; /* the first one counts */
    log->damage = (struct audit_record){.type = AUDIT_DAMAGE, .line = line};
    snprintf(log->damage.file, sizeof log->damage.file, "%s", file);
    snprintf(log->damage.what, sizeof log->damage.what, "%s", what);
}

/* ---- the head part ---- */

static void count_quota(struct audit_record *quota, void *count)
{
    (void)quota;
    (*(size_t *)count)++;
}

static void add_quota(struct audit_record *quota, void *log)
{
    audit_log_add(log, quota);
}

static void each_quota(struct audit_log *log, audit_tell *tell, void *user)
{
    const struct now now = {.mono_ns = log->mono_ms * NS_PER_MS,
                            .reached_s = (int64_t)(audit_log_epoch(log) / 1000)};
    if (log->quotas->each != NULL)
        log->quotas->each(log->quotas->context, &now, tell, user);
}

static void add_head_part(struct audit_log *log)
{
    struct audit_record head = {
        .type = AUDIT_SEGMENT, .format = AUDIT_FORMAT, .epoch_ms = audit_log_epoch(log)};
    size_t quotas = 0;
    each_quota(log, count_quota, &quotas);
    head.quotas = quotas;
    memcpy(head.previous, log->follow.link.hash, sizeof head.previous);
    memcpy(head.public_key, log->key->public, sizeof head.public_key);
    audit_log_add(log, &head);
    each_quota(log, add_quota, log);
}

/* ---- the next file ---- */

static int open_or_make(struct audit_log *log, struct audit_segment *next)
{
    uint64_t seq = log->follow.link.seq + 1;
    int err = audit_segment_open(next, log->folder, seq, false);
    if (err != ERR_NOT_FOUND)
        return err;
    err = audit_segment_open(next, log->folder, seq, true);
    if (err == ERR_SYSTEM && errno == EEXIST)
        return audit_segment_open(next, log->folder, seq, false);
    if (err == 0)
        log->folder_dirty = true;
    if (err == 0 && log->give_away && fchown(next->fd, log->uid, log->gid) != 0)
        return ERR_SYSTEM;
    return err;
}

/* Reads what stands in the file already. ERR_FORMAT when its head is not one that continues the log; what is
 * wrong behind that is for later. */
static int read_next(struct audit_log *log, struct audit_segment *next)
{
    enum audit_segment_state state;
    uint64_t size;
    audit_follow_file(&log->follow, false);
    if (audit_segment_look(next, &state, &size) != 0 ||
        audit_segment_read(next, &log->follow, size, true) != 0)
        return ERR_SYSTEM;
    if (log->follow.wound.what != NULL && !audit_follow_is_ready(&log->follow))
        return ERR_FORMAT;
    next->head_end = next->end;
    return audit_segment_read(next, &log->follow, size, false);
}

/* In a file that is empty, or that somebody was killed in before its head part was complete. */
static int begin_file(struct audit_log *log, struct audit_segment *next, const struct audit_follow *before)
{
    log->follow = *before;
    audit_follow_file(&log->follow, false);
    next->end = 0;
    if (audit_segment_cut(next) != 0)
        return ERR_SYSTEM;
    audit_log_reset(log);
    add_head_part(log);
    int err = audit_log_write(log, next);
    log->head_due = log->head_due && err != 0;
    next->head_end = next->end;
    memcpy(log->follow.public_key, log->key->public, sizeof log->follow.public_key);
    log->follow.headed = true;
    log->follow.format = AUDIT_FORMAT;
    return err;
}

/* ERR_FORMAT: something else has the name of the next file. */
static int enter(struct audit_log *log, struct audit_segment *next, const struct audit_follow *before)
{
    int err = open_or_make(log, next);
    if (err == 0)
        err = audit_segment_lock(next, !log->impatient);
    if (err == 0)
        err = read_next(log, next);
    if (err == 0 && !audit_follow_is_ready(&log->follow))
        err = begin_file(log, next, before);
    return err;
}

/* The file goes to the disk and is closed; if only others have written to it, that is theirs to do. */
static void retire(struct audit_log *log, struct audit_segment *segment)
{
    if (segment->fd < 0)
        return;
    audit_segment_unlock(segment);
    if (segment->ours && log->sync != NULL) {
        audit_sync_retire(log->sync, segment->fd);
        return;
    }
    if (segment->ours)
        (void)!fdatasync(segment->fd); /* at the start, where nothing has been answered yet */
    close(segment->fd);
}

static void move_on(struct audit_log *log, const struct audit_segment *next)
{
    retire(log, &log->segment);
    log->segment = *next;
    log->generation++;
    log_event(LOG_INFO, "audit_file", "file=%s", next->name);
}

int audit_roll_next(struct audit_log *log)
{
    struct audit_segment next = {.fd = -1};
    const struct audit_follow before = log->follow;
    int err = ERR_FORMAT;
    for (unsigned i = 0; i < NAMES_MAX && err == ERR_FORMAT; i++) {
        uint64_t seq = before.link.seq < log->least ? log->least : before.link.seq;
        log->follow = before;
        log->follow.link.seq = seq + i;
        struct audit_follow begun = log->follow;
        err = enter(log, &next, &begun);
        if (err == 0)
            break;
        if (err == ERR_FORMAT)
            audit_roll_note_damage(log, next.name, log->follow.wound.line,
                                   "not the next file of this log, but it has its name");
        int why = err == ERR_FORMAT ? EEXIST : errno;
        audit_segment_close(&next);
        errno = why;
    }
    if (err != 0)
        log->follow = before;
    else
        move_on(log, &next);
    return err;
}

/* ---- the end of a file ---- */

static int close_file(struct audit_log *log, bool signed_too)
{
    struct audit_record rotate = {.type = AUDIT_ROTATE};
    if (log->follow.skipping && audit_segment_append(&log->segment, "\n", 1, false) != 0)
        return ERR_SYSTEM; /* the end of a line that has none */
    audit_log_reset(log);
    if (signed_too)
        audit_log_add_checkpoint(log);
    audit_log_add(log, &rotate);
    int err = audit_log_write(log, &log->segment);
    if (err == 0)
        log->follow.closed = true;
    return err;
}

int audit_roll(struct audit_log *log)
{
    int err = close_file(log, true);
    return err != 0 ? err : audit_roll_next(log);
}

int audit_roll_away(struct audit_log *log, const char *what, uint64_t line)
{
    audit_roll_note_damage(log, log->segment.name, line, what);
    (void)!close_file(log, false); /* for another vault that writes there; not to be had in every case */
    return audit_roll_next(log);
}
