#include <stdlib.h>
#include <string.h>

#include "keyserver/vault/judge/usage_inside.h"

#define SLOTS_FIRST 64 /* for pairs; a power of two */

/* ---- the life of them all ---- */

static int compare_names(const void *a, const void *b)
{
    return strcmp((*(const struct key *const *)a)->name, (*(const struct key *const *)b)->name);
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

/* Those of edges and keys, which are there before the pairs. */
static size_t fixed_count(const struct usage *usage)
{
    return authorized_count(usage->edges) + keystore_count(usage->keys);
}

/* So many entries that no more are needed until the SLOTS are three quarters full. */
static size_t entries_for(const struct usage *usage, size_t slots)
{
    return fixed_count(usage) + slots / 4 * 3;
}

/* No pair is there yet. */
static void make_fixed(struct usage *usage)
{
    size_t edge_count = authorized_count(usage->edges);
    usage->entry_count = fixed_count(usage);
    memset(usage->entries, 0, usage->entry_count * sizeof *usage->entries);
    for (size_t i = 0; i < usage->entry_count; i++) {
        struct usage_entry *entry = &usage->entries[i];
        if (i < edge_count)
            entry->edge_next = (uint32_t)i + 1;
        else
            entry->key_next = (uint32_t)(i - edge_count) + 1;
    }
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
    usage->rules = calloc(key_count + 1, sizeof *usage->rules);
    usage->by_name = calloc(key_count + 1, sizeof *usage->by_name);
    usage->slot_count = SLOTS_FIRST;
    usage->slots = calloc(usage->slot_count, sizeof *usage->slots);
    usage->entry_size = entries_for(usage, usage->slot_count);
    usage->entries = calloc(usage->entry_size, sizeof *usage->entries);
    if (usage->rules == NULL || usage->by_name == NULL || usage->slots == NULL || usage->entries == NULL) {
        usage_free(usage);
        return NULL;
    }
    learn_keys(usage, policy);
    make_fixed(usage);
    return usage;
}

void usage_free(struct usage *usage)
{
    if (usage == NULL)
        return;
    free(usage->rules);
    free(usage->by_name);
    free(usage->slots);
    free(usage->entries);
    free(usage);
}

void usage_forget(struct usage *usage)
{
    memset(usage->slots, 0, usage->slot_count * sizeof *usage->slots);
    usage->pair_count = usage->changed_count = 0;
    usage->first = usage->last = usage->nobodys = 0;
    make_fixed(usage);
}

/* ---- those that changed ---- */

void usage_note_change(struct usage *usage, uint32_t place)
{
    struct usage_entry *entry = &usage->entries[place];
    if (entry->changed)
        return;
    entry->changed = true;
    entry->next = 0;
    if (usage->last != 0)
        usage->entries[usage->last - 1].next = place + 1;
    else
        usage->first = place + 1;
    usage->last = place + 1;
    usage->changed_count++;
}

uint32_t usage_take_changed(struct usage *usage)
{
    uint32_t place = usage->first - 1;
    struct usage_entry *entry = &usage->entries[place];
    usage->first = entry->next;
    if (usage->first == 0)
        usage->last = 0;
    usage->changed_count--;
    entry->changed = false;
    entry->next = 0;
    return place;
}

/* ---- limits ---- */

struct usage_limits usage_limits_of(const struct usage *usage, const struct authorized_edge *edge,
                                    const struct key *key)
{
    if (key == NULL)
        return (struct usage_limits){edge, key, &edge->rate, &edge->quota};
    const struct policy_rule *rule = usage->rules[key->index];
    if (edge == NULL)
        return (struct usage_limits){edge, key, &rule->rate, &rule->quota};
    return (struct usage_limits){edge, key, &rule->rate_per_edge, &rule->quota_per_edge};
}

struct usage_limits usage_limits_at(const struct usage *usage, size_t place)
{
    const struct usage_entry *entry = &usage->entries[place];
    return usage_limits_of(usage,
                           entry->edge_next != 0 ? authorized_at(usage->edges, entry->edge_next - 1) : NULL,
                           entry->key_next != 0 ? keystore_at(usage->keys, entry->key_next - 1) : NULL);
}

bool usage_is_as_new(const struct usage_counter *counter, const struct usage_limits *limits,
                     const struct now *now)
{
    return rate_limit_bucket_full(&counter->rate, limits->rate, now->mono_ns) &&
           rate_limit_window_used(&counter->quota, limits->quota, now->reached_s) == 0;
}

/* ---- pairs ---- */

static bool is_pair(const struct usage_entry *entry)
{
    return entry->edge_next != 0 && entry->key_next != 0;
}

/* The slot of a pair, or the free one where it belongs. Both indexes are the vault's own: nobody chooses them
 * so that they collide. */
static uint32_t *find_slot(const struct usage *usage, uint32_t edge_next, uint32_t key_next)
{
    uint64_t mixed = ((uint64_t)edge_next << 32 | key_next) *
                     0x9e3779b97f4a7c15u; /* 2^64 / φ: Fibonacci hashing */
    size_t at = (size_t)(mixed >> 32) & (usage->slot_count - 1);
    for (; usage->slots[at] != 0; at = (at + 1) & (usage->slot_count - 1)) {
        const struct usage_entry *entry = &usage->entries[usage->slots[at] - 1];
        if (entry->edge_next == edge_next && entry->key_next == key_next)
            break;
    }
    return &usage->slots[at];
}

static bool is_as_new_at(const struct usage *usage, size_t place, const struct now *now)
{
    const struct usage_limits limits = usage_limits_at(usage, place);
    return usage_is_as_new(&usage->entries[place].counter, &limits, now);
}

/* Makes those pairs nobody's that are as new. */
static void forget_pairs(struct usage *usage, const struct now *now)
{
    for (size_t i = usage->changed_count; i > 0; i--) {
        uint32_t place = usage_take_changed(usage);
        if (!is_pair(&usage->entries[place]) || !is_as_new_at(usage, place, now))
            usage_note_change(usage, place);
    }
    for (size_t i = fixed_count(usage); i < usage->entry_count; i++) {
        if (!is_pair(&usage->entries[i]) || !is_as_new_at(usage, i, now))
            continue;
        usage->entries[i] = (struct usage_entry){.next = usage->nobodys};
        usage->nobodys = (uint32_t)i + 1;
        usage->pair_count--;
    }
}

static int grow(struct usage *usage, size_t slot_count)
{
    size_t size = entries_for(usage, slot_count);
    struct usage_entry *entries = reallocarray(usage->entries, size, sizeof *entries);
    if (entries == NULL)
        return ERR_MEMORY;
    usage->entries = entries;
    usage->entry_size = size;
    uint32_t *slots = reallocarray(usage->slots, slot_count, sizeof *slots);
    if (slots == NULL)
        return ERR_MEMORY;
    usage->slots = slots;
    usage->slot_count = slot_count;
    return 0;
}

/* Forgets pairs, and makes room so that those which are left take at most half of it. Room is never given
 * back: as many pairs as a quarter of it holds must come before this is due again. */
static int rebuild(struct usage *usage, const struct now *now)
{
    size_t slot_count = usage->slot_count;
    forget_pairs(usage, now);
    while (slot_count < 2 * usage->pair_count)
        slot_count *= 2;
    int err = slot_count > usage->slot_count ? grow(usage, slot_count) : 0;
    memset(usage->slots, 0, usage->slot_count * sizeof *usage->slots);
    for (size_t i = fixed_count(usage); i < usage->entry_count; i++)
        if (is_pair(&usage->entries[i]))
            *find_slot(usage, usage->entries[i].edge_next, usage->entries[i].key_next) = (uint32_t)i + 1;
    return err;
}

/* There is room. */
static uint32_t add_pair(struct usage *usage, uint32_t edge_next, uint32_t key_next)
{
    uint32_t place = usage->nobodys != 0 ? usage->nobodys - 1 : (uint32_t)usage->entry_count++;
    if (usage->nobodys != 0)
        usage->nobodys = usage->entries[place].next;
    usage->entries[place] = (struct usage_entry){.edge_next = edge_next, .key_next = key_next};
    usage->pair_count++;
    return place;
}

static int find_pair(struct usage *usage, uint32_t *place, uint32_t edge_next, uint32_t key_next,
                     const struct now *now)
{
    uint32_t *slot = find_slot(usage, edge_next, key_next);
    if (*slot == 0 && 4 * (usage->pair_count + 1) > 3 * usage->slot_count) {
        int err = rebuild(usage, now);
        if (err != 0)
            return err;
        slot = find_slot(usage, edge_next, key_next);
    }
    if (*slot == 0)
        *slot = add_pair(usage, edge_next, key_next) + 1;
    *place = *slot - 1;
    return 0;
}

int usage_find_place(struct usage *usage, uint32_t *place, const struct usage_limits *limits,
                     const struct now *now)
{
    if (limits->edge != NULL && limits->key != NULL)
        return find_pair(usage, place, (uint32_t)limits->edge->index + 1, (uint32_t)limits->key->index + 1,
                         now);
    *place = (uint32_t)(limits->edge != NULL ? limits->edge->index
                                             : authorized_count(usage->edges) + limits->key->index);
    return 0;
}

/* ---- uses ---- */

static int add_part(struct usage *usage, struct usage_charge *use, const struct authorized_edge *edge,
                    const struct key *key, const struct now *now)
{
    const struct usage_limits limits = usage_limits_of(usage, edge, key);
    if (limits.rate->count == 0 && limits.quota->count == 0)
        return 0;
    use->part[use->count].rate = limits.rate;
    use->part[use->count].quota = limits.quota;
    return usage_find_place(usage, &use->part[use->count++].place, &limits, now);
}

int usage_open(struct usage *usage, struct usage_charge *use, const struct authorized_edge *edge,
               const struct key *key, const struct now *now)
{
    use->usage = usage;
    use->count = 0;
    int err = add_part(usage, use, edge, NULL, now);
    if (err == 0)
        err = add_part(usage, use, NULL, key, now);
    return err != 0 ? err : add_part(usage, use, edge, key, now);
}

static struct usage_counter *counter_of(const struct usage_charge *use, size_t part)
{
    return &use->usage->entries[use->part[part].place].counter;
}

bool usage_check_rate(const struct usage_charge *use, const struct now *now)
{
    for (size_t i = 0; i < use->count; i++)
        if (!rate_limit_bucket_check(&counter_of(use, i)->rate, use->part[i].rate, now->mono_ns))
            return false;
    return true;
}

bool usage_check_quota(const struct usage_charge *use, const struct now *now)
{
    for (size_t i = 0; i < use->count; i++)
        if (!rate_limit_window_check(&counter_of(use, i)->quota, use->part[i].quota, now->reached_s))
            return false;
    return true;
}

void usage_take(const struct usage_charge *use, const struct now *now)
{
    for (size_t i = 0; i < use->count; i++) {
        rate_limit_bucket_take(&counter_of(use, i)->rate, use->part[i].rate, now->mono_ns);
        rate_limit_window_take(&counter_of(use, i)->quota, use->part[i].quota, now->reached_s);
        usage_note_change(use->usage, use->part[i].place);
    }
}
