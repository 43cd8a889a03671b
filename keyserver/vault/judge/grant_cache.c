#include "keyserver/vault/judge/grant_cache.h"

#include <stdlib.h>
#include <sys/queue.h>

struct list {
    struct grant *item; /* owned; NULL = not begun, or forgotten */
    size_t count;       /* entries so far */
    size_t room;        /* entries allocated */
    size_t looked_at;   /* keys */
    uint64_t used;      /* when, in calls of grant_cache_prepare() */
    bool whole;
};

/* May this edge have an epoch key? */
struct epoch_want {
    const struct authorized_edge *edge; /* borrowed; NULL: it has not asked yet */
    size_t looked_at;                   /* keys; none of them says yes */
    bool yes;
    bool waits; /* it is in the queue */
    STAILQ_ENTRY(epoch_want) link;
};

struct grant_cache {
    const struct judge *judge;             /* borrowed */
    struct list *lists;                    /* owned; by the index of the edge */
    struct epoch_want *epochs;             /* owned; the same */
    STAILQ_HEAD(, epoch_want) epochs_wait; /* each edge once */
    size_t edge_count;
    size_t max, taken; /* entries */
    uint64_t calls;
    uint64_t judged;
};

struct grant_cache *grant_cache_new(const struct judge *judge, size_t max)
{
    struct grant_cache *grants = calloc(1, sizeof *grants);
    if (grants == NULL)
        return NULL;
    grants->judge = judge;
    grants->max = max;
    grants->edge_count = authorized_count(judge->edges);
    grants->lists = calloc(grants->edge_count + 1, sizeof *grants->lists);
    grants->epochs = calloc(grants->edge_count + 1, sizeof *grants->epochs);
    STAILQ_INIT(&grants->epochs_wait);
    if (grants->lists == NULL || grants->epochs == NULL) {
        grant_cache_free(grants);
        return NULL;
    }
    return grants;
}

void grant_cache_free(struct grant_cache *grants)
{
    if (grants == NULL)
        return;
    for (size_t i = 0; grants->lists != NULL && i < grants->edge_count; i++)
        free(grants->lists[i].item);
    free(grants->lists);
    free(grants->epochs);
    free(grants);
}

/* ---- room ---- */

static void forget(struct grant_cache *grants, struct list *list)
{
    grants->taken -= list->room;
    free(list->item);
    *list = (struct list){.item = NULL};
}

/* The least recently used complete list, or NULL. Lists in the making do not count: two that evicted each
 * other would never be complete. */
static struct list *oldest(const struct grant_cache *grants)
{
    struct list *oldest = NULL;
    for (size_t i = 0; i < grants->edge_count; i++) {
        struct list *list = &grants->lists[i];
        if (list->whole && list->room > 0 && (oldest == NULL || list->used < oldest->used))
            oldest = list;
    }
    return oldest;
}

/* Room in LIST for every key. 1 it is there, 0 others have it now. */
static int begin_list(struct grant_cache *grants, struct list *list)
{
    size_t room = keystore_count(grants->judge->keys);
    while (grants->taken > 0 && grants->taken + room > grants->max) {
        struct list *victim = oldest(grants);
        if (victim == NULL)
            return 0;
        forget(grants, victim);
    }
    list->item = calloc(room + 1, sizeof *list->item);
    if (list->item == NULL)
        return ERR_MEMORY;
    list->room = room;
    grants->taken += room;
    return 1;
}

static void finish_list(struct grant_cache *grants, struct list *list)
{
    struct grant *fitting = realloc(list->item, (list->count + 1) * sizeof *fitting);
    list->whole = true;
    if (fitting == NULL)
        return; /* it stays as it is */
    list->item = fitting;
    grants->taken -= list->room - list->count;
    list->room = list->count;
}

/* ---- lists ---- */

int grant_cache_prepare(struct grant_cache *grants, const struct authorized_edge *edge)
{
    struct list *list = &grants->lists[edge->index];
    const struct keystore *keys = grants->judge->keys;
    size_t key_count = keystore_count(keys);
    list->used = ++grants->calls;
    if (list->whole)
        return 1;
    int begun = list->item != NULL ? 1 : begin_list(grants, list);
    if (begun != 1)
        return begun;
    for (size_t i = 0; i < GRANT_CACHE_KEYS_A_STEP && list->looked_at < key_count; i++) {
        uint32_t operations = judge_grants(grants->judge, edge, keystore_at(keys, list->looked_at));
        if (operations != 0)
            list->item[list->count++] = (struct grant){(uint32_t)list->looked_at, operations};
        list->looked_at++;
        grants->judged++;
    }
    if (list->looked_at < key_count)
        return 0;
    finish_list(grants, list);
    return 1;
}

const struct grant *grant_cache_of(const struct grant_cache *grants, const struct authorized_edge *edge,
                                   size_t *count)
{
    const struct list *list = &grants->lists[edge->index];
    *count = list->whole ? list->count : 0;
    return list->item;
}

/* ---- epochs ---- */

void grant_cache_want_epoch(struct grant_cache *grants, const struct authorized_edge *edge)
{
    struct epoch_want *want = &grants->epochs[edge->index];
    if (want->waits)
        return;
    want->edge = edge;
    want->waits = true;
    STAILQ_INSERT_TAIL(&grants->epochs_wait, want, link);
}

bool grant_cache_epochs_wait(const struct grant_cache *grants)
{
    return !STAILQ_EMPTY(&grants->epochs_wait);
}

/* True when WANT is answered. */
static bool look_further(struct grant_cache *grants, struct epoch_want *want)
{
    const struct keystore *keys = grants->judge->keys;
    for (size_t i = 0; i < GRANT_CACHE_KEYS_A_STEP && !want->yes && want->looked_at < keystore_count(keys);
         i++) {
        want->yes = judge_grants_epoch(grants->judge, want->edge, keystore_at(keys, want->looked_at));
        want->looked_at++;
        grants->judged++;
    }
    return want->yes || want->looked_at == keystore_count(keys);
}

const struct authorized_edge *grant_cache_step_epoch(struct grant_cache *grants, bool *may)
{
    struct epoch_want *want = STAILQ_FIRST(&grants->epochs_wait);
    if (want == NULL)
        return NULL;
    bool answered = look_further(grants, want);
    STAILQ_REMOVE_HEAD(&grants->epochs_wait, link);
    if (!answered) {
        STAILQ_INSERT_TAIL(&grants->epochs_wait, want, link);
        return NULL;
    }
    want->waits = false;
    *may = want->yes;
    return want->edge;
}
