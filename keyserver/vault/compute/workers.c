#include "keyserver/vault/compute/workers.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/process.h"
#include "common/secret.h"
#include "keyserver/vault/compute/scheduler.h"
#include "keyserver/vault/compute/signer.h"

#define THREADS_MAX 256
#define BUCKETS     4096
#define HOLD_NS     NS_PER_MS /* a result waits no longer than this for others */
#define HOLD_EACH   16000     /* ns that it may for each job that its edge has waiting for a thread */
#define SHORT_TAKES 4         /* batches of short work in one turn of the I/O thread */

/* What a thread takes: everything but short work, or of that the quick only. */
enum rank { RANK_ANY, RANK_QUICK, RANKS };

struct workers {
    const struct keystore *store; /* borrowed */
    pthread_mutex_t lock;         /* of all that follows, down to `idle` */
    pthread_cond_t wanted[RANKS]; /* something waits for a thread of this rank, or the pool stops */
    unsigned resting[RANKS];      /* threads that wait for that */
    pthread_cond_t ready;         /* one more thread has begun or failed */
    unsigned ranked;              /* threads that know their rank */
    unsigned begun, failed;       /* threads */
    struct scheduler scheduler;
    struct job_queue done;
    bool untold;                 /* `done` has something, and the I/O thread has not been woken for it */
    uint64_t tell_by_ns;         /* when it must have been */
    struct job *bucket[BUCKETS]; /* waiting jobs by token, for cancelling */
    unsigned working;
    bool stopping;
    /* The I/O thread's alone: */
    struct job *idle;       /* jobs that were used and given back, by `next` */
    size_t untouched;       /* jobs that were never used: the last ones, whose memory is not there yet */
    struct job_queue fresh; /* submitted, and not begun with yet */
    struct job *jobs;       /* owned; all of them */
    size_t job_count;
    pthread_t *threads; /* owned */
    unsigned thread_count;
    unsigned quick_threads;  /* the first ones are of RANK_QUICK */
    unsigned classes[RANKS]; /* of work, for each rank; bits */
    unsigned short_classes;  /* of work that the I/O thread does itself; bits */
    struct signer *signer;   /* owned; the I/O thread's; NULL where there is no such work */
    int event;               /* eventfd; counts up when `done` is no longer empty */
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

/* The jobs that are next; locked. */
static size_t take_next(struct workers *workers, struct job *batch[static BATCH_MAX], unsigned classes)
{
    size_t count = scheduler_take(&workers->scheduler, batch, classes);
    for (size_t i = 0; i < count; i++)
        forget_token(workers, batch[i]);
    return count;
}

/* Those of JOBS that somebody still waits for. Returns when it was done. */
static uint64_t perform(struct signer *signer, struct job *const *jobs, size_t count)
{
    struct signer_item items[BATCH_MAX] UNINITIALIZED;
    struct job *live[BATCH_MAX] UNINITIALIZED;
    uint64_t begun = clock_ns();
    size_t wanted = 0;
    for (size_t i = 0; i < count; i++) {
        struct job *job = jobs[i];
        if (job->cancelled)
            continue;
        if (begun >= job->deadline_ns) {
            job->outcome = (struct outcome){.status = STATUS_EXPIRED};
            continue;
        }
        items[wanted] = (struct signer_item){
            .key = job->identity.key, .input = &job->input, .outcome = &job->outcome};
        live[wanted++] = job;
    }
    if (wanted == 0)
        return begun;
    signer_perform(signer, items, wanted);
    uint64_t ended = clock_ns();
    for (size_t i = 0; i < wanted; i++) {
        live[i]->faulty = items[i].err != 0;
        live[i]->spent_ns = (ended - begun) / wanted;
    }
    return ended;
}

/* How long the result of JOB may wait for others, so that several leave together, which costs little more
 * than one: less than what its edge has waiting will take anyway. Who has nothing more waiting is not made
 * to. */
static uint64_t patience_of(const struct workers *workers, const struct job *job)
{
    uint64_t patience = scheduler_of(&workers->scheduler, job->identity.edge->index) * HOLD_EACH /
                        (workers->thread_count - workers->quick_threads);
    return patience < HOLD_NS ? patience : HOLD_NS;
}

/* Hands back what was done at ENDED; locked. */
static void hand_back(struct workers *workers, struct job *const *jobs, size_t count, uint64_t ended)
{
    if (workers->done.length == 0) {
        workers->untold = true;
        workers->tell_by_ns = UINT64_MAX;
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t by = ended + patience_of(workers, jobs[i]);
        if (by < workers->tell_by_ns)
            workers->tell_by_ns = by;
        job_queue_put(&workers->done, jobs[i]);
    }
}

/* Wakes the I/O thread for what is done; locked, but for the waking. */
static void wake_desk(struct workers *workers)
{
    const uint64_t one = 1;
    if (!workers->untold)
        return;
    workers->untold = false;
    pthread_mutex_unlock(&workers->lock);
    while (write(workers->event, &one, sizeof one) < 0 && errno == EINTR)
        ;
    pthread_mutex_lock(&workers->lock);
}

/* Until there is work for RANK, or the pool stops; locked. */
static void await_work(struct workers *workers, enum rank rank)
{
    while (!workers->stopping && !scheduler_has(&workers->scheduler, workers->classes[rank])) {
        if (workers->untold) {
            wake_desk(workers);
            continue;
        }
        workers->resting[rank]++;
        pthread_cond_wait(&workers->wanted[rank], &workers->lock);
        workers->resting[rank]--;
    }
}

/* Takes, computes, hands back, until the pool stops. What is done need not be told at once when the next
 * batch will be there in time, being of the same class. */
static void run_jobs(struct workers *workers, struct signer *signer, enum rank rank)
{
    struct job *batch[BATCH_MAX];
    enum batch_class before = BATCH_CLASSES;
    uint64_t begun = 0, ended = 0;
    pthread_mutex_lock(&workers->lock);
    for (;;) {
        await_work(workers, rank);
        if (workers->stopping)
            break;
        size_t count = take_next(workers, batch, workers->classes[rank]);
        enum batch_class class = batch[0]->identity.key->class;
        workers->working += (unsigned)count;
        if (class != before || ended + (ended - begun) > workers->tell_by_ns)
            wake_desk(workers);
        pthread_mutex_unlock(&workers->lock);
        before = class;
        begun = clock_ns();
        ended = perform(signer, batch, count);
        pthread_mutex_lock(&workers->lock);
        workers->working -= (unsigned)count;
        hand_back(workers, batch, count, ended);
    }
    pthread_mutex_unlock(&workers->lock);
}

static void *worker_main(void *argument)
{
    struct workers *workers = argument;
    pthread_mutex_lock(&workers->lock);
    enum rank rank = workers->ranked++ < workers->quick_threads ? RANK_QUICK : RANK_ANY;
    pthread_mutex_unlock(&workers->lock);
    struct signer *signer = signer_new(workers->store, workers->classes[rank]);
    pthread_mutex_lock(&workers->lock);
    workers->begun += signer != NULL;
    workers->failed += signer == NULL;
    pthread_cond_signal(&workers->ready);
    pthread_mutex_unlock(&workers->lock);
    if (signer != NULL)
        run_jobs(workers, signer, rank);
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
    if (err != 0)
        errno = ENOMEM;
    return err;
}

static int start_threads(struct workers *workers, unsigned wanted)
{
    while (workers->thread_count < wanted &&
           process_start_thread(&workers->threads[workers->thread_count], PROCESS_STACK_SIZE, worker_main,
                                workers) == 0)
        workers->thread_count++;
    return workers->thread_count == wanted ? await_threads(workers) : ERR_SYSTEM;
}

static unsigned thread_number(unsigned wanted)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (wanted == 0)
        wanted = cores < 1 ? 1 : (unsigned)cores;
    return wanted < THREADS_MAX ? wanted : THREADS_MAX;
}

