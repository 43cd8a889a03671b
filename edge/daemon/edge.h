/* Edge: the daemon. Binds the listeners, starts the threads, waits for signals, drains. Main thread only. */
#ifndef EDGE_DAEMON_EDGE_H
#define EDGE_DAEMON_EDGE_H

#include "edge/daemon/setup.h"

/* Serves until it is told to end: SIGTERM or SIGINT drains, a second one ends at once. Returns 0 after an
 * orderly end, or a negative error with the fault filled when it could not start. SETUP is borrowed. */
int edge_run(struct setup *setup, struct fault *fault) MUST_USE;

#endif
