#include "keyserver/vault/audit/audit_counts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "keyserver/vault/audit/audit_internal.h"

#define LEAST_MS 20  /* between two times */
#define A_MS     100 /* counts to be left in a time that is worth a millisecond more until the next */

struct gathered {
    struct handover_count *counts; /* owned */
    size_t count, size;
    uint64_t time_ms;
    bool lost;
};

static bool make_room(struct gathered *all)
{
    if (all->count < all->size)
        return true;
    size_t size = all->size == 0 ? 64 : 2 * all->size;
    struct handover_count *grown = reallocarray(all->counts, size, sizeof *grown);
    all->lost = all->lost || grown == NULL;
    if (grown == NULL)
        return false;
    all->counts = grown;
    all->size = size;
    return true;
}

static void gather(struct audit_record *record, void *user)
{
    struct gathered *all = user;
    if (!make_room(all))
        return;
    struct handover_count *count = &all->counts[all->count++];
    memset(count, 0, sizeof *count);
    count->type = record->type;
    count->time_ms = all->time_ms;
    count->start_s = record->start_s;
    count->used = record->used;
    memcpy(count->edge, record->edge, sizeof count->edge);
    memcpy(count->key, record->key, sizeof count->key);
}

/* Grows with whatever is counted, recorded or not. */
static uint64_t counted(const struct audit *audit)
{
    return audit->log.follow.link.seq + audit->figures.unrecorded;
}

uint64_t audit_counts_due(const struct audit *audit)
{
    bool wanted = audit->log.handover != NULL && audit->log.quotas->each != NULL;
    return wanted && audit->counted != counted(audit) ? audit->count_due_ms : UINT64_MAX;
}

static void note_left(struct audit *audit, bool left, int why)
{
    if (!left && !audit->counts_lost)
        log_event(LOG_WARN, "audit_counts_lost",
                  "error=\"what is used of quotas cannot be kept for the next vault beside the log: %s\" "
                  "hint=\"raise the limits of memory and of a file's size (LimitFSIZE=)\"",
                  strerror(why));
    audit->counts_lost = !left;
}

void audit_counts_leave(struct audit *audit)
{
    const struct audit_log *log = &audit->log;
    if (audit_counts_due(audit) == UINT64_MAX)
        return;
    struct gathered all = {.time_ms = audit->now.unix_ms};
    const struct now now = {.mono_ns = audit->now.mono_ms * 1000000u,
                            .reached_s = (int64_t)(audit_log_epoch(log) / 1000)};
    log->quotas->each(log->quotas->context, &now, gather, &all);
    errno = ENOMEM;
    bool left = !all.lost && handover_leave_counts(log->handover, all.counts, all.count) == 0;
    note_left(audit, left, errno);
    free(all.counts);
    audit->counted = counted(audit);
    audit->count_due_ms = audit->now.mono_ms + LEAST_MS + all.count / A_MS;
}
