/* What every daemon does to itself before it touches a peer. Linux only. */
#ifndef COMMON_PROCESS_H
#define COMMON_PROCESS_H

#include <stdbool.h>

#include "common/err.h"

/* No core, not dumpable, no new privileges, SIGPIPE ignored, umask 077. NAME becomes the process's comm (≤ 15
 * chars). */
int process_harden(const char *name, struct fault *fault) MUST_USE;
/* When started as root and USER is not NULL: groups, gid and uid of USER for good. Otherwise nothing. */
int process_drop_user(const char *user, struct fault *fault) MUST_USE;
/* Raises RLIMIT_NOFILE to its hard limit; returns the new soft limit. */
unsigned long process_raise_descriptors(void);
/* Dies with SIGKILL when the parent dies. */
void process_die_with_parent(void);
/* sd_notify: sends STATE ("READY=1") to $NOTIFY_SOCKET when there is one. */
void process_notify(const char *state);

#endif
