/* Child processes: forking one that keeps only what it is given, and waiting longer each time one dies.
 *
 * For the supervisor, which has one thread. */
#ifndef KEYSERVER_SUPERVISOR_CHILD_H
#define KEYSERVER_SUPERVISOR_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"

#define CHILD_DESCRIPTORS_MAX 20

/* Forks. In the child (0 is returned): it dies with its parent, signals are unblocked, those for the
 * supervisor are ignored, since a terminal and a service manager send them to everyone, and of all
 * descriptors above standard error only FDS[0 … COUNT) stay; FDS then holds their new numbers. A child that
 * cannot take them says so, by ROLE, and ends with 1. In the parent, which has those signals blocked: the
 * process id, or ERR_SYSTEM with errno. */
pid_t child_fork(const char *role, int *fds, size_t count) MUST_USE;

#define CHILD_BACKOFF_FIRST_MS  100
#define CHILD_BACKOFF_LAST_MS   5000
#define CHILD_BACKOFF_FORGET_MS 10000 /* one that lived as long begins anew */

/* When the next of a kind may be started. Zero-initialised: nothing is due. */
struct child_backoff {
    uint64_t delay_ms; /* the last one given; 0 = none yet */
    uint64_t due_ms;   /* of clock_ms(); 0 = nothing is due */
};
/* One that had lived LIVED_MS died at NOW_MS: sets when the next is due. */
void child_backoff_died(struct child_backoff *backoff, uint64_t now_ms, uint64_t lived_ms);
/* True, once, when the next is to be started. */
bool child_backoff_due(struct child_backoff *backoff, uint64_t now_ms);

#endif
