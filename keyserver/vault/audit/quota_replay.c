#include "keyserver/vault/audit/quota_replay.h"

#include <stdio.h>
#include <string.h>

#include "common/clock.h"

#define RATE_LASTS_MS 3600000u /* no rate takes longer to make up for a use */

static void complain(void)
{
    log_event(LOG_ERROR, "quotas_incomplete", "error=\"edges may use more than their quota: %s\"",
              err_string(ERR_MEMORY));
}

/* A name that a record has, or NULL. */
static const char *name_of(const char *field)
{
    return field[0] != 0 ? field : NULL;
}

static int restore_quota(struct usage *usage, const struct audit_record *record)
{
    const struct usage_quota quota = {.edge = name_of(record->edge),
                                      .key = name_of(record->key),
                                      .start = (int64_t)record->start_s,
                                      .used = record->used};
    return usage_restore_quota(usage, &quota);
}

/* When on the clock that is never set something was done at UNIX_MS of the other one; 0: so long ago that no
 * rate knows of it any more, or before the machine started. What is to come is now. */
static uint64_t mono_of(uint64_t unix_ms)
{
    uint64_t now_ms = clock_unix_ms(), now_ns = clock_ns();
    uint64_t age_ms = now_ms > unix_ms ? now_ms - unix_ms : 0;
    return age_ms > RATE_LASTS_MS || age_ms * NS_PER_MS >= now_ns ? 0 : now_ns - age_ms * NS_PER_MS;
}

static int restore(struct usage *usage, const struct audit_record *record, uint64_t reached_ms)
{
    const struct now then = {.mono_ns = mono_of(record->time_ms), .reached_s = (int64_t)(reached_ms / 1000)};
    const struct usage_rate rate = {
        .edge = name_of(record->edge), .key = name_of(record->key), .used = record->used};
    if (record->type == AUDIT_QUOTA)
        return restore_quota(usage, record);
    if (record->type == AUDIT_RATE)
        return usage_restore_rate(usage, &rate, &then);
    if (record->result != AUDIT_OK)
        return 0;
    return usage_restore_use(usage, record->edge, record->key, &then);
}

static void on_record(void *context, const struct audit_record *record, uint64_t reached_ms)
{
    struct quota_replay *quotas = context;
    if (restore(quotas->granted, record, reached_ms) != 0 ||
        restore(quotas->recorded, record, reached_ms) != 0)
        complain();
}

static void forget(void *context)
{
    const struct quota_replay *quotas = context;
    usage_forget(quotas->granted);
    usage_forget(quotas->recorded);
}

/* ---- what stands at the head of a file ---- */

struct teller {
    audit_tell *tell;
    void *user;
};

static void tell(const struct teller *teller, struct audit_record *record, const char *edge, const char *key)
{
    snprintf(record->edge, sizeof record->edge, "%s", edge != NULL ? edge : "");
    snprintf(record->key, sizeof record->key, "%s", key != NULL ? key : "");
    teller->tell(record, teller->user);
}

static void tell_quota(const struct usage_quota *quota, void *user)
{
    struct audit_record record = {.type = AUDIT_QUOTA,
                                  .window_s = quota->seconds,
                                  .start_s = (uint64_t)quota->start,
                                  .used = quota->used};
    tell(user, &record, quota->edge, quota->key);
}

static void tell_rate(const struct usage_rate *rate, void *user)
{
    struct audit_record record = {.type = AUDIT_RATE, .used = rate->used};
    tell(user, &record, rate->edge, rate->key);
}

static void each(void *context, const struct now *now, audit_tell *told, void *user)
{
    const struct quota_replay *quotas = context;
    struct teller teller = {told, user};
    usage_each_quota(quotas->recorded, now->reached_s, tell_quota, &teller);
    usage_each_rate(quotas->recorded, now, tell_rate, &teller);
}

/* ---- what is left for the vault that follows ---- */

struct leaver {
    audit_leave *leave;
    void *user;
};

/* NAME is shorter than SIZE, or NULL; OUT is zeroed. */
static void put_name(char *out, const char *name, size_t size)
{
    if (name != NULL)
        memcpy(out, name, strnlen(name, size - 1));
}

static bool leave(size_t place, const struct usage_count *count, void *user)
{
    const struct leaver *leaver = user;
    struct handover_count left = {.start_s = (uint64_t)count->start,
                                  .used = count->used,
                                  .missing = count->missing,
                                  .mono_ns = count->mono_ns};
    put_name(left.edge, count->edge, sizeof left.edge);
    put_name(left.key, count->key, sizeof left.key);
    return leaver->leave(place, &left, leaver->user);
}

static size_t changed(const void *context)
{
    const struct quota_replay *quotas = context;
    return usage_changed(quotas->recorded);
}

static void each_changed(void *context, const struct now *now, size_t most, audit_leave *told, void *user)
{
    const struct quota_replay *quotas = context;
    struct leaver leaver = {told, user};
    usage_each_changed(quotas->recorded, now, most, leave, &leaver);
}

static bool raise_counts(void *context, const struct handover_count *left, const struct now *now)
{
    const struct quota_replay *quotas = context;
    const struct usage_count count = {.edge = name_of(left->edge),
                                      .key = name_of(left->key),
                                      .start = (int64_t)left->start_s,
                                      .used = left->used,
                                      .missing = left->missing,
                                      .mono_ns = left->mono_ns};
    bool granted, recorded;
    if (usage_raise(quotas->granted, &count, now, &granted) != 0 ||
        usage_raise(quotas->recorded, &count, now, &recorded) != 0) {
        complain();
        return false;
    }
    return recorded;
}

/* ---- life ---- */

int quota_replay_init(struct quota_replay *quotas, struct usage *granted, const struct authorized *edges,
                      const struct keystore *keys, const struct policy *policy)
{
    *quotas = (struct quota_replay){.granted = granted,
                                    .recorded = usage_new(edges, keys, policy),
                                    .audit = {.context = quotas,
                                              .on_record = on_record,
                                              .forget = forget,
                                              .each = each,
                                              .changed = changed,
                                              .each_changed = each_changed,
                                              .raise = raise_counts}};
    return quotas->recorded != NULL ? 0 : ERR_MEMORY;
}

void quota_replay_clear(struct quota_replay *quotas)
{
    usage_free(quotas->recorded);
    quotas->recorded = NULL;
}

void quota_replay_note(struct quota_replay *quotas, const struct request_identity *identity,
                       const struct now *then)
{
    if (usage_restore_use(quotas->recorded, identity->edge->name, identity->key->name, then) != 0)
        complain();
}
