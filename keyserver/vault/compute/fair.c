#include "keyserver/vault/compute/fair.h"

#include <assert.h>
#include <stdlib.h>

int fair_queue_init(struct fair_queue *queue, size_t edge_count)
{
    *queue = (struct fair_queue){.edge_count = edge_count};
    queue->turns = calloc(edge_count + 1, sizeof *queue->turns);
    return queue->turns != NULL ? 0 : ERR_MEMORY;
}

void fair_queue_clear(struct fair_queue *queue)
{
    free(queue->turns);
    *queue = (struct fair_queue){.length = 0};
}

static void join_round(struct fair_queue *queue, struct fair_turn *turn)
{
    turn->next = NULL;
    if (queue->last == NULL)
        queue->first = turn;
    else
        queue->last->next = turn;
    queue->last = turn;
}

static void leave_round(struct fair_queue *queue, const struct fair_turn *turn)
{
    struct fair_turn *before = NULL, **at = &queue->first;
    while (*at != turn) {
        before = *at;
        at = &before->next;
    }
    *at = turn->next;
    if (queue->last == turn)
        queue->last = before;
}

void fair_queue_put(struct fair_queue *queue, struct job *job)
{
    assert(job->identity.edge->index < queue->edge_count);
    struct fair_turn *turn = &queue->turns[job->identity.edge->index];
    if (turn->jobs.length == 0)
        join_round(queue, turn);
    job_queue_put(&turn->jobs, job);
    queue->length++;
}

/* The edge whose turn it is, out of the round; NULL when nobody is in it. */
static struct fair_turn *take_turn(struct fair_queue *queue)
{
    struct fair_turn *turn = queue->first;
    if (turn == NULL)
        return NULL;
    queue->first = turn->next;
    if (queue->first == NULL)
        queue->last = NULL;
    return turn;
}

struct job *fair_queue_first(const struct fair_queue *queue)
{
    return queue->first != NULL ? queue->first->jobs.first : NULL;
}

void fair_queue_pass(struct fair_queue *queue)
{
    struct fair_turn *turn = take_turn(queue);
    if (turn != NULL)
        join_round(queue, turn);
}

struct job *fair_queue_take(struct fair_queue *queue)
{
    struct fair_turn *turn = take_turn(queue);
    if (turn == NULL)
        return NULL;
    struct job *job = job_queue_take(&turn->jobs);
    if (turn->jobs.length > 0)
        join_round(queue, turn);
    queue->length--;
    return job;
}

size_t fair_queue_waiting(const struct fair_queue *queue, size_t edge)
{
    return queue->turns[edge].jobs.length;
}

int fair_queue_longest(const struct fair_queue *queue, size_t *edge)
{
    const struct fair_turn *longest = queue->first;
    if (longest == NULL)
        return ERR_NOT_FOUND;
    for (const struct fair_turn *turn = longest; turn != NULL; turn = turn->next)
        if (turn->jobs.length > longest->jobs.length)
            longest = turn;
    *edge = (size_t)(longest - queue->turns);
    return 0;
}

struct job *fair_queue_take_of(struct fair_queue *queue, size_t edge)
{
    struct fair_turn *turn = &queue->turns[edge];
    struct job *job = job_queue_take(&turn->jobs);
    if (job == NULL)
        return NULL;
    if (turn->jobs.length == 0)
        leave_round(queue, turn);
    queue->length--;
    return job;
}
