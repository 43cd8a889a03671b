/* A vault that is being loaded, and how long whoever has the next step may say nothing: the loader until a
 * vault is forked, then that vault until it is ready. A word of the loader's about keys that it has read
 * counts: a reload may take as long as it goes on. Here it shows when nothing goes on, so that nothing that
 * hangs holds up a reload, or the vault that is to replace one which died. */
#include <inttypes.h>

#include "common/clock.h"
#include "keyserver/supervisor/supervisor_inside.h"

#define SAY_MS   5000  /* of silence, then the log tells of it */
#define FORK_MS  5000  /* to fork, with everything loaded */
#define ALONE_MS 20000 /* while no vault serves, and another attempt may do better */
#define LOAD_MS  60000 /* to read one file that hardly comes, while something serves or nothing can */

void supervisor_load_begins(struct supervisor *s)
{
    s->load_heard_ms = clock_ms();
    s->load_wait_said = false;
}

void supervisor_load_goes_on(struct supervisor *s)
{
    const bool was_silent = s->load_wait_said;

    supervisor_load_begins(s);
    if (was_silent)
        supervisor_tell_load(s);
}

struct child *supervisor_load_awaits(struct supervisor *s)
{
    struct child *child = NULL;

    if (supervisor_is_loading(s))
        child = children_find(&s->children, CHILD_LOADER);
    else if (!s->wall_ready)
        child = children_find(&s->children, CHILD_VAULT_LOADING);
    return child != NULL && !child->killed ? child : NULL;
}

/* A net process that does not take it is dealt with when it is to get a vault; this is only news. */
void supervisor_tell_load(struct supervisor *s)
{
    enum control_load load;
    bool failed = s->attempts[CHILD_LOADER].failed || s->attempts[CHILD_VAULT].failed;

    if (supervisor_load_awaits(s) == NULL)
        load = failed && children_find(&s->children, CHILD_VAULT) == NULL ? CONTROL_LOAD_FAILS
                                                                          : CONTROL_LOAD_NONE;
    else
        load = s->load_wait_said ? CONTROL_LOAD_SILENT : CONTROL_LOAD_GOES_ON;
    if (s->control_fd >= 0)
        (void)!control_send(s->control_fd, CONTROL_LOAD, load, -1);
}

/* A loader that reads everything because there was none before it is as good as any that would follow. */
static uint64_t limit_ms(struct supervisor *s, const struct child *awaited)
{
    if (awaited->role == CHILD_LOADER && s->cause == CONTROL_WALL_RESTART)
        return s->loader_holds ? FORK_MS : LOAD_MS;
    return s->announced && children_find(&s->children, CHILD_VAULT) == NULL ? ALONE_MS : LOAD_MS;
}

uint64_t supervisor_load_overdue_at(struct supervisor *s)
{
    const struct child *awaited = supervisor_load_awaits(s);

    return awaited != NULL ? s->load_heard_ms + limit_ms(s, awaited) : UINT64_MAX;
}

uint64_t supervisor_load_due_at(struct supervisor *s)
{
    const uint64_t overdue = supervisor_load_overdue_at(s), say = s->load_heard_ms + SAY_MS;

    return overdue != UINT64_MAX && !s->load_wait_said && say < overdue ? say : overdue;
}

static void say_wait(struct supervisor *s, const struct child *awaited, uint64_t now_ms)
{
    char one[CHILDREN_TEXT_SIZE];

    s->load_wait_said = true;
    supervisor_tell_load(s);
    log_event(LOG_WARN, "load_waits",
              "processes=\"%s\" silent_ms=%" PRIu64 " at_most_ms=%" PRIu64 " error=\"%s\" hint=\"%s\"",
              child_text(awaited, one), now_ms - s->load_heard_ms, limit_ms(s, awaited),
              awaited->role == CHILD_LOADER ? "a vault is to be loaded, and the loader says nothing"
                                            : "a vault is loaded, and it is not ready",
              awaited->role == CHILD_LOADER
                  ? "is its process, keyless-loader, stopped, or the disk of the keys slow?"
                  : "is its process, keyless-vault, stopped, or the disk of the audit log slow?");
}

static void kill_awaited(struct supervisor *s, struct child *awaited)
{
    char one[CHILDREN_TEXT_SIZE];

    log_event(LOG_ERROR, "child_overdue", "killed=\"%s\" waited_ms=%" PRIu64 " error=\"%s\" hint=\"%s\"",
              child_text(awaited, one), limit_ms(s, awaited),
              awaited->role == CHILD_LOADER
                  ? "the loader was to load a vault, and has said nothing: another one follows, which reads "
                    "every key file"
                  : "the vault that was loaded has not become ready",
              awaited->role == CHILD_LOADER
                  ? "was its process, keyless-loader, stopped, or does the disk of the keys hang?"
                  : "was its process, keyless-vault, stopped, or does the disk of the audit log hang?");
    children_kill_one(awaited);
}

void supervisor_watch_load(struct supervisor *s, uint64_t now_ms)
{
    struct child *awaited = supervisor_load_awaits(s);

    if (awaited == NULL)
        return;
    if (s->load_heard_ms + limit_ms(s, awaited) <= now_ms)
        kill_awaited(s, awaited);
    else if (!s->load_wait_said && s->load_heard_ms + SAY_MS <= now_ms)
        say_wait(s, awaited, now_ms);
}
