#include "keyserver/supervisor/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/privileges.h"
#include "common/process.h"
#include "common/sandbox.h"
#include "common/secret.h"
#include "common/waiting.h"
#include "keyserver/rules/authorized_snapshot.h"
#include "keyserver/supervisor/supervisor_inside.h"

#define STOP_GRACE_MS 3000 /* past drain_timeout, for channels and processes to close */

/* ---- the net process ---- */

static void on_control(struct supervisor *s)
{
    struct control_message message;
    int r = control_receive_bare(s->control_fd, &message);

    if (r == 0 && message.kind == CONTROL_STARTED) {
        s->net_started = true;
        supervisor_await_walls(s);
        supervisor_tell_load(s);
        supervisor_announce(s);
    } else if (r == 0 && message.kind == CONTROL_TAKEN) {
        supervisor_on_wall_taken(s);
    } else if (r == ERR_CUT || r == ERR_SYSTEM) {
        supervisor_cut_net(s);
    }
}

/* ---- signals ---- */

static void stop_processes(struct supervisor *s, int status)
{
    struct child *loading = children_find(&s->children, CHILD_VAULT_LOADING),
                 *loader = children_find(&s->children, CHILD_LOADER),
                 *net = children_find(&s->children, CHILD_NET);

    s->stopping = true;
    s->status = status;
    s->stop_at_ms = clock_ms() + s->config.drain_timeout + STOP_GRACE_MS;
    process_notify("STOPPING=1");
    bool is_loading = supervisor_is_loading(s);
    supervisor_close_coming(s);
    s->ordered = false;
    if (loading != NULL)
        children_kill_one(loading);
    if (loader != NULL && is_loading)
        children_kill_one(loader);
    supervisor_close_fd(&s->order_fd); /* otherwise it ends by itself */
    if (net != NULL && (s->control_fd < 0 || control_send(s->control_fd, CONTROL_DRAIN, 0, -1) != 0))
        children_kill_one(net);
}

static void on_stop_signal(struct supervisor *s, const char *name)
{
    log_event(LOG_INFO, "stopping", "signal=%s at_once=%s", name, s->stopping ? "yes" : "no");
    if (!s->stopping) {
        stop_processes(s, 0);
        return;
    }
    supervisor_spoil_status(s, 1, "a second signal asked for the end at once: channels were cut");
    children_kill(&s->children);
}

static void on_reload_signal(struct supervisor *s)
{
    supervisor_reload(s);
    if (s->reload_again && !s->stopping)
        supervisor_say_wait(s);
}

/* ---- what died ---- */

static void on_net_end(struct supervisor *s, uint64_t lived_ms)
{
    struct child *vault = children_find(&s->children, CHILD_VAULT);

    supervisor_close_fd(&s->control_fd);
    s->net_started = false;
    if (vault != NULL) /* its wall went with the net process: it ends, and the next one gets a fresh one */
        supervisor_let_go(s, vault);
    child_backoff_died(&s->net_backoff, clock_ms(), lived_ms);
}

/* A load that was under way has failed. What the serving vault was loaded with is gone too; the next loader
 * reads it again when a vault has to be restarted. */
static void on_loader_end(struct supervisor *s, uint64_t lived_ms, bool killed)
{
    bool was_loading = supervisor_is_loading(s);

    supervisor_close_fd(&s->order_fd);
    child_backoff_died(&s->loader_backoff, clock_ms(), lived_ms);
    if (was_loading)
        supervisor_vault_failed(s, lived_ms,
                                killed ? "the loader has not answered in time, and was killed"
                                       : "the loader has died");
}

static void on_child_end(struct supervisor *s, pid_t pid, int wait_status)
{
    struct child child;

    if (children_take(&s->children, pid, &child) != 0)
        return;
    uint64_t lived_ms = clock_ms() - child.started_ms;
    children_log_end(&child, wait_status, s->stopping || child.role == CHILD_VAULT_LEAVING);
    if (s->stopping) {
        if (child.role == CHILD_NET && wait_status != 0)
            supervisor_spoil_status(
                s, 1,
                child.killed
                    ? "the net process did not take the order to end, and was killed: channels were cut"
                    : "the net process died before it had answered everything: channels were cut");
        return;
    }
    if (!s->announced && WIFEXITED(wait_status) && WEXITSTATUS(wait_status) != 0) {
        stop_processes(s, WEXITSTATUS(wait_status)); /* it cannot work as configured, and has said why */
        return;
    }
    if (child.role == CHILD_NET)
        on_net_end(s, lived_ms);
    else if (child.role == CHILD_VAULT_LOADING)
        supervisor_vault_failed(
            s, lived_ms, child.killed ? "the new vault has not become ready in time, and was killed" : NULL);
    else if (child.role == CHILD_LOADER)
        on_loader_end(s, lived_ms, child.killed);
    else if (child.role == CHILD_VAULT && !supervisor_vault_is_coming(s))
        child_backoff_died(&s->vault_backoff, clock_ms(), lived_ms);
    else if (child.role == CHILD_VAULT_LEAVING && s->reload_again)
        supervisor_reload(s);
}

