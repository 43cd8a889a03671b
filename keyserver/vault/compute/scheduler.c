#include "keyserver/vault/compute/scheduler.h"

int scheduler_init(struct scheduler *scheduler, size_t edge_count)
{
    *scheduler = (struct scheduler){.last_taken = BATCH_CLASSES - 1};
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
    scheduler->classes = 0;
}

void scheduler_put(struct scheduler *scheduler, struct job *job)
{
    enum batch_class class = job->identity.key->class;
    fair_queue_put(&scheduler->queue[class], job);
    scheduler->classes |= BATCH_BIT(class);
    scheduler->length++;
}

/* COUNT jobs of CLASS have been taken. */
static void note_taken(struct scheduler *scheduler, enum batch_class class, size_t count)
{
    if (scheduler->queue[class].length == 0)
        scheduler->classes &= ~BATCH_BIT(class);
    scheduler->length -= count;
}

bool scheduler_has(const struct scheduler *scheduler, unsigned classes)
{
    return (scheduler->classes & classes) != 0;
}

/* Of the waiting CLASSES the quick or the slow ones, whichever are due. A thread that takes only one kind
 * does not advance the count: it says nothing about how long the other has waited. */
static unsigned next_classes(struct scheduler *scheduler, unsigned classes)
{
    unsigned quick = classes & BATCH_QUICK, slow = classes & BATCH_SLOW;
    if (quick == 0 || slow == 0)
        return classes;
    bool slow_is_due = scheduler->quick_taken >= SCHEDULER_QUICK_IN_A_ROW;
    scheduler->quick_taken = slow_is_due ? 0 : scheduler->quick_taken + 1;
    return slow_is_due ? slow : quick;
}

/* The next of CLASSES after the one taken last (round robin). */
static enum batch_class next_class(struct scheduler *scheduler, unsigned classes)
{
    do
        scheduler->last_taken = (scheduler->last_taken + 1) % BATCH_CLASSES;
    while ((classes & BATCH_BIT(scheduler->last_taken)) == 0);
    return scheduler->last_taken;
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

size_t scheduler_take(struct scheduler *scheduler, struct job *out[static BATCH_MAX], unsigned classes)
{
    if (!scheduler_has(scheduler, classes))
        return 0;
    enum batch_class class = next_class(scheduler, next_classes(scheduler, scheduler->classes & classes));
    struct fair_queue *queue = &scheduler->queue[class];
    size_t count = fit(&scheduler->batch[class], queue->length);
    for (size_t i = 0; i < count; i++)
        out[i] = fair_queue_take(queue);
    note_taken(scheduler, class, count);
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
