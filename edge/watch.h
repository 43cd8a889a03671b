/* Watch: a socket on a loop, which changes its registration only when it must. A change costs two system
 * calls in libuv, so sessions say what they want after every step, and what is not wanted any more stays
 * registered until it happens: most often it does not before it is wanted again. Owns the descriptor. Loop
 * thread only. */
#ifndef EDGE_WATCH_H
#define EDGE_WATCH_H

#include <stdbool.h>
#include <uv.h>

#include "common/err.h"

/* EVENTS are those that were wanted; STATUS is negative when the socket is in error: reading will tell. */
typedef void watch_cb(void *user, int status, int events);

struct watch {
    uv_poll_t poll;
    int fd;         /* owned */
    int wanted;     /* UV_READABLE, UV_WRITABLE, UV_DISCONNECT; 0 = asleep */
    int registered; /* what the loop waits for; covers what is wanted */
    bool open;      /* the handle is in the loop */
    watch_cb *on_io;
    uv_close_cb on_closed; /* its handle's data is the user */
};

/* Takes FD (also when it fails: then it is closed). ON_CLOSED comes after watch_close, when the memory may
 * go. */
int watch_open(struct watch *watch, uv_loop_t *loop, int fd, watch_cb *on_io, uv_close_cb on_closed,
               void *user) MUST_USE;
/* Wants EVENTS from now on. */
int watch_set(struct watch *watch, int events) MUST_USE;
/* Wants nothing. */
void watch_sleep(struct watch *watch);
/* Closes the descriptor now; on_closed follows. Nothing happens if it is not open. */
void watch_close(struct watch *watch);

#endif
