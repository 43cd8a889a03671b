#include "keyserver/vault/workers.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/secret.h"
#include "keyserver/vault/fair.h"
#include "keyserver/vault/signer.h"

#define THREADS_MAX   256
#define BUCKETS       4096
#define STACK_SIZE    (256 * 1024)
#define FAST_IN_A_ROW 16 /* quick jobs taken in a row while a slow one waits */

enum lane { LANE_FAST, LANE_SLOW, LANES };

struct workers {
    const struct keystore *store; /* borrowed */
    pthread_mutex_t lock;         /* of all that follows */
    pthread_cond_t work;          /* something waits, or the pool stops */
    pthread_cond_t ready;         /* one more thread has begun or failed */
    unsigned begun, failed;       /* threads */
    struct fair_queue lane[LANES];
    struct job_queue done;
    struct job *idle;            /* jobs nobody uses, by `next` */
    struct job *bucket[BUCKETS]; /* waiting jobs by token, for cancelling */
    unsigned fast_taken;         /* in a row */
    unsigned working;
    bool stopping;
    struct job *jobs; /* owned; all of them */
    size_t job_count;
    pthread_t *threads; /* owned */
    unsigned thread_count;
    int event; /* eventfd; counts up when `done` is no longer empty */
};

static struct job **bucket_of(struct workers *workers, uint64_t token)
{
    return &workers->bucket[(token ^ token >> 20 ^ token >> 40) % BUCKETS];
}

static void forget_token(struct workers *workers, struct job *job)
{
    struct job **at = bucket_of(workers, job->token);
    while (*at != NULL && *at != job)
        at = &(*at)->same_bucket;
    if (*at != NULL)
        *at = job->same_bucket;
    job->same_bucket = NULL;
}

/* The next job by lane; locked. */
static struct job *take_next(struct workers *workers)
{
    bool slow_is_due = workers->lane[LANE_SLOW].length > 0 &&
                       (workers->lane[LANE_FAST].length == 0 || workers->fast_taken >= FAST_IN_A_ROW);
    workers->fast_taken = slow_is_due ? 0 : workers->fast_taken + 1;
    struct job *job = fair_queue_take(&workers->lane[slow_is_due ? LANE_SLOW : LANE_FAST]);
    if (job != NULL)
        forget_token(workers, job);
    return job;
}

static void perform(struct signer *signer, struct job *job)
{
    uint64_t begun = clock_ns();
    if (begun >= job->deadline_ns) {
        job->outcome = (struct outcome){.status = STATUS_EXPIRED};
        return;
    }
    job->faulty = signer_perform(signer, job->claim.key, &job->task, &job->outcome) != 0;
    job->spent_ns = clock_ns() - begun;
}

static void wake_collector(struct workers *workers)
{
    const uint64_t one = 1;
    while (write(workers->event, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

/* Takes, computes, hands back, until the pool stops. */
static void work(struct workers *workers, struct signer *signer)
{
    pthread_mutex_lock(&workers->lock);
    for (;;) {
        struct job *job;
        while (!workers->stopping && workers->lane[LANE_FAST].length + workers->lane[LANE_SLOW].length == 0)
            pthread_cond_wait(&workers->work, &workers->lock);
        if (workers->stopping)
            break;
        job = take_next(workers);
        if (!job->cancelled) {
            workers->working++;
            pthread_mutex_unlock(&workers->lock);
            perform(signer, job);
            pthread_mutex_lock(&workers->lock);
            workers->working--;
        }
        job_queue_put(&workers->done, job);
        if (workers->done.length == 1)
            wake_collector(workers);
    }
    pthread_mutex_unlock(&workers->lock);
}

static void *worker_main(void *argument)
{
    struct workers *workers = argument;
    struct signer *signer = signer_new(workers->store);
    pthread_mutex_lock(&workers->lock);
    workers->begun += signer != NULL;
    workers->failed += signer == NULL;
    pthread_cond_signal(&workers->ready);
    pthread_mutex_unlock(&workers->lock);
    if (signer != NULL)
        work(workers, signer);
    signer_free(signer);
    return NULL;
}

/* Until every thread has its signer, and with it the memory arena it will use: the C library looks at files
 * when it makes one, which the sandbox that follows does not forgive. */
static int await_threads(struct workers *workers)
{
    pthread_mutex_lock(&workers->lock);
    while (workers->begun + workers->failed < workers->thread_count)
        pthread_cond_wait(&workers->ready, &workers->lock);
    int err = workers->failed == 0 ? 0 : ERR_MEMORY;
    pthread_mutex_unlock(&workers->lock);
    return err;
}

static int start_threads(struct workers *workers, unsigned wanted)
{
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0)
        return ERR_MEMORY;
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    while (workers->thread_count < wanted &&
           pthread_create(&workers->threads[workers->thread_count], &attributes, worker_main, workers) == 0)
        workers->thread_count++;
    pthread_attr_destroy(&attributes);
    return workers->thread_count == wanted ? await_threads(workers) : ERR_SYSTEM;
}

static unsigned thread_number(unsigned wanted)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (wanted == 0)
        wanted = cores < 1 ? 1 : (unsigned)cores;
    return wanted < THREADS_MAX ? wanted : THREADS_MAX;
}

struct workers *workers_new(const struct keystore *store, unsigned threads, unsigned queue_max,
                            size_t edge_count)
{
    struct workers *workers = calloc(1, sizeof *workers);
    if (workers == NULL)
        return NULL;
    threads = thread_number(threads);
    workers->store = store;
    workers->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->work, NULL);
    pthread_cond_init(&workers->ready, NULL);
    workers->threads = calloc(threads, sizeof *workers->threads);
    workers->jobs = calloc(queue_max, sizeof *workers->jobs);
    if (workers->event < 0 || workers->threads == NULL || workers->jobs == NULL ||
        fair_queue_init(&workers->lane[LANE_FAST], edge_count) != 0 ||
        fair_queue_init(&workers->lane[LANE_SLOW], edge_count) != 0 || start_threads(workers, threads) != 0) {
        workers_free(workers);
        return NULL;
    }
    workers->job_count = queue_max;
    for (size_t i = 0; i < queue_max; i++) {
        workers->jobs[i].next = workers->idle;
        workers->idle = &workers->jobs[i];
    }
    return workers;
}

