/* Grants: what each edge may ask of which key, judged once and kept for as long as the rules hold, which is
 * the life of a vault.
 *
 * Where an edge asks from, and when, is left out: judge_reaches() says that for one key at a time. A list is
 * made step by step, and so is the answer to whether an edge may have an epoch key: no single call looks at
 * all keys. Bounded: of the lists, what was not used for longest is forgotten and made anew. The I/O
 * thread's.
 */
#ifndef KEYSERVER_VAULT_JUDGE_GRANTS_H
#define KEYSERVER_VAULT_JUDGE_GRANTS_H

#include "keyserver/vault/judge/judge.h"

#define GRANTS_KEYS_A_STEP 16         /* keys judged by one call */
#define GRANTS_MAX         (1u << 20) /* entries of all lists together, unless one alone is longer */

struct grant {
    uint32_t key;        /* index in the key store */
    uint32_t operations; /* bits (1 << enum operation_kind); never 0 */
};

struct grants;

/* By the rules of JUDGE, borrowed. MAX is GRANTS_MAX but in tests. NULL without memory. */
struct grants *grants_new(const struct judge *judge, size_t max);
void grants_free(struct grants *grants); /* NULL is allowed */

/* Works on the list of EDGE: 1 it is whole, 0 call again later, or ERR_MEMORY. */
int grants_prepare(struct grants *grants, const struct authorized_edge *edge) MUST_USE;
/* The list of EDGE, which grants_prepare() has just called whole; good until its next call. In the order of
 * the key store, and the same whenever it is made. */
const struct grant *grants_of(const struct grants *grants, const struct authorized_edge *edge, size_t *count);

/* EDGE wants to know whether it may have an epoch key. While it waits for that, it wants nothing more by
 * asking again. */
void grants_want_epoch(struct grants *grants, const struct authorized_edge *edge);
/* True while an edge waits. */
bool grants_epochs_wait(const struct grants *grants);
/* Works on what the next of those who wait wants, in turn. The edge that waits no more, and in MAY whether
 * judge_grants_epoch() is true for some key; NULL: there is none yet. */
const struct authorized_edge *grants_step_epoch(struct grants *grants, bool *may);

#endif
