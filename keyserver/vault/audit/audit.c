#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/secret.h"
#include "keyserver/vault/audit/audit_counts.h"
#include "keyserver/vault/audit/audit_gap.h"
#include "keyserver/vault/audit/audit_internal.h"
#include "keyserver/vault/audit/audit_takeover.h"
#include "keyserver/vault/audit/audit_use.h"

#define PERIOD_MS   1000 /* between two ticks that do something, at most */
#define HOUR_MS     3600000
#define ANNOUNCE_MS 60000 /* between two lines about checkpoints, and between two complaints */

/* ---- failure ---- */

bool audit_is_failing(const struct audit *audit)
{
    return audit->failing && audit->config->on_failure == SERVER_AUDIT_REFUSE;
}

static const char *hint_of(int why)
{
    if (why == ENOSPC || why == EDQUOT || why == EFBIG)
        return "make room on its disk";
    if (why == EWOULDBLOCK)
        return "end the process that keeps the lock of its newest file";
    if (why == EACCES || why == EPERM)
        return "give its folder back to the vault's user (a start and a reload name the command)";
    return why == ENOENT ? "make the folder again and reload" : "look at its disk, and reload";
}

static void leave_failing(struct audit *audit)
{
    if (audit->log.handover != NULL)
        handover_leave_failing(audit->log.handover, audit->failing);
}

void audit_note_failure(struct audit *audit, int why)
{
    uint64_t now = audit->now.mono_ms;
    bool first = !audit->failing;
    audit->failing = true;
    leave_failing(audit);
    audit_gap_begin(audit);
    if (!first && now - audit->complained_ms < ANNOUNCE_MS)
        return;
    audit->complained_ms = now;
    log_event(LOG_ERROR, "audit_failing", "folder=%s error=\"%s\" uses=%s hint=\"%s\"", audit->config->folder,
              strerror(why), audit->config->on_failure == SERVER_AUDIT_SERVE ? "unrecorded" : "refused",
              hint_of(why));
}

static void note_success(struct audit *audit)
{
    audit->start.type = (enum audit_type)0;
    if (!audit_gap_is_open(audit))
        return;
    log_event(LOG_WARN, "audit_recovered", "folder=%s unrecorded=%llu withheld=%llu", audit->config->folder,
              (unsigned long long)audit->gap.unrecorded, (unsigned long long)audit->gap.withheld);
    audit->failing = false;
    leave_failing(audit);
    audit_gap_end(audit);
}

static size_t place_of(const struct audit *audit, const struct authorized_edge *edge)
{
    return edge != NULL ? edge->index : audit->tally.edge_count;
}

/* What could not be recorded one by one is recorded as numbers, later. */
static void drop_batch(struct audit *audit)
{
    struct audit_entry entry;
    bool served = audit->config->on_failure == SERVER_AUDIT_SERVE;
    uint64_t uses = audit->batch.lost; /* or what might have been one */
    for (size_t at = 0; audit_batch_next(&audit->batch, &at, &entry) != NULL;) {
        if (audit_tally_is_use(entry.result))
            uses++;
        else
            audit_tally_count(&audit->tally, place_of(audit, entry.edge),
                              audit_tally_kind(entry.result, entry.refusal));
    }
    audit->log.head_due = audit->log.head_due || (served && uses > 0);
    audit_gap_add(audit, uses, served);
    audit_batch_reset(&audit->batch);
}

/* ---- writing ---- */

static void explain_edge(struct audit *audit, const struct authorized_edge *edge)
{
    struct audit_record record;
    if (edge == NULL || audit->edge_told[edge->index] == audit->log.generation)
        return;
    audit->edge_told[edge->index] = audit->log.generation;
    audit_use_explain_edge(&record, edge);
    audit_log_add(&audit->log, &record);
}

static void explain_key(struct audit *audit, const struct key *key)
{
    struct audit_record record;
    if (key == NULL || audit->key_told[key->index] == audit->log.generation)
        return;
    audit->key_told[key->index] = audit->log.generation;
    audit_use_explain_key(&record, key);
    audit_log_add(&audit->log, &record);
}

