/* Lookups: brings the resolver's answers to the names of the setup, and looks the origin's name up at
 * intervals, since sessions use what is known and do not wait. Main thread only. */
#ifndef EDGE_DAEMON_LOOKUPS_H
#define EDGE_DAEMON_LOOKUPS_H

#include <uv.h>

#include "edge/daemon/setup.h"

struct lookups {
    struct setup *setup; /* borrowed; NULL = there are no names */
    uv_poll_t poll;
    uv_timer_t timer;
    bool *failed; /* owned: of each name, at its last look-up */
    bool closed;
};

/* Asks for every name of SETUP (borrowed) and waits for the answers, a moment at most: what is known by then
 * serves the first clients. Nothing happens when there are no names. */
int lookups_start(struct lookups *lookups, uv_loop_t *loop, struct setup *setup,
                  struct fault *fault) MUST_USE;
/* Its handles go with the loop's close callbacks. */
void lookups_close(struct lookups *lookups);
/* After the loop has ended. */
void lookups_clear(struct lookups *lookups);

#endif
