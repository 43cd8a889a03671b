/* Episodes: a condition that recurs is reported once, until it has been absent for a while. Pure; one
 * thread. */
#ifndef COMMON_EPISODE_H
#define COMMON_EPISODE_H

#include <stdbool.h>
#include <stdint.h>

#define EPISODE_CALM_MS 10000 /* an episode is over after so long without an occurrence */

/* Zero-initialised: nothing has happened. */
struct episode {
    uint64_t latest_ms; /* when it happened last; meaningless unless `begun` */
    bool begun;
};

/* Notes an occurrence at NOW_MS, of a monotonic clock. True when it begins an episode and should be reported.
 */
bool episode_note(struct episode *episode, uint64_t now_ms);

#endif