static void add_news(struct audit *audit)
{
    if (audit->start.type != 0) {
        audit->start.torn = audit->log.torn;
        audit_log_add(&audit->log, &audit->start);
    }
    if (audit_gap_is_open(audit))
        audit_log_add(&audit->log, &audit->gap);
}

static void add_batch(struct audit *audit)
{
    struct audit_entry entry;
    const char *body;
    for (size_t at = 0; (body = audit_batch_next(&audit->batch, &at, &entry)) != NULL;) {
        explain_edge(audit, entry.edge);
        explain_key(audit, entry.key);
        audit_log_add_body(&audit->log, body, entry.length);
    }
}

static void add_counts(struct audit *audit)
{
    size_t edge = 0, kind = 0;
    uint64_t count;
    for (; (count = audit_tally_next(&audit->tally, &edge, &kind)) != 0; kind++) {
        struct audit_record record = {.type = AUDIT_REFUSALS, .count = count};
        const char *reason;
        record.result = audit_tally_result(kind, &reason);
        if (reason != NULL)
            snprintf(record.reason, sizeof record.reason, "%s", reason);
        if (edge < audit->tally.edge_count) {
            explain_edge(audit, authorized_at(audit->edges, edge));
            memcpy(record.edge, authorized_at(audit->edges, edge)->name, sizeof record.edge);
        }
        audit_log_add(&audit->log, &record);
    }
}

/* Signs when something was recorded since the last time, and that was long enough ago. */
static void add_checkpoint(struct audit *audit, bool at_once)
{
    uint64_t now = audit->now.mono_ms;
    bool due = at_once || now - audit->checkpoint_ms >= audit->config->checkpoint;
    if (!due || audit->log.made.seq == audit->log.follow.checkpoint_seq)
        return;
    audit->checkpoint_ms = now;
    audit_log_add_checkpoint(&audit->log);
}

/* Windows of quotas begin with an hour of the time of epochs. While the wall clock is behind that, the times
 * of records do not say which hour they are of: so a checkpoint, which does, stands before the first of them.
 */
static void add_hour(struct audit *audit)
{
    uint64_t reached_ms = audit_log_epoch(&audit->log);
    if (reached_ms > audit->log.time_ms && reached_ms / HOUR_MS != audit->log.head.epoch_ms / HOUR_MS)
        audit_log_add_checkpoint(&audit->log);
}

/* What the log has to know before it begins. */
static void tell_log(struct audit *audit)
{
    audit->log.time_ms = audit->now.unix_ms;
    audit->log.mono_ms = audit->now.mono_ms;
    audit->log.epoch_ms = audit->now.epoch_ms;
    audit->log.impatient = audit->failing;
}

enum occasion { ON_COMMIT, ON_TICK, ON_CLOSE };

static int write_out(struct audit *audit, enum occasion occasion)
{
    tell_log(audit);
    if (occasion != ON_COMMIT)
        audit_gap_take_over(audit);
    int err = audit_log_begin(&audit->log, occasion != ON_COMMIT);
    if (err != 0)
        return err;
    add_news(audit);
    if (occasion == ON_COMMIT) {
        add_hour(audit);
        add_batch(audit);
    } else
        add_counts(audit);
    if (occasion == ON_CLOSE)
        audit_log_add(&audit->log, &(struct audit_record){.type = AUDIT_STOP});
    if (occasion != ON_COMMIT)
        add_checkpoint(audit, occasion == ON_CLOSE);
    err = audit_log_end(&audit->log);
    if (err != 0)
        return err;
    if (occasion != ON_COMMIT)
        audit_tally_forget(&audit->tally);
    note_success(audit);
    return 0;
}

/* ---- use ---- */

