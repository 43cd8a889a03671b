#include "common/waiting.h"

#include <errno.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/process.h"

static void pause_for_memory(struct waiting *waiting, int why)
{
    if (episode_note(&waiting->failing, clock_ms()))
        log_event(LOG_ERROR, "wait_failed", "error=\"cannot wait for events: %s%s\" hint=\"%s\"",
                  strerror(why), process_limit_hint(ENOMEM),
                  "it is tried again all the time; until then nothing goes on");
    (void)poll(NULL, 0, WAITING_PAUSE_MS); /* needs no memory */
}

int waiting_poll(struct waiting *waiting, struct pollfd *fds, size_t count, int timeout_ms,
                 struct fault *fault)
{
    int ready = poll(fds, (nfds_t)count, timeout_ms);

    if (ready >= 0)
        return ready;
    const int why = errno;
    for (size_t i = 0; i < count; i++)
        fds[i].revents = 0;
    if (why == ENOMEM || why == EAGAIN)
        pause_for_memory(waiting, why);
    else if (why != EINTR)
        return fault_set(fault, ERR_SYSTEM, "cannot wait for events: %s", strerror(why));
    return 0;
}
