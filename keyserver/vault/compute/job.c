#include "keyserver/vault/compute/job.h"

#include <stddef.h>

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
