#include "keyserver/vault/waiting.h"

int waiting_init(struct waiting *waiting, size_t edge_count)
{
    *waiting = (struct waiting){.turn = WORKS - 1};
    for (size_t i = 0; i < WORKS; i++) {
        waiting->batch[i] = (struct batch_size){1, 1};
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
    waiting->quick = waiting->slow = 0;
}

static size_t *count_of(struct waiting *waiting, enum work work)
{
    return work_is_slow(work) ? &waiting->slow : &waiting->quick;
}

void waiting_put(struct waiting *waiting, struct job *job)
{
    enum work work = job->claim.key->work;
    fair_queue_put(&waiting->queue[work], job);
    ++*count_of(waiting, work);
}

bool waiting_has(const struct waiting *waiting, bool quick_only)
{
    return waiting->quick > 0 || (!quick_only && waiting->slow > 0);
}

/* Whether slow work is next; something waits. */
static bool slow_is_next(struct waiting *waiting, bool quick_only)
{
    bool slow = !quick_only && waiting->slow > 0 &&
                (waiting->quick == 0 || waiting->quick_taken >= WAITING_QUICK_IN_A_ROW);
    if (!quick_only) /* who never takes slow work does not say when it is due */
        waiting->quick_taken = slow ? 0 : waiting->quick_taken + 1;
    return slow;
}

/* The kind after the one that had its turn, among those that wait. */
static enum work next_kind(struct waiting *waiting, bool slow)
{
    do
        waiting->turn = (waiting->turn + 1) % WORKS;
    while (work_is_slow(waiting->turn) != slow || waiting->queue[waiting->turn].length == 0);
    return waiting->turn;
}

size_t waiting_take(struct waiting *waiting, struct job *out[static WORK_BATCH_MAX], bool quick_only)
{
    if (!waiting_has(waiting, quick_only))
        return 0;
    enum work kind = next_kind(waiting, slow_is_next(waiting, quick_only));
    struct fair_queue *queue = &waiting->queue[kind];
    const struct batch_size *batch = &waiting->batch[kind];
    size_t count = queue->length < batch->least ? 1 : queue->length;
    if (count > batch->most)
        count = batch->most;
    for (size_t i = 0; i < count; i++)
        out[i] = fair_queue_take(queue);
    *count_of(waiting, kind) -= count;
    return count;
}

static size_t waiting_of(const struct waiting *waiting, size_t edge)
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
            --*count_of(waiting, (enum work)i);
            return job;
        }
    }
    return NULL;
}