/* What can be computed together, signers know. Of that the quick classes take so little time that the I/O
 * thread does them itself: to hand them over costs more. */
static void set_classes(struct workers *workers)
{
    for (size_t i = 0; i < BATCH_CLASSES; i++) {
        workers->scheduler.batch[i] = signer_batch((enum batch_class)i);
        if (workers->scheduler.batch[i].most > 1)
            workers->short_classes |= BATCH_BIT(i) & BATCH_QUICK;
    }
    workers->classes[RANK_ANY] = BATCH_ALL & ~workers->short_classes;
    workers->classes[RANK_QUICK] = BATCH_QUICK & ~workers->short_classes;
}

struct workers *workers_new(const struct keystore *store, const struct workers_settings *settings)
{
    struct workers *workers = calloc(1, sizeof *workers);
    if (workers == NULL)
        return NULL;
    unsigned threads = thread_number(settings->threads) + settings->quick_threads;
    workers->store = store;
    workers->quick_threads = settings->quick_threads;
    workers->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&workers->lock, NULL);
    for (size_t i = 0; i < RANKS; i++)
        pthread_cond_init(&workers->wanted[i], NULL);
    pthread_cond_init(&workers->ready, NULL);
    workers->threads = calloc(threads, sizeof *workers->threads);
    workers->jobs = calloc(settings->queue_max, sizeof *workers->jobs);
    bool whole = workers->event >= 0 && workers->threads != NULL && workers->jobs != NULL &&
                 scheduler_init(&workers->scheduler, settings->edge_count) == 0;
    if (whole) {
        set_classes(workers);
        workers->signer = workers->short_classes != 0 ? signer_new(store, workers->short_classes) : NULL;
        whole = workers->signer != NULL || workers->short_classes == 0;
        if (!whole)
            errno = ENOMEM;
    }
    if (!whole || start_threads(workers, threads) != 0) {
        int why = errno;
        workers_free(workers);
        errno = why;
        return NULL;
    }
    workers->job_count = workers->untouched = settings->queue_max;
    return workers;
}

