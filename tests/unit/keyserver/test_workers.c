/* The pool with signers of this test, which wait on command, so that the order of work can be seen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define signer_new     test_signer_new
#define signer_free    test_signer_free
#define signer_perform test_signer_perform
#define signer_batch   test_signer_batch
#include "keyserver/vault/compute/workers.c"

#include <poll.h>
#include <string.h>

#define FAR   UINT64_MAX
#define LOG   20000
#define EDGES 3

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool held;           /* signers wait */
static unsigned entered;    /* calls so far */
static uint64_t order[LOG]; /* tokens in the order they were performed */
static int result;          /* of the signers */
static unsigned made, freed, fail_at;
static size_t calls[LOG]; /* how many tokens each call had */
static size_t call_count;
static struct key rsa = {.type = KEY_RSA, .class = BATCH_RSA_2048},
                  ec = {.type = KEY_EC_P256, .class = BATCH_P256},
                  ed = {.type = KEY_ED25519, .class = BATCH_ED25519};
static struct batch_size batches; /* of RSA-2048 and P-256 */
static const struct authorized_edge edges[EDGES] = {{.index = 0}, {.index = 1}, {.index = 2}};
static struct workers *pool;

struct signer *test_signer_new(const struct keystore *store, unsigned kinds)
{
    (void)store;
    (void)kinds;
    pthread_mutex_lock(&lock);
    struct signer *signer = ++made == fail_at ? NULL : calloc(1, 1);
    pthread_mutex_unlock(&lock);
    return signer;
}

void test_signer_free(struct signer *signer)
{
    pthread_mutex_lock(&lock);
    freed += signer != NULL;
    pthread_mutex_unlock(&lock);
    free(signer);
}

struct batch_size test_signer_batch(enum batch_class work)
{
    return work == BATCH_P256 || work == BATCH_RSA_2048 ? batches : (struct batch_size){1, 1, 0};
}

static void perform_one(struct signer_item *item, int now)
{
    item->err = now;
    *item->outcome = (struct outcome){.status = now == 0 ? STATUS_OK : STATUS_UNAVAILABLE};
    memcpy(item->outcome->bytes, item->input->u.sign.content, sizeof(uint64_t));
}

void test_signer_perform(struct signer *signer, struct signer_item *items, size_t count)
{
    (void)signer;
    pthread_mutex_lock(&lock);
    calls[call_count++ % LOG] = count;
    for (size_t i = 0; i < count; i++)
        memcpy(&order[entered++ % LOG], items[i].input->u.sign.content, sizeof order[0]);
    pthread_cond_broadcast(&changed);
    while (held)
        pthread_cond_wait(&changed, &lock);
    for (size_t i = 0; i < count; i++)
        perform_one(&items[i], result);
    pthread_mutex_unlock(&lock);
}

