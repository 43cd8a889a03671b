#include "keyserver/supervisor/supervisor_inside.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/privileges.h"
#include "common/process.h"
#include "common/secret.h"
#include "keyserver/rules/authorized_snapshot.h"

void supervisor_close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void supervisor_close_coming(struct supervisor *s)
{
    supervisor_close_fd(&s->coming.ready);
    supervisor_close_fd(&s->coming.wall);
    supervisor_close_fd(&s->coming.left);
}

int supervisor_start_vault(struct supervisor *s, const struct server_config *config, int edges_fd,
                           enum control_wall_cause cause)
{
    static const enum order_kind kinds[] = {
        [CONTROL_WALL_START] = ORDER_START,
        [CONTROL_WALL_RESTART] = ORDER_RESTART,
        [CONTROL_WALL_RELOAD] = ORDER_RELOAD,
    };

    if (s->order_fd < 0)
        return ERR_BUSY;
    s->cause = cause;
    s->wall_ready = false;
    s->loaded = (struct order_answer){.pid = 0};
    supervisor_load_begins(s);
    int r = children_order_vault(&s->children, s->order_fd, kinds[cause], config, edges_fd, &s->memory,
                                 &s->coming);
    s->ordered = r == 0;
    if (s->ordered)
        supervisor_tell_load(s);
    return r;
}

bool supervisor_is_loading(const struct supervisor *s)
{
    return s->ordered;
}

bool supervisor_vault_is_coming(const struct supervisor *s)
{
    /* Also while one has ended that waitpid() has not reported: it must not be mistaken for the next one. */
    return s->ordered || s->coming.ready >= 0 || s->wall_ready ||
           children_count(&s->children, CHILD_VAULT_LOADING) > 0;
}

/* ---- ready, and the hand-over ---- */

void supervisor_announce(struct supervisor *s)
{
    if (s->announced || !s->net_started || children_find(&s->children, CHILD_VAULT) == NULL)
        return;
    s->announced = true;
    log_event(LOG_INFO, "ready", "version=%s pid=%d", KEYLESS_VERSION, (int)getpid());
    process_notify("READY=1");
}

/* The wall of the vault that is ready, behind the list of edges that it goes by when that is a new one. */
static int send_wall(struct supervisor *s)
{
    int r = 0;

    if (s->cause == CONTROL_WALL_RELOAD)
        r = control_send(s->control_fd, CONTROL_EDGES, 0, s->next_edges_fd);
    return r != 0 ? r : control_send(s->control_fd, CONTROL_WALL, s->cause, s->coming.wall);
}

/* A loader that takes no order has died or is about to; what it held is lost either way. */
static void tell_loader(struct supervisor *s, enum order_kind kind)
{
    if (s->order_fd >= 0 && order_send(s->order_fd, kind, NULL) != 0)
        supervisor_close_fd(&s->order_fd);
}

/* The new vault serves: its configuration and list of edges become the current ones. */
static void adopt_reload(struct supervisor *s)
{
    server_config_clear(&s->config);
    s->config = s->next;
    s->next = (struct server_config){.admin = NULL};
    supervisor_close_fd(&s->edges_fd);
    s->edges_fd = s->next_edges_fd;
    s->next_edges_fd = -1;
    tell_loader(s, ORDER_KEEP);
    s->loader_holds = s->order_fd >= 0;
    log_event(LOG_INFO, "reloaded", "loaded=%u kept=%u removed=%u keys=%u", s->loaded.loaded, s->loaded.kept,
              s->loaded.removed, s->loaded.keys);
}

void supervisor_drop_reload(struct supervisor *s)
{
    server_config_clear(&s->next);
    supervisor_close_fd(&s->next_edges_fd);
    tell_loader(s, ORDER_DROP);
}

void supervisor_hand_over(struct supervisor *s)
{
    static const char *const causes[] = {"start", "restart", "reload"};
    struct child *loaded = children_find(&s->children, CHILD_VAULT_LOADING);

    if (!s->wall_ready || s->control_fd < 0 || loaded == NULL)
        return; /* the next net process gets it */
    if (send_wall(s) != 0) {
        supervisor_cut_net(s);
        return;
    }
    s->walls_untaken++;
    supervisor_await_walls(s);
    supervisor_close_fd(&s->coming.wall);
    supervisor_close_fd(&s->memory.left);
    s->memory.left = s->coming.left;
    s->coming.left = -1;
    s->wall_ready = false;
    struct child *old = children_find(&s->children, CHILD_VAULT);
    if (old != NULL)
        supervisor_let_go(s, old);
    loaded->role = CHILD_VAULT;
    supervisor_tell_load(s);
    if (s->cause == CONTROL_WALL_RELOAD)
        adopt_reload(s);
    log_event(LOG_INFO, "vault_ready", "cause=%s pid=%d", causes[s->cause], (int)loaded->pid);
    supervisor_announce(s);
    if (s->reload_again)
        supervisor_reload(s);
}

