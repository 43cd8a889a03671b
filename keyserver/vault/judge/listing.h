/* The listing: edges that ask for the list of their keys, answered in turn and part by part.
 *
 * One part of one edge's answer is a step, and each edge with something to ask has one step a round: however
 * many lists one edge wants, another's is a round away, and no step does more than a bounded part of the
 * work. Bounded: who has most lists waiting loses its oldest. Computes nothing with keys. The I/O thread's.
 */
#ifndef KEYSERVER_VAULT_JUDGE_LISTING_H
#define KEYSERVER_VAULT_JUDGE_LISTING_H

#include "keyserver/vault/judge/grant_cache.h"

#define LISTING_MAX         4096 /* lists wanted at once, of all edges */
#define LISTING_KEYS_A_STEP 64   /* granted keys looked at for one part */
#define LISTING_PART_KEYS   10   /* keys told in one part */

struct listing;

/* What a list's edge is to be told. */
struct listing_part {
    uint64_t token;               /* of the request that wanted the list */
    enum operation_status status; /* STATUS_OK, or the list ends with it, without keys */
    bool more;                    /* another part follows */
    uint32_t count;               /* of `keys` */
    struct key_info keys[LISTING_PART_KEYS];
};

/* By the rules of JUDGE and the lists in GRANTS, both borrowed. NULL without memory. */
struct listing *listing_new(const struct judge *judge, struct grant_cache *grants);
void listing_free(struct listing *listing); /* NULL is allowed */

/* REQUEST, an OP_KEYS that JUDGEMENT grants, waits for its turn. When LISTING_MAX wait, the edge with the
 * most loses its oldest: its token is put into LOST (tell its edge that it is busy) and 1 is returned. If
 * that would be this very edge, ERR_BUSY. */
int listing_add(struct listing *listing, const struct key_request *request, const struct judgement *judgement,
                uint64_t *lost) MUST_USE;
/* The list wanted as TOKEN is wanted no more; true when it waited. */
bool listing_cancel(struct listing *listing, uint64_t token);
/* One step for the edge whose turn it is. True when OUT was filled: a part of a list, or STATUS_EXPIRED when
 * its deadline passed before it was begun, STATUS_UNAVAILABLE when there is no memory. */
bool listing_step(struct listing *listing, const struct now *now, struct listing_part *out);
/* True while a list is wanted. */
bool listing_waits(const struct listing *listing);

#endif