static void hold(bool on)
{
    pthread_mutex_lock(&lock);
    held = on;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

/* Until COUNT calls have begun. */
static void await_entered(unsigned count)
{
    pthread_mutex_lock(&lock);
    while (entered < count)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

static int set_up(void **state)
{
    (void)state;
    made = freed = fail_at = entered = 0;
    call_count = 0;
    batches = (struct batch_size){1, 1, 0};
    result = 0;
    held = false;
    pool = NULL;
    return secret_init();
}

static int tear_down(void **state)
{
    (void)state;
    hold(false);
    workers_free(pool);
    return made != freed + (fail_at != 0);
}

static struct workers *pool_with(unsigned threads, unsigned quick_threads, unsigned queue_max)
{
    const struct workers_settings settings = {
        .threads = threads, .quick_threads = quick_threads, .queue_max = queue_max, .edge_count = EDGES};
    return workers_new(NULL, &settings);
}

static struct workers *pool_of(unsigned threads, unsigned queue_max)
{
    return pool_with(threads, 0, queue_max);
}

/* Without beginning. */
static int put(size_t edge, uint64_t token, const struct key *key, uint64_t deadline_ns, struct job *lost)
{
    const struct request_identity identity = {.edge = &edges[edge], .key = key, .kind = OP_SIGN_TLS13};
    struct crypto_input input = {.kind = OP_SIGN_TLS13};
    const struct job_order wanted = {
        .token = token, .deadline_ns = deadline_ns, .identity = &identity, .input = &input};
    memcpy(input.u.sign.content, &token, sizeof token);
    return workers_submit(pool, &wanted, lost);
}

static int submit_as(size_t edge, uint64_t token, const struct key *key, uint64_t deadline_ns,
                     struct job *lost)
{
    int err = put(edge, token, key, deadline_ns, lost);
    workers_begin(pool);
    return err;
}

static int submit(uint64_t token, const struct key *key, uint64_t deadline_ns)
{
    struct job lost;
    return submit_as(0, token, key, deadline_ns, &lost);
}

/* A thread computes job 1, of RSA, until hold(false). */
static void keep_busy(void)
{
    hold(true);
    assert_int_equal(submit(1, &rsa, FAR), 0);
    await_entered(1);
}

struct finished {
    uint64_t token;
    enum operation_status status;
    bool cancelled, faulty;
};

/* Collects COUNT jobs in the order they were done. */
static void collect(struct finished *out, size_t count)
{
    size_t got = 0;
    while (got < count) {
        struct pollfd fd = {.fd = workers_fd(pool), .events = POLLIN};
        if (poll(&fd, 1, 20000) != 1)
            fail_msg("%zu of %zu", got, count);
        for (struct job *job = workers_collect(pool); job != NULL; got++) {
            struct job *next = job->next;
            assert_true(got < count);
            out[got] = (struct finished){job->token, job->outcome.status, job->cancelled, job->faulty};
            workers_release(pool, job);
            job = next;
        }
    }
}

/* Those that are done already: nobody tells of what this thread has done itself. */
static void collect_there(struct finished *out, size_t count)
{
    size_t got = 0;
    for (struct job *job = workers_collect(pool); job != NULL; got++) {
        struct job *next = job->next;
        assert_true(got < count);
        out[got] = (struct finished){job->token, job->outcome.status, job->cancelled, job->faulty};
        workers_release(pool, job);
        job = next;
    }
    assert_int_equal(got, count);
}

static void a_job_comes_back_once_with_its_outcome(void **state)
{
    struct finished done;
    (void)state;
    pool = pool_of(1, 8);
    assert_non_null(pool);
    assert_null(workers_collect(pool));
    assert_int_equal(submit(42, &ec, FAR), 0);
    collect(&done, 1);
    assert_int_equal(done.token, 42);
    assert_int_equal(done.status, STATUS_OK);
    assert_false(done.cancelled || done.faulty);
    assert_null(workers_collect(pool));
    struct pollfd fd = {.fd = workers_fd(pool), .events = POLLIN};
    assert_int_equal(poll(&fd, 1, 0), 0);
}

static void a_full_pool_is_busy_until_a_job_is_given_back(void **state)
{
    struct finished done[4];
    (void)state;
    pool = pool_of(1, 4);
    hold(true);
    for (uint64_t token = 1; token <= 4; token++)
        assert_int_equal(submit(token, &ec, FAR), 0);
    assert_int_equal(submit(5, &ec, FAR), ERR_BUSY);
    assert_int_equal(submit(5, &rsa, FAR), ERR_BUSY);
    hold(false);
    collect(done, 4);
    for (uint64_t token = 5; token <= 8; token++)
        assert_int_equal(submit(token, &ec, FAR), 0);
    collect(done, 4);
}

static void elliptic_curves_overtake_rsa(void **state)
{
    static const uint64_t expected[] = {1, 20, 21, 22, 2, 3, 4};
    struct finished done[7];
    (void)state;
    pool = pool_of(1, 16);
    keep_busy();
    for (uint64_t token = 2; token <= 4; token++)
        assert_int_equal(submit(token, &rsa, FAR), 0);
    assert_int_equal(submit(20, &ec, FAR), 0);
    assert_int_equal(submit(21, &ed, FAR), 0);
    assert_int_equal(submit(22, &ec, FAR), 0);
    hold(false);
    collect(done, 7);
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(order[i], expected[i]);
        assert_int_equal(done[i].token, expected[i]);
    }
}

static void rsa_is_not_starved_by_elliptic_curves(void **state)
{
    static struct finished done[101];
    size_t place = 0;
    (void)state;
    pool = pool_of(1, 128);
    hold(true);
    assert_int_equal(submit(1000, &rsa, FAR), 0);
    await_entered(1);
    assert_int_equal(submit(2000, &rsa, FAR), 0);
    for (uint64_t token = 1; token < 100; token++)
        assert_int_equal(submit(token, &ec, FAR), 0);
    hold(false);
    collect(done, 101);
    while (done[place].token != 2000)
        place++;
    assert_int_equal(place, 1 + SCHEDULER_QUICK_IN_A_ROW);
}

static void what_waits_can_be_cancelled_and_what_has_begun_cannot(void **state)
{
    struct finished done[5];
    (void)state;
    pool = pool_of(1, 16);
    hold(true);
    for (uint64_t token = 1; token <= 4; token++)
        assert_int_equal(submit(token, &ec, FAR), 0);
    assert_int_equal(submit(3 + BUCKETS, &ec, FAR), 0); /* a neighbour of 3 in its bucket */
    await_entered(1);
    workers_cancel(pool, 1);
    workers_cancel(pool, 3);
    workers_cancel(pool, 77);
    hold(false);
    collect(done, 5);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(done[i].cancelled, done[i].token == 3);
    assert_int_equal(entered, 4); /* 3 was never computed */
    workers_cancel(pool, 3);      /* late */
    assert_int_equal(submit(3, &ec, FAR), 0);
    collect(done, 1);
    assert_false(done[0].cancelled);
}

static void a_passed_deadline_costs_no_operation(void **state)
{
    struct finished done[3];
    (void)state;
    pool = pool_of(1, 16);
    assert_int_equal(submit(1, &ec, 0), 0);
    assert_int_equal(submit(2, &ec, clock_ns()), 0);
    assert_int_equal(submit(3, &ec, clock_ns() + 60000000000), 0);
    collect(done, 3);
    assert_int_equal(done[0].status, STATUS_EXPIRED);
    assert_int_equal(done[1].status, STATUS_EXPIRED);
    assert_int_equal(done[2].status, STATUS_OK);
    assert_int_equal(entered, 1);
}

static void a_fault_is_marked(void **state)
{
    struct finished done;
    (void)state;
    pool = pool_of(1, 4);
    result = ERR_CRYPTO;
    assert_int_equal(submit(1, &rsa, FAR), 0);
    collect(&done, 1);
    assert_true(done.faulty);
    assert_int_equal(done.status, STATUS_UNAVAILABLE);
}

static void load_counts_what_waits_and_what_is_worked_on(void **state)
{
    struct finished done[6];
    struct workers_load load;
    (void)state;
    pool = pool_of(2, 16);
    hold(true);
    for (uint64_t token = 1; token <= 6; token++)
        assert_int_equal(submit(token, token % 2 ? &ec : &rsa, FAR), 0);
    await_entered(2);
    workers_get_load(pool, &load);
    assert_int_equal(load.threads, 2);
    assert_int_equal(load.working, 2);
    assert_int_equal(load.queued, 4);
    hold(false);
    collect(done, 6);
    workers_get_load(pool, &load);
    assert_int_equal(load.working, 0);
    assert_int_equal(load.queued, 0);
}

static void every_thread_has_a_signer_before_the_first_job(void **state)
{
    (void)state;
    pool = pool_of(5, 4);
    assert_non_null(pool);
    assert_int_equal(made, 5);
}

static void no_number_of_threads_means_one_a_core(void **state)
{
    (void)state;
    pool = pool_of(0, 4);
    assert_non_null(pool);
    assert_int_equal(made, sysconf(_SC_NPROCESSORS_ONLN));
}

static void a_thread_without_a_signer_fails_the_pool(void **state)
{
    (void)state;
    fail_at = 3;
    pool = pool_of(4, 4);
    assert_null(pool);
    assert_int_equal(made, 4);
    assert_int_equal(freed, 3);
}

static void freeing_finishes_what_has_begun_and_drops_the_rest(void **state)
{
    (void)state;
    pool = pool_of(1, 64);
    hold(true);
    for (uint64_t token = 1; token <= 50; token++)
        assert_int_equal(submit(token, &rsa, FAR), 0);
    await_entered(1);
    pthread_mutex_lock(&pool->lock); /* the thread sees the end before the next job */
    pool->stopping = true;
    pthread_mutex_unlock(&pool->lock);
    hold(false);
    workers_free(pool);
    pool = NULL;
    assert_int_equal(entered, 1);
    workers_free(NULL);
}

static void ten_thousand_jobs_through_four_threads_come_back_once_each(void **state)
{
    static bool seen[10001];
    static struct finished done[256];
    uint64_t next = 1;
    size_t got = 0;
    (void)state;
    pool = pool_of(4, 256);
    while (got < 10000) {
        size_t sent = 0;
        while (next <= 10000 && submit(next, next % 3 ? &ec : &rsa, FAR) == 0) {
            if (next % 7 == 0)
                workers_cancel(pool, next);
            next++;
            sent++;
        }
        collect(done, sent);
        for (size_t i = 0; i < sent; i++) {
            assert_false(seen[done[i].token]);
            seen[done[i].token] = true;
            assert_true(!done[i].cancelled || done[i].token % 7 == 0);
        }
        got += sent;
    }
}

/* ---- the queue alone ---- */

static void a_queue_is_first_in_first_out(void **state)
{
    struct job jobs[3] = {{.token = 1}, {.token = 2}, {.token = 3}};
    struct job_queue queue = {0};
    (void)state;
    assert_null(job_queue_take(&queue));
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < 3; i++)
            job_queue_put(&queue, &jobs[i]);
        assert_int_equal(queue.length, 3);
        for (size_t i = 0; i < 3; i++)
            assert_ptr_equal(job_queue_take(&queue), &jobs[i]);
        assert_null(job_queue_take(&queue));
        assert_int_equal(queue.length, 0);
    }
}