void audit_add(struct audit *audit, const struct request_identity *identity, enum audit_result result)
{
    struct audit_entry entry = {.edge = identity->edge, .key = identity->key, .result = result};
    struct audit_record record;
    if (!audit_tally_is_use(result) && !audit_tally_admit(&audit->tally, place_of(audit, identity->edge))) {
        audit_tally_count(&audit->tally, place_of(audit, identity->edge),
                          audit_tally_kind(result, REFUSAL_NONE));
        return;
    }
    audit_use_describe(&record, identity, NULL, result, REFUSAL_NONE);
    record.time_ms = audit->now.unix_ms;
    audit_batch_add(&audit->batch, &entry, &record);
}

void audit_add_refusal(struct audit *audit, const struct request_identity *identity,
                       const struct key_request *request, enum refusal refusal)
{
    struct audit_entry entry = {
        .edge = identity->edge, .key = identity->key, .result = AUDIT_REFUSED, .refusal = refusal};
    struct audit_record record;
    if (!audit_tally_admit(&audit->tally, place_of(audit, identity->edge))) {
        audit_tally_count(&audit->tally, place_of(audit, identity->edge),
                          audit_tally_kind(AUDIT_REFUSED, refusal));
        return;
    }
    audit_use_describe(&record, identity, request, AUDIT_REFUSED, refusal);
    record.time_ms = audit->now.unix_ms;
    audit_batch_add(&audit->batch, &entry, &record);
}

int audit_commit(struct audit *audit)
{
    if (audit->batch.length == 0 && audit->batch.lost == 0)
        return 0;
    errno = ENOMEM;
    int err = audit->failing || audit->batch.lost > 0 ? ERR_SYSTEM : write_out(audit, ON_COMMIT);
    if (err == 0) {
        audit_batch_reset(&audit->batch);
        return 0;
    }
    if (!audit->failing)
        audit_note_failure(audit, errno);
    drop_batch(audit);
    return audit->config->on_failure == SERVER_AUDIT_SERVE ? 0 : err;
}

void audit_read_on(struct audit *audit)
{
    if (audit->failing || !audit_log_has_grown(&audit->log))
        return;
    tell_log(audit);
    if (audit_log_begin(&audit->log, false) != 0 || audit_log_end(&audit->log) != 0)
        audit_note_failure(audit, errno);
}

/* ---- time ---- */

static void announce(struct audit *audit, bool at_once)
{
    const struct audit_link *link = &audit->log.head.link;
    char hash[2 * AUDIT_HASH_SIZE + 1];
    bool due = at_once || audit->announced_seq == 0 ||
               audit->now.mono_ms - audit->announced_ms >= ANNOUNCE_MS;
    if (!due || link->seq == audit->announced_seq)
        return;
    audit->announced_seq = link->seq;
    audit->announced_ms = audit->now.mono_ms;
    log_event(LOG_INFO, "audit_checkpoint", "seq=%llu hash=%s", (unsigned long long)link->seq,
              hex_encode(hash, link->hash, sizeof link->hash));
}

/* The note of the last checkpoint, with the time of epochs that the disk was asked to keep since. */
static struct audit_head note_of(const struct audit *audit)
{
    struct audit_head head = audit->log.head;
    if (head.link.seq != 0 && audit->epoch_asked_ms > head.epoch_ms) {
        head.epoch_ms = audit->epoch_asked_ms;
        audit_head_sign(&head, audit->key);
    }
    return head;
}

static void ask_for_sync(struct audit *audit)
{
    struct audit_log *log = &audit->log;
    if (log->follow.link.seq == audit->synced_seq)
        return;
    log->segment.ours = true;
    audit->synced_seq = log->follow.link.seq;
    const struct audit_head head = note_of(audit);
    audit_sync_want(audit->sync, log->segment.fd, head.link.seq != 0 ? &head : NULL);
}

/* With the note of the last checkpoint, signed anew; nothing is added to the log. */
static void ask_for_epoch(struct audit *audit)
{
    if (audit->log.head.link.seq == 0 || audit->now.epoch_ms <= audit->epoch_asked_ms)
        return;
    audit->epoch_asked_ms = audit->now.epoch_ms;
    const struct audit_head head = note_of(audit);
    audit_sync_note(audit->sync, &head);
}

