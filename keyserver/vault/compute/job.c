#include "keyserver/vault/compute/job.h"

#include <stddef.h>
#include <string.h>

/* Member by member: a literal of this size would be made on the stack and copied. */
void job_init(struct job *job, const struct job_order *order)
{
    memset(job, 0, sizeof *job);
    job->token = order->token;
    job->deadline_ns = order->deadline_ns;
    job->identity = *order->identity;
    job->input = *order->input;
}

void job_queue_put(struct job_queue *queue, struct job *job)
{
    job->next = NULL;
    if (queue->last == NULL)
        queue->first = job;
    else
        queue->last->next = job;
    queue->last = job;
    queue->length++;
}

struct job *job_queue_take(struct job_queue *queue)
{
    struct job *job = queue->first;
    if (job == NULL)
        return NULL;
    queue->first = job->next;
    if (queue->first == NULL)
        queue->last = NULL;
    queue->length--;
    job->next = NULL;
    return job;
}