/* ---- turns ---- */

static void edges_take_turns_however_many_one_has_in_the_queue(void **state)
{
    struct finished done[1 + 100 + 2 + 1];
    struct job lost;
    (void)state;
    pool = pool_of(1, 128);
    keep_busy();
    for (uint64_t i = 0; i < 100; i++)
        assert_int_equal(submit_as(0, 100 + i, &rsa, FAR, &lost), 0);
    assert_int_equal(submit_as(1, 2, &rsa, FAR, &lost), 0);
    assert_int_equal(submit_as(1, 3, &rsa, FAR, &lost), 0);
    assert_int_equal(submit_as(2, 4, &rsa, FAR, &lost), 0);
    hold(false);
    collect(done, sizeof done / sizeof done[0]);
    static const uint64_t first[] = {1, 100, 2, 4, 101, 3, 102, 103};
    for (size_t i = 0; i < sizeof first / sizeof first[0]; i++)
        assert_int_equal(order[i], first[i]);
}

static void a_quick_operation_of_one_edge_waits_for_no_rsa_of_another(void **state)
{
    struct finished done[1 + 100 + 1];
    struct job lost;
    (void)state;
    pool = pool_of(1, 128);
    keep_busy();
    for (uint64_t i = 0; i < 100; i++)
        assert_int_equal(submit_as(0, 100 + i, &rsa, FAR, &lost), 0);
    assert_int_equal(submit_as(1, 2, &ec, FAR, &lost), 0);
    hold(false);
    collect(done, sizeof done / sizeof done[0]);
    assert_int_equal(order[1], 2);
}

