#include "keyserver/supervisor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/privileges.h"
#include "common/process.h"
#include "keyserver/authorized_snapshot.h"
#include "keyserver/child.h"
#include "keyserver/children.h"
#include "keyserver/net/control.h"
#include "keyserver/server_sockets.h"

#define LEAVING_MAX                                                                                          \
    2 /* vaults that may still drain when another reload begins; the net process has room for                \
         them */
#define STOP_GRACE_MS 3000 /* past drain_timeout, for channels and processes to close */

struct supervisor {
    const char *file;            /* borrowed */
    struct server_config config; /* owned; what the vault that serves was started with */
    struct server_config next;   /* owned; of the vault that loads on reload, else empty */
    int edges_fd;                /* the snapshot of authorized_edges that counts now */
    int next_edges_fd;           /* of the vault that loads on reload; -1 = none */
    struct server_sockets sockets;
    struct children children;
    int signal_fd;  /* SIGTERM, SIGINT, SIGHUP, SIGCHLD */
    int control_fd; /* to the net process; -1 = there is none */
    int ready_fd;   /* from the vault that loads; -1 = none loads */
    int wall_fd;    /* the net process's end of the vault that loads or has just loaded; -1 = none */
    bool wall_ready;
    enum control_wall_cause cause; /* of that vault */
    struct child_backoff net_backoff;
    struct child_backoff vault_backoff;
    bool net_started;
    bool announced;    /* was ready once; from then on whatever dies is restarted */
    bool reload_again; /* SIGHUP came while a vault was loading, or too many were draining */
    bool stopping;
    uint64_t stop_at_ms; /* when patience ends */
    int status;
};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* ---- starting ---- */

static int start_net(struct supervisor *s)
{
    s->net_started = false;
    return children_start_net(&s->children, &s->config, &s->sockets, s->edges_fd, &s->control_fd);
}

/* Forks a vault that loads by CONFIG and EDGES_FD. Its wall is handed over once it is ready. */
static int start_vault(struct supervisor *s, const struct server_config *config, int edges_fd,
                       enum control_wall_cause cause)
{
    s->cause = cause;
    s->wall_ready = false;
    return children_start_vault(&s->children, config, edges_fd, &s->wall_fd, &s->ready_fd);
}

static bool vault_is_coming(const struct supervisor *s)
{
    return s->ready_fd >= 0 || s->wall_ready;
}

/* ---- ready, and the hand-over ---- */

static void announce(struct supervisor *s)
{
    if (s->announced || !s->net_started || children_find(&s->children, CHILD_VAULT) == NULL)
        return;
    s->announced = true;
    log_event(LOG_INFO, "ready", "version=%s pid=%d", KEYLESS_VERSION, (int)getpid());
    process_notify("READY=1");
}

static void reload(struct supervisor *s);

/* The wall of the vault that is ready, behind the list of edges that it goes by when that is a new one. */
static int send_wall(struct supervisor *s)
{
    int r = 0;

    if (s->cause == CONTROL_WALL_RELOAD)
        r = control_send(s->control_fd, CONTROL_EDGES, 0, s->next_edges_fd);
    return r != 0 ? r : control_send(s->control_fd, CONTROL_WALL, s->cause, s->wall_fd);
}

/* What the vault that has taken over was loaded with is what counts from now on. */
static void adopt_reload(struct supervisor *s)
{
    server_config_clear(&s->config);
    s->config = s->next;
    s->next = (struct server_config){.admin = NULL};
    close_fd(&s->edges_fd);
    s->edges_fd = s->next_edges_fd;
    s->next_edges_fd = -1;
}

static void drop_reload(struct supervisor *s)
{
    server_config_clear(&s->next);
    close_fd(&s->next_edges_fd);
}

/* Gives the wall of a vault that is ready to the net process, if both are there. */
static void hand_over(struct supervisor *s)
{
    static const char *const causes[] = {"start", "restart", "reload"};
    struct child *loaded = children_find(&s->children, CHILD_VAULT_LOADING);

    if (!s->wall_ready || s->control_fd < 0 || loaded == NULL || send_wall(s) != 0)
        return; /* the next net process gets it */
    close_fd(&s->wall_fd);
    s->wall_ready = false;
    struct child *old = children_find(&s->children, CHILD_VAULT);
    if (old != NULL)
        old->role = CHILD_VAULT_LEAVING;
    loaded->role = CHILD_VAULT;
    if (s->cause == CONTROL_WALL_RELOAD)
        adopt_reload(s);
    log_event(LOG_INFO, "vault_ready", "cause=%s pid=%d", causes[s->cause], (int)loaded->pid);
    announce(s);
    if (s->reload_again)
        reload(s);
}

static void on_ready(struct supervisor *s)
{
    char byte;
    ssize_t n = read(s->ready_fd, &byte, 1);

    if (n < 0 && errno == EINTR)
        return;
    close_fd(&s->ready_fd);
    if (n == 1) {
        s->wall_ready = true;
        hand_over(s);
    } else {
        close_fd(&s->wall_fd); /* its end follows as SIGCHLD */
    }
}

