/* Usage across vaults: told, and restored. */
#include <stdlib.h>
#include <string.h>

#include "keyserver/vault/judge/usage_inside.h"

static int compare_name(const void *name, const void *key)
{
    return strcmp(name, (*(const struct key *const *)key)->name);
}

static const struct key *find_key(const struct usage *usage, const char *name)
{
    size_t count = keystore_count(usage->keys);
    const struct key *const *found =
        count == 0 ? NULL : bsearch(name, usage->by_name, count, sizeof *usage->by_name, compare_name);
    return found != NULL ? *found : NULL;
}

static void restore(struct usage *usage, uint32_t place, const struct usage_limits *limits,
                    const struct now *then, uint64_t uses)
{
    struct usage_counter *counter = &usage->entries[place].counter;
    rate_limit_window_restore(&counter->quota, limits->quota, then->reached_s, uses);
    if (then->mono_ns != 0)
        rate_limit_bucket_restore(&counter->rate, limits->rate, then->mono_ns, uses);
    usage_note_change(usage, place);
}

/* No pair is made for a rate that has long made up for it. */
static bool counts(const struct usage_limits *limits, const struct now *then)
{
    return limits->quota->count != 0 || (limits->rate->count != 0 && then->mono_ns != 0);
}

static int restore_use(struct usage *usage, const struct authorized_edge *edge, const struct key *key,
                       const struct now *then)
{
    const struct usage_limits limits = usage_limits_of(usage, edge, key);
    uint32_t place;
    if (!counts(&limits, then))
        return 0;
    int err = usage_find_place(usage, &place, &limits, then);
    if (err == 0)
        restore(usage, place, &limits, then, 1);
    return err;
}

int usage_restore_use(struct usage *usage, const char *edge_name, const char *key_name,
                      const struct now *then)
{
    const struct authorized_edge *edge = authorized_find_name(usage->edges, edge_name);
    const struct key *key = find_key(usage, key_name);
    int err = 0;
    if (edge != NULL)
        err = restore_use(usage, edge, NULL, then);
    if (err == 0 && key != NULL)
        err = restore_use(usage, NULL, key, then);
    if (err == 0 && edge != NULL && key != NULL)
        err = restore_use(usage, edge, key, then);
    return err;
}

/* What is limited by these names, of which one may be NULL; false where there is nothing any more. */
static bool find_limits(const struct usage *usage, struct usage_limits *out, const char *edge_name,
                        const char *key_name)
{
    const struct authorized_edge *edge = edge_name != NULL ? authorized_find_name(usage->edges, edge_name)
                                                           : NULL;
    const struct key *key = key_name != NULL ? find_key(usage, key_name) : NULL;
    bool gone = (edge == NULL && edge_name != NULL) || (key == NULL && key_name != NULL);
    if (gone || (edge == NULL && key == NULL))
        return false;
    *out = usage_limits_of(usage, edge, key);
    return true;
}

int usage_restore_quota(struct usage *usage, const struct usage_quota *quota)
{
    const struct now then = {.reached_s = quota->start};
    struct usage_limits limits;
    uint32_t place;
    if (!find_limits(usage, &limits, quota->edge, quota->key) || limits.quota->count == 0)
        return 0;
    int err = usage_find_place(usage, &place, &limits, &then);
    if (err == 0)
        restore(usage, place, &limits, &then, quota->used);
    return err;
}

int usage_restore_rate(struct usage *usage, const struct usage_rate *rate, const struct now *then)
{
    struct usage_limits limits;
    uint32_t place;
    if (then->mono_ns == 0 || !find_limits(usage, &limits, rate->edge, rate->key) || limits.rate->count == 0)
        return 0;
    int err = usage_find_place(usage, &place, &limits, then);
    if (err != 0)
        return err;
    rate_limit_bucket_restore(&usage->entries[place].counter.rate, limits.rate, then->mono_ns, rate->used);
    usage_note_change(usage, place);
    return 0;
}

/* ---- from counter to counter ---- */

static const char *edge_name(const struct usage_limits *limits)
{
    return limits->edge != NULL ? limits->edge->name : NULL;
}

static const char *key_name(const struct usage_limits *limits)
{
    return limits->key != NULL ? limits->key->name : NULL;
}

static struct usage_count count_at(const struct usage *usage, size_t place, const struct now *now)
{
    const struct usage_limits limits = usage_limits_at(usage, place);
    const struct usage_counter *counter = &usage->entries[place].counter;
    return (struct usage_count){
        .edge = edge_name(&limits),
        .key = key_name(&limits),
        .start = counter->quota.start,
        .used = rate_limit_window_used(&counter->quota, limits.quota, now->reached_s),
        .missing = rate_limit_bucket_missing(&counter->rate, limits.rate, now->mono_ns),
        .mono_ns = now->mono_ns};
}

size_t usage_changed(const struct usage *usage)
{
    return usage->changed_count;
}

