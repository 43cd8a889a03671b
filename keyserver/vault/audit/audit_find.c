/* Finding the end of the log at the start, by what stands in the folder. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "keyserver/vault/audit/audit_roll.h"
#include "keyserver/vault/audit/audit_takeover.h"

/* The files of the log, by their first records, in order. */
struct listing {
    uint64_t *seq; /* owned */
    size_t count, size;
};

static int compare_seqs(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

static int add_seq(struct listing *list, uint64_t seq)
{
    if (list->count == list->size) {
        size_t size = list->size == 0 ? 64 : 2 * list->size;
        uint64_t *grown = reallocarray(list->seq, size, sizeof *grown);
        if (grown == NULL)
            return ERR_MEMORY;
        list->seq = grown;
        list->size = size;
    }
    list->seq[list->count++] = seq;
    return 0;
}

static int list_files(struct listing *list, int folder)
{
    int fd = dup(folder), err = 0;
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        if (fd >= 0)
            close(fd);
        return ERR_SYSTEM;
    }
    rewinddir(dir);
    for (struct dirent *entry; err == 0 && (entry = readdir(dir)) != NULL;) {
        uint64_t seq = audit_file_seq(entry->d_name);
        if (seq != 0)
            err = add_seq(list, seq);
    }
    closedir(dir);
    if (list->count > 0)
        qsort(list->seq, list->count, sizeof *list->seq, compare_seqs);
    return err;
}

/* The size up to which the file will not change any more: what is being written is not in it. */
static int settled_size(struct audit_segment *segment, uint64_t *size)
{
    enum audit_segment_state state;
    int err = audit_segment_lock(segment, true);
    if (err != 0)
        return err;
    err = audit_segment_look(segment, &state, size);
    audit_segment_unlock(segment);
    return err;
}

/* True when the file has a complete head part, or is so wrong that it must be looked at. Nobody is told of
 * what stands in it. */
static int has_begun(struct audit_log *log, uint64_t size, bool *begun)
{
    struct audit_follow probe = {.hasher = log->follow.hasher};
    audit_follow_file(&probe, true);
    int err = audit_segment_read(&log->segment, &probe, size, true);
    *begun = audit_follow_is_ready(&probe) || probe.wound.what != NULL;
    log->segment.head_end = log->segment.end;
    log->segment.end = 0;
    return err;
}

/* Takes up the file that begins with SEQ, reading most of it without keeping a vault that writes from it. */
static int take_up(struct audit_log *log, uint64_t seq, bool *begun)
{
    uint64_t size;
    int err = audit_segment_open(&log->segment, log->folder, seq, false);
    if (err == 0 && (err = settled_size(&log->segment, &size)) == 0)
        err = has_begun(log, size, begun);
    if (err == 0 && *begun) {
        log->follow.quota_replay_wanted = true;
        audit_follow_file(&log->follow, true);
        err = audit_segment_read(&log->segment, &log->follow, size, false);
        audit_follow_check(&log->follow);
        log->follow.quota_replay_wanted = false;
    }
    if (err == 0 && *begun && log->follow.records > 0)
        return 0;
    int why = errno;
    if (err == 0 && *begun)
        audit_roll_note_damage(log, log->segment.name, log->follow.wound.line, log->follow.wound.what);
    *begun = false;
    audit_segment_close(&log->segment);
    errno = why;
    return err;
}

/* The note of the last checkpoint: a log that our key has signed is not to be shorter than that, nor another.
 * ERR_NOT_FOUND; ERR_FORMAT when it is none; ERR_SYSTEM. */
static int take_head(struct audit_log *log, struct audit_head *head)
{
    int err = audit_head_load(log->folder, head);
    if (err == 0 && audit_head_verify(head, log->key->public)) {
        log->follow.anchor = head->link;
        log->least = head->link.seq;
    }
    return err;
}

/* The time of epochs of the note, which counts whether our key has signed it or the one that has signed the
 * newest file; ERR is what came of taking it. */
