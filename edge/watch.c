#include "edge/watch.h"

#include <assert.h>
#include <unistd.h>

/* libuv has two flags for one thing: who leaves is readable, too. */
#define COVERED_BY_READABLE (UV_READABLE | UV_DISCONNECT)

static void on_poll(uv_poll_t *poll, int status, int events);

int watch_open(struct watch *watch, uv_loop_t *loop, int fd, watch_cb *on_io, uv_close_cb on_closed,
               void *user)
{
    *watch = (struct watch){.fd = fd, .on_io = on_io, .on_closed = on_closed};
    if (uv_poll_init(loop, &watch->poll, fd) != 0) {
        close(fd);
        watch->fd = -1;
        return ERR_SYSTEM;
    }
    watch->poll.data = user;
    watch->open = true;
    return 0;
}

/* Waits for exactly EVENTS. */
static int enroll(struct watch *watch, int events)
{
    int bad = 0;

    if (events == watch->registered)
        return 0;
    if (events == 0)
        uv_poll_stop(&watch->poll);
    else
        bad = uv_poll_start(&watch->poll, events, on_poll);
    watch->registered = bad ? 0 : events;
    return bad ? ERR_SYSTEM : 0;
}

static struct watch *watch_of(uv_poll_t *poll)
{
    return (struct watch *)poll; /* its first member */
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct watch *watch = watch_of(poll);

    if (status < 0)
        watch->registered = 0; /* libuv has stopped it */
    else if ((events & watch->wanted) == 0 && enroll(watch, watch->wanted) == 0)
        return;
    watch->on_io(poll->data, status, events & watch->wanted);
}

int watch_set(struct watch *watch, int events)
{
    int covered = watch->registered & UV_READABLE ? watch->registered | COVERED_BY_READABLE
                                                  : watch->registered;

    if (!watch->open)
        return 0;
    watch->wanted = events;
    /* A socket is writable nearly always: that would only wake us. */
    bool idles = watch->registered & ~events & UV_WRITABLE;
    if ((events & ~covered) == 0 && !idles)
        return 0;
    /* Whose leaving matters is asked for words next: one registration for both. */
    return enroll(watch, events == UV_DISCONNECT && watch->registered == 0 ? UV_READABLE : events);
}

void watch_sleep(struct watch *watch)
{
    int error = watch_set(watch, 0); /* wanting less cannot fail */
    assert(error == 0);
    (void)error;
}

void watch_close(struct watch *watch)
{
    if (!watch->open)
        return;
    watch->open = false;
    uv_close((uv_handle_t *)&watch->poll, watch->on_closed);
    close(watch->fd);
    watch->fd = -1;
}