static void on_control(struct supervisor *s)
{
    struct control_message message;
    int passed;
    int r = control_receive(s->control_fd, &message, &passed);

    if (passed >= 0)
        close(passed);
    if (r == 0 && message.kind == CONTROL_STARTED) {
        s->net_started = true;
        announce(s);
    } else if (r == ERR_CUT || r == ERR_SYSTEM) {
        close_fd(&s->control_fd);
    }
}

/* ---- signals ---- */

static void stop(struct supervisor *s, int status)
{
    struct child *loading = children_find(&s->children, CHILD_VAULT_LOADING),
                 *net = children_find(&s->children, CHILD_NET);

    s->stopping = true;
    s->status = status;
    s->stop_at_ms = clock_ms() + s->config.drain_timeout + STOP_GRACE_MS;
    process_notify("STOPPING=1");
    close_fd(&s->ready_fd);
    close_fd(&s->wall_fd);
    if (loading != NULL)
        kill(loading->pid, SIGKILL);
    if (net != NULL && (s->control_fd < 0 || control_send(s->control_fd, CONTROL_DRAIN, 0, -1) != 0))
        kill(net->pid, SIGKILL);
}

static void on_stop_signal(struct supervisor *s, const char *name)
{
    log_event(LOG_INFO, "stopping", "signal=%s at_once=%s", name, s->stopping ? "yes" : "no");
    if (!s->stopping) {
        stop(s, 0);
        return;
    }
    s->status = 1;
    children_kill(&s->children);
}

/* What the next vault will go by. */
static int load_next(struct supervisor *s, struct fault *fault)
{
    int r = server_config_load(&s->next, s->file, fault);

    if (r == 0)
        r = privileges_check(s->file, s->next.user, fault);
    if (r == 0)
        s->next_edges_fd = authorized_snapshot_take(s->next.authorized_edges, fault);
    return r != 0 ? r : s->next_edges_fd < 0 ? s->next_edges_fd : 0;
}

static void reload(struct supervisor *s)
{
    struct fault fault = {.text = ""};

    if (s->stopping)
        return;
    s->reload_again = vault_is_coming(s) || children_count(&s->children, CHILD_VAULT_LEAVING) >= LEAVING_MAX;
    if (s->reload_again)
        return;
    log_event(LOG_INFO, "reloading", "file=\"%s\"", s->file);
    if (load_next(s, &fault) != 0) {
        log_event(LOG_ERROR, "reload_failed", "error=\"%s\"", fault.text);
        drop_reload(s);
    } else if (start_vault(s, &s->next, s->next_edges_fd, CONTROL_WALL_RELOAD) != 0) {
        log_event(LOG_ERROR, "reload_failed", "error=\"%s\"",
                  children_find(&s->children, CHILD_FREE) == NULL ? "too many vaults still drain"
                                                                  : strerror(errno));
        drop_reload(s);
    }
}

/* ---- what died ---- */

static void on_net_end(struct supervisor *s, uint64_t lived_ms)
{
    struct child *vault = children_find(&s->children, CHILD_VAULT);

    close_fd(&s->control_fd);
    s->net_started = false;
    if (vault != NULL) /* its wall went with the net process: it ends, and the next one gets a fresh one */
        vault->role = CHILD_VAULT_LEAVING;
    child_backoff_died(&s->net_backoff, clock_ms(), lived_ms);
}

/* A vault that did not come to serve. */
static void on_loading_end(struct supervisor *s, uint64_t lived_ms)
{
    close_fd(&s->ready_fd);
    close_fd(&s->wall_fd);
    s->wall_ready = false;
    if (s->cause == CONTROL_WALL_RELOAD) {
        drop_reload(s);
        log_event(LOG_ERROR, "reload_failed", "error=\"the new vault could not load; the old one stays\"");
    }
    if (children_find(&s->children, CHILD_VAULT) == NULL)
        child_backoff_died(&s->vault_backoff, clock_ms(), lived_ms);
    if (s->reload_again)
        reload(s);
}

static void on_child_end(struct supervisor *s, pid_t pid, int wait_status)
{
    struct child child;

    if (children_take(&s->children, pid, &child) != 0)
        return;
    uint64_t lived_ms = clock_ms() - child.started_ms;
    children_log_end(&child, wait_status, s->stopping || child.role == CHILD_VAULT_LEAVING);
    if (s->stopping) {
        if (child.role == CHILD_NET && wait_status != 0 && s->status == 0)
            s->status = 1;
        return;
    }
    if (!s->announced && WIFEXITED(wait_status) && WEXITSTATUS(wait_status) != 0) {
        stop(s, WEXITSTATUS(wait_status)); /* it cannot work as configured, and has said why */
        return;
    }
    if (child.role == CHILD_NET)
        on_net_end(s, lived_ms);
    else if (child.role == CHILD_VAULT_LOADING)
        on_loading_end(s, lived_ms);
    else if (child.role == CHILD_VAULT && !vault_is_coming(s))
        child_backoff_died(&s->vault_backoff, clock_ms(), lived_ms);
    else if (child.role == CHILD_VAULT_LEAVING && s->reload_again)
        reload(s);
}