void supervisor_on_ready(struct supervisor *s)
{
    char byte;
    ssize_t n = read(s->coming.ready, &byte, 1);

    if (n < 0 && errno == EINTR)
        return;
    supervisor_close_fd(&s->coming.ready);
    if (n == 1) {
        s->wall_ready = true;
        supervisor_hand_over(s);
    } else {
        supervisor_close_coming(s); /* the end of the vault, or of the loader, follows as SIGCHLD */
    }
}

/* A reload keeps the identity. If the file has changed or is gone, say so now, not at the next restart. */
static void warn_of_identity(const struct supervisor *s)
{
    static const char hint[] = "the identity of the start stays in use until a restart";
    struct identity *other = NULL;
    struct fault fault = {.text = ""};

    if (identity_load(&other, s->next.identity, &fault) != 0)
        log_event(LOG_WARN, "identity_kept", "error=\"%s\" hint=\"%s\"", fault.text, hint);
    else if (!same_bytes(other->public, s->identity->public, sizeof other->public))
        log_event(LOG_WARN, "identity_kept", "error=\"%s: is another one now\" hint=\"%s\"", s->next.identity,
                  hint);
    secret_free(other);
    wipe_stack(); /* a loader may be forked from here */
}

/* What the next vault will go by. */
static int load_next(struct supervisor *s, struct fault *fault)
{
    int r = server_config_load(&s->next, s->file, fault);

    if (r == 0)
        r = privileges_check(s->file, s->next.user, fault);
    if (r == 0)
        s->next_edges_fd = authorized_snapshot_take(s->next.authorized_edges, fault);
    if (r == 0 && s->next_edges_fd < 0)
        r = s->next_edges_fd;
    if (r == 0)
        r = authorized_snapshot_check_kept(s->edges_fd, s->next_edges_fd, s->next.authorized_edges, fault);
    if (r == 0)
        warn_of_identity(s);
    return process_name_limit(fault, r);
}

void supervisor_reload(struct supervisor *s)
{
    struct fault fault = {.text = ""};
    int err;

    if (s->stopping)
        return;
    s->reload_again = supervisor_must_wait(s);
    if (s->reload_again)
        return;
    log_event(LOG_INFO, "reloading", "file=\"%s\"", s->file);
    if (load_next(s, &fault) != 0) {
        log_event(LOG_ERROR, "reload_failed", "error=\"%s\"", fault.text);
        supervisor_drop_reload(s);
    } else if ((err = supervisor_start_vault(s, &s->next, s->next_edges_fd, CONTROL_WALL_RELOAD)) != 0) {
        (void)supervisor_explain_start(s, CHILD_VAULT, err, &fault);
        log_event(LOG_ERROR, "reload_failed", "error=\"a vault %s\"", fault.text);
        supervisor_drop_reload(s);
    }
}

/* ---- the loader ---- */

int supervisor_start_loader(struct supervisor *s)
{
    if (s->order_fd >= 0)
        return 0;
    s->loader_holds = false;
    return children_start_loader(&s->children, &s->config, s->identity, &s->order_fd);
}

/* WHY may be NULL. */
void supervisor_vault_failed(struct supervisor *s, uint64_t lived_ms, const char *why)
{
    supervisor_close_coming(s);
    s->ordered = s->wall_ready = false;
    s->attempts[CHILD_VAULT].failed = true;
    supervisor_tell_load(s);
    if (s->cause == CONTROL_WALL_RELOAD) {
        bool serves = children_find(&s->children, CHILD_VAULT) != NULL;
        supervisor_drop_reload(s);
        log_event(LOG_ERROR, "reload_failed", "error=\"%s\"",
                  why != NULL ? why
                  : serves    ? "the new vault could not start; the old one stays"
                              : "the new vault could not start; another with the old keys follows");
    }
    if (children_find(&s->children, CHILD_VAULT) == NULL)
        child_backoff_died(&s->vault_backoff, clock_ms(), lived_ms);
    if (s->reload_again)
        supervisor_reload(s);
}

int supervisor_on_answer(struct supervisor *s)
{
    struct order_answer answer;
    int r = order_answer_receive(s->order_fd, &answer);

    if (r == ERR_BUSY)
        return 0;
    if (r != 0) { /* its end follows as SIGCHLD */
        supervisor_close_fd(&s->order_fd);
        return 0;
    }
    supervisor_load_goes_on(s);
    if (answer.goes_on)
        return 0;
    s->loaded = answer;
    s->ordered = false;
    if (s->loaded.pid > 0) {
        s->loader_holds |= s->cause != CONTROL_WALL_RELOAD;
        children_add_vault(&s->children, s->loaded.pid);
        return 0;
    }
    if (!s->announced)
        return 2; /* it cannot work as configured, and has said why */
    supervisor_vault_failed(s, 0, s->loaded.why);
    return 0;
}
