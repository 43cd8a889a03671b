/* Local claim: the right to create the socket at a path of the file system, for one process at a time, so
 * that of several that start at once none removes the socket that another has just made.
 *
 * A file beside it, PATH.lock, is locked for as long as this takes, and is removed afterwards. Start-up only:
 * waits for others, five seconds at most. */
#ifndef COMMON_LOCAL_CLAIM_H
#define COMMON_LOCAL_CLAIM_H

#include <sys/un.h>

#include "common/err.h"

#define LOCAL_CLAIM_SUFFIX ".lock"

struct local_claim {
    int fd; /* owned */
    char path[sizeof((struct sockaddr_un *)0)->sun_path + sizeof LOCAL_CLAIM_SUFFIX];
};

/* Claims the path of ADDRESS and removes what a listener that is gone has left there. ERR_SYSTEM with the
 * fault filled when somebody listens there, ERR_CONFIG when something else than a socket is there. */
int local_claim_take(struct local_claim *claim, const struct sockaddr_un *address,
                     struct fault *fault) MUST_USE;
/* To be called once the socket listens, or has failed to. */
void local_claim_release(struct local_claim *claim);
/* Whether nothing but a regular file, or nothing, is where the socket at PATH is claimed; ERR_CONFIG with the
 * hint when not. Claims nothing: for a dry run, too. */
int local_claim_check(const char *path, struct fault *fault) MUST_USE;

#endif