void usage_each_changed(struct usage *usage, const struct now *now, size_t most,
                        bool (*tell)(size_t place, const struct usage_count *count, void *user), void *user)
{
    size_t left = usage->changed_count < most ? usage->changed_count : most;
    for (; left > 0; left--) {
        uint32_t place = usage_take_changed(usage);
        const struct usage_count count = count_at(usage, place, now);
        if (!tell(place, &count, user))
            usage_note_change(usage, place);
    }
}

/* A counter that has counted COUNT and nothing else. */
static struct usage_counter counter_of(const struct usage_count *count, const struct usage_limits *limits,
                                       const struct now *now)
{
    struct usage_counter counter = {.quota = {.start = 0}};
    uint64_t then_ns = count->mono_ns < now->mono_ns ? count->mono_ns : now->mono_ns;
    rate_limit_window_restore(&counter.quota, limits->quota, count->start, count->used);
    rate_limit_bucket_restore(&counter.rate, limits->rate, then_ns, count->missing);
    return counter;
}

static bool raise_quota(struct rate_limit_window *window, const struct rate_limit *quota,
                        const struct rate_limit_window *least)
{
    if (quota->count == 0 || least->start < window->start)
        return false;
    uint64_t used = rate_limit_window_used(window, quota, least->start);
    if (used >= least->used)
        return false;
    rate_limit_window_restore(window, quota, least->start, least->used - used);
    return true;
}

static bool raise_rate(struct rate_limit_bucket *bucket, const struct rate_limit *rate,
                       const struct rate_limit_bucket *least, uint64_t now_ns)
{
    uint64_t missing = rate_limit_bucket_missing(least, rate, now_ns);
    uint64_t known = rate_limit_bucket_missing(bucket, rate, now_ns);
    if (known >= missing)
        return false;
    rate_limit_bucket_restore(bucket, rate, now_ns, missing - known);
    return true;
}

int usage_raise(struct usage *usage, const struct usage_count *count, const struct now *now, bool *raised)
{
    struct usage_limits limits;
    uint32_t place;
    *raised = false;
    if (!find_limits(usage, &limits, count->edge, count->key))
        return 0;
    const struct usage_counter least = counter_of(count, &limits, now);
    if (usage_is_as_new(&least, &limits, now))
        return 0;
    int err = usage_find_place(usage, &place, &limits, now);
    if (err != 0)
        return err;
    struct usage_counter *counter = &usage->entries[place].counter;
    bool of_quota = raise_quota(&counter->quota, limits.quota, &least.quota);
    bool of_rate = raise_rate(&counter->rate, limits.rate, &least.rate, now->mono_ns);
    *raised = of_quota || of_rate;
    if (*raised)
        usage_note_change(usage, place);
    return 0;
}

/* ---- all of them ---- */

typedef void usage_visit(const struct usage_limits *limits, const struct usage_counter *counter, void *user);

static void each_counter(const struct usage *usage, usage_visit *visit, void *user)
{
    for (size_t i = 0; i < usage->entry_count; i++) {
        const struct usage_entry *entry = &usage->entries[i];
        if (entry->edge_next == 0 && entry->key_next == 0)
            continue;
        const struct usage_limits limits = usage_limits_at(usage, i);
        visit(&limits, &entry->counter, user);
    }
}

struct teller {
    struct now now;
    void (*quota)(const struct usage_quota *quota, void *user);
    void (*rate)(const struct usage_rate *rate, void *user);
    void *user;
};

static void tell_quota(const struct usage_limits *limits, const struct usage_counter *counter, void *user)
{
    const struct teller *teller = user;
    const struct rate_limit_window *window = &counter->quota;
    const struct usage_quota quota = {
        .edge = edge_name(limits),
        .key = key_name(limits),
        .seconds = limits->quota->seconds,
        .start = window->start,
        .used = rate_limit_window_used(window, limits->quota, teller->now.reached_s)};
    if (quota.used > 0)
        teller->quota(&quota, teller->user);
}

void usage_each_quota(const struct usage *usage, int64_t reached_s,
                      void (*tell)(const struct usage_quota *quota, void *user), void *user)
{
    struct teller teller = {.now = {.reached_s = reached_s}, .quota = tell, .user = user};
    each_counter(usage, tell_quota, &teller);
}

static void tell_rate(const struct usage_limits *limits, const struct usage_counter *counter, void *user)
{
    const struct teller *teller = user;
    const struct usage_rate rate = {
        .edge = edge_name(limits),
        .key = key_name(limits),
        .used = rate_limit_bucket_missing(&counter->rate, limits->rate, teller->now.mono_ns)};
    if (rate.used > 0)
        teller->rate(&rate, teller->user);
}

void usage_each_rate(const struct usage *usage, const struct now *now,
                     void (*tell)(const struct usage_rate *rate, void *user), void *user)
{
    struct teller teller = {.now = *now, .rate = tell, .user = user};
    each_counter(usage, tell_rate, &teller);
}