static void reap(struct supervisor *s)
{
    pid_t pid;
    int status;

    while ((pid = children_wait(&s->children, !supervisor_is_loading(s), &status)) > 0)
        on_child_end(s, pid, status);
}

static void on_answer(struct supervisor *s)
{
    int status = supervisor_on_answer(s);

    if (status != 0 && !s->stopping)
        stop_processes(s, status);
    reap(s); /* a vault may have ended before it was known */
}

static void on_signal(struct supervisor *s)
{
    struct signalfd_siginfo info;

    if (read(s->signal_fd, &info, sizeof info) != (ssize_t)sizeof info)
        return;
    if (info.ssi_signo == SIGCHLD)
        reap(s);
    else if (info.ssi_signo == SIGHUP)
        on_reload_signal(s);
    else if (info.ssi_signo == SIGUSR1 || info.ssi_signo == SIGUSR2)
        log_event(LOG_WARN, "signal_ignored",
                  "signal=%s hint=\"there is no log file to reopen; HUP loads keys anew\"",
                  process_signal_name((int)info.ssi_signo));
    else
        on_stop_signal(s, info.ssi_signo == SIGTERM ? "TERM" : "INT");
}

/* ---- the loop ---- */

/* Starts what is due, and ends patience. */
static void on_time(struct supervisor *s)
{
    uint64_t now = clock_ms();

    supervisor_end_overdue(s, now);
    if (s->stopping) {
        if (now >= s->stop_at_ms)
            supervisor_end_patience(s);
        return;
    }
    supervisor_watch_load(s, now);
    supervisor_start_due(s, now);
}

static int timeout_ms(struct supervisor *s)
{
    const uint64_t dues[] = {s->net_backoff.due_ms, s->vault_backoff.due_ms, s->loader_backoff.due_ms,
                             supervisor_load_due_at(s)};
    uint64_t now = clock_ms(), first = supervisor_overdue_at(s);

    for (size_t i = 0; i < sizeof dues / sizeof dues[0] && !s->stopping; i++) {
        if (dues[i] != 0 && dues[i] < first)
            first = dues[i];
    }
    if (s->stopping && s->stop_at_ms < first)
        first = s->stop_at_ms;
    if (first == UINT64_MAX)
        return -1;
    return first <= now ? 0 : first - now > 60000 ? 60000 : (int)(first - now);
}

static void loop(struct supervisor *s)
{
    static struct fault fault;
    struct waiting waiting = {.failing = {.begun = false}};

    while (!s->stopping || children_any(&s->children)) {
        /* The loader's words come before what the vault says of which they are: that is known by the last
         * one. */
        struct pollfd fds[] = {{.fd = s->signal_fd, .events = POLLIN},
                               {.fd = supervisor_is_loading(s) ? -1 : s->coming.ready, .events = POLLIN},
                               {.fd = s->control_fd, .events = POLLIN},
                               {.fd = s->order_fd, .events = POLLIN}};
        if (waiting_poll(&waiting, fds, 4, timeout_ms(s), &fault) < 0) {
            supervisor_spoil_status(s, 1, fault.text);
            children_kill(&s->children);
            return;
        }
        if (fds[3].revents != 0 && s->order_fd >= 0)
            on_answer(s); /* first: the vault that it is about may have ended already, which the signals below
                             tell */
        if (fds[1].revents != 0 && s->coming.ready >= 0)
            supervisor_on_ready(s);
        if (fds[2].revents != 0 && s->control_fd >= 0)
            on_control(s);
        if (fds[0].revents != 0)
            on_signal(s);
        on_time(s);
    }
}

/* ---- the beginning and the end ---- */

static int catch_signals(struct supervisor *s, struct fault *fault)
{
    static const int taken[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGUSR1, SIGUSR2};
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
        sigaddset(&set, taken[i]);
    if (sigprocmask(SIG_BLOCK, &set, NULL) == 0)
        s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return s->signal_fd >= 0 ? 0 : fault_set(fault, ERR_SYSTEM, "no signals: %s", strerror(errno));
}

