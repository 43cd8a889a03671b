#include "edge/daemon/thread.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/channel_times.h"
#include "common/clock.h"
#include "common/process.h"
#include "edge/daemon/listeners.h"

#define RETRY_MS   10   /* a session tries again so much later what could not be done */
#define ATTEMPT_MS 1000 /* for one of several addresses of the origin, while another is left */
#define TICK_MS    1000 /* an idle loop turns at least so often */
#define ACCEPT_MS  100  /* listeners pause so long when no descriptor was left */
#define STACK_SIZE (4 * PROCESS_STACK_SIZE)

enum command { COMMAND_NONE, COMMAND_DRAIN, COMMAND_STOP };

struct thread {
    struct session_host host; /* first member: sessions know only this */
    const struct setup *setup;
    struct client *client; /* owned */
    uv_loop_t loop;
    uv_timer_t timer;   /* wakes the loop for the first of the timeouts */
    uint64_t timer_due; /* TIMEOUTS_NEVER when it is stopped */
    uint64_t looked_ms; /* when the loop last began to poll */
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t idle;
    uv_timer_t tick;
    uv_async_t wake;
    uv_async_t *ended; /* borrowed: the main loop's */
    struct listeners listeners;
    bool draining;
    bool closing; /* the loop's handles are being closed */
    unsigned number;
    pthread_t id;
    _Atomic int command;
    _Atomic uint64_t turned_ms; /* of clock_ms(): when the loop was last about to sleep */
    _Atomic bool over;
    _Atomic bool failed;
};

/* ---- end ---- */

static void end_when_empty(struct thread *thread)
{
    if (!thread->draining || thread->closing || thread->host.count != 0)
        return;
    thread->closing = true;
    client_close(thread->client);
    thread->client = NULL;
    watches_close(&thread->host.watches);
    uv_close((uv_handle_t *)&thread->timer, NULL);
    uv_close((uv_handle_t *)&thread->prepare, NULL);
    uv_close((uv_handle_t *)&thread->check, NULL);
    uv_close((uv_handle_t *)&thread->idle, NULL);
    uv_close((uv_handle_t *)&thread->tick, NULL);
    uv_close((uv_handle_t *)&thread->wake, NULL);
}

static void drain(struct thread *thread)
{
    if (thread->draining)
        return;
    thread->draining = true;
    listeners_close(&thread->listeners, thread->client != NULL);
}

static void stop_sessions(struct thread *thread)
{
    drain(thread);
    struct session *next;
    for (struct session *session = TAILQ_FIRST(&thread->host.all); session; session = next) {
        next = TAILQ_NEXT(session, in_all);
        session_stop(session);
    }
}

static void on_wake(uv_async_t *async)
{
    struct thread *thread = async->data;
    int command = atomic_load(&thread->command);

    if (command == COMMAND_STOP)
        stop_sessions(thread);
    else if (command == COMMAND_DRAIN)
        drain(thread);
    end_when_empty(thread);
}

static void on_gone(struct session_host *host)
{
    struct thread *thread = (struct thread *)host;

    listeners_resume(&thread->listeners);
    end_when_empty(thread);
}

/* ---- turns of the loop ---- */

static void on_timer(uv_timer_t *timer)
{
    ((struct thread *)timer->data)->timer_due = TIMEOUTS_NEVER; /* on_check does the work */
}

/* Only what was due before the loop polled is due now: when this thread was held up, what lies in the sockets
 * comes first. */
static void on_check(uv_check_t *check)
{
    struct thread *thread = check->data;
    struct timeouts *timeouts = &thread->host.timeouts;
    struct timeout *timeout;
    enum timeout_class class;

    /* what is set in here is due later, so the loop ends */
    while ((timeout = timeouts_pop(timeouts, thread->looked_ms, &class))) {
        if (class == TIMEOUT_ACCEPT)
            listeners_resume(&thread->listeners);
        else
            session_timeout(timeout->user, class);
    }
}

static void on_idle(uv_idle_t *idle)
{
    struct thread *thread = idle->data;

    for (size_t left = thread->host.ready_count; left > 0 && !TAILQ_EMPTY(&thread->host.ready); left--)
        session_run(TAILQ_FIRST(&thread->host.ready));
}

