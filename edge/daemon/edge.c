#include "edge/daemon/edge.h"

#include <malloc.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/privileges.h"
#include "common/process.h"
#include "common/sandbox.h"
#include "edge/certs/certs_report.h"
#include "edge/daemon/edge_bind.h"
#include "edge/daemon/edge_status.h"
#include "edge/daemon/lookups.h"
#include "edge/daemon/memory_return.h"
#include "edge/daemon/thread.h"
#include "edge/session/session_io.h"

#define CERTS_MS 2000  /* between two looks for certificates whose time has come or is over */
#define FLUSH_MS 60000 /* between two looks for sessions that are too old to be resumed */
#define GRACE_MS 1000  /* from the command to end at once to the end of the process at the latest */

/* Signals that operators send to daemons that reload or reopen a log. Here they have no effect, and a line
 * says so.
 */
static const struct unused_signal {
    int number;
    const char *hint;
} unused_signals[] = {
    {SIGHUP, "nothing is reloaded: a restart takes up configuration and certificates"},
    {SIGUSR1, "there is no log file to reopen: the log goes to standard error"},
    {SIGUSR2, "it has no meaning here"},
};
#define UNUSED_SIGNALS (sizeof unused_signals / sizeof unused_signals[0])

struct edge {
    struct setup *setup;
    struct lookups lookups;
    struct edge_bind bind;
    struct thread **threads; /* owned, thread_count */
    unsigned thread_count;
    unsigned started;
    struct edge_status status;
    struct sandbox_state sandbox;
    struct admin *admin; /* owned */
    int admin_fd;        /* owned until the admin endpoint is started; -1 = none */
    uv_loop_t loop;
    uv_signal_t terminate;
    uv_signal_t interrupt;
    uv_signal_t unused[UNUSED_SIGNALS];
    uv_timer_t deadline;
    uv_timer_t flush;
    uv_timer_t watch_certs;
    uv_timer_t look_at_memory;
    struct memory_return memory;
    int64_t certs_reported; /* seconds since 1970 */
    uv_async_t ended;
    bool stopping;
    bool failed;
};

/* ---- end ---- */

