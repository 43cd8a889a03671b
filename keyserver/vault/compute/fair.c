#include "keyserver/vault/compute/fair.h"

#include <assert.h>
#include <stdlib.h>

int fair_queue_init(struct fair_queue *queue, size_t edge_count)
{
    *queue = (struct fair_queue){.edge_count = edge_count};
    queue->edges = calloc(edge_count + 1, sizeof *queue->edges);
    return queue->edges != NULL ? 0 : ERR_MEMORY;
}

void fair_queue_clear(struct fair_queue *queue)
{
    free(queue->edges);
    *queue = (struct fair_queue){.length = 0};
}

static void join_round(struct fair_queue *queue, struct fair_edge *member)
{
    member->next = NULL;
    if (queue->last == NULL)
        queue->first = member;
    else
        queue->last->next = member;
    queue->last = member;
}

static void leave_round(struct fair_queue *queue, const struct fair_edge *member)
{
    struct fair_edge *before = NULL, **at = &queue->first;
    while (*at != member) {
        before = *at;
        at = &before->next;
    }
    *at = member->next;
    if (queue->last == member)
        queue->last = before;
}

void fair_queue_put(struct fair_queue *queue, struct job *job)
{
    assert(job->identity.edge->index < queue->edge_count);
    struct fair_edge *member = &queue->edges[job->identity.edge->index];
    if (member->jobs.length == 0)
        join_round(queue, member);
    job_queue_put(&member->jobs, job);
    queue->length++;
}

/* Takes the first edge out of the round; NULL when it is empty. */
static struct fair_edge *leave_first(struct fair_queue *queue)
{
    struct fair_edge *member = queue->first;
    if (member == NULL)
        return NULL;
    queue->first = member->next;
    if (queue->first == NULL)
        queue->last = NULL;
    return member;
}

struct job *fair_queue_first(const struct fair_queue *queue)
{
    return queue->first != NULL ? queue->first->jobs.first : NULL;
}

void fair_queue_pass(struct fair_queue *queue)
{
    struct fair_edge *member = leave_first(queue);
    if (member != NULL)
        join_round(queue, member);
}

struct job *fair_queue_take(struct fair_queue *queue)
{
    struct fair_edge *member = leave_first(queue);
    if (member == NULL)
        return NULL;
    struct job *job = job_queue_take(&member->jobs);
    if (member->jobs.length > 0)
        join_round(queue, member);
    queue->length--;
    return job;
}

size_t fair_queue_waiting(const struct fair_queue *queue, size_t edge)
{
    return queue->edges[edge].jobs.length;
}

int fair_queue_longest(const struct fair_queue *queue, size_t *edge)
{
    const struct fair_edge *longest = queue->first;
    if (longest == NULL)
        return ERR_NOT_FOUND;
    for (const struct fair_edge *member = longest; member != NULL; member = member->next)
        if (member->jobs.length > longest->jobs.length)
            longest = member;
    *edge = (size_t)(longest - queue->edges);
    return 0;
}

struct job *fair_queue_take_of(struct fair_queue *queue, size_t edge)
{
    struct fair_edge *member = &queue->edges[edge];
    struct job *job = job_queue_take(&member->jobs);
    if (job == NULL)
        return NULL;
    if (member->jobs.length == 0)
        leave_round(queue, member);
    queue->length--;
    return job;
}
