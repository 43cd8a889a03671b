/* The resolver: a process of its own that looks names up, so that no loop waits for a name server, a look-up
 * can be ended, and the daemon itself can be denied every file.
 *
 * It is forked before anything secret is loaded. Each look-up is a process again, ended when it takes too
 * long: so the C library parses answers of the network in a process without keys and clients. A parent of
 * its own, which reads nothing, starts it again when it dies, because the daemon, with threads and a sandbox,
 * cannot. Both end when the socket closes. */
#ifndef COMMON_RESOLVER_H
#define COMMON_RESOLVER_H

#include <sys/types.h>

#include "common/address.h"
#include "common/sandbox.h"

struct resolver {
    int fd;    /* owned; -1 = not started */
    pid_t pid; /* of the parent that starts it again; owned */
};

#define RESOLVER_WHY_SIZE 160
#define RESOLVER_RESTARTED                                                                                   \
    SIZE_MAX /* the number of an answer to nothing: the process died, `why` says of what,                    \
                and runs again; what it had been asked is forgotten */

/* What came of one look-up. */
struct resolver_answer {
    size_t number; /* as asked, or RESOLVER_RESTARTED */
    size_t count;  /* 0: `why` says why */
    struct address addresses[ADDRESS_FOUND_MAX];
    char why[RESOLVER_WHY_SIZE];
};

/* Forks the resolver, which becomes USER (NULL: keeps its user). Only one thread may exist. ERR_SYSTEM. */
int resolver_start(struct resolver *r, const char *user, enum sandbox_mode sandbox,
                   struct fault *fault) MUST_USE;
/* Has HOST looked up. Any thread; does not block. While the socket is full the question is dropped. */
void resolver_ask(const struct resolver *r, size_t number, const char *host);
/* The next answer. ERR_BUSY: none is there; ERR_CLOSED: the process is gone, and its parent, too. */
int resolver_take(const struct resolver *r, struct resolver_answer *out) MUST_USE;
/* Ends it and whatever look-up is under way. Nothing happens if it is not started. */
void resolver_stop(struct resolver *r);

#endif