/* Before any child is forked: children inherit the filter, so one that is started later has the same. */
static int enter_sandbox(const struct supervisor *s, struct fault *fault)
{
    struct sandbox_state sandbox = {.files_denied = false};
    int r = sandbox_enter(&sandbox, SANDBOX_SUPERVISOR, (enum sandbox_mode)s->config.sandbox, -1, fault);

    if (r == 0)
        log_event(LOG_INFO, "sandbox", "system_calls=%s", sandbox_filter_name(sandbox.filter));
    return r;
}

/* A loader may have ended before its first order: its end follows as SIGCHLD. When that was no fault of the
 * configuration, another loader follows, and the order. */
static int order_first_vault(struct supervisor *s)
{
    errno = 0;
    int r = supervisor_start_vault(s, &s->config, s->edges_fd, CONTROL_WALL_START);
    if (r == 0 || errno != EPIPE)
        return r;
    child_backoff_died(&s->vault_backoff, clock_ms(), 0);
    return 0;
}

/* Once, at the start: a restarted net process must have the same identity, whatever the file holds by then.
 * The stack is wiped because the loader, which is forked from here, must not find the secret there. */
static int take_identity(struct supervisor *s, struct fault *fault)
{
    int r = secret_start(fault);

    if (r == 0)
        r = identity_load(&s->identity, s->config.identity, fault);
    wipe_stack();
    return r;
}

static int begin_supervising(struct supervisor *s, struct fault *fault)
{
    int r = server_sockets_check_limit(&s->config, fault);

    if (r == 0)
        r = catch_signals(s, fault);
    if (r == 0)
        r = privileges_check(s->file, s->config.user, fault);
    if (r == 0)
        r = server_sockets_bind(&s->sockets, &s->config, s->file, fault);
    if (r == 0)
        r = process_harden("keyless-server", fault);
    if (r == 0)
        r = privileges_keep_for_children(fault);
    if (r == 0)
        r = log_start(fault);
    if (r == 0)
        r = take_identity(s, fault);
    if (r == 0 && (s->edges_fd = authorized_snapshot_take(s->config.authorized_edges, fault)) < 0)
        r = s->edges_fd;
    if (r == 0 && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) /* vaults, which the loader forks */
        r = fault_set(fault, ERR_SYSTEM, "cannot adopt processes: %s", strerror(errno));
    if (r == 0)
        r = enter_sandbox(s, fault);
    if (r == 0 &&
        (supervisor_start_loader(s) != 0 || order_first_vault(s) != 0 || supervisor_start_net(s) != 0))
        r = process_fail(fault, "cannot start a process");
    return r;
}

static void clear_supervisor(struct supervisor *s)
{
    server_sockets_close(&s->sockets);
    supervisor_close_fd(&s->signal_fd);
    supervisor_close_fd(&s->control_fd);
    supervisor_close_fd(&s->order_fd);
    supervisor_close_coming(s);
    supervisor_close_fd(&s->memory.left);
    supervisor_close_fd(&s->memory.gaps);
    supervisor_close_fd(&s->edges_fd);
    secret_free(s->identity);
    supervisor_drop_reload(s);
    server_config_clear(&s->config);
}

int supervisor_run(struct server_config *config, const char *file)
{
    struct supervisor s = {.file = file,
                           .config = *config,
                           .sockets = {.admin_fd = -1},
                           .signal_fd = -1,
                           .control_fd = -1,
                           .order_fd = -1,
                           .coming = {-1, -1, -1},
                           .memory = {.left = -1, .gaps = -1},
                           .edges_fd = -1,
                           .next_edges_fd = -1};
    struct fault fault = {.text = ""};
    log_event(LOG_INFO, "starting", "version=%s file=\"%s\"", KEYLESS_VERSION, file);
    int r = process_name_limit(&fault, begin_supervising(&s, &fault));
    if (r != 0) {
        log_event(LOG_ERROR, "start_failed", "error=\"%s\"", fault.text);
        stop_processes(&s, r == ERR_CONFIG || r == ERR_NOT_FOUND ? 2 : 1);
    }
    loop(&s);
    if (s.status_why != NULL)
        log_event(LOG_ERROR, "stopped", "status=%d error=\"%s\"", s.status, s.status_why);
    else
        log_event(LOG_INFO, "stopped", "status=%d", s.status);
    clear_supervisor(&s);
    return s.status;
}
