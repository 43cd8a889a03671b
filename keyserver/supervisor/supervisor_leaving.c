/* Processes that are to end by themselves, and what waits for that. A vault which was replaced ends when the
 * net process has closed its wall. Here it shows when neither happens: nothing that hangs, and no net process
 * that somebody has taken over, keeps rights and keys in use which a reload has taken away. */
#include <inttypes.h>

#include "common/clock.h"
#include "keyserver/supervisor/supervisor_inside.h"

/* To end. For a vault it begins when the last request that it had may have been answered: the net process
 * learns that from the vault's figures, which come once a second, and the vault finishes its batch and its
 * log. */
#define GRACE_MS 5000
/* Vaults that may still drain when another reload begins; the net process has room for them. */
#define LEAVING_MAX 2

/* The net process that has been cut off, or that has, is to end at once. */
static uint64_t patience_ms(const struct supervisor *s, enum child_role role)
{
    return role == CHILD_NET && s->control_fd < 0 ? GRACE_MS : s->deadline_max + GRACE_MS;
}

void supervisor_let_go(struct supervisor *s, struct child *vault)
{
    vault->role = CHILD_VAULT_LEAVING;
    vault->end_by_ms = clock_ms() + patience_ms(s, vault->role);
}

void supervisor_cut_net(struct supervisor *s)
{
    struct child *net = children_find(&s->children, CHILD_NET);

    supervisor_close_fd(&s->control_fd);
    if (net != NULL && !s->stopping)
        net->end_by_ms = clock_ms() + patience_ms(s, net->role);
}

void supervisor_await_walls(struct supervisor *s)
{
    struct child *net = children_find(&s->children, CHILD_NET);

    if (net != NULL && net->end_by_ms == 0 && s->walls_untaken > 0 && s->net_started && !s->stopping)
        net->end_by_ms = clock_ms() + patience_ms(s, net->role);
}

void supervisor_on_wall_taken(struct supervisor *s)
{
    struct child *net = children_find(&s->children, CHILD_NET);

    if (net == NULL || s->walls_untaken == 0)
        return;
    s->walls_untaken--;
    net->end_by_ms = 0; /* each has a time of its own */
    supervisor_await_walls(s);
}

uint64_t supervisor_overdue_at(const struct supervisor *s)
{
    uint64_t first = UINT64_MAX;

    for (size_t i = 0; i < CHILDREN_MAX; i++) {
        const struct child *child = &s->children.item[i];
        if (child->role != CHILD_FREE && child->end_by_ms != 0 && child->end_by_ms < first)
            first = child->end_by_ms;
    }
    return first;
}

static void kill_overdue(struct supervisor *s, struct child *child)
{
    bool is_net = child->role == CHILD_NET;
    char one[CHILDREN_TEXT_SIZE];

    log_event(
        LOG_WARN, "child_overdue", "killed=\"%s\" waited_ms=%" PRIu64 " error=\"%s\" hint=\"%s\"",
        child_text(child, one), patience_ms(s, child->role),
        is_net ? "the net process does not listen to the supervisor any more, and has not ended: its "
                 "channels are cut"
               : "this vault was replaced and has not ended: what it has not answered is lost",
        is_net ? "its process, keyless-net, hangs, or somebody has taken it over"
               : "was its process, keyless-vault, or keyless-net stopped, or does one hang? If not, the net "
                 "process holds on to the vault: look for who has taken it over");
    children_kill_one(child);
    child->end_by_ms = 0;
}

void supervisor_end_overdue(struct supervisor *s, uint64_t now_ms)
{
    for (size_t i = 0; i < CHILDREN_MAX; i++) {
        struct child *child = &s->children.item[i];
        if (child->role != CHILD_FREE && child->end_by_ms != 0 && child->end_by_ms <= now_ms)
            kill_overdue(s, child);
    }
}

void supervisor_spoil_status(struct supervisor *s, int status, const char *why)
{
    if (s->status != 0)
        return;
    s->status = status;
    s->status_why = why;
}

void supervisor_end_patience(struct supervisor *s)
{
    char killed[CHILDREN_TEXT_SIZE];
    bool cut = children_find(&s->children, CHILD_NET) != NULL;

    log_event(
        cut ? LOG_ERROR : LOG_WARN, "stop_timeout", "killed=\"%s\" error=\"%s\" hint=\"%s\"",
        children_text(&s->children, CHILD_FREE, killed),
        cut ? "the net process has not ended: channels are cut, and requests may be left without an answer"
            : "the net process has ended, another one has not",
        cut ? "raise drain_timeout; was keyless-net stopped, or does it hang?"
            : "was it stopped, or does it hang, on the disk of the audit log for example?");
    if (cut)
        supervisor_spoil_status(s, 1, "the net process was killed, because it did not end in time");
    s->stop_at_ms = UINT64_MAX;
    children_kill(&s->children);
}

enum obstacle {
    NOTHING,
    LOADER,  /* there is none, and another follows */
    LOADING, /* of a vault goes on */
    LEAVING, /* are as many vaults as may */
};

static enum obstacle obstacle(const struct supervisor *s)
{
    if (s->order_fd < 0)
        return LOADER;
    if (supervisor_vault_is_coming(s))
        return LOADING;
    return children_count(&s->children, CHILD_VAULT_LEAVING) >= LEAVING_MAX ? LEAVING : NOTHING;
}

bool supervisor_must_wait(const struct supervisor *s)
{
    return obstacle(s) != NOTHING;
}

/* When at the latest; UINT64_MAX: when another loader is there. */
static uint64_t waits_until(struct supervisor *s, enum obstacle found)
{
    if (found == LOADING)
        return supervisor_load_overdue_at(s);
    return found == LEAVING ? supervisor_overdue_at(s) : UINT64_MAX;
}

void supervisor_say_wait(struct supervisor *s)
{
    static const char *const reasons[] = {"", "loader", "loading", "leaving"};
    static const enum child_role roles[] = {CHILD_FREE, CHILD_LOADER, CHILD_VAULT_LOADING,
                                            CHILD_VAULT_LEAVING};
    const enum obstacle found = obstacle(s);
    const uint64_t now = clock_ms(), due = waits_until(s, found);
    const struct child *awaited = found == LOADING ? supervisor_load_awaits(s) : NULL;
    char text[CHILDREN_TEXT_SIZE];
    const char *processes = awaited != NULL ? child_text(awaited, text)
                                            : children_text(&s->children, roles[found], text);

    if (due != UINT64_MAX)
        log_event(LOG_INFO, "reload_waits", "reason=%s processes=\"%s\" at_most_ms=%" PRIu64, reasons[found],
                  processes, due > now ? due - now : 0);
    else if (found != NOTHING)
        log_event(LOG_INFO, "reload_waits", "reason=%s processes=\"%s\"", reasons[found], processes);
}
