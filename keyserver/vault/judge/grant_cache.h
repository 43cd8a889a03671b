/* The cache of grants: what each edge may ask of which key, judged once and kept for as long as the rules
 * hold, which is the life of a vault.
 *
 * Where an edge asks from, and when, is left out: judge_reaches() says that for one key at a time. A list is
 * made step by step, and so is the answer to whether an edge may have an epoch key: no single call looks at
 * all keys. Bounded: of the lists, what was not used for longest is forgotten and made anew. The I/O
 * thread's.
 */
#ifndef KEYSERVER_VAULT_JUDGE_GRANT_CACHE_H
#define KEYSERVER_VAULT_JUDGE_GRANT_CACHE_H

#include "keyserver/vault/judge/judge.h"

#define GRANT_CACHE_KEYS_A_STEP 16         /* keys judged by one call */
#define GRANT_CACHE_MAX         (1u << 20) /* entries of all lists together, unless one alone is longer */

struct grant {
    uint32_t key;        /* index in the key store */
    uint32_t operations; /* bits (1 << enum operation_kind); never 0 */
};

struct grant_cache;

/* By the rules of JUDGE, borrowed. MAX is GRANT_CACHE_MAX but in tests. NULL without memory. */
struct grant_cache *grant_cache_new(const struct judge *judge, size_t max);
void grant_cache_free(struct grant_cache *grants); /* NULL is allowed */

/* Works on the list of EDGE: 1 it is whole, 0 call again later, or ERR_MEMORY. */
int grant_cache_prepare(struct grant_cache *grants, const struct authorized_edge *edge) MUST_USE;
/* The list of EDGE, which grant_cache_prepare() has just called whole; good until its next call. In the order
 * of the key store, and the same whenever it is made. */
const struct grant *grant_cache_of(const struct grant_cache *grants, const struct authorized_edge *edge,
                                   size_t *count);

/* EDGE wants to know whether it may have an epoch key. While it waits for that, it wants nothing more by
 * asking again. */
void grant_cache_want_epoch(struct grant_cache *grants, const struct authorized_edge *edge);
/* True while an edge waits. */
bool grant_cache_epochs_wait(const struct grant_cache *grants);
/* Works on what the next of those who wait wants, in turn. The edge that waits no more, and in MAY whether
 * judge_grants_epoch() is true for some key; NULL: there is none yet. */
const struct authorized_edge *grant_cache_step_epoch(struct grant_cache *grants, bool *may);

#endif
