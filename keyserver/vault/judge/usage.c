#include "keyserver/vault/judge/usage.h"

#include <stdlib.h>
#include <string.h>

#define PAIRS_FIRST 64 /* slots; a power of two */

/* Of one edge on one key. */
struct pair {
    uint32_t edge;     /* index */
    uint32_t key_next; /* index + 1; 0: the slot is free */
    struct usage_counter counter;
};

struct usage {
    const struct authorized *edges;
    const struct keystore *keys;
    const struct policy_rule **rules; /* by the index of the key */
    const struct key **by_name;       /* in the order of their names */
    struct usage_counter *of_edges, *of_keys;
    struct pair *pairs; /* open addressing; at most three quarters full */
    size_t pair_count, slot_count;
};

/* ---- the life of them all ---- */

static int compare_names(const void *a, const void *b)
{
    return strcmp((*(const struct key *const *)a)->name, (*(const struct key *const *)b)->name);
}

static int compare_name(const void *name, const void *key)
{
    return strcmp(name, (*(const struct key *const *)key)->name);
}

static void learn_keys(struct usage *usage, const struct policy *policy)
{
    size_t count = keystore_count(usage->keys);
    for (size_t i = 0; i < count; i++) {
        const struct key *key = keystore_at(usage->keys, i);
        usage->rules[i] = policy_rule_of(policy, key->id, key->name);
        usage->by_name[i] = key;
    }
    if (count > 0)
        qsort(usage->by_name, count, sizeof *usage->by_name, compare_names);
}

struct usage *usage_new(const struct authorized *edges, const struct keystore *keys,
                        const struct policy *policy)
{
    struct usage *usage = calloc(1, sizeof *usage);
    size_t key_count = keystore_count(keys);
    if (usage == NULL)
        return NULL;
    usage->edges = edges;
    usage->keys = keys;
    usage->slot_count = PAIRS_FIRST;
    usage->rules = calloc(key_count + 1, sizeof *usage->rules);
    usage->by_name = calloc(key_count + 1, sizeof *usage->by_name);
    usage->of_keys = calloc(key_count + 1, sizeof *usage->of_keys);
    usage->of_edges = calloc(authorized_count(edges) + 1, sizeof *usage->of_edges);
    usage->pairs = calloc(usage->slot_count, sizeof *usage->pairs);
    if (usage->rules == NULL || usage->by_name == NULL || usage->of_keys == NULL || usage->of_edges == NULL ||
        usage->pairs == NULL) {
        usage_free(usage);
        return NULL;
    }
    learn_keys(usage, policy);
    return usage;
}

void usage_free(struct usage *usage)
{
    if (usage == NULL)
        return;
    free(usage->rules);
    free(usage->by_name);
    free(usage->of_keys);
    free(usage->of_edges);
    free(usage->pairs);
    free(usage);
}

void usage_forget(struct usage *usage)
{
    memset(usage->of_edges, 0, authorized_count(usage->edges) * sizeof *usage->of_edges);
    memset(usage->of_keys, 0, keystore_count(usage->keys) * sizeof *usage->of_keys);
    memset(usage->pairs, 0, usage->slot_count * sizeof *usage->pairs);
    usage->pair_count = 0;
}

/* ---- pairs ---- */

/* The slot of a pair, or the free one where it belongs. Both indexes are the vault's own: nobody chooses them
 * so that they collide. */
static struct pair *find_slot(struct pair *pairs, size_t slot_count, uint32_t edge, uint32_t key)
{
    uint64_t mixed = ((uint64_t)edge << 32 | key) * 0x9e3779b97f4a7c15u; /* 2^64 / φ: Fibonacci hashing */
    size_t at = (size_t)(mixed >> 32) & (slot_count - 1);
    while (pairs[at].key_next != 0 && (pairs[at].edge != edge || pairs[at].key_next != key + 1))
        at = (at + 1) & (slot_count - 1);
    return &pairs[at];
}

/* True when nothing would be lost if the pair were made anew. */
static bool is_as_new(const struct usage *usage, const struct pair *pair, const struct now *now)
{
    const struct policy_rule *rule = usage->rules[pair->key_next - 1];
    return rate_limit_bucket_full(&pair->counter.rate, &rule->rate_per_edge, now->mono_ns) &&
           rate_limit_window_used(&pair->counter.quota, &rule->quota_per_edge, now->reached_s) == 0;
}