/* The greedy edge's oldest make way for the others' until all have the same. */
static void a_full_pool_takes_from_the_edge_that_has_most(void **state)
{
    struct finished done[9];
    struct job lost;
    (void)state;
    pool = pool_of(1, 9);
    keep_busy();
    for (uint64_t i = 0; i < 8; i++)
        assert_int_equal(submit_as(0, 100 + i, i % 2 ? &rsa : &ec, FAR, &lost), 0);
    assert_int_equal(submit_as(0, 108, &rsa, FAR, &lost), ERR_BUSY);
    static const uint64_t victims[] = {101, 103, 105, 107}; /* RSA first, the oldest first */
    for (uint64_t i = 0; i < 4; i++) {
        assert_int_equal(submit_as(1 + i % 2, 200 + i, &ec, FAR, &lost), 1);
        assert_int_equal(lost.token, victims[i]);
        assert_ptr_equal(lost.identity.edge, &edges[0]);
        workers_cancel(pool, lost.token); /* nothing is left to be cancelled */
    }
    assert_int_equal(submit_as(1, 300, &ec, FAR, &lost), 1); /* 4, 2, 2 → 3, 3, 2 */
    assert_int_equal(lost.token, 100);
    assert_int_equal(submit_as(1, 301, &ec, FAR, &lost), ERR_BUSY);
    assert_int_equal(submit_as(0, 302, &ec, FAR, &lost), ERR_BUSY);
    assert_int_equal(submit_as(2, 303, &ec, FAR, &lost), ERR_BUSY); /* it would only swap the roles */
    hold(false);
    collect(done, 9);
    for (size_t i = 0; i < 9; i++)
        assert_int_equal(done[i].status, STATUS_OK);
}

/* ---- batches ---- */