static void stop_threads(struct workers *workers)
{
    pthread_mutex_lock(&workers->lock);
    workers->stopping = true;
    for (size_t i = 0; i < RANKS; i++)
        pthread_cond_broadcast(&workers->wanted[i]);
    pthread_mutex_unlock(&workers->lock);
    for (unsigned i = 0; i < workers->thread_count; i++)
        pthread_join(workers->threads[i], NULL);
}

void workers_free(struct workers *workers)
{
    if (workers == NULL)
        return;
    stop_threads(workers);
    if (workers->event >= 0)
        close(workers->event);
    if (workers->jobs != NULL)
        wipe(workers->jobs, (workers->job_count - workers->untouched) * sizeof *workers->jobs);
    for (size_t i = 0; i < RANKS; i++)
        pthread_cond_destroy(&workers->wanted[i]);
    pthread_cond_destroy(&workers->ready);
    pthread_mutex_destroy(&workers->lock);
    scheduler_clear(&workers->scheduler);
    signer_free(workers->signer);
    free(workers->jobs);
    free(workers->threads);
    free(workers);
}

int workers_fd(const struct workers *workers)
{
    return workers->event;
}

/* Queues JOB, and one more of CALLS for a thread that rests and takes it; locked. */
static void enqueue(struct workers *workers, struct job *job, unsigned calls[static RANKS])
{
    enum batch_class class = job->identity.key->class;
    struct job **bucket = bucket_of(workers, job->token);
    job->same_bucket = *bucket;
    *bucket = job;
    scheduler_put(&workers->scheduler, job);
    for (size_t rank = RANKS; rank-- > 0;)
        if ((workers->classes[rank] & BATCH_BIT(class)) != 0 && calls[rank] < workers->resting[rank]) {
            calls[rank]++;
            return;
        }
}

/* The threads are called when the lock is free again, which is the first thing they want. */
void workers_begin(struct workers *workers)
{
    unsigned calls[RANKS] = {0};
    if (workers->fresh.length == 0)
        return;
    pthread_mutex_lock(&workers->lock);
    for (struct job *job; (job = job_queue_take(&workers->fresh)) != NULL;)
        enqueue(workers, job, calls);
    pthread_mutex_unlock(&workers->lock);
    for (size_t rank = 0; rank < RANKS; rank++)
        while (calls[rank]-- > 0)
            pthread_cond_signal(&workers->wanted[rank]);
}

bool workers_do_short(struct workers *workers)
{
    struct job *batch[BATCH_MAX];
    bool more = false;
    if (workers->short_classes == 0)
        return false;
    pthread_mutex_lock(&workers->lock);
    for (size_t takes = 0; takes < SHORT_TAKES; takes++) {
        size_t count = take_next(workers, batch, workers->short_classes);
        if (count == 0)
            break;
        pthread_mutex_unlock(&workers->lock);
        perform(workers->signer, batch, count);
        pthread_mutex_lock(&workers->lock);
        for (size_t i = 0; i < count; i++)
            job_queue_put(&workers->done, batch[i]);
    }
    more = scheduler_has(&workers->scheduler, workers->short_classes);
    pthread_mutex_unlock(&workers->lock);
    return more;
}

/* A job that somebody's oldest one makes way for; NULL when that would be EDGE's. */
static struct job *take_place(struct workers *workers, size_t edge, struct job *lost)
{
    workers_begin(workers);
    pthread_mutex_lock(&workers->lock);
    struct job *job = scheduler_take_from_longest(&workers->scheduler, edge);
    if (job != NULL) {
        forget_token(workers, job);
        *lost = *job;
    }
    pthread_mutex_unlock(&workers->lock);
    return job;
}

/* A job that nobody uses, or NULL. */
static struct job *take_idle(struct workers *workers)
{
    struct job *job = workers->idle;
    if (job != NULL)
        workers->idle = job->next;
    else if (workers->untouched > 0)
        job = &workers->jobs[workers->job_count - workers->untouched--];
    return job;
}

int workers_submit(struct workers *workers, const struct job_order *order, struct job *lost)
{
    struct job *job = take_idle(workers);
    int result = 0;
    if (job == NULL && (job = take_place(workers, order->identity->edge->index, lost)) != NULL)
        result = 1;
    if (job == NULL)
        return ERR_BUSY;
    job_init(job, order);
    job_queue_put(&workers->fresh, job);
    return result;
}

void workers_cancel(struct workers *workers, uint64_t token)
{
    workers_begin(workers);
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
    workers->untold = false;
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
    out->queued = (uint32_t)(workers->scheduler.length + workers->fresh.length);
    out->working = workers->working;
    out->threads = workers->thread_count;
    pthread_mutex_unlock(&workers->lock);
}
