#include "keyserver/vault/audit/audit_counts.h"

#include <errno.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "keyserver/vault/audit/audit_internal.h"

#define MOST     256  /* at a time: less than half a millisecond */
#define LEAST_MS 1    /* between two times, */
#define A_MS     64   /* and one more for so many that were left: about a twentieth of the time is spent */
#define AGAIN_MS 1000 /* until another try when not one could be left */

static size_t changed(const struct audit *audit)
{
    const struct audit_log *log = &audit->log;
    bool wanted = log->handover != NULL && log->handover->fd > 0 && log->quotas->changed != NULL;
    return wanted ? log->quotas->changed(log->quotas->context) : 0;
}

uint64_t audit_counts_due(const struct audit *audit)
{
    return changed(audit) > 0 ? audit->count_due_ms : UINT64_MAX;
}

struct leaving {
    struct handover *handover; /* borrowed */
    size_t left;
    int why; /* an errno: some could not be left; 0: all of them were */
};

static bool leave(size_t place, const struct handover_count *count, void *user)
{
    struct leaving *leaving = user;
    if (handover_leave_count(leaving->handover, place, count) != 0) {
        leaving->why = errno;
        return false;
    }
    leaving->left++;
    return true;
}

static void note_lost(struct audit *audit, int why)
{
    if (why != 0 && !audit->counts_lost)
        log_event(LOG_WARN, "audit_counts_lost",
                  "error=\"what is used of quotas cannot be kept for the next vault beside the log: %s\" "
                  "hint=\"raise the limits of memory and of a file's size (LimitFSIZE=)\"",
                  strerror(why));
    audit->counts_lost = why != 0 || (audit->counts_lost && changed(audit) > 0);
}

/* How many were left. */
static size_t leave_some(struct audit *audit)
{
    const struct audit_log *log = &audit->log;
    const struct now now = {.mono_ns = audit->now.mono_ms * NS_PER_MS,
                            .reached_s = (int64_t)(audit_log_epoch(log) / 1000)};
    struct leaving leaving = {.handover = log->handover};
    log->quotas->each_changed(log->quotas->context, &now, MOST, leave, &leaving);
    note_lost(audit, leaving.why);
    uint64_t pause = leaving.left > 0 ? LEAST_MS + leaving.left / A_MS : AGAIN_MS;
    audit->count_due_ms = audit->now.mono_ms + pause;
    return leaving.left;
}

void audit_counts_leave(struct audit *audit)
{
    if (audit_counts_due(audit) <= audit->now.mono_ms)
        (void)leave_some(audit);
}

void audit_counts_leave_all(struct audit *audit)
{
    while (changed(audit) > 0 && leave_some(audit) > 0)
        ;
}