static void reap(struct supervisor *s)
{
    pid_t pid;
    int status;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        on_child_end(s, pid, status);
}

static void on_signal(struct supervisor *s)
{
    struct signalfd_siginfo info;

    if (read(s->signal_fd, &info, sizeof info) != (ssize_t)sizeof info)
        return;
    if (info.ssi_signo == SIGCHLD)
        reap(s);
    else if (info.ssi_signo == SIGHUP)
        reload(s);
    else
        on_stop_signal(s, info.ssi_signo == SIGTERM ? "TERM" : "INT");
}

/* ---- the loop ---- */

/* Starts what is due, and ends patience. */
static void on_time(struct supervisor *s)
{
    uint64_t now = clock_ms();

    if (s->stopping) {
        if (now >= s->stop_at_ms) {
            log_event(LOG_ERROR, "stop_timeout", "hint=\"raise drain_timeout\"");
            s->status = 1;
            s->stop_at_ms = UINT64_MAX;
            children_kill(&s->children);
        }
        return;
    }
    if (child_backoff_due(&s->net_backoff, now)) {
        if (start_net(s) != 0)
            child_backoff_died(&s->net_backoff, now, 0);
        else if (children_find(&s->children, CHILD_VAULT) == NULL && !vault_is_coming(s) &&
                 s->vault_backoff.due_ms == 0)
            s->vault_backoff.due_ms = now;
        hand_over(s);
    }
    if (child_backoff_due(&s->vault_backoff, now) && !vault_is_coming(s) &&
        start_vault(s, &s->config, s->edges_fd, CONTROL_WALL_RESTART) != 0)
        child_backoff_died(&s->vault_backoff, now, 0);
}

static int timeout_ms(const struct supervisor *s)
{
    const uint64_t dues[] = {s->net_backoff.due_ms, s->vault_backoff.due_ms};
    uint64_t now = clock_ms(), first = UINT64_MAX;

    for (size_t i = 0; i < 2 && !s->stopping; i++) {
        if (dues[i] != 0 && dues[i] < first)
            first = dues[i];
    }
    if (s->stopping)
        first = s->stop_at_ms;
    if (first == UINT64_MAX)
        return -1;
    return first <= now ? 0 : first - now > 60000 ? 60000 : (int)(first - now);
}

static void loop(struct supervisor *s)
{
    while (!s->stopping || children_any(&s->children)) {
        struct pollfd fds[] = {{.fd = s->signal_fd, .events = POLLIN},
                               {.fd = s->ready_fd, .events = POLLIN},
                               {.fd = s->control_fd, .events = POLLIN}};
        if (poll(fds, 3, timeout_ms(s)) < 0 && errno != EINTR)
            return;
        if (fds[1].revents != 0 && s->ready_fd >= 0)
            on_ready(s);
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
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &set, NULL) == 0)
        s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return s->signal_fd >= 0 ? 0 : fault_set(fault, ERR_SYSTEM, "no signals: %s", strerror(errno));
}

static int begin(struct supervisor *s, struct fault *fault)
{
    int r = catch_signals(s, fault);

    if (r == 0)
        r = privileges_check(s->file, s->config.user, fault);
    if (r == 0)
        r = server_sockets_bind(&s->sockets, &s->config, s->file, fault);
    if (r == 0)
        r = process_harden("keyless-server", fault);
    if (r == 0)
        r = privileges_keep_for_children(fault);
    if (r == 0 && (s->edges_fd = authorized_snapshot_take(s->config.authorized_edges, fault)) < 0)
        r = s->edges_fd;
    if (r == 0 && (start_vault(s, &s->config, s->edges_fd, CONTROL_WALL_START) != 0 || start_net(s) != 0))
        r = fault_set(fault, ERR_SYSTEM, "cannot start a process: %s", strerror(errno));
    return r;
}

static void end(struct supervisor *s)
{
    server_sockets_close(&s->sockets);
    close_fd(&s->signal_fd);
    close_fd(&s->control_fd);
    close_fd(&s->ready_fd);
    close_fd(&s->wall_fd);
    close_fd(&s->edges_fd);
    drop_reload(s);
    server_config_clear(&s->config);
}

int supervisor_run(struct server_config *config, const char *file)
{
    struct supervisor s = {.file = file,
                           .config = *config,
                           .sockets = {.admin_fd = -1},
                           .signal_fd = -1,
                           .control_fd = -1,
                           .ready_fd = -1,
                           .wall_fd = -1,
                           .edges_fd = -1,
                           .next_edges_fd = -1};
    struct fault fault = {.text = ""};

    log_event(LOG_INFO, "starting", "version=%s file=\"%s\"", KEYLESS_VERSION, file);
    int r = begin(&s, &fault);
    if (r != 0) {
        log_event(LOG_ERROR, "start_failed", "error=\"%s\"", fault.text);
        stop(&s, r == ERR_CONFIG || r == ERR_NOT_FOUND ? 2 : 1);
    }
    loop(&s);
    log_event(LOG_INFO, "stopped", "status=%d", s.status);
    end(&s);
    return s.status;
}