/* Moves the pairs that are not as new into a table of which they take at most half. */
static int rebuild(struct usage *usage, const struct now *now)
{
    size_t kept = 0, slot_count = PAIRS_FIRST;
    for (size_t i = 0; i < usage->slot_count; i++)
        kept += usage->pairs[i].key_next != 0 && !is_as_new(usage, &usage->pairs[i], now);
    while (slot_count < 2 * kept)
        slot_count *= 2;
    struct pair *pairs = calloc(slot_count, sizeof *pairs);
    if (pairs == NULL)
        return ERR_MEMORY;
    for (size_t i = 0; i < usage->slot_count; i++) {
        const struct pair *pair = &usage->pairs[i];
        if (pair->key_next != 0 && !is_as_new(usage, pair, now))
            *find_slot(pairs, slot_count, pair->edge, pair->key_next - 1) = *pair;
    }
    free(usage->pairs);
    usage->pairs = pairs;
    usage->slot_count = slot_count;
    usage->pair_count = kept;
    return 0;
}

/* The counter of a pair, made if there is none; NULL without memory. */
static struct usage_counter *pair_counter(struct usage *usage, uint32_t edge, uint32_t key,
                                          const struct now *now)
{
    struct pair *pair = find_slot(usage->pairs, usage->slot_count, edge, key);
    if (pair->key_next != 0)
        return &pair->counter;
    if (4 * (usage->pair_count + 1) > 3 * usage->slot_count) {
        if (rebuild(usage, now) != 0)
            return NULL;
        pair = find_slot(usage->pairs, usage->slot_count, edge, key);
    }
    *pair = (struct pair){.edge = edge, .key_next = key + 1};
    usage->pair_count++;
    return &pair->counter;
}

/* ---- uses ---- */

static void add_part(struct usage_charge *use, const struct rate_limit *rate, const struct rate_limit *quota,
                     struct usage_counter *counter)
{
    if (rate->count == 0 && quota->count == 0)
        return;
    use->part[use->count].rate = rate;
    use->part[use->count].quota = quota;
    use->part[use->count++].counter = counter;
}

int usage_open(struct usage *usage, struct usage_charge *use, const struct authorized_edge *edge,
               const struct key *key, const struct now *now)
{
    const struct policy_rule *rule = usage->rules[key->index];
    use->count = 0;
    add_part(use, &edge->rate, &edge->quota, &usage->of_edges[edge->index]);
    add_part(use, &rule->rate, &rule->quota, &usage->of_keys[key->index]);
    if (rule->rate_per_edge.count == 0 && rule->quota_per_edge.count == 0)
        return 0;
    struct usage_counter *counter = pair_counter(usage, (uint32_t)edge->index, (uint32_t)key->index, now);
    if (counter == NULL)
        return ERR_MEMORY;
    add_part(use, &rule->rate_per_edge, &rule->quota_per_edge, counter);
    return 0;
}

bool usage_check_rate(const struct usage_charge *use, const struct now *now)
{
    for (size_t i = 0; i < use->count; i++)
        if (!rate_limit_bucket_check(&use->part[i].counter->rate, use->part[i].rate, now->mono_ns))
            return false;
    return true;
}

bool usage_check_quota(const struct usage_charge *use, const struct now *now)
{
    for (size_t i = 0; i < use->count; i++)
        if (!rate_limit_window_check(&use->part[i].counter->quota, use->part[i].quota, now->reached_s))
            return false;
    return true;
}

void usage_take(const struct usage_charge *use, const struct now *now)
{
    for (size_t i = 0; i < use->count; i++) {
        rate_limit_bucket_take(&use->part[i].counter->rate, use->part[i].rate, now->mono_ns);
        rate_limit_window_take(&use->part[i].counter->quota, use->part[i].quota, now->reached_s);
    }
}

/* ---- across restarts ---- */

static const struct key *find_key(const struct usage *usage, const char *name)
{
    size_t count = keystore_count(usage->keys);
    const struct key *const *found =
        count == 0 ? NULL : bsearch(name, usage->by_name, count, sizeof *usage->by_name, compare_name);
    return found != NULL ? *found : NULL;
}

/* What a use of KEY by EDGE is counted against; one of them is NULL where the limit is over all of them. */
struct place {
    const struct rate_limit *rate, *quota; /* borrowed */
    struct usage_counter *counter;         /* borrowed; NULL: nothing is limited here */
};

/* ERR_MEMORY */
static int find_place(struct usage *usage, struct place *out, const struct authorized_edge *edge,
                      const struct key *key, const struct now *then)
{
    if (key == NULL) {
        *out = (struct place){&edge->rate, &edge->quota, &usage->of_edges[edge->index]};
        return 0;
    }
    const struct policy_rule *rule = usage->rules[key->index];
    if (edge == NULL) {
        *out = (struct place){&rule->rate, &rule->quota, &usage->of_keys[key->index]};
        return 0;
    }
    *out = (struct place){&rule->rate_per_edge, &rule->quota_per_edge, NULL};
    if (rule->quota_per_edge.count == 0 && (rule->rate_per_edge.count == 0 || then->mono_ns == 0))
        return 0;
    out->counter = pair_counter(usage, (uint32_t)edge->index, (uint32_t)key->index, then);
    return out->counter != NULL ? 0 : ERR_MEMORY;
}

