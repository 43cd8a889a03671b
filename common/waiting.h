/* Waiting for descriptors, for loops that must not end, or turn without a pause, because poll(2) fails. */
#ifndef COMMON_WAITING_H
#define COMMON_WAITING_H

#include <poll.h>
#include <stddef.h>

#include "common/episode.h"
#include "common/err.h"

#define WAITING_PAUSE_MS 100 /* after a failure that passes */

/* One loop's. Zero-initialised: no wait has failed. */
struct waiting {
    struct episode failing;
};

/* As poll(2), with 0 when a signal came: COUNT members of FDS, of which `revents` is set in any case. While
 * memory is short (ENOMEM, EAGAIN) nothing has happened yet, after a pause, and the log says so once. Any
 * other failure does not pass: ERR_SYSTEM with the fault. */
int waiting_poll(struct waiting *waiting, struct pollfd *fds, size_t count, int timeout_ms,
                 struct fault *fault) MUST_USE;

#endif