void workers_free(struct workers *workers)
{
    if (workers == NULL)
        return;
    pthread_mutex_lock(&workers->lock);
    workers->stopping = true;
    pthread_cond_broadcast(&workers->work);
    pthread_mutex_unlock(&workers->lock);
    for (unsigned i = 0; i < workers->thread_count; i++)
        pthread_join(workers->threads[i], NULL);
    if (workers->event >= 0)
        close(workers->event);
    if (workers->jobs != NULL)
        wipe(workers->jobs, workers->job_count * sizeof *workers->jobs);
    pthread_cond_destroy(&workers->work);
    pthread_cond_destroy(&workers->ready);
    pthread_mutex_destroy(&workers->lock);
    fair_queue_clear(&workers->lane[LANE_FAST]);
    fair_queue_clear(&workers->lane[LANE_SLOW]);
    free(workers->jobs);
    free(workers->threads);
    free(workers);
}

int workers_fd(const struct workers *workers)
{
    return workers->event;
}

static size_t waiting_of(const struct workers *workers, size_t edge)
{
    return fair_queue_waiting(&workers->lane[LANE_FAST], edge) +
           fair_queue_waiting(&workers->lane[LANE_SLOW], edge);
}

/* Takes a waiting job away from the edge that has the most, if that is more than EDGE will have; NULL
 * otherwise. RSA first: it is what keeps the place for longest. Locked. */
static struct job *take_from_longest(struct workers *workers, size_t edge)
{
    size_t longest = edge, candidate;
    for (size_t i = 0; i < LANES; i++)
        if (fair_queue_longest(&workers->lane[i], &candidate) == 0 &&
            waiting_of(workers, candidate) > waiting_of(workers, longest))
            longest = candidate;
    if (waiting_of(workers, longest) <= waiting_of(workers, edge) + 1)
        return NULL;
    struct job *job = fair_queue_take_of(&workers->lane[LANE_SLOW], longest);
    return job != NULL ? job : fair_queue_take_of(&workers->lane[LANE_FAST], longest);
}

/* Fills JOB, which is nobody's, and puts it into its queue; locked. */
static void enqueue(struct workers *workers, struct job *job, const struct job *order)
{
    *job = (struct job){
        .token = order->token, .deadline_ns = order->deadline_ns, .claim = order->claim, .task = order->task};
    struct job **bucket = bucket_of(workers, job->token);
    job->same_bucket = *bucket;
    *bucket = job;
    fair_queue_put(&workers->lane[job->claim.key->type == KEY_RSA ? LANE_SLOW : LANE_FAST], job);
    pthread_cond_signal(&workers->work);
}

int workers_submit(struct workers *workers, const struct job *order, struct job *lost)
{
    struct job *job = workers->idle; /* the free list is the I/O thread's alone */
    int result = 0;
    if (job != NULL)
        workers->idle = job->next;
    pthread_mutex_lock(&workers->lock);
    if (job == NULL) {
        job = take_from_longest(workers, order->claim.edge->index);
        result = job != NULL ? 1 : ERR_BUSY;
        if (job != NULL) {
            forget_token(workers, job);
            *lost = *job;
        }
    }
    if (job != NULL)
        enqueue(workers, job, order);
    pthread_mutex_unlock(&workers->lock);
    return result;
}

void workers_cancel(struct workers *workers, uint64_t token)
{
    pthread_mutex_lock(&workers->lock);
    for (struct job *job = *bucket_of(workers, token); job != NULL; job = job->same_bucket)
        if (job->token == token)
            job->cancelled = true;
    pthread_mutex_unlock(&workers->lock);
}

struct job *workers_collect(struct workers *workers)
{
    uint64_t count;
    (void)!read(workers->event, &count, sizeof count);
    pthread_mutex_lock(&workers->lock);
    struct job *list = workers->done.first;
    workers->done = (struct job_queue){0};
    pthread_mutex_unlock(&workers->lock);
    return list;
}

void workers_release(struct workers *workers, struct job *job)
{
    wipe(job, sizeof *job);
    job->next = workers->idle;
    workers->idle = job;
}

void workers_get_load(struct workers *workers, struct workers_load *out)
{
    pthread_mutex_lock(&workers->lock);
    out->queued = (uint32_t)(workers->lane[LANE_FAST].length + workers->lane[LANE_SLOW].length);
    out->working = workers->working;
    out->threads = workers->thread_count;
    pthread_mutex_unlock(&workers->lock);
}
