/* Episodes: what happens again and again is told once, until it has stayed away for a while. Pure; one
 * thread. */
#ifndef COMMON_EPISODE_H
#define COMMON_EPISODE_H

#include <stdbool.h>
#include <stdint.h>

#define EPISODE_CALM_MS 10000 /* what stays away for so long is over */

/* Zero-initialised: nothing has happened. */
struct episode {
    uint64_t latest_ms; /* when it happened last; meaningless unless `begun` */
    bool begun;
};

/* It happens at NOW_MS, of a clock that never goes back: true when an episode begins, which is to be told. */
bool episode_note(struct episode *episode, uint64_t now_ms);

#endif