static uint64_t epoch_of_head(const struct audit_log *log, const struct audit_head *head, int err)
{
    if (err == 0 && (audit_head_verify(head, log->key->public) ||
                     (log->segment.fd >= 0 && audit_head_verify(head, log->follow.public_key))))
        return head->epoch_ms;
    if (err != ERR_NOT_FOUND)
        log_event(LOG_WARN, "audit_head_ignored",
                  "file=" AUDIT_HEAD_FILE " error=\"not signed by the key of this log\"");
    return 0;
}

/* Compares what was found with the record that was noted, in the file `head` or by the vault before; HIGHEST
 * is the first record of the newest file, or 0. */
static void compare_with_note(struct audit_log *log, uint64_t highest)
{
    static const char ends_early[] = "the log ends before a record that was noted";
    struct audit_follow *follow = &log->follow;
    if (log->segment.fd < 0 && highest > 1 && log->least < highest - 1)
        log->least = highest - 1; /* no number is given twice */
    if (log->segment.fd >= 0 && follow->link.seq < follow->anchor.seq && follow->closed)
        audit_roll_note_damage(log, log->segment.name, follow->lines, ends_early);
    else if (log->segment.fd >= 0 && follow->link.seq < follow->anchor.seq && follow->wound.what == NULL)
        follow->wound = (struct audit_wound){
            .what = ends_early, .line = follow->lines, .seq = follow->link.seq + 1};
    if (log->segment.fd < 0 && follow->anchor.seq != 0) {
        follow->link = follow->anchor;
        audit_roll_note_damage(log, AUDIT_HEAD_FILE, 0, "the log that this speaks of was removed");
    }
}

/* What cannot be read says nothing: neither how long the log must be nor which epoch was reached. */
static int fail_head(struct fault *fault)
{
    return fault_set(fault, ERR_SYSTEM,
                     "the file " AUDIT_HEAD_FILE
                     " cannot be read: %s; mend its disk, or put its copy of a backup there",
                     strerror(errno));
}

/* *HIGHEST: as above. */
static int find_end(struct audit_log *log, uint64_t *highest, struct fault *fault)
{
    struct listing list = {.seq = NULL};
    bool found = false;
    struct audit_head head;
    int noted = take_head(log, &head); /* before the files: another vault may be writing both */
    if (noted == ERR_SYSTEM)
        return fail_head(fault);
    audit_takeover_look(log);
    int err = list_files(&list, log->folder);
    for (size_t i = list.count; i-- > 0 && err == 0 && !found;)
        err = take_up(log, list.seq[i], &found);
    *highest = list.count > 0 ? list.seq[list.count - 1] : 0;
    uint64_t epoch_ms = epoch_of_head(log, &head, noted);
    if (epoch_ms > log->follow.epoch_ms) /* not before: each record is told with what was reached by then */
        log->follow.epoch_ms = epoch_ms;
    const int error = errno;
    free(list.seq);
    return err == 0 ? 0 : fault_set(fault, err, "the audit log cannot be read: %s", strerror(error));
}

static void forget(struct audit_log *log)
{
    audit_segment_close(&log->segment);
    log->follow = (struct audit_follow){
        .hasher = log->follow.hasher, .on_record = log->follow.on_record, .context = log->follow.context};
    log->least = 0;
    log->damage.type = (enum audit_type)0;
    if (log->quotas->forget != NULL)
        log->quotas->forget(log->quotas->context);
}

int audit_log_open(struct audit_log *log, struct fault *fault)
{
    uint64_t highest;
    log->segment.fd = -1;
    log->generation = 1;
    log->follow.hasher = audit_hasher_new();
    if (log->follow.hasher == NULL)
        return fault_set(fault, ERR_MEMORY, "the audit log: out of memory");
    int err = find_end(log, &highest, fault);
    for (unsigned looks = 0; err == 0 && audit_takeover_waits(log, looks); looks++) {
        forget(log);
        err = find_end(log, &highest, fault);
    }
    if (err == 0)
        err = audit_takeover_finish(log, fault);
    if (err == 0)
        compare_with_note(log, highest);
    return err;
}
