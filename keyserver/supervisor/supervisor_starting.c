/* Processes that are due: each is started, and one that cannot be is told of and tried again. Here it shows
 * why a key server that lacks descriptors, memory or processes serves nobody: the reason of a failed attempt
 * is in the log once an episode, and again when it changes. */
#include <errno.h>
#include <string.h>

#include "common/clock.h"
#include "common/process.h"
#include "keyserver/supervisor/supervisor_inside.h"

#define RETRY_HINT "another attempt follows by itself, at least every five seconds"

int supervisor_start_net(struct supervisor *s)
{
    s->net_started = false;
    s->walls_untaken = 0;
    s->deadline_max = s->config.deadline_max;
    return children_start_net(&s->children, &s->config, &s->sockets, s->identity, s->edges_fd,
                              &s->control_fd);
}

int supervisor_explain_start(struct supervisor *s, enum child_role role, int err, struct fault *fault)
{
    const char *what = role == CHILD_VAULT ? "cannot be ordered" : "cannot be started";

    if (err == ERR_SYSTEM)
        return fault_set(fault, err, "%s: %s%s", what, strerror(errno), process_limit_hint(errno));
    if (err != ERR_BUSY)
        (void)fault_set(fault, err, "%s: %s", what, err_string(err));
    else if (children_find(&s->children, CHILD_FREE) == NULL)
        (void)fault_set(fault, err, "%s: too many vaults still drain", what);
    else
        (void)fault_set(fault, err, "%s: the loader does not take the order", what);
    return process_name_limit(fault, err);
}

/* An attempt to start a process of ROLE has ended with ERR, and errno. A loader that has just ended takes no
 * order: its end is told anyway, and another one follows. */
static void note_attempt(struct supervisor *s, enum child_role role, int err, uint64_t now_ms)
{
    struct start_attempts *attempts = &s->attempts[role];
    const int why = errno;
    struct fault fault = {.text = ""};

    attempts->failed = err != 0 && err != ERR_CUT;
    if (!attempts->failed)
        return;
    bool tells = episode_note(&attempts->failing, now_ms);
    if (tells || attempts->why != why) {
        (void)supervisor_explain_start(s, role, err, &fault);
        log_event(LOG_ERROR, "child_failed", "role=%s error=\"%s\" hint=\"%s\"", child_role_name(role),
                  fault.text, RETRY_HINT);
    }
    attempts->why = why;
}

static void start_net(struct supervisor *s, uint64_t now_ms)
{
    int err = supervisor_start_net(s);

    note_attempt(s, CHILD_NET, err, now_ms);
    if (err != 0)
        child_backoff_died(&s->net_backoff, now_ms, 0);
    else if (children_find(&s->children, CHILD_VAULT) == NULL && !supervisor_vault_is_coming(s) &&
             s->vault_backoff.due_ms == 0)
        s->vault_backoff.due_ms = now_ms;
    supervisor_hand_over(s);
}

static void start_loader(struct supervisor *s, uint64_t now_ms)
{
    int err = supervisor_start_loader(s);

    note_attempt(s, CHILD_LOADER, err, now_ms);
    if (err != 0)
        child_backoff_died(&s->loader_backoff, now_ms, 0);
    else if (s->reload_again)
        supervisor_reload(s);
}

static void start_vault(struct supervisor *s, uint64_t now_ms)
{
    const enum control_wall_cause cause = s->announced ? CONTROL_WALL_RESTART : CONTROL_WALL_START;
    int err = s->order_fd < 0 ? ERR_CUT : supervisor_start_vault(s, &s->config, s->edges_fd, cause);

    note_attempt(s, CHILD_VAULT, err, now_ms);
    if (err == 0)
        return;
    child_backoff_died(&s->vault_backoff, now_ms, 0);
    supervisor_tell_load(s);
}

void supervisor_start_due(struct supervisor *s, uint64_t now_ms)
{
    if (child_backoff_due(&s->net_backoff, now_ms))
        start_net(s, now_ms);
    if (child_backoff_due(&s->loader_backoff, now_ms))
        start_loader(s, now_ms);
    if (child_backoff_due(&s->vault_backoff, now_ms) && !supervisor_vault_is_coming(s))
        start_vault(s, now_ms);
}
