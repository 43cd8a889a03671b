#include "keyserver/vault/judge/listing.h"

#include <stdlib.h>
#include <string.h>

#include "keyserver/vault/compute/fair.h"

/* One list that is wanted; `job` holds its edge, token and deadline, and its place in the queue. */
struct want {
    struct job job;      /* the first member: the queue hands out jobs */
    struct address from; /* where the edge asks from */
    size_t next;         /* of the edge's grants: the first that was not told yet */
};

struct listing {
    const struct judge *judge;  /* borrowed */
    struct grant_cache *grants; /* borrowed */
    struct fair_queue queue;
    struct want *wants; /* owned; LISTING_MAX */
    size_t untouched;   /* the last so many were never used, and their memory is not there yet */
    struct job *idle;   /* those that were used and are free, by `next` */
    uint64_t *tokens;   /* owned; of each want; 0 = it is free. Apart, so that a search is quick */
};

struct listing *listing_new(const struct judge *judge, struct grant_cache *grants)
{
    struct listing *listing = calloc(1, sizeof *listing);
    if (listing == NULL)
        return NULL;
    listing->judge = judge;
    listing->grants = grants;
    listing->wants = calloc(LISTING_MAX, sizeof *listing->wants);
    listing->tokens = calloc(LISTING_MAX, sizeof *listing->tokens);
    listing->untouched = LISTING_MAX;
    if (listing->wants == NULL || listing->tokens == NULL ||
        fair_queue_init(&listing->queue, authorized_count(judge->edges)) != 0) {
        listing_free(listing);
        return NULL;
    }
    return listing;
}

void listing_free(struct listing *listing)
{
    if (listing == NULL)
        return;
    fair_queue_clear(&listing->queue);
    free(listing->wants);
    free(listing->tokens);
    free(listing);
}

static struct want *want_of(struct job *job)
{
    return (struct want *)(void *)job;
}

/* ---- places ---- */

static void give_back(struct listing *listing, struct job *job)
{
    listing->tokens[want_of(job) - listing->wants] = 0;
    job->next = listing->idle;
    listing->idle = job;
}

/* A place; NULL when all are taken. */
static struct want *take_place(struct listing *listing)
{
    struct job *job = listing->idle;
    if (job == NULL)
        return listing->untouched > 0 ? &listing->wants[LISTING_MAX - listing->untouched--] : NULL;
    listing->idle = job->next;
    return want_of(job);
}

/* Takes the place of the oldest list of the edge that wants most; false when that would be EDGE. */
static bool make_place(struct listing *listing, size_t edge, uint64_t *lost)
{
    size_t longest;
    if (fair_queue_longest(&listing->queue, &longest) != 0 ||
        fair_queue_waiting(&listing->queue, longest) <= fair_queue_waiting(&listing->queue, edge) + 1)
        return false;
    struct job *job = fair_queue_take_of(&listing->queue, longest);
    *lost = job->cancelled ? 0 : job->token;
    give_back(listing, job);
    return true;
}

int listing_add(struct listing *listing, const struct key_request *request, const struct judgement *judgement,
                uint64_t *lost)
{
    const struct authorized_edge *edge = judgement->identity.edge;
    struct want *want = take_place(listing);
    int result = 0;
    *lost = 0;
    if (want == NULL && make_place(listing, edge->index, lost)) {
        want = take_place(listing);
        result = *lost != 0;
    }
    if (want == NULL)
        return ERR_BUSY;
    *want = (struct want){
        .job = {.token = request->token, .deadline_ns = request->deadline_ns, .identity = {.edge = edge}},
        .from = request->from};
    listing->tokens[want - listing->wants] = request->token;
    fair_queue_put(&listing->queue, &want->job);
    return result;
}

bool listing_cancel(struct listing *listing, uint64_t token)
{
    for (size_t i = 0; i < LISTING_MAX - listing->untouched; i++)
        if (listing->tokens[i] == token) {
            listing->wants[i].job.cancelled = true;
            return true;
        }
    return false;
}

bool listing_waits(const struct listing *listing)
{
    return listing->queue.length > 0;
}

/* ---- steps ---- */

static void drop_first(struct listing *listing)
{
    give_back(listing, fair_queue_take(&listing->queue));
}

/* The first answers STATUS and is done. */
static void fail_first(struct listing *listing, enum operation_status status, struct listing_part *out)
{
    out->token = fair_queue_first(&listing->queue)->token;
    out->status = status;
    drop_first(listing);
}

/* Fills OUT with what WANT has not been told yet. */
static void tell_part(struct listing *listing, struct want *want, const struct now *now,
                      struct listing_part *out)
{
    size_t count;
    const struct grant *grants = grant_cache_of(listing->grants, want->job.identity.edge, &count);
    out->token = want->job.token;
    for (size_t looked_at = 0; want->next < count && looked_at < LISTING_KEYS_A_STEP; looked_at++) {
        if (out->count == LISTING_PART_KEYS)
            break;
        const struct grant *grant = &grants[want->next++];
        const struct key *key = keystore_at(listing->judge->keys, grant->key);
        if (!judge_reaches(listing->judge, key, &want->from, now))
            continue;
        struct key_info *info = &out->keys[out->count++];
        memcpy(info->key_id, key->id, KEY_ID_SIZE);
        info->type = (uint8_t)key->type;
        info->bits = key->bits;
        info->operations = grant->operations;
    }
    out->more = want->next < count;
}

bool listing_step(struct listing *listing, const struct now *now, struct listing_part *out)
{
    struct job *job;
    while ((job = fair_queue_first(&listing->queue)) != NULL && job->cancelled)
        drop_first(listing);
    if (job == NULL)
        return false;
    memset(out, 0, sizeof *out);
    if (want_of(job)->next == 0 && now->mono_ns >= job->deadline_ns) {
        fail_first(listing, STATUS_EXPIRED, out);
        return true;
    }
    int whole = grant_cache_prepare(listing->grants, job->identity.edge);
    if (whole < 0) {
        fail_first(listing, STATUS_UNAVAILABLE, out);
        return true;
    }
    if (whole == 0) {
        fair_queue_pass(&listing->queue);
        return false;
    }
    tell_part(listing, want_of(job), now, out);
    if (out->more)
        fair_queue_pass(&listing->queue);
    else
        drop_first(listing);
    return out->count > 0 || !out->more;
}