bool audit_keep_epoch(struct audit *audit, uint64_t begun_ms)
{
    if (audit_sync_noted_epoch(audit->sync) >= begun_ms)
        return true;
    if (audit->failing)
        return audit->config->on_failure == SERVER_AUDIT_SERVE;
    if (audit->epoch_asked_ms < begun_ms)
        ask_for_epoch(audit);
    return false;
}

/* While the wall clock is behind, only this says how far epochs have come. */
static void keep_what_clock_lacks(struct audit *audit)
{
    if (!audit->failing && audit->now.epoch_ms > audit->now.unix_ms)
        ask_for_epoch(audit);
}

/* When the disk has failed, what was to be kept is asked for again, and nothing is written before it is. */
static void on_due(struct audit *audit)
{
    int why = audit_sync_failure(audit->sync);
    if (why != 0)
        audit->synced_seq = audit->epoch_asked_ms = 0;
    else if (write_out(audit, ON_TICK) != 0)
        why = errno;
    if (why != 0)
        audit_note_failure(audit, why);
    ask_for_sync(audit);
    keep_what_clock_lacks(audit);
    announce(audit, false);
}

void audit_tick(struct audit *audit, const struct audit_time *now)
{
    audit->now = *now;
    tell_log(audit);
    audit_takeover_go_on(&audit->log, now->mono_ms);
    audit_counts_leave(audit);
    if (now->mono_ms < audit->due_ms)
        return;
    uint64_t period = audit->config->checkpoint < PERIOD_MS ? audit->config->checkpoint : PERIOD_MS;
    audit->due_ms = now->mono_ms + period;
    (void)audit_tally_turn(&audit->tally, now->mono_ms);
    on_due(audit);
}

uint64_t audit_due(const struct audit *audit)
{
    return clock_earlier(audit->due_ms,
                         clock_earlier(audit_counts_due(audit), audit_takeover_due(&audit->log)));
}

void audit_get_figures(const struct audit *audit, struct audit_figures *out)
{
    *out = audit->figures;
    out->seq = audit->log.follow.link.seq;
    out->failing = audit->failing;
}

/* ---- the beginning and the end ---- */

int audit_start(struct audit *audit, const struct authorized *edges, const struct keystore *keys,
                const uint8_t policy[static AUDIT_KEY_SIZE], const struct audit_time *now)
{
    size_t edge_count = authorized_count(edges), key_count = keystore_count(keys);
    audit->edge_told = calloc(edge_count + 1, sizeof *audit->edge_told);
    audit->key_told = calloc(key_count + 1, sizeof *audit->key_told);
    if (audit->edge_told == NULL || audit->key_told == NULL ||
        audit_tally_init(&audit->tally, edge_count) != 0)
        return ERR_MEMORY;
    audit->sync = audit_sync_new(audit->folder, audit->key);
    if (audit->sync == NULL)
        return ERR_MEMORY;
    audit->log.sync = audit->sync;
    audit->edges = edges;
    audit->start = (struct audit_record){
        .type = AUDIT_START, .version = KEYLESS_VERSION, .edges = edge_count, .keys = key_count};
    memcpy(audit->start.policy, policy, sizeof audit->start.policy);
    audit_counts_leave_all(audit);
    audit_tick(audit, now);
    return 0;
}

static void say_goodbye(struct audit *audit)
{
    audit_takeover_end(&audit->log, audit->now.mono_ms);
    audit_counts_leave_all(audit);
    if (write_out(audit, ON_CLOSE) != 0)
        audit_note_failure(audit, errno);
    audit_gap_tell(audit);
    ask_for_sync(audit);
    announce(audit, true);
}

void audit_close(struct audit *audit)
{
    if (audit == NULL)
        return;
    if (audit->edges != NULL)
        say_goodbye(audit);
    audit_sync_free(audit->sync);
    audit_log_close(&audit->log);
    audit_batch_clear(&audit->batch);
    audit_tally_clear(&audit->tally);
    secret_free(audit->key);
    if (audit->folder >= 0)
        close(audit->folder);
    if (audit->lock >= 0)
        close(audit->lock);
    free(audit->edge_told);
    free(audit->key_told);
    free(audit);
}
