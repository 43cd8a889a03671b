/* What the files behind usage.h share. */
#ifndef KEYSERVER_VAULT_JUDGE_USAGE_INSIDE_H
#define KEYSERVER_VAULT_JUDGE_USAGE_INSIDE_H

#include "keyserver/vault/judge/usage.h"

struct usage_counter {
    struct rate_limit_bucket rate;
    struct rate_limit_window quota;
};

/* A counter keeps its place among the entries for as long as it is of the same edge and key. */
struct usage_entry {
    struct usage_counter counter;
    uint32_t edge_next, key_next; /* index + 1; 0: all of them; both are 0: nobody's */
    uint32_t next;                /* place + 1 of the next one in the queue, or that is nobody's; 0: none */
    bool changed;                 /* it is in the queue */
};

struct usage {
    const struct authorized *edges;
    const struct keystore *keys;
    const struct policy_rule **rules; /* by the index of the key */
    const struct key **by_name;       /* in the order of their names */
    struct usage_entry *entries;      /* of edges, of keys, and of pairs in the order of their making */
    size_t entry_count, entry_size;
    uint32_t *slots; /* place + 1 of a pair, 0: free; open addressing, at most three quarters full */
    size_t pair_count, slot_count;
    uint32_t nobodys;     /* place + 1 of the first entry that is nobody's; 0: none */
    uint32_t first, last; /* place + 1, of the queue of those that changed; 0: it is empty */
    size_t changed_count;
};

/* What a counter is of: of the pair, of an edge on all keys (KEY is NULL), or of a key (EDGE is NULL). */
struct usage_limits {
    const struct authorized_edge *edge;    /* borrowed */
    const struct key *key;                 /* borrowed */
    const struct rate_limit *rate, *quota; /* borrowed */
};

struct usage_limits usage_limits_of(const struct usage *usage, const struct authorized_edge *edge,
                                    const struct key *key);
/* Those of the entry at PLACE, which is somebody's. */
struct usage_limits usage_limits_at(const struct usage *usage, size_t place);
/* True when nothing would be lost if COUNTER were made anew. */
bool usage_is_as_new(const struct usage_counter *counter, const struct usage_limits *limits,
                     const struct now *now);
/* The place of the counter of LIMITS; of a pair it is made if there is none. ERR_MEMORY. */
int usage_find_place(struct usage *usage, uint32_t *place, const struct usage_limits *limits,
                     const struct now *now) MUST_USE;
/* Something was counted at PLACE. */
void usage_note_change(struct usage *usage, uint32_t place);
/* Takes the place of the one that waits longest out of the queue, in which there is one. */
uint32_t usage_take_changed(struct usage *usage);

#endif
