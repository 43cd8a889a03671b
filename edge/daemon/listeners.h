/* Listeners: where one thread takes new connections from, and when it does not: at connections_max, when no
 * descriptor is left, and while draining. Loop thread only. */
#ifndef EDGE_DAEMON_LISTENERS_H
#define EDGE_DAEMON_LISTENERS_H

#include "common/episode.h"
#include "edge/session/session.h"

struct listener;

/* Embedded in the thread. */
struct listeners {
    struct session_host *host; /* borrowed: gets the connections */
    struct listener *item;     /* owned */
    size_t count;
    size_t connections_max;
    unsigned number; /* of the thread, for the log */
    bool accepting;  /* the listeners are polled */
    bool closed;
    struct timeout rest; /* TIMEOUT_ACCEPT: no descriptor was left */
    struct episode short_of_descriptors, at_the_most;
};

/* Takes the COUNT listening descriptors FDS in any case. Does not accept yet. When it fails,
 * listeners_close() has to be called, too. */
int listeners_init(struct listeners *listeners, struct session_host *host, const int *fds, size_t count,
                   size_t connections_max, unsigned number) MUST_USE;
/* Accepts from now on, unless there is a reason not to; call it again whenever a session has gone or the rest
 * is over. */
void listeners_resume(struct listeners *listeners);
/* Closes them for good. With SERVE the connections that the kernel has queued for this thread are accepted
 * first. */
void listeners_close(struct listeners *listeners, bool serve);
/* After the loop has run its close callbacks. */
void listeners_clear(struct listeners *listeners);

#endif
