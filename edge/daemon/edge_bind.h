/* Binding: the listening sockets of every address for every thread. Start-up only. */
#ifndef EDGE_DAEMON_EDGE_BIND_H
#define EDGE_DAEMON_EDGE_BIND_H

#include "edge/daemon/setup.h"

struct edge_bind {
    struct address *bound; /* owned, count; ports as they really are */
    size_t count;          /* addresses */
    int *fds;              /* owned; those of thread T begin at T × count; -1 = given away */
    unsigned threads;
};

/* One socket a thread and address, sharing the port (SO_REUSEPORT); a unix socket is one for all threads.
 * Nobody else may listen there, not even another edge of the same user: it would take a part of the clients.
 * Logs "listening" with the bound address. On error OUT is cleared. */
int edge_bind_open(struct edge_bind *out, const struct setup *setup, struct fault *fault) MUST_USE;
/* The descriptors of THREAD, for thread_new(), which takes them. */
const int *edge_bind_of_thread(const struct edge_bind *bind, unsigned thread);
/* They were taken. */
void edge_bind_given(struct edge_bind *bind, unsigned thread);
/* Closes what is still here. */
void edge_bind_clear(struct edge_bind *bind);

#endif
