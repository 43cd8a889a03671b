/* The supervisor: binds the sockets, forks the net process and the loader, which forks the vaults,
 * restarts what dies, hands a reloaded vault over, and ends both in good order.
 *
 * Holds no key but the identity of its channels, for net processes, and parses nothing that comes from the
 * network; one thread, no event library. */
#ifndef KEYSERVER_SUPERVISOR_SUPERVISOR_H
#define KEYSERVER_SUPERVISOR_SUPERVISOR_H

#include "keyserver/rules/server_config.h"

/* Runs in the foreground until SIGTERM or SIGINT (drain, then end; a second one ends at once); SIGHUP reads
 * FILE again and starts a new vault. CONFIG was loaded from FILE and is taken. Returns the exit status: 0
 * drained, 1 failed or cut short, 2 something configured cannot be used (logged). In a child process this
 * does not return. */
int supervisor_run(struct server_config *config, const char *file);

#endif
