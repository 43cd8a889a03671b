#include "keyserver/vault/judge/limits.h"

#include <stdlib.h>
#include <string.h>

#define PAIRS_FIRST 64 /* slots; a power of two */

/* Of one edge on one key. */
struct pair {
    uint32_t edge;     /* index */
    uint32_t key_next; /* index + 1; 0: the slot is free */
    struct limits_counter counter;
};

struct limits {
    const struct authorized *edges;
    const struct keystore *keys;
    const struct policy_rule **rules; /* by the index of the key */
    const struct key **by_name;       /* in the order of their names */
    struct limits_counter *of_edges, *of_keys;
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

static void learn_keys(struct limits *limits, const struct policy *policy)
{
    size_t count = keystore_count(limits->keys);
    for (size_t i = 0; i < count; i++) {
        const struct key *key = keystore_at(limits->keys, i);
        limits->rules[i] = policy_rule_of(policy, key->id, key->name);
        limits->by_name[i] = key;
    }
    if (count > 0)
        qsort(limits->by_name, count, sizeof *limits->by_name, compare_names);
}

struct limits *limits_new(const struct authorized *edges, const struct keystore *keys,
                          const struct policy *policy)
{
    struct limits *limits = calloc(1, sizeof *limits);
    size_t key_count = keystore_count(keys);
    if (limits == NULL)
        return NULL;
    limits->edges = edges;
    limits->keys = keys;
    limits->slot_count = PAIRS_FIRST;
    limits->rules = calloc(key_count + 1, sizeof *limits->rules);
    limits->by_name = calloc(key_count + 1, sizeof *limits->by_name);
    limits->of_keys = calloc(key_count + 1, sizeof *limits->of_keys);
    limits->of_edges = calloc(authorized_count(edges) + 1, sizeof *limits->of_edges);
    limits->pairs = calloc(limits->slot_count, sizeof *limits->pairs);
    if (limits->rules == NULL || limits->by_name == NULL || limits->of_keys == NULL ||
        limits->of_edges == NULL || limits->pairs == NULL) {
        limits_free(limits);
        return NULL;
    }
    learn_keys(limits, policy);
    return limits;
}

void limits_free(struct limits *limits)
{
    if (limits == NULL)
        return;
    free(limits->rules);
    free(limits->by_name);
    free(limits->of_keys);
    free(limits->of_edges);
    free(limits->pairs);
    free(limits);
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
static bool is_as_new(const struct limits *limits, const struct pair *pair, const struct moment *now)
{
    const struct policy_rule *rule = limits->rules[pair->key_next - 1];
    return limit_bucket_full(&pair->counter.rate, &rule->rate_per_edge, now->mono_ns) &&
           limit_window_used(&pair->counter.quota, &rule->quota_per_edge, now->reached_s) == 0;
}

/* Moves the pairs that are not as new into a table of which they take at most half. */
static int rebuild(struct limits *limits, const struct moment *now)
{
    size_t kept = 0, slot_count = PAIRS_FIRST;
    for (size_t i = 0; i < limits->slot_count; i++)
        kept += limits->pairs[i].key_next != 0 && !is_as_new(limits, &limits->pairs[i], now);
    while (slot_count < 2 * kept)
        slot_count *= 2;
    struct pair *pairs = calloc(slot_count, sizeof *pairs);
    if (pairs == NULL)
        return ERR_MEMORY;
    for (size_t i = 0; i < limits->slot_count; i++) {
        const struct pair *pair = &limits->pairs[i];
        if (pair->key_next != 0 && !is_as_new(limits, pair, now))
            *find_slot(pairs, slot_count, pair->edge, pair->key_next - 1) = *pair;
    }
    free(limits->pairs);
    limits->pairs = pairs;
    limits->slot_count = slot_count;
    limits->pair_count = kept;
    return 0;
}

/* The counter of a pair, made if there is none; NULL without memory. */
static struct limits_counter *pair_counter(struct limits *limits, uint32_t edge, uint32_t key,
                                           const struct moment *now)
{
    struct pair *pair = find_slot(limits->pairs, limits->slot_count, edge, key);
    if (pair->key_next != 0)
        return &pair->counter;
    if (4 * (limits->pair_count + 1) > 3 * limits->slot_count) {
        if (rebuild(limits, now) != 0)
            return NULL;
        pair = find_slot(limits->pairs, limits->slot_count, edge, key);
    }
    *pair = (struct pair){.edge = edge, .key_next = key + 1};
    limits->pair_count++;
    return &pair->counter;
}

/* ---- uses ---- */

static void add_part(struct limits_use *use, const struct limit *rate, const struct limit *quota,
                     struct limits_counter *counter)
{
    if (rate->count == 0 && quota->count == 0)
        return;
    use->part[use->count].rate = rate;
    use->part[use->count].quota = quota;
    use->part[use->count++].counter = counter;
}

int limits_open(struct limits *limits, struct limits_use *use, const struct authorized_edge *edge,
                const struct key *key, const struct moment *now)
{
    const struct policy_rule *rule = limits->rules[key->index];
    use->count = 0;
    add_part(use, &edge->rate, &edge->quota, &limits->of_edges[edge->index]);
    add_part(use, &rule->rate, &rule->quota, &limits->of_keys[key->index]);
    if (rule->rate_per_edge.count == 0 && rule->quota_per_edge.count == 0)
        return 0;
    struct limits_counter *counter = pair_counter(limits, (uint32_t)edge->index, (uint32_t)key->index, now);
    if (counter == NULL)
        return ERR_MEMORY;
    add_part(use, &rule->rate_per_edge, &rule->quota_per_edge, counter);
    return 0;
}

bool limits_check_rate(const struct limits_use *use, const struct moment *now)
{
    for (size_t i = 0; i < use->count; i++)
        if (!limit_bucket_check(&use->part[i].counter->rate, use->part[i].rate, now->mono_ns))
            return false;
    return true;
}

bool limits_check_quota(const struct limits_use *use, const struct moment *now)
{
    for (size_t i = 0; i < use->count; i++)
        if (!limit_window_check(&use->part[i].counter->quota, use->part[i].quota, now->reached_s))
            return false;
    return true;
}

void limits_take(const struct limits_use *use, const struct moment *now)
{
    for (size_t i = 0; i < use->count; i++) {
        limit_bucket_take(&use->part[i].counter->rate, use->part[i].rate, now->mono_ns);
        limit_window_take(&use->part[i].counter->quota, use->part[i].quota, now->reached_s);
    }
}

/* ---- across restarts ---- */

static const struct key *find_key(const struct limits *limits, const char *name)
{
    size_t count = keystore_count(limits->keys);
    const struct key *const *found =
        count == 0 ? NULL : bsearch(name, limits->by_name, count, sizeof *limits->by_name, compare_name);
    return found != NULL ? *found : NULL;
}

/* What a use of KEY by EDGE is counted against; one of them is NULL where the limit is over all of them. */
struct place {
    const struct limit *rate, *quota; /* borrowed */
    struct limits_counter *counter;   /* borrowed; NULL: nothing is limited here */
};

/* ERR_MEMORY */
static int find_place(struct limits *limits, struct place *out, const struct authorized_edge *edge,
                      const struct key *key, const struct moment *then)
{
    if (key == NULL) {
        *out = (struct place){&edge->rate, &edge->quota, &limits->of_edges[edge->index]};
        return 0;
    }
    const struct policy_rule *rule = limits->rules[key->index];
    if (edge == NULL) {
        *out = (struct place){&rule->rate, &rule->quota, &limits->of_keys[key->index]};
        return 0;
    }
    *out = (struct place){&rule->rate_per_edge, &rule->quota_per_edge, NULL};
    if (rule->quota_per_edge.count == 0 && (rule->rate_per_edge.count == 0 || then->mono_ns == 0))
        return 0;
    out->counter = pair_counter(limits, (uint32_t)edge->index, (uint32_t)key->index, then);
    return out->counter != NULL ? 0 : ERR_MEMORY;
}

static int restore_use(struct limits *limits, const struct authorized_edge *edge, const struct key *key,
                       const struct moment *then)
{
    struct place place;
    int err = find_place(limits, &place, edge, key, then);
    if (err != 0 || place.counter == NULL)
        return err;
    limit_window_restore(&place.counter->quota, place.quota, then->reached_s, 1);
    if (then->mono_ns != 0)
        limit_bucket_restore(&place.counter->rate, place.rate, then->mono_ns, 1);
    return 0;
}

int limits_restore_use(struct limits *limits, const char *edge_name, const char *key_name,
                       const struct moment *then)
{
    const struct authorized_edge *edge = authorized_find_name(limits->edges, edge_name);
    const struct key *key = find_key(limits, key_name);
    int err = 0;
    if (edge != NULL)
        err = restore_use(limits, edge, NULL, then);
    if (err == 0 && key != NULL)
        err = restore_use(limits, NULL, key, then);
    if (err == 0 && edge != NULL && key != NULL)
        err = restore_use(limits, edge, key, then);
    return err;
}

/* What is limited by these names, of which one may be NULL; a counter of NULL where there is nothing any
 * more. ERR_MEMORY. */
static int find_named(struct limits *limits, struct place *out, const char *edge_name, const char *key_name,
                      const struct moment *then)
{
    const struct authorized_edge *edge = edge_name != NULL ? authorized_find_name(limits->edges, edge_name)
                                                           : NULL;
    const struct key *key = key_name != NULL ? find_key(limits, key_name) : NULL;
    bool gone = (edge == NULL && edge_name != NULL) || (key == NULL && key_name != NULL);

    *out = (struct place){.counter = NULL};
    if (gone || (edge == NULL && key == NULL))
        return 0;
    return find_place(limits, out, edge, key, then);
}

int limits_restore_quota(struct limits *limits, const struct limits_quota *quota)
{
    const struct moment then = {.reached_s = quota->start};
    struct place place;
    int err = find_named(limits, &place, quota->edge, quota->key, &then);
    if (err == 0 && place.counter != NULL)
        limit_window_restore(&place.counter->quota, place.quota, then.reached_s, quota->used);
    return err;
}

int limits_restore_rate(struct limits *limits, const struct limits_rate *rate, const struct moment *then)
{
    struct place place;
    if (then->mono_ns == 0)
        return 0;
    int err = find_named(limits, &place, rate->edge, rate->key, then);
    if (err == 0 && place.counter != NULL)
        limit_bucket_restore(&place.counter->rate, place.rate, then->mono_ns, rate->used);
    return err;
}

/* One place where uses are counted, by name; one of the names may be NULL. */
typedef void place_visit(const char *edge, const char *key, const struct place *place, void *user);

static void each_place(const struct limits *limits, place_visit *visit, void *user)
{
    for (size_t i = 0; i < authorized_count(limits->edges); i++) {
        const struct authorized_edge *edge = authorized_at(limits->edges, i);
        visit(edge->name, NULL, &(struct place){&edge->rate, &edge->quota, &limits->of_edges[i]}, user);
    }
    for (size_t i = 0; i < keystore_count(limits->keys); i++) {
        const struct policy_rule *rule = limits->rules[i];
        visit(NULL, keystore_at(limits->keys, i)->name,
              &(struct place){&rule->rate, &rule->quota, &limits->of_keys[i]}, user);
    }
    for (size_t i = 0; i < limits->slot_count; i++) {
        struct pair *pair = &limits->pairs[i];
        if (pair->key_next == 0)
            continue;
        const struct policy_rule *rule = limits->rules[pair->key_next - 1];
        visit(authorized_at(limits->edges, pair->edge)->name,
              keystore_at(limits->keys, pair->key_next - 1)->name,
              &(struct place){&rule->rate_per_edge, &rule->quota_per_edge, &pair->counter}, user);
    }
}

struct teller {
    struct moment now;
    void (*quota)(const struct limits_quota *quota, void *user);
    void (*rate)(const struct limits_rate *rate, void *user);
    void *user;
};

static void tell_quota(const char *edge, const char *key, const struct place *place, void *user)
{
    const struct teller *teller = user;
    const struct limit_window *window = &place->counter->quota;
    const struct limits_quota quota = {
        .edge = edge,
        .key = key,
        .seconds = place->quota->seconds,
        .start = window->start,
        .used = limit_window_used(window, place->quota, teller->now.reached_s)};
    if (quota.used > 0)
        teller->quota(&quota, teller->user);
}

void limits_each_quota(const struct limits *limits, int64_t reached_s,
                       void (*tell)(const struct limits_quota *quota, void *user), void *user)
{
    struct teller teller = {.now = {.reached_s = reached_s}, .quota = tell, .user = user};
    each_place(limits, tell_quota, &teller);
}

static void tell_rate(const char *edge, const char *key, const struct place *place, void *user)
{
    const struct teller *teller = user;
    const struct limits_rate rate = {
        .edge = edge,
        .key = key,
        .used = limit_bucket_missing(&place->counter->rate, place->rate, teller->now.mono_ns)};
    if (rate.used > 0)
        teller->rate(&rate, teller->user);
}

void limits_each_rate(const struct limits *limits, const struct moment *now,
                      void (*tell)(const struct limits_rate *rate, void *user), void *user)
{
    struct teller teller = {.now = *now, .rate = tell, .user = user};
    each_place(limits, tell_rate, &teller);
}

size_t limits_pairs(const struct limits *limits)
{
    return limits->pair_count;
}
