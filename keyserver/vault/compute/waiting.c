#include "keyserver/vault/compute/waiting.h"

int waiting_init(struct waiting *waiting, size_t edge_count)
{
    *waiting = (struct waiting){.turn = WORKS - 1};
    for (size_t i = 0; i < WORKS; i++) {
        waiting->batch[i] = (struct batch_size){1, 1, 0};
        if (fair_queue_init(&waiting->queue[i], edge_count) != 0) {
            waiting_clear(waiting);
            return ERR_MEMORY;
        }
    }
    return 0;
}

void waiting_clear(struct waiting *waiting)
{
    for (size_t i = 0; i < WORKS; i++)
        fair_queue_clear(&waiting->queue[i]);
    waiting->length = 0;
    waiting->kinds = 0;
}

void waiting_put(struct waiting *waiting, struct job *job)
{
    enum work kind = job->claim.key->work;
    fair_queue_put(&waiting->queue[kind], job);
    waiting->kinds |= WORK_BIT(kind);
    waiting->length++;
}

/* COUNT jobs of KIND have been taken. */
static void note_taken(struct waiting *waiting, enum work kind, size_t count)
{
    if (waiting->queue[kind].length == 0)
        waiting->kinds &= ~WORK_BIT(kind);
    waiting->length -= count;
}

bool waiting_has(const struct waiting *waiting, unsigned kinds)
{
    return (waiting->kinds & kinds) != 0;
}

/* Those of KINDS, which wait, that are next: the quick or the slow ones. Who takes one of the two only does
 * not say when the other is due. */
static unsigned next_kinds(struct waiting *waiting, unsigned kinds)
{
    unsigned quick = kinds & WORKS_QUICK, slow = kinds & WORKS_SLOW;
    if (quick == 0 || slow == 0)
        return kinds;
    bool slow_is_due = waiting->quick_taken >= WAITING_QUICK_IN_A_ROW;
    waiting->quick_taken = slow_is_due ? 0 : waiting->quick_taken + 1;
    return slow_is_due ? slow : quick;
}

/* The kind after the one that had its turn, among KINDS. */
static enum work next_kind(struct waiting *waiting, unsigned kinds)
{
    do
        waiting->turn = (waiting->turn + 1) % WORKS;
    while ((kinds & WORK_BIT(waiting->turn)) == 0);
    return waiting->turn;
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

size_t waiting_take(struct waiting *waiting, struct job *out[static WORK_BATCH_MAX], unsigned kinds)
{
    if (!waiting_has(waiting, kinds))
        return 0;
    enum work kind = next_kind(waiting, next_kinds(waiting, waiting->kinds & kinds));
    struct fair_queue *queue = &waiting->queue[kind];
    size_t count = fit(&waiting->batch[kind], queue->length);
    for (size_t i = 0; i < count; i++)
        out[i] = fair_queue_take(queue);
    note_taken(waiting, kind, count);
    return count;
}

size_t waiting_of(const struct waiting *waiting, size_t edge)
{
    size_t sum = 0;
    for (size_t i = 0; i < WORKS; i++)
        sum += fair_queue_waiting(&waiting->queue[i], edge);
    return sum;
}

struct job *waiting_take_from_longest(struct waiting *waiting, size_t edge)
{
    size_t longest = edge, candidate;
    for (size_t i = 0; i < WORKS; i++)
        if (fair_queue_longest(&waiting->queue[i], &candidate) == 0 &&
            waiting_of(waiting, candidate) > waiting_of(waiting, longest))
            longest = candidate;
    if (waiting_of(waiting, longest) <= waiting_of(waiting, edge) + 1)
        return NULL;
    for (size_t i = WORKS; i-- > 0;) {
        struct job *job = fair_queue_take_of(&waiting->queue[i], longest);
        if (job != NULL) {
            note_taken(waiting, (enum work)i, 1);
            return job;
        }
    }
    return NULL;
}