static int restore_use(struct usage *usage, const struct authorized_edge *edge, const struct key *key,
                       const struct now *then)
{
    struct place place;
    int err = find_place(usage, &place, edge, key, then);
    if (err != 0 || place.counter == NULL)
        return err;
    rate_limit_window_restore(&place.counter->quota, place.quota, then->reached_s, 1);
    if (then->mono_ns != 0)
        rate_limit_bucket_restore(&place.counter->rate, place.rate, then->mono_ns, 1);
    return 0;
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

/* What is limited by these names, of which one may be NULL; a counter of NULL where there is nothing any
 * more. ERR_MEMORY. */
static int find_named(struct usage *usage, struct place *out, const char *edge_name, const char *key_name,
                      const struct now *then)
{
    const struct authorized_edge *edge = edge_name != NULL ? authorized_find_name(usage->edges, edge_name)
                                                           : NULL;
    const struct key *key = key_name != NULL ? find_key(usage, key_name) : NULL;
    bool gone = (edge == NULL && edge_name != NULL) || (key == NULL && key_name != NULL);

    *out = (struct place){.counter = NULL};
    if (gone || (edge == NULL && key == NULL))
        return 0;
    return find_place(usage, out, edge, key, then);
}

int usage_restore_quota(struct usage *usage, const struct usage_quota *quota)
{
    const struct now then = {.reached_s = quota->start};
    struct place place;
    int err = find_named(usage, &place, quota->edge, quota->key, &then);
    if (err == 0 && place.counter != NULL)
        rate_limit_window_restore(&place.counter->quota, place.quota, then.reached_s, quota->used);
    return err;
}

int usage_restore_rate(struct usage *usage, const struct usage_rate *rate, const struct now *then)
{
    struct place place;
    if (then->mono_ns == 0)
        return 0;
    int err = find_named(usage, &place, rate->edge, rate->key, then);
    if (err == 0 && place.counter != NULL)
        rate_limit_bucket_restore(&place.counter->rate, place.rate, then->mono_ns, rate->used);
    return err;
}

/* One place where uses are counted, by name; one of the names may be NULL. */
typedef void place_visit(const char *edge, const char *key, const struct place *place, void *user);

static void each_place(const struct usage *usage, place_visit *visit, void *user)
{
    for (size_t i = 0; i < authorized_count(usage->edges); i++) {
        const struct authorized_edge *edge = authorized_at(usage->edges, i);
        visit(edge->name, NULL, &(struct place){&edge->rate, &edge->quota, &usage->of_edges[i]}, user);
    }
    for (size_t i = 0; i < keystore_count(usage->keys); i++) {
        const struct policy_rule *rule = usage->rules[i];
        visit(NULL, keystore_at(usage->keys, i)->name,
              &(struct place){&rule->rate, &rule->quota, &usage->of_keys[i]}, user);
    }
    for (size_t i = 0; i < usage->slot_count; i++) {
        struct pair *pair = &usage->pairs[i];
        if (pair->key_next == 0)
            continue;
        const struct policy_rule *rule = usage->rules[pair->key_next - 1];
        visit(authorized_at(usage->edges, pair->edge)->name,
              keystore_at(usage->keys, pair->key_next - 1)->name,
              &(struct place){&rule->rate_per_edge, &rule->quota_per_edge, &pair->counter}, user);
    }
}

struct teller {
    struct now now;
    void (*quota)(const struct usage_quota *quota, void *user);
    void (*rate)(const struct usage_rate *rate, void *user);
    void *user;
};

static void tell_quota(const char *edge, const char *key, const struct place *place, void *user)
{
    const struct teller *teller = user;
    const struct rate_limit_window *window = &place->counter->quota;
    const struct usage_quota quota = {
        .edge = edge,
        .key = key,
        .seconds = place->quota->seconds,
        .start = window->start,
        .used = rate_limit_window_used(window, place->quota, teller->now.reached_s)};
    if (quota.used > 0)
        teller->quota(&quota, teller->user);
}

void usage_each_quota(const struct usage *usage, int64_t reached_s,
                      void (*tell)(const struct usage_quota *quota, void *user), void *user)
{
    struct teller teller = {.now = {.reached_s = reached_s}, .quota = tell, .user = user};
    each_place(usage, tell_quota, &teller);
}

static void tell_rate(const char *edge, const char *key, const struct place *place, void *user)
{
    const struct teller *teller = user;
    const struct usage_rate rate = {
        .edge = edge,
        .key = key,
        .used = rate_limit_bucket_missing(&place->counter->rate, place->rate, teller->now.mono_ns)};
    if (rate.used > 0)
        teller->rate(&rate, teller->user);
}

void usage_each_rate(const struct usage *usage, const struct now *now,
                     void (*tell)(const struct usage_rate *rate, void *user), void *user)
{
    struct teller teller = {.now = *now, .rate = tell, .user = user};
    each_place(usage, tell_rate, &teller);
}
