#include "keyserver/vault/quotas.h"

#include <stdio.h>

#include "common/clock.h"

#define RATE_LASTS_MS 3600000u /* no rate takes longer to make up for a use */

static void complain(void)
{
    log_event(LOG_ERROR, "quotas_incomplete", "error=\"edges may use more than their quota: %s\"",
              err_string(ERR_MEMORY));
}

static int restore_quota(struct limits *limits, const struct audit_record *record)
{
    const struct limits_quota quota = {.edge = record->edge[0] != 0 ? record->edge : NULL,
                                       .key = record->key[0] != 0 ? record->key : NULL,
                                       .start = (int64_t)record->start_s,
                                       .used = record->used};
    return limits_restore_quota(limits, &quota);
}

/* When on the clock that is never set something was done at UNIX_MS of the other one; 0: so long ago that no
 * rate knows of it any more, or before the machine started. What is to come is now. */
static uint64_t mono_of(uint64_t unix_ms)
{
    uint64_t now_ms = clock_unix_ms(), now_ns = clock_ns();
    uint64_t age_ms = now_ms > unix_ms ? now_ms - unix_ms : 0;
    return age_ms > RATE_LASTS_MS || age_ms * 1000000 >= now_ns ? 0 : now_ns - age_ms * 1000000;
}

static int restore(struct limits *limits, const struct audit_record *record)
{
    if (record->type == AUDIT_QUOTA)
        return restore_quota(limits, record);
    if (record->result != AUDIT_OK)
        return 0;
    const struct moment then = {.mono_ns = mono_of(record->time_ms),
                                .unix_s = (int64_t)(record->time_ms / 1000)};
    return limits_restore_use(limits, record->edge, record->key, &then);
}

static void on_record(void *context, const struct audit_record *record)
{
    struct quotas *quotas = context;
    if (restore(quotas->granted, record) != 0 || restore(quotas->recorded, record) != 0)
        complain();
}

/* ---- what stands at the head of a file ---- */

struct teller {
    audit_tell *tell;
    void *user;
};

static void tell_quota(const struct limits_quota *quota, void *user)
{
    const struct teller *teller = user;
    struct audit_record record = {
        .window_s = quota->seconds, .start_s = (uint64_t)quota->start, .used = quota->used};
    if (quota->edge != NULL)
        snprintf(record.edge, sizeof record.edge, "%s", quota->edge);
    if (quota->key != NULL)
        snprintf(record.key, sizeof record.key, "%s", quota->key);
    teller->tell(&record, teller->user);
}

static void each(void *context, int64_t unix_s, audit_tell *tell, void *user)
{
    const struct quotas *quotas = context;
    struct teller teller = {tell, user};
    limits_each_quota(quotas->recorded, unix_s, tell_quota, &teller);
}

/* ---- life ---- */

int quotas_init(struct quotas *quotas, struct limits *granted, const struct authorized *edges,
                const struct keystore *keys, const struct policy *policy)
{
    *quotas = (struct quotas){.granted = granted,
                              .recorded = limits_new(edges, keys, policy),
                              .audit = {.context = quotas, .on_record = on_record, .each = each}};
    return quotas->recorded != NULL ? 0 : ERR_MEMORY;
}

void quotas_clear(struct quotas *quotas)
{
    limits_free(quotas->recorded);
    quotas->recorded = NULL;
}

void quotas_note(struct quotas *quotas, const struct claim *claim, int64_t unix_s)
{
    const struct moment then = {.unix_s = unix_s};
    if (limits_restore_use(quotas->recorded, claim->edge->name, claim->key->name, &then) != 0)
        complain();
}
