/* Watches: the sockets of one loop's sessions, in an epoll set of their own, of which the loop sees one
 * descriptor. libuv would take five system calls for each socket; here it is one, and more only when a
 * registration has to change: sessions say what they want after every step, and what is not wanted any more
 * stays registered until it happens, which most often it does not before it is wanted again. Loop thread
 * only. */
#ifndef EDGE_SESSION_WATCH_H
#define EDGE_SESSION_WATCH_H

#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <uv.h>

#include "common/err.h"

#define WATCH_READABLE EPOLLIN
#define WATCH_WRITABLE EPOLLOUT
#define WATCH_GONE     EPOLLRDHUP /* the peer has sent FIN */

/* EVENTS are those that were wanted; all of them when the socket is in error: reading will tell. */
typedef void watch_cb(void *user, unsigned events);
typedef void watch_closed_cb(void *user);

struct watches;

struct watch {
    STAILQ_ENTRY(watch) in_closed;
    struct watches *set; /* borrowed */
    int fd;              /* owned */
    unsigned wanted;     /* 0 = asleep */
    unsigned registered; /* what the set waits for; covers what is wanted; 0 = it is not in the set */
    bool open;
    watch_cb *on_io;
    watch_closed_cb *on_closed;
    void *user;
};

STAILQ_HEAD(watch_list, watch);

struct watches {
    uv_poll_t poll; /* of the epoll set */
    uv_idle_t idle; /* runs when a watch was closed outside of a batch */
    int epoll;      /* owned */
    bool in_batch;
    struct watch_list closed; /* on_closed is still to come */
};

/* ERR_SYSTEM without descriptors or memory. */
int watches_init(struct watches *set, uv_loop_t *loop) MUST_USE;
/* With no watch open, and on_closed of each called. SET belongs to the loop until that has run. */
void watches_close(struct watches *set);

/* Takes FD, which is non-blocking. ON_CLOSED comes after watch_close, from the loop, when the memory may go.
 */
void watch_open(struct watch *watch, struct watches *set, int fd, watch_cb *on_io, watch_closed_cb *on_closed,
                void *user);
/* Takes FD instead of the descriptor that it has, which is closed; wants nothing. WATCH is open. */
void watch_replace(struct watch *watch, int fd);
/* Wants EVENTS from now on. ERR_SYSTEM without memory. */
int watch_set(struct watch *watch, unsigned events) MUST_USE;
/* Wants nothing. */
void watch_sleep(struct watch *watch);
/* Closes the descriptor now; on_closed follows. Nothing happens if it is not open. */
void watch_close(struct watch *watch);

#endif