static void what_waits_is_computed_together(void **state)
{
    struct finished done[1 + 20];
    (void)state;
    batches = (struct batch_size){3, 8, 0};
    pool = pool_of(1, 64);
    keep_busy();
    for (uint64_t token = 2; token <= 21; token++)
        assert_int_equal(submit(token, &rsa, FAR), 0);
    hold(false);
    collect(done, 21);
    static const size_t expected[] = {1, 8, 8, 4};
    assert_int_equal(call_count, 4);
    assert_memory_equal(calls, expected, sizeof expected);
}

static void too_few_are_computed_one_by_one(void **state)
{
    struct finished done[1 + 2];
    (void)state;
    batches = (struct batch_size){3, 8, 0};
    pool = pool_of(1, 64);
    keep_busy();
    assert_int_equal(submit(2, &rsa, FAR), 0);
    assert_int_equal(submit(3, &rsa, FAR), 0);
    hold(false);
    collect(done, 3);
    assert_int_equal(call_count, 3);
}

static void a_batch_leaves_out_what_nobody_waits_for(void **state)
{
    struct finished done[1 + 6];
    (void)state;
    batches = (struct batch_size){2, 8, 0};
    pool = pool_of(1, 64);
    keep_busy();
    for (uint64_t token = 2; token <= 7; token++)
        assert_int_equal(submit(token, &rsa, token == 4 ? clock_ns() : FAR), 0);
    workers_cancel(pool, 6);
    hold(false);
    collect(done, 7);
    assert_int_equal(call_count, 2);
    assert_int_equal(calls[1], 4);
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(done[i].cancelled, done[i].token == 6);
        if (done[i].token != 6)
            assert_int_equal(done[i].status, done[i].token == 4 ? STATUS_EXPIRED : STATUS_OK);
    }
}

static void nothing_begins_before_it_is_told_to(void **state)
{
    struct finished done[8];
    struct job lost;
    struct workers_load load;
    (void)state;
    batches = (struct batch_size){2, 8, 0};
    pool = pool_of(1, 8);
    for (uint64_t token = 1; token <= 8; token++)
        assert_int_equal(put(0, token, &rsa, FAR, &lost), 0);
    workers_get_load(pool, &load);
    assert_int_equal(load.queued, 8);
    assert_int_equal(entered, 0);
    workers_begin(pool);
    collect(done, 8);
    assert_int_equal(call_count, 1);
    assert_int_equal(calls[0], 8);
    workers_begin(pool); /* there is nothing */
}

static void a_quick_thread_takes_no_rsa(void **state)
{
    struct finished done[4];
    (void)state;
    pool = pool_with(1, 1, 16);
    keep_busy();
    assert_int_equal(submit(2, &rsa, FAR), 0);
    assert_int_equal(submit(3, &ec, FAR), 0);
    await_entered(2); /* beside the RSA that has begun */
    assert_int_equal(order[1], 3);
    assert_int_equal(submit(4, &rsa, FAR), 0);
    hold(false);
    collect(done, 4);
}

static void quick_and_slow_threads_lose_no_wakening(void **state)
{
    struct finished done;
    (void)state;
    pool = pool_with(1, 1, 16);
    for (uint64_t token = 1; token <= 2000; token++) {
        assert_int_equal(submit(token, token % 2 ? &ec : &rsa, FAR), 0);
        collect(&done, 1);
        assert_int_equal(done.token, token);
    }
}

/* Also those of the lower rank, when there is more than the quick one can take at once. */
static void jobs_that_begin_together_wake_as_many_threads(void **state)
{
    struct job lost;
    (void)state;
    pool = pool_with(3, 1, 16);
    assert_non_null(pool);
    for (unsigned round = 0; round < 20; round++) {
        struct finished finished[4];
        hold(true);
        for (uint64_t token = 1; token <= 4; token++)
            assert_int_equal(put(0, token, &ed, FAR, &lost), 0);
        workers_begin(pool);
        await_entered(4 * round + 4);
        hold(false);
        collect(finished, 4);
    }
}

