#include "edge/watch.h"

#include <unistd.h>

int watch_open(struct watch *watch, uv_loop_t *loop, int fd, uv_poll_cb on_io, uv_close_cb on_closed,
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

void watch_sleep(struct watch *watch)
{
    if (watch->open && watch->events)
        uv_poll_stop(&watch->poll);
    watch->events = 0;
}

int watch_set(struct watch *watch, int events)
{
    if (!watch->open || events == watch->events)
        return 0;
    if (events == 0) {
        watch_sleep(watch);
        return 0;
    }
    int bad = uv_poll_start(&watch->poll, events, watch->on_io);
    watch->events = bad ? 0 : events;
    return bad ? ERR_SYSTEM : 0;
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