/* Blocks the signals: the process is about to end, and libuv is about to restore their default actions. */
static void hold_signals(void)
{
    static const int held[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < sizeof held / sizeof held[0]; i++)
        sigaddset(&set, held[i]);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void close_handles(struct edge *edge)
{
    hold_signals();
    admin_close(edge->admin);
    edge->admin = NULL;
    lookups_close(&edge->lookups);
    uv_close((uv_handle_t *)&edge->terminate, NULL);
    uv_close((uv_handle_t *)&edge->interrupt, NULL);
    for (size_t i = 0; i < UNUSED_SIGNALS; i++)
        uv_close((uv_handle_t *)&edge->unused[i], NULL);
    uv_close((uv_handle_t *)&edge->deadline, NULL);
    uv_close((uv_handle_t *)&edge->flush, NULL);
    uv_close((uv_handle_t *)&edge->watch_certs, NULL);
    uv_close((uv_handle_t *)&edge->look_at_memory, NULL);
    uv_close((uv_handle_t *)&edge->ended, NULL);
}

/* The last deadline has passed: a thread hangs. The process ends all the same. */
static void on_grace(uv_timer_t *timer)
{
    (void)timer;
    log_event(LOG_ERROR, "stopped", "error=\"a thread did not end in time\"");
    log_finish();
    _exit(EXIT_FAILURE);
}

static void stop_now(struct edge *edge)
{
    edge->stopping = true;
    for (unsigned i = 0; i < edge->started; i++)
        thread_stop(edge->threads[i]);
    uv_timer_start(&edge->deadline, on_grace, GRACE_MS, 0);
}

static void on_drain_deadline(uv_timer_t *timer)
{
    struct edge *edge = timer->data;
    struct session_stats sum;

    edge_status_sum(&edge->status, &sum);
    log_event(LOG_WARN, "drain_timeout", "connections=%llu", (unsigned long long)counter_get(&sum.active));
    stop_now(edge);
}

static void drain(struct edge *edge)
{
    struct session_stats sum;

    edge_status_sum(&edge->status, &sum);
    log_event(LOG_INFO, "draining", "connections=%llu timeout_ms=%llu",
              (unsigned long long)counter_get(&sum.active),
              (unsigned long long)edge->setup->config.timeout.drain);
    process_notify("STOPPING=1");
    edge->status.draining = true;
    for (unsigned i = 0; i < edge->started; i++)
        thread_drain(edge->threads[i]);
    uv_timer_start(&edge->deadline, on_drain_deadline, edge->setup->config.timeout.drain, 0);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct edge *edge = handle->data;

    (void)number;
    if (!edge->status.draining)
        drain(edge);
    else if (!edge->stopping)
        stop_now(edge);
}

static void on_unused_signal(uv_signal_t *handle, int number)
{
    const struct unused_signal *unused = handle->data;

    log_event(LOG_WARN, "signal_ignored", "signal=%s hint=\"%s\"", process_signal_name(number), unused->hint);
}

static void on_ended(uv_async_t *async)
{
    struct edge *edge = async->data;
    bool all = true;

    for (unsigned i = 0; i < edge->started; i++) {
        all = all && thread_ended(edge->threads[i]);
        edge->failed = edge->failed || thread_failed(edge->threads[i]);
    }
    if (all)
        close_handles(edge);
    else if (edge->failed && !edge->status.draining)
        drain(edge);
}

static void on_flush(uv_timer_t *timer)
{
    struct edge *edge = timer->data;

    tls_flush(edge->setup->tls);
}

static void on_watch_certs(uv_timer_t *timer)
{
    struct edge *edge = timer->data;
    int64_t now = (int64_t)time(NULL);

    certs_report_changes(edge->setup->certs, edge->certs_reported, now);
    edge->certs_reported = now;
}

/* Threads that allocate wait meanwhile: 8 ms for 96 MB. */
static void on_look_at_memory(uv_timer_t *timer)
{
    struct edge *edge = timer->data;
    uint64_t active = 0;

    for (unsigned i = 0; i < edge->thread_count; i++)
        active += counter_get(&thread_stats(edge->threads[i])->active);
    if (memory_return_is_due(&edge->memory, active))
        malloc_trim(0);
}

/* ---- start ---- */

static int init_loop(struct edge *edge)
{
    if (uv_loop_init(&edge->loop) != 0)
        return ERR_SYSTEM;
    if (uv_async_init(&edge->loop, &edge->ended, on_ended) != 0) {
        uv_loop_close(&edge->loop);
        return ERR_SYSTEM;
    }
    uv_signal_init(&edge->loop, &edge->terminate);
    uv_signal_init(&edge->loop, &edge->interrupt);
    for (size_t i = 0; i < UNUSED_SIGNALS; i++)
        uv_signal_init(&edge->loop, &edge->unused[i]);
    uv_timer_init(&edge->loop, &edge->deadline);
    uv_timer_init(&edge->loop, &edge->flush);
    uv_timer_init(&edge->loop, &edge->watch_certs);
    uv_timer_init(&edge->loop, &edge->look_at_memory);
    edge->ended.data = edge->terminate.data = edge->interrupt.data = edge->deadline.data = edge;
    edge->flush.data = edge;
    edge->watch_certs.data = edge;
    edge->look_at_memory.data = edge;
    return 0;
}

/* Signals without a use, such as that of a closing terminal, are no reason to stop serving. */
static void start_signals(struct edge *edge)
{
    uv_signal_start(&edge->terminate, on_signal, SIGTERM);
    uv_signal_start(&edge->interrupt, on_signal, SIGINT);
    for (size_t i = 0; i < UNUSED_SIGNALS; i++) {
        edge->unused[i].data = (void *)(uintptr_t)&unused_signals[i];
        uv_signal_start(&edge->unused[i], on_unused_signal, unused_signals[i].number);
        uv_unref((uv_handle_t *)&edge->unused[i]);
    }
}

static int open_admin(struct edge *edge, struct fault *fault)
{
    const char *text = edge->setup->config.admin;
    struct address address;

    edge->admin_fd = -1;
    if (!text || !*text || strcmp(text, "off") == 0)
        return 0;
    int err = address_parse(&address, text, EDGE_ADMIN_DEFAULT_PORT, fault);
    if (err)
        return err;
    edge->admin_fd = admin_listen(&address, fault);
    return edge->admin_fd < 0 ? edge->admin_fd : 0;
}

static int make_threads(struct edge *edge, struct fault *fault)
{
    edge->threads = calloc(edge->setup->threads, sizeof(struct thread *));
    if (!edge->threads)
        return fault_set(fault, ERR_MEMORY, "no memory for %u threads", edge->setup->threads);
    for (unsigned i = 0; i < edge->setup->threads; i++) {
        const int *fds = edge_bind_of_thread(&edge->bind, i);
        int err = thread_new(&edge->threads[i], i, edge->setup, fds, edge->bind.count, &edge->ended);
        edge_bind_given(&edge->bind, i);
        if (err)
            return fault_set(fault, err, "cannot make thread %u: %s", i, err_string(err));
        edge->thread_count++;
    }
    return 0;
}

static int start_admin(struct edge *edge, struct fault *fault)
{
    edge->status = (struct edge_status){
        .setup = edge->setup,
        .threads = edge->threads,
        .thread_count = edge->thread_count,
        .listeners = edge->bind.bound,
        .listener_count = edge->bind.count,
        .started_ns = clock_ns(),
        .sandbox = edge->sandbox,
    };
    if (edge->admin_fd < 0)
        return 0;
    int err = admin_start(&edge->admin, &edge->loop, edge->admin_fd, edge_status_routes, &edge->status);
    edge->admin_fd = -1;
    return err ? fault_set(fault, err, "cannot start the admin endpoint: %s", err_string(err)) : 0;
}

static int start_threads(struct edge *edge, struct fault *fault)
{
    for (unsigned i = 0; i < edge->thread_count; i++) {
        if (thread_start(edge->threads[i]) != 0)
            return process_fail(fault, "cannot start the threads that serve");
        edge->started++;
    }
    return 0;
}

/* Enters the sandbox: before the first thread, and before the first byte of a peer. */
static int lock_up(struct edge *edge, struct fault *fault)
{
    if (process_leave_standard() != 0)
        return process_fail(fault, "cannot open /dev/null");
    edge->sandbox.files_denied = process_deny_files(); /* covers the log's thread, which starts afterwards */
    int err = log_start(fault);
    if (err != 0)
        return err;
    err = sandbox_enter(&edge->sandbox, SANDBOX_EDGE, (enum sandbox_mode)edge->setup->config.sandbox, -1,
                        fault);
    if (!err)
        log_event(LOG_INFO, "sandbox", "system_calls=%s files=%s", sandbox_filter_name(edge->sandbox.filter),
                  sandbox_files_name(edge->sandbox.files_denied));
    return err;
}

static int start_edge(struct edge *edge, struct fault *fault)
{
    int err;

    if ((err = edge_bind_open(&edge->bind, edge->setup, fault)) != 0 ||
        (err = open_admin(edge, fault)) != 0 ||
        (err = privileges_drop(edge->setup->config.user, PRIVILEGES_OWN_GROUPS, fault)) != 0 ||
        (err = lookups_start(&edge->lookups, &edge->loop, edge->setup, fault)) != 0)
        return err;
    if ((err = lock_up(edge, fault)) != 0 || (err = make_threads(edge, fault)) != 0 ||
        (err = start_admin(edge, fault)) != 0)
        return err;
    start_signals(edge);
    uv_timer_start(&edge->flush, on_flush, FLUSH_MS, FLUSH_MS);
    edge->certs_reported = (int64_t)time(NULL);
    uv_timer_start(&edge->watch_certs, on_watch_certs, CERTS_MS, CERTS_MS);
    uv_timer_start(&edge->look_at_memory, on_look_at_memory, MEMORY_RETURN_LOOK_MS, MEMORY_RETURN_LOOK_MS);
    return start_threads(edge, fault);
}

static void announce(const struct edge *edge)
{
    const struct setup *setup = edge->setup;
    char origin[ADDRESS_TEXT_SIZE];
    int64_t now = (int64_t)time(NULL), days;
    struct certs_summary summary;

    certs_summarize(setup->certs, now, &summary);
    days = (summary.earliest_expiry - now) / 86400;

    log_event(LOG_INFO, "started",
              "version=%s openssl=%s threads=%u certificates=%zu skipped=%zu earliest_expiry_days=%lld "
              "key_servers=%zu origin=%s",
              KEYLESS_VERSION, session_io_library(), edge->thread_count, certs_count(setup->certs),
              certs_skipped(setup->certs), (long long)days, setup->key_servers.count,
              endpoint_text(&setup->origins.route[0].endpoint, origin));
    process_notify("READY=1");
}

static void clear(struct edge *edge)
{
    for (unsigned i = 0; i < edge->started; i++)
        thread_join(edge->threads[i]);
    for (unsigned i = 0; i < edge->thread_count; i++)
        thread_free(edge->threads[i]);
    free(edge->threads);
    edge_bind_clear(&edge->bind);
    if (edge->admin_fd >= 0)
        close(edge->admin_fd);
    lookups_clear(&edge->lookups);
    uv_loop_close(&edge->loop);
}

int edge_run(struct setup *setup, struct fault *fault)
{
    struct edge edge = {.setup = setup, .admin_fd = -1};
    int err = sandbox_refuse_rings((enum sandbox_mode)setup->config.sandbox, fault);

    if (err)
        return err;
    err = init_loop(&edge);
    if (err)
        return fault_set(fault, err, "cannot start the event loop");
    err = start_edge(&edge, fault);
    if (!err)
        announce(&edge);
    else if (edge.started)
        stop_now(&edge);
    else
        close_handles(&edge);
    uv_run(&edge.loop, UV_RUN_DEFAULT);
    clear(&edge);
    if (!err && edge.failed)
        err = fault_set(fault, ERR_SYSTEM, "a thread could not start; the log says why");
    if (!err)
        log_event(LOG_INFO, "stopped", "reason=signal");
    return err;
}