static void results_wait_for_each_other_only_while_their_edge_has_more_waiting(void **state)
{
    enum { US = 1000, MANY = 70 };
    struct workers some = {.thread_count = 2, .quick_threads = 1};
    static struct job waiting[MANY], done[3];
    struct job *const first = &done[0], *const second = &done[1], *const third = &done[2];
    (void)state;
    assert_int_equal(scheduler_init(&some.scheduler, EDGES), 0);
    for (size_t i = 0; i < MANY; i++) {
        waiting[i].identity = (struct request_identity){.edge = &edges[0], .key = i % 2 ? &rsa : &ed};
        assert_int_equal(patience_of(&some, &waiting[0]), i * 16 * US < 1000 * US ? i * 16 * US : 1000 * US);
        scheduler_put(&some.scheduler, &waiting[i]);
    }
    first->identity.edge = second->identity.edge = &edges[0];
    third->identity.edge = &edges[1]; /* has nothing more waiting */
    hand_back(&some, &first, 1, 5000 * US);
    assert_true(some.untold);
    assert_int_equal(some.tell_by_ns, 6000 * US);
    hand_back(&some, &second, 1, 5400 * US);
    assert_int_equal(some.tell_by_ns, 6000 * US); /* of the first */
    hand_back(&some, &third, 1, 5500 * US);
    assert_int_equal(some.tell_by_ns, 5500 * US); /* and so it is told at once, with those before it */
    some.thread_count = 11;                       /* what waits will be done sooner */
    assert_int_equal(patience_of(&some, &waiting[0]), MANY * 16 * US / 10);
    scheduler_clear(&some.scheduler);
}

static void short_work_is_done_by_who_asks(void **state)
{
    struct finished done[3];
    (void)state;
    batches = (struct batch_size){1, 2, 0};
    pool = pool_with(1, 1, 16);
    hold(true);
    assert_int_equal(submit(1, &rsa, FAR), 0);
    await_entered(1); /* the thread that takes everything is busy; the quick one has nothing to do */
    assert_int_equal(submit(2, &ec, FAR), 0);
    assert_int_equal(submit(3, &ec, FAR), 0);
    hold(false);
    collect(done, 1);
    assert_int_equal(done[0].token, 1);
    assert_false(workers_do_short(pool));
    collect_there(done, 2);
    assert_int_equal(call_count, 2);
    assert_int_equal(calls[1], 2);
}

static void so_much_short_work_is_done_at_once(void **state)
{
    struct finished done[4 * SHORT_TAKES];
    (void)state;
    batches = (struct batch_size){1, 2, 0};
    pool = pool_of(1, 64);
    for (uint64_t token = 1; token <= 4 * SHORT_TAKES; token++)
        assert_int_equal(submit(token, &ec, FAR), 0);
    workers_cancel(pool, 1);
    assert_true(workers_do_short(pool));
    collect_there(done, 2 * SHORT_TAKES);
    assert_false(workers_do_short(pool));
    collect_there(done, 2 * SHORT_TAKES);
    assert_int_equal(entered, 4 * SHORT_TAKES - 1);
}

int main(void)
{
#define WITH_POOL(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_POOL(a_job_comes_back_once_with_its_outcome),
        WITH_POOL(a_full_pool_is_busy_until_a_job_is_given_back),
        WITH_POOL(elliptic_curves_overtake_rsa),
        WITH_POOL(rsa_is_not_starved_by_elliptic_curves),
        WITH_POOL(what_waits_can_be_cancelled_and_what_has_begun_cannot),
        WITH_POOL(a_passed_deadline_costs_no_operation),
        WITH_POOL(a_fault_is_marked),
        WITH_POOL(what_waits_is_computed_together),
        WITH_POOL(too_few_are_computed_one_by_one),
        WITH_POOL(a_batch_leaves_out_what_nobody_waits_for),
        WITH_POOL(nothing_begins_before_it_is_told_to),
        WITH_POOL(a_quick_thread_takes_no_rsa),
        WITH_POOL(quick_and_slow_threads_lose_no_wakening),
        WITH_POOL(jobs_that_begin_together_wake_as_many_threads),
        WITH_POOL(results_wait_for_each_other_only_while_their_edge_has_more_waiting),
        WITH_POOL(short_work_is_done_by_who_asks),
        WITH_POOL(so_much_short_work_is_done_at_once),
        WITH_POOL(load_counts_what_waits_and_what_is_worked_on),
        WITH_POOL(every_thread_has_a_signer_before_the_first_job),
        WITH_POOL(no_number_of_threads_means_one_a_core),
        WITH_POOL(a_thread_without_a_signer_fails_the_pool),
        WITH_POOL(freeing_finishes_what_has_begun_and_drops_the_rest),
        WITH_POOL(ten_thousand_jobs_through_four_threads_come_back_once_each),
        cmocka_unit_test(a_queue_is_first_in_first_out),
        cmocka_unit_test_setup_teardown(edges_take_turns_however_many_one_has_in_the_queue, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_quick_operation_of_one_edge_waits_for_no_rsa_of_another, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_full_pool_takes_from_the_edge_that_has_most, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
