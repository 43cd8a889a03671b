/* The listing: edges that ask for the list of their keys, answered in turn and part by part.
 *
 * One part of one edge's answer is a step, and each edge with something to ask has one step a round: however
 * many lists one edge wants, another's is a round away, and no step does more than a bounded part of the
 * work. Bounded: who has most lists waiting loses its oldest. Computes nothing with keys. The I/O thread's.
 */
#ifndef KEYSERVER_VAULT_JUDGE_LISTING_H
#define KEYSERVER_VAULT_JUDGE_LISTING_H

#include "keyserver/vault/judge/grants.h"

#define LISTING_MAX         4096 /* lists wanted at once, of all edges */
#define LISTING_KEYS_A_STEP 64   /* granted keys looked at for one part */

struct listing;

/* By the rules of JUDGE and the lists in GRANTS, both borrowed. NULL without memory. */
struct listing *listing_new(const struct judge *judge, struct grants *grants);
void listing_free(struct listing *listing); /* NULL is allowed */

/* REQUEST, an OP_KEYS that JUDGEMENT grants, waits for its turn. When LISTING_MAX wait, the edge with the
 * most loses its oldest: its token is put into LOST (tell its edge that it is busy) and 1 is returned. If
 * that would be this very edge, ERR_BUSY. */
int listing_add(struct listing *listing, const struct wall_request *request,
                const struct judgement *judgement, uint64_t *lost) MUST_USE;
/* The list wanted as TOKEN is wanted no more; true when it waited. */
bool listing_cancel(struct listing *listing, uint64_t token);
/* One step for the edge whose turn it is. True when OUT was filled: a part of a list (WALL_KEYS), or a
 * WALL_OUTCOME when its deadline passed before it was begun or there is no memory. */
bool listing_step(struct listing *listing, const struct now *now, struct wall_answer *out);
/* True while a list is wanted. */
bool listing_waits(const struct listing *listing);

#endif
