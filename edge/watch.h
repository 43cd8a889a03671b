/* Watch: a socket on a loop, which changes what it waits for only when that differs. Changing it costs two
 * system calls in libuv, so sessions ask for what they want after every step and pay only for a change.
 * Owns the descriptor. Loop thread only. */
#ifndef EDGE_WATCH_H
#define EDGE_WATCH_H

#include <stdbool.h>
#include <uv.h>

#include "common/err.h"

struct watch {
    uv_poll_t poll;
    int fd;           /* owned */
    int events;       /* UV_READABLE, UV_WRITABLE, UV_DISCONNECT; 0 = asleep */
    bool open;        /* the handle is in the loop */
    uv_poll_cb on_io; /* its poll->data is the user */
    uv_close_cb on_closed;
};

/* Takes FD (also when it fails: then it is closed). ON_CLOSED comes after watch_close, when the memory may
 * go. */
int watch_open(struct watch *watch, uv_loop_t *loop, int fd, uv_poll_cb on_io, uv_close_cb on_closed,
               void *user) MUST_USE;
/* Waits for EVENTS from now on. */
int watch_set(struct watch *watch, int events) MUST_USE;
/* Waits for nothing. */
void watch_sleep(struct watch *watch);
/* Closes the descriptor now; on_closed follows. Nothing happens if it is not open. */
void watch_close(struct watch *watch);

#endif