/* Before the loop sleeps: sets for how long it may. */
static void on_prepare(uv_prepare_t *prepare)
{
    struct thread *thread = prepare->data;
    uint64_t now = uv_now(&thread->loop);
    uint64_t due = timeouts_next(&thread->host.timeouts);

    if (TAILQ_EMPTY(&thread->host.ready))
        uv_idle_stop(&thread->idle);
    else
        uv_idle_start(&thread->idle, on_idle);
    if (due < thread->timer_due) {
        uv_timer_start(&thread->timer, on_timer, due > now ? due - now : 0, 0);
        thread->timer_due = due;
    }
    thread->looked_ms = now;
    log_flush();
    atomic_store_explicit(&thread->turned_ms, now, memory_order_relaxed);
}

static void on_tick(uv_timer_t *tick)
{
    (void)tick; /* on_prepare does the work */
}

/* ---- life ---- */

static int start_client(struct thread *thread)
{
    const struct setup *setup = thread->setup;
    const struct client_settings settings = {
        .identity = setup->key_servers.identity,
        .servers = setup->key_servers.servers,
        .server_count = setup->key_servers.count,
        .stats = setup->stats,
        .grants = setup->grants,
        .names = setup->key_servers.names,
        .connect_timeout_ms = 5000,
        .backoff_min_ms = 100,
        .backoff_max_ms = 10000,
        .ping_interval_ms = CHANNEL_PING_MS,
        .rehandshake_ms = 3600000,
        .handshake_ms = setup->config.timeout.handshake,
        .fail_when_gone = setup->config.when_unavailable == EDGE_FAIL,
        .sharers = setup->threads,
        .in_flight_max = 65536,
        .software = "keyless-edge " KEYLESS_VERSION,
    };
    thread->client = client_new(&thread->loop, &settings);
    if (!thread->client)
        return ERR_MEMORY;
    thread->host.client = thread->client;
    return async_thread_start((size_t)setup->config.connections_max, thread->client);
}

static void *thread_main(void *argument)
{
    struct thread *thread = argument;
    char name[16];

    snprintf(name, sizeof(name), "edge-%u", thread->number);
    pthread_setname_np(pthread_self(), name);
    log_gather();
    int err = start_client(thread);
    if (err) {
        log_event(LOG_ERROR, "thread_failed", "thread=%u error=\"%s\"", thread->number, err_string(err));
        atomic_store(&thread->failed, true);
        drain(thread);
        end_when_empty(thread);
    } else {
        listeners_resume(&thread->listeners);
    }
    uv_run(&thread->loop, UV_RUN_DEFAULT);
    log_flush();
    async_thread_stop();
    atomic_store(&thread->over, true);
    uv_async_send(thread->ended);
    return NULL;
}

static void init_host(struct thread *thread)
{
    const struct setup *setup = thread->setup;
    const struct edge_config *config = &setup->config;
    struct session_host *host = &thread->host;
    const uint64_t waits[TIMEOUT_CLASSES] = {
        [TIMEOUT_HANDSHAKE] = config->timeout.handshake,
        [TIMEOUT_CONNECT] = config->timeout.connect,
        [TIMEOUT_IDLE] = config->timeout.idle,
        [TIMEOUT_HALF_CLOSED] = config->timeout.half_closed,
        [TIMEOUT_CLOSE] = config->timeout.close,
        [TIMEOUT_SILENCE] = config->timeout.silence,
        [TIMEOUT_ATTEMPT] = config->timeout.connect / 3 < ATTEMPT_MS ? config->timeout.connect / 3
                                                                     : ATTEMPT_MS,
        [TIMEOUT_RETRY] = RETRY_MS,
        [TIMEOUT_ACCEPT] = ACCEPT_MS,
    };
    host->loop = &thread->loop;
    host->tls = setup->tls;
    host->config = config;
    host->origins = &setup->origins;
    host->servers = setup->key_servers.servers;
    host->server_stats = setup->stats;
    host->on_gone = on_gone;
    TAILQ_INIT(&host->all);
    TAILQ_INIT(&host->ready);
    TAILQ_INIT(&host->long_hellos);
    timeouts_init(&host->timeouts, waits);
}

