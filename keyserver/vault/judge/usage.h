/* The limits at work: how much of every rate and quota is left, of each edge, of each key, and of each edge
 * on each key where the key's rule limits that. A use is counted against all of its limits, or, when one of
 * them refuses it, against none.
 *
 * What the limits are is authorized.h's and policy.h's to say. Memory is bounded: pairs of edge and key are
 * made when they are used, and forgotten when all of theirs is left again. One thread at a time. */
#ifndef KEYSERVER_VAULT_JUDGE_USAGE_H
#define KEYSERVER_VAULT_JUDGE_USAGE_H

#include "keyserver/rules/authorized.h"
#include "keyserver/rules/policy.h"
#include "keyserver/vault/keys/keystore.h"
#include "keyserver/vault/request/now.h"

struct usage;

/* Over the edges of EDGES and the keys of KEYS with their rules in POLICY; all are borrowed. NULL without
 * memory. */
struct usage *usage_new(const struct authorized *edges, const struct keystore *keys,
                        const struct policy *policy);
void usage_free(struct usage *usage); /* NULL is allowed */
/* As if nothing had been used. */
void usage_forget(struct usage *usage);

/* One use of a key by an edge: what it is counted against. Good until the next one is opened. */
struct usage_charge {
    struct usage *usage; /* borrowed */
    struct {
        const struct rate_limit *rate, *quota; /* borrowed */
        uint32_t place;                        /* of the counter */
    } part[3];
    size_t count;
};

/* Finds what a use of KEY by EDGE is counted against. ERR_MEMORY: it cannot be counted. */
int usage_open(struct usage *usage, struct usage_charge *use, const struct authorized_edge *edge,
               const struct key *key, const struct now *now) MUST_USE;
/* True when every rate lets it pass. */
bool usage_check_rate(const struct usage_charge *use, const struct now *now);
/* True when every quota lets it pass. */
bool usage_check_quota(const struct usage_charge *use, const struct now *now);
/* Counts a use that both let pass. */
void usage_take(const struct usage_charge *use, const struct now *now);

/* ---- across restarts: rates and quotas by the names of edges and keys ---- */

/* What has been used of a quota. */
struct usage_quota {
    const char *edge; /* borrowed; NULL: of all edges together */
    const char *key;  /* borrowed; NULL: of all keys together */
    uint32_t seconds; /* how long its window is; to restore it, this may be anything */
    int64_t start;    /* unix time: when that began */
    uint64_t used;
};

/* What a rate has not made up for yet. */
struct usage_rate {
    const char *edge; /* borrowed; NULL: of all edges together */
    const char *key;  /* borrowed; NULL: of all keys together */
    uint64_t used;
};

/* Counts a use that was granted at THEN, maybe by an earlier vault, against the rates and quotas that there
 * are now: against a quota in the window of then, or in a later one that has begun, against a rate as far as
 * that has not made up for it yet. With a mono_ns of 0 against quotas only. Uses are told in the order in
 * which they were. Names that there are no more count nothing. ERR_MEMORY. */
int usage_restore_use(struct usage *usage, const char *edge, const char *key,
                      const struct now *then) MUST_USE;
/* The same for a number of uses that usage_each_quota() told of, before the uses that came after that.
 * ERR_MEMORY. */
int usage_restore_quota(struct usage *usage, const struct usage_quota *quota) MUST_USE;
/* The same for usage_each_rate(), which told at THEN. ERR_MEMORY. */
int usage_restore_rate(struct usage *usage, const struct usage_rate *rate, const struct now *then) MUST_USE;

/* Tells of every quota of which something has been used in the window of REACHED_S, in no order. */
void usage_each_quota(const struct usage *usage, int64_t reached_s,
                      void (*tell)(const struct usage_quota *quota, void *user), void *user);
/* Tells of every rate that has not made up for all uses at NOW, in no order. */
void usage_each_rate(const struct usage *usage, const struct now *now,
                     void (*tell)(const struct usage_rate *rate, void *user), void *user);

/* ---- from counter to counter: what one usage leaves, another one begins with ---- */

/* What one counter says. */
struct usage_count {
    const char *edge; /* borrowed; NULL: of all edges together */
    const char *key;  /* borrowed; NULL: of all keys together */
    int64_t start;    /* unix time: when the window of the quota began */
    uint64_t used;    /* of the quota */
    uint64_t missing; /* the rate had not made up for so many */
    uint64_t mono_ns; /* then */
};

/* How many counters have changed since they were told of; each waits in a queue, once. */
size_t usage_changed(const struct usage *usage);
/* Tells of MOST of them, those first that wait longest. PLACE is the counter's for as long as it counts
 * anything: a small number, that no other one has. When TELL returns false, the counter waits anew, behind
 * all others. */
void usage_each_changed(struct usage *usage, const struct now *now, size_t most,
                        bool (*tell)(size_t place, const struct usage_count *count, void *user), void *user);
/* Counts what is missing until as much is counted as COUNT says: in the same window or a later one, and of a
 * rate as far as it has not made up for that by NOW. *RAISED: there was something missing. Names that there
 * are no more count nothing. ERR_MEMORY. */
int usage_raise(struct usage *usage, const struct usage_count *count, const struct now *now,
                bool *raised) MUST_USE;

#endif
