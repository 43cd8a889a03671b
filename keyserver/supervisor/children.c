#include "keyserver/supervisor/children.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/process.h"
#include "common/secret.h"
#include "keyserver/net/control.h"
#include "keyserver/net/net.h"
#include "keyserver/supervisor/child.h"
#include "keyserver/vault/loader.h"
#include "keyserver/wall/wall.h"

_Static_assert(SERVER_LISTENERS_MAX + 3 <= CHILD_DESCRIPTORS_MAX,
               "listeners, control, edges and admin are kept");

static const char *const role_names[] = {"", "net", "loader", "vault", "vault", "vault"};

const char *child_role_name(enum child_role role)
{
    return role_names[role];
}

struct child *children_find(struct children *children, enum child_role role)
{
    for (size_t i = 0; i < CHILDREN_MAX; i++) {
        if (children->item[i].role == role)
            return &children->item[i];
    }
    return NULL;
}

size_t children_count(const struct children *children, enum child_role role)
{
    size_t count = 0;

    for (size_t i = 0; i < CHILDREN_MAX; i++)
        count += children->item[i].role == role;
    return count;
}

bool children_any(const struct children *children)
{
    for (size_t i = 0; i < CHILDREN_MAX; i++) {
        if (children->item[i].role != CHILD_FREE)
            return true;
    }
    return false;
}

pid_t children_wait(const struct children *children, bool others_too, int *wait_status)
{
    for (size_t i = 0; i < CHILDREN_MAX; i++) {
        const struct child *child = &children->item[i];
        if (child->role != CHILD_FREE && waitpid(child->pid, wait_status, WNOHANG) == child->pid)
            return child->pid;
    }
    pid_t pid = others_too ? waitpid(-1, wait_status, WNOHANG) : 0;
    return pid > 0 ? pid : 0;
}

int children_take(struct children *children, pid_t pid, struct child *out)
{
    for (size_t i = 0; i < CHILDREN_MAX; i++) {
        if (children->item[i].role != CHILD_FREE && children->item[i].pid == pid) {
            *out = children->item[i];
            children->item[i].role = CHILD_FREE;
            return 0;
        }
    }
    return ERR_NOT_FOUND;
}

/* It waits to be reaped: to kill it has no effect, and how it ended was its own doing. */
static bool has_ended(const struct child *child)
{
    siginfo_t info = {.si_pid = 0};

    return waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0;
}

void children_kill_one(struct child *child)
{
    child->killed |= !has_ended(child) && kill(child->pid, SIGKILL) == 0;
}

void children_kill(struct children *children)
{
    for (size_t i = 0; i < CHILDREN_MAX; i++) {
        if (children->item[i].role != CHILD_FREE)
            children_kill_one(&children->item[i]);
    }
}

const char *children_text(const struct children *children, enum child_role role,
                          char out[static CHILDREN_TEXT_SIZE])
{
    size_t length = 0;

    out[0] = 0;
    for (size_t i = 0; i < CHILDREN_MAX; i++) {
        const struct child *child = &children->item[i];
        if (child->role != CHILD_FREE && (role == CHILD_FREE || child->role == role))
            length += (size_t)snprintf(out + length, CHILDREN_TEXT_SIZE - length, "%s%s %d",
                                       length > 0 ? ", " : "", role_names[child->role], (int)child->pid);
    }
    return out;
}

const char *child_text(const struct child *child, char out[static CHILDREN_TEXT_SIZE])
{
    return children_text(&(struct children){.item = {*child}}, CHILD_FREE, out);
}

void children_log_end(const struct child *child, int wait_status, bool expected)
{
    bool by_signal = WIFSIGNALED(wait_status);
    int value = by_signal ? WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
    bool fine = (expected && !by_signal && value == 0) || (child->killed && by_signal && value == SIGKILL);

    log_event(fine ? LOG_INFO : LOG_ERROR, fine ? "child_ended" : "child_died", "role=%s pid=%d %s=%d",
              role_names[child->role], (int)child->pid, by_signal ? "signal" : "status", value);
}

static void add_child(struct children *children, enum child_role role, pid_t pid)
{
    struct child *child = children_find(children, CHILD_FREE);

    *child = (struct child){.role = role, .pid = pid, .started_ms = clock_ms()};
    log_event(LOG_INFO, "child_started", "role=%s pid=%d", role_names[role], (int)pid);
}

/* In the child: log lines that say which process they come from. */
static void name_logs(const char *name, const struct server_config *config)
{
    log_init(name, (enum log_level)config->log_level, (enum log_format)config->log_format);
}

