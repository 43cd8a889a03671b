#include "keyserver/vault/compute/scheduler.h"

int scheduler_init(struct scheduler *scheduler, size_t edge_count)
{
    *scheduler = (struct scheduler){.turn = BATCH_CLASSES - 1};
    for (size_t i = 0; i < BATCH_CLASSES; i++) {
        scheduler->batch[i] = (struct batch_size){1, 1, 0};
        if (fair_queue_init(&scheduler->queue[i], edge_count) != 0) {
            scheduler_clear(scheduler);
            return ERR_MEMORY;
        }
    }
    return 0;
}

void scheduler_clear(struct scheduler *scheduler)
{
    for (size_t i = 0; i < BATCH_CLASSES; i++)
        fair_queue_clear(&scheduler->queue[i]);
    scheduler->length = 0;
    scheduler->kinds = 0;
}

void scheduler_put(struct scheduler *scheduler, struct job *job)
{
    enum batch_class kind = job->identity.key->class;
    fair_queue_put(&scheduler->queue[kind], job);
    scheduler->kinds |= BATCH_BIT(kind);
    scheduler->length++;
}

/* COUNT jobs of KIND have been taken. */
static void note_taken(struct scheduler *scheduler, enum batch_class kind, size_t count)
{
    if (scheduler->queue[kind].length == 0)
        scheduler->kinds &= ~BATCH_BIT(kind);
    scheduler->length -= count;
}

bool scheduler_has(const struct scheduler *scheduler, unsigned kinds)
{
    return (scheduler->kinds & kinds) != 0;
}

/* Those of KINDS, which wait, that are next: the quick or the slow ones. Who takes one of the two only does
 * not say when the other is due. */
static unsigned next_kinds(struct scheduler *scheduler, unsigned kinds)
{
    unsigned quick = kinds & BATCH_QUICK, slow = kinds & BATCH_SLOW;
    if (quick == 0 || slow == 0)
        return kinds;
    bool slow_is_due = scheduler->quick_taken >= SCHEDULER_QUICK_IN_A_ROW;
    scheduler->quick_taken = slow_is_due ? 0 : scheduler->quick_taken + 1;
    return slow_is_due ? slow : quick;
}

/* The kind after the one that had its turn, among KINDS. */
static enum batch_class next_kind(struct scheduler *scheduler, unsigned kinds)
{
    do
        scheduler->turn = (scheduler->turn + 1) % BATCH_CLASSES;
    while ((kinds & BATCH_BIT(scheduler->turn)) == 0);
    return scheduler->turn;
}

/* How many of LENGTH jobs are taken together. */
static size_t fit(const struct batch_size *batch, size_t length)
{
    if (length < batch->least)
        return 1;
    if (length >= batch->most)
        return batch->most;
    return batch->step > 1 && length > batch->step ? length - length % batch->step : length;
}

size_t scheduler_take(struct scheduler *scheduler, struct job *out[static BATCH_MAX], unsigned kinds)
{
    if (!scheduler_has(scheduler, kinds))
        return 0;
    enum batch_class kind = next_kind(scheduler, next_kinds(scheduler, scheduler->kinds & kinds));
    struct fair_queue *queue = &scheduler->queue[kind];
    size_t count = fit(&scheduler->batch[kind], queue->length);
    for (size_t i = 0; i < count; i++)
        out[i] = fair_queue_take(queue);
    note_taken(scheduler, kind, count);
    return count;
}

size_t scheduler_of(const struct scheduler *scheduler, size_t edge)
{
    size_t sum = 0;
    for (size_t i = 0; i < BATCH_CLASSES; i++)
        sum += fair_queue_waiting(&scheduler->queue[i], edge);
    return sum;
}

struct job *scheduler_take_from_longest(struct scheduler *scheduler, size_t edge)
{
    size_t longest = edge, candidate;
    for (size_t i = 0; i < BATCH_CLASSES; i++)
        if (fair_queue_longest(&scheduler->queue[i], &candidate) == 0 &&
            scheduler_of(scheduler, candidate) > scheduler_of(scheduler, longest))
            longest = candidate;
    if (scheduler_of(scheduler, longest) <= scheduler_of(scheduler, edge) + 1)
        return NULL;
    for (size_t i = BATCH_CLASSES; i-- > 0;) {
        struct job *job = fair_queue_take_of(&scheduler->queue[i], longest);
        if (job != NULL) {
            note_taken(scheduler, (enum batch_class)i, 1);
            return job;
        }
    }
    return NULL;
}
