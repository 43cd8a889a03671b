#include "keyserver/vault/audit/audit_takeover.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "common/clock.h"

#define NAP_NS (50 * 1000 * 1000)
#define NAPS   60 /* three seconds: a vault looks after its files every second */

static void nap(void)
{
    const struct timespec time = {.tv_nsec = NAP_NS};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
}

static int refuse(const char *folder, struct fault *fault)
{
    return fault_set(
        fault, ERR_CONFIG,
        "%s: the audit log that the key server writes is not here: it was moved, or another folder has "
        "its name; move it back and reload, or restart to begin another log here",
        folder);
}

/* The one before serves on and goes on writing. */
static bool writes_on(const struct handover *handover)
{
    return handover->served && handover->before.failing == 0;
}

int audit_takeover_await_folder(struct handover *handover, const char *path, struct fault *fault)
{
    struct stat info;
    if (handover == NULL || !handover_is_of(&handover->before, path))
        return 0;
    for (unsigned i = 0; i < NAPS; i++) {
        handover_look(handover);
        if (!writes_on(handover) || stat(path, &info) == 0 || errno != ENOENT)
            return 0;
        nap();
    }
    return refuse(path, fault);
}

static bool is_same_place(const struct audit_log *log)
{
    return log->handover != NULL && handover_is_of(&log->handover->before, log->folder_path);
}

void audit_takeover_look(struct audit_log *log)
{
    if (log->handover == NULL)
        return;
    handover_look(log->handover);
    const struct audit_link *link = &log->handover->before.link;
    if (is_same_place(log) && link->seq > log->follow.anchor.seq) {
        log->follow.anchor = *link;
        log->least = link->seq;
    }
}

bool audit_takeover_is_behind(const struct audit_log *log)
{
    if (!is_same_place(log))
        return false;
    uint64_t seq = log->handover->before.link.seq;
    bool another = log->follow.wound.what != NULL && log->follow.wound.seq == seq &&
                   log->follow.anchor.seq == seq;
    return seq > 0 && (log->segment.fd < 0 || log->follow.link.seq < seq || another);
}

bool audit_takeover_waits(const struct audit_log *log, unsigned looks)
{
    if (!audit_takeover_is_behind(log) || log->handover->before.failing != 0 || looks >= NAPS)
        return false;
    nap();
    return true;
}

/* The log of another folder does not tell of what was used since, unless it is the same folder, moved. Nor
 * does a log tell what was used while nothing could be recorded. */
static bool counts_less(const struct audit_log *log)
{
    const struct handover *handover = log->handover;
    if (handover == NULL)
        return false;
    if (!is_same_place(log) && !handover_is_in(&handover->before, log->folder))
        return true;
    return handover->before.failing != 0;
}

static void raise_count(const struct handover_count *count, void *user)
{
    const struct audit_log *log = user;
    const struct now now = {.mono_ns = log->mono_ms * NS_PER_MS,
                            .reached_s = (int64_t)(audit_log_epoch(log) / 1000)};
    log->quotas->raise(log->quotas->context, count, &now);
}

/* What the log tells and what was left are both of uses that were: of each counter, the higher one is nearer
 * to all of them. */
static void take_counts(struct audit_log *log)
{
    if (log->quotas->raise != NULL && handover_each_count(log->handover, raise_count, log) > 0)
        log->head_due = true;
}

int audit_takeover_finish(struct audit_log *log, struct fault *fault)
{
    bool behind = audit_takeover_is_behind(log);
    if (behind && writes_on(log->handover))
        return refuse(log->folder_path, fault);
    if (behind || counts_less(log))
        take_counts(log);
    return 0;
}
