#include "keyserver/vault/audit/audit_takeover.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "common/clock.h"

#define NAP_NS        (50 * NS_PER_MS)
#define NAPS          60 /* three seconds: a vault looks after its files every second */

#define LATE_MS       10000 /* from the start on: by then the vault before has answered what it had begun */
#define LATE_MOST     256   /* counts at a time */
#define LATE_PAUSE_MS 10    /* between two times */

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
    if (!audit_takeover_is_behind(log) || !writes_on(log->handover) || looks >= NAPS)
        return false;
    nap();
    return true;
}

/* True when the vault before writes to this log: in the same folder, which may have been moved. */
static bool is_same_log(const struct audit_log *log)
{
    return is_same_place(log) || handover_is_in(&log->handover->before, log->folder);
}

/* Another log does not tell of what was used since. Nor does a log tell what was used while nothing could be
 * recorded. */
static bool counts_less(const struct audit_log *log)
{
    return log->handover != NULL && (!is_same_log(log) || log->handover->before.failing != 0);
}

struct raising {
    const struct audit_quotas *quotas; /* borrowed */
    struct now now;
    bool raised;
};

static void raise_count(const struct handover_count *count, void *user)
{
    struct raising *raising = user;
    if (raising->quotas->raise(raising->quotas->context, count, &raising->now))
        raising->raised = true;
}

/* Of the MOST places from FIRST on, how many there are. What the log tells and what was left are both of uses
 * that were: of each counter, the higher one is nearer to all of them. */
static size_t take_counts(struct audit_log *log, size_t first, size_t most, uint64_t mono_ms)
{
    struct raising raising = {
        .quotas = log->quotas,
        .now = {.mono_ns = mono_ms * NS_PER_MS, .reached_s = (int64_t)(audit_log_epoch(log) / 1000)}};
    size_t looked = handover_each_count(log->handover, first, most, raise_count, &raising);
    log->late.raised = log->late.raised || raising.raised;
    return looked;
}

/* A use that is recorded in this log is counted from its record. So what stands there is read before its
 * counter is raised, and nobody adds to it meanwhile: a use whose record came after would count twice. Where
 * the log cannot be read now, it may. */
static size_t take_counts_beside_log(struct audit_log *log, size_t first, size_t most, uint64_t mono_ms)
{
    bool locked = audit_segment_lock(&log->segment, !log->impatient) == 0;
    bool begun = audit_log_has_grown(log) && audit_log_begin(log, false) == 0;
    size_t looked = take_counts(log, first, most, mono_ms);
    if (begun)
        (void)!audit_log_end(log); /* a failure is for the next commit or tick to see */
    else if (locked)
        audit_segment_unlock(&log->segment);
    return looked;
}

static void take_all_counts(struct audit_log *log)
{
    if (log->quotas->raise == NULL)
        return;
    (void)take_counts(log, 0, SIZE_MAX, log->mono_ms);
    log->head_due = log->head_due || log->late.raised;
    log->late.raised = false;
    log->late.wanted = log->handover->served && counts_less(log);
}

/* Only the log outlasts the end of all vaults: it tells of these, too. */
static void end_late(struct audit_log *log)
{
    log->late.wanted = false;
    log->head_due = log->head_due || log->late.raised;
}

uint64_t audit_takeover_due(const struct audit_log *log)
{
    return log->late.wanted ? log->late.due_ms : UINT64_MAX;
}

void audit_takeover_go_on(struct audit_log *log, uint64_t mono_ms)
{
    if (audit_takeover_due(log) > mono_ms)
        return;
    if (log->late.end_ms == 0)
        log->late.end_ms = mono_ms + LATE_MS;
    bool is_last = take_counts_beside_log(log, log->late.next, LATE_MOST, mono_ms) < LATE_MOST;
    log->late.next = is_last ? 0 : log->late.next + LATE_MOST;
    log->late.due_ms = mono_ms + LATE_PAUSE_MS;
    if (is_last && mono_ms >= log->late.end_ms)
        end_late(log);
}

void audit_takeover_end(struct audit_log *log, uint64_t mono_ms)
{
    if (!log->late.wanted)
        return;
    (void)take_counts_beside_log(log, 0, SIZE_MAX, mono_ms);
    end_late(log);
}

int audit_takeover_finish(struct audit_log *log, struct fault *fault)
{
    bool behind = audit_takeover_is_behind(log);
    if (behind && writes_on(log->handover))
        return refuse(log->folder_path, fault);
    if (behind || counts_less(log))
        take_all_counts(log);
    return 0;
}