int children_start_net(struct children *children, const struct server_config *config,
                       const struct server_sockets *sockets, struct identity *identity, int edges_fd,
                       int *control_fd)
{
    int control[2], fds[CHILD_DESCRIPTORS_MAX];
    size_t count = 0;

    if (children_find(children, CHILD_FREE) == NULL)
        return ERR_BUSY;
    if (control_pair(control) != 0)
        return ERR_SYSTEM;
    server_sockets_listen(sockets);
    fds[count++] = control[1];
    fds[count++] = edges_fd;
    for (size_t i = 0; i < sockets->listener_count; i++)
        fds[count++] = sockets->listeners[i];
    if (sockets->admin_fd >= 0)
        fds[count++] = sockets->admin_fd;
    pid_t pid = child_fork(role_names[CHILD_NET], fds, count);
    if (pid == 0) {
        const int *listeners = fds + 2;
        const struct net_descriptors given = {
            .control = fds[0],
            .edges = fds[1],
            .identity = identity,
            .listeners = listeners,
            .listener_count = sockets->listener_count,
            .admin = sockets->admin_fd >= 0 ? listeners[sockets->listener_count] : -1};
        name_logs("keyless-server[net]", config);
        log_leave(net_run(config, &given));
    }
    close(control[1]);
    if (pid < 0) {
        close(control[0]);
        return ERR_SYSTEM;
    }
    *control_fd = control[0];
    add_child(children, CHILD_NET, pid);
    return 0;
}

int children_start_loader(struct children *children, const struct server_config *config,
                          struct identity *identity, int *order_fd)
{
    int pair[2];

    if (children_find(children, CHILD_FREE) == NULL)
        return ERR_BUSY;
    if (order_pair(pair) != 0)
        return ERR_SYSTEM;
    pid_t supervisor = getpid(), pid = child_fork(role_names[CHILD_LOADER], &pair[1], 1);
    if (pid == 0) {
        secret_free(identity);
        name_logs("keyless-server[loader]", config);
        log_leave(loader_run(config, supervisor, pair[1]));
    }
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        return ERR_SYSTEM;
    }
    *order_fd = pair[0];
    add_child(children, CHILD_LOADER, pid);
    return 0;
}

/* All that comes with an order but the configuration, and the ends that stay here; whatever was made before a
 * failure is there to be closed. */
static int make_ends(struct order_descriptors *fds, struct vault_ends *ends, int edges_fd,
                     struct vault_memory *memory)
{
    int ready[2];

    if (pipe2(ready, O_CLOEXEC) != 0)
        return ERR_SYSTEM;
    ends->ready = ready[0];
    fds->ready = ready[1];
    fds->edges = fcntl(edges_fd, F_DUPFD_CLOEXEC, 0);
    ends->left = order_memory();
    fds->before = memory->left >= 0 ? fcntl(memory->left, F_DUPFD_CLOEXEC, 0) : order_memory();
    fds->own = ends->left >= 0 ? fcntl(ends->left, F_DUPFD_CLOEXEC, 0) : -1;
    if (memory->gaps < 0)
        memory->gaps = order_memory();
    fds->gaps = memory->gaps >= 0 ? fcntl(memory->gaps, F_DUPFD_CLOEXEC, 0) : -1;
    if (fds->edges < 0 || fds->before < 0 || fds->own < 0 || fds->gaps < 0)
        return ERR_SYSTEM;
    return wall_pair(&ends->wall, &fds->wall) == 0 ? 0 : ERR_SYSTEM;
}

int children_order_vault(struct children *children, int order_fd, enum order_kind kind,
                         const struct server_config *config, int edges_fd, struct vault_memory *memory,
                         struct vault_ends *out)
{
    struct order_descriptors fds = {-1, -1, -1, -1, -1, -1, -1};
    struct vault_ends ends = {-1, -1, -1};
    int err = children_find(children, CHILD_FREE) == NULL ? ERR_BUSY : 0;

    if (err == 0)
        err = make_ends(&fds, &ends, edges_fd, memory);
    if (err == 0 && (fds.config = server_config_seal(config)) < 0)
        err = fds.config;
    if (err == 0)
        err = order_send(order_fd, kind, &fds);
    order_close(&fds);
    if (err == 0) {
        *out = ends;
        return 0;
    }
    const int made[] = {ends.wall, ends.ready, ends.left};
    for (size_t i = 0; i < sizeof made / sizeof made[0]; i++)
        if (made[i] >= 0)
            close(made[i]);
    return err;
}

void children_add_vault(struct children *children, pid_t pid)
{
    if (children_find(children, CHILD_FREE) != NULL)
        add_child(children, CHILD_VAULT_LOADING, pid);
    else /* there was room when it was ordered */
        kill(pid, SIGKILL);
}
