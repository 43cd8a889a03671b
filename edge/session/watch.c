#include "edge/session/watch.h"

#include <assert.h>
#include <unistd.h>

#define BATCH 256 /* sockets served in one turn of the loop */

/* ---- one ---- */

/* Registers for exactly EVENTS. Errors are reported even for a socket with no events, but not for one that is
 * not in the set. */
static int enroll(struct watch *watch, unsigned events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};

    if (events == watch->registered)
        return 0;
    int how = watch->registered == 0 ? EPOLL_CTL_ADD : events == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
    bool done = epoll_ctl(watch->set->epoll, how, watch->fd, &event) == 0;
    if (done)
        watch->registered = events;
    return done ? 0 : ERR_SYSTEM;
}

/* A socket that is read is also watched for its end, and one that is watched for its end is read next, so
 * both get the same registration. */
static unsigned registration_for(unsigned events)
{
    return events & (WATCH_READABLE | WATCH_GONE) ? events | WATCH_READABLE | WATCH_GONE : events;
}

void watch_open(struct watch *watch, struct watches *set, int fd, watch_cb *on_io, watch_closed_cb *on_closed,
                void *user)
{
    *watch = (struct watch){
        .set = set, .fd = fd, .open = true, .on_io = on_io, .on_closed = on_closed, .user = user};
}

void watch_replace(struct watch *watch, int fd)
{
    assert(watch->open);
    close(watch->fd); /* closing takes it out of the set, too */
    watch->fd = fd;
    watch->registered = watch->wanted = 0;
}

int watch_set(struct watch *watch, unsigned events)
{
    if (!watch->open)
        return 0;
    watch->wanted = events;
    /* A socket is nearly always writable: watching for that without need would only wake the loop. */
    bool idles = watch->registered & ~events & WATCH_WRITABLE;
    if ((events & ~watch->registered) == 0 && !idles)
        return 0;
    return enroll(watch, registration_for(events));
}

void watch_sleep(struct watch *watch)
{
    int err = watch_set(watch, 0); /* wanting less cannot fail */
    assert(err == 0);
    (void)err;
}

static void happen(struct watch *watch, unsigned events)
{
    if (!watch->open)
        return; /* an event before this one in the batch closed it */
    if (events & (EPOLLERR | EPOLLHUP))
        events |= WATCH_READABLE | WATCH_WRITABLE | WATCH_GONE;
    if (events & watch->wanted)
        watch->on_io(watch->user, events & watch->wanted);
    else
        (void)enroll(watch, watch->wanted); /* stops an unwanted event; cannot fail */
}

/* ---- all ---- */

static void bury(struct watches *set)
{
    struct watch *watch;

    while ((watch = STAILQ_FIRST(&set->closed))) {
        STAILQ_REMOVE_HEAD(&set->closed, in_closed);
        watch->on_closed(watch->user);
    }
}

static void on_idle(uv_idle_t *idle)
{
    uv_idle_stop(idle);
    bury(idle->data);
}

void watch_close(struct watch *watch)
{
    struct watches *set = watch->set;

    if (!watch->open)
        return;
    watch->open = false;
    close(watch->fd); /* closing takes it out of the set, too */
    watch->fd = -1;
    STAILQ_INSERT_TAIL(&set->closed, watch, in_closed);
    if (!set->in_batch)
        uv_idle_start(&set->idle, on_idle);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct watches *set = poll->data;
    struct epoll_event batch[BATCH];

    (void)status, (void)events;
    int count = epoll_wait(set->epoll, batch, BATCH, 0);
    set->in_batch = true;
    for (int i = 0; i < count; i++)
        happen(batch[i].data.ptr, batch[i].events);
    set->in_batch = false;
    bury(set);
}

int watches_init(struct watches *set, uv_loop_t *loop)
{
    *set = (struct watches){.epoll = epoll_create1(EPOLL_CLOEXEC)};
    STAILQ_INIT(&set->closed);
    if (set->epoll < 0)
        return ERR_SYSTEM;
    if (uv_poll_init(loop, &set->poll, set->epoll) != 0) {
        close(set->epoll);
        return ERR_SYSTEM;
    }
    uv_idle_init(loop, &set->idle);
    set->poll.data = set->idle.data = set;
    uv_poll_start(&set->poll, UV_READABLE, on_poll);
    return 0;
}

void watches_close(struct watches *set)
{
    assert(STAILQ_EMPTY(&set->closed));
    uv_close((uv_handle_t *)&set->idle, NULL);
    uv_close((uv_handle_t *)&set->poll, NULL);
    close(set->epoll);
    set->epoll = -1;
}