/* Every handle but the listeners'; libuv fails here only without memory or descriptors. */
static int init_loop(struct thread *thread)
{
    if (uv_loop_init(&thread->loop) != 0)
        return ERR_SYSTEM;
    if (watches_init(&thread->host.watches, &thread->loop) != 0) {
        uv_loop_close(&thread->loop);
        return ERR_SYSTEM;
    }
    uv_timer_init(&thread->loop, &thread->timer);
    uv_prepare_init(&thread->loop, &thread->prepare);
    uv_check_init(&thread->loop, &thread->check);
    uv_idle_init(&thread->loop, &thread->idle);
    uv_timer_init(&thread->loop, &thread->tick);
    thread->timer.data = thread->prepare.data = thread->check.data = thread;
    thread->idle.data = thread->wake.data = thread;
    uv_prepare_start(&thread->prepare, on_prepare);
    uv_check_start(&thread->check, on_check);
    uv_timer_start(&thread->tick, on_tick, TICK_MS, TICK_MS);
    if (uv_async_init(&thread->loop, &thread->wake, on_wake) != 0) {
        watches_close(&thread->host.watches);
        uv_loop_close(&thread->loop);
        return ERR_SYSTEM;
    }
    thread->wake.data = thread;
    return 0;
}

static void close_all(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        close(fds[i]);
}

int thread_new(struct thread **out, unsigned number, const struct setup *setup, const int *listeners,
               size_t count, uv_async_t *ended)
{
    struct thread *thread = calloc(1, sizeof(*thread));

    if (!thread) {
        close_all(listeners, count);
        return ERR_MEMORY;
    }
    thread->setup = setup;
    thread->number = number;
    thread->ended = ended;
    thread->timer_due = TIMEOUTS_NEVER;
    init_host(thread);
    thread->host.traces = trace_new();
    int err = thread->host.traces ? init_loop(thread) : ERR_MEMORY;
    if (err) {
        close_all(listeners, count);
        trace_free(thread->host.traces);
        free(thread);
        return err;
    }
    err = listeners_init(&thread->listeners, &thread->host, listeners, count,
                         (size_t)setup->config.connections_max, number);
    if (err)
        thread_free(thread);
    else
        *out = thread;
    return err;
}

int thread_start(struct thread *thread)
{
    atomic_store(&thread->turned_ms, clock_ms());
    return process_start_thread(&thread->id, STACK_SIZE, thread_main, thread);
}

static void command(struct thread *thread, enum command command)
{
    atomic_store(&thread->command, command);
    if (!atomic_load(&thread->over))
        uv_async_send(&thread->wake);
}

void thread_drain(struct thread *thread)
{
    command(thread, COMMAND_DRAIN);
}

void thread_stop(struct thread *thread)
{
    command(thread, COMMAND_STOP);
}

bool thread_ended(const struct thread *thread)
{
    return atomic_load(&thread->over);
}

uint64_t thread_turned_ms(const struct thread *thread)
{
    return atomic_load_explicit(&thread->turned_ms, memory_order_relaxed);
}

bool thread_failed(const struct thread *thread)
{
    return atomic_load(&thread->failed);
}

void thread_join(struct thread *thread)
{
    pthread_join(thread->id, NULL);
}

void thread_free(struct thread *thread)
{
    if (!thread)
        return;
    /* a thread that never ran still has its handles open */
    if (!thread->closing) {
        drain(thread);
        end_when_empty(thread);
        uv_run(&thread->loop, UV_RUN_DEFAULT);
    }
    uv_loop_close(&thread->loop);
    relay_scratch_clear(&thread->host.scratch);
    trace_free(thread->host.traces);
    listeners_clear(&thread->listeners);
    free(thread);
}

const struct session_stats *thread_stats(const struct thread *thread)
{
    return &thread->host.stats;
}

struct trace_ring *thread_traces(const struct thread *thread)
{
    return thread->host.traces;
}
