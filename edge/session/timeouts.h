/* Timeouts: one ordered list for each class of waiting, so that setting and clearing cost the same however
 * many sessions wait.
 *
 * Within a class every entry waits equally long, so the list is in order by itself: new entries go to the end
 * and the head is always the next one due. Not a timer: it neither reads a clock nor fires; the owner asks
 * when to come back. Times are milliseconds of whatever clock the owner uses. Pure; one thread. */
#ifndef EDGE_SESSION_TIMEOUTS_H
#define EDGE_SESSION_TIMEOUTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

enum timeout_class {
    TIMEOUT_NONE, /* not waiting; has no list */
    TIMEOUT_HANDSHAKE,
    TIMEOUT_CONNECT,
    TIMEOUT_IDLE,
    TIMEOUT_HALF_CLOSED,
    TIMEOUT_CLOSE,
    TIMEOUT_SILENCE, /* ends nothing: the origin is connected now */
    TIMEOUT_ATTEMPT, /* the attempt at one of several addresses of the origin is over: the next one */
    TIMEOUT_RETRY,   /* something could not be done at the moment: a session's */
    TIMEOUT_ACCEPT,  /* no descriptor was left for a new connection: the listeners' */
    TIMEOUT_CLASSES
};

/* Embedded in what waits. Zero-initialised is idle. */
struct timeout {
    TAILQ_ENTRY(timeout) entry;
    enum timeout_class class; /* the list it is in */
    uint64_t due;             /* ms */
    void *user;               /* borrowed: what waits */
};

struct timeouts {
    TAILQ_HEAD(, timeout) list[TIMEOUT_CLASSES];
    uint64_t wait_ms[TIMEOUT_CLASSES]; /* how long the entries of each class wait */
};

#define TIMEOUTS_NEVER UINT64_MAX

void timeouts_init(struct timeouts *timeouts, const uint64_t wait_ms[static TIMEOUT_CLASSES]);
/* (Re)starts TIMEOUT in CLASS, from NOW on; TIMEOUT_NONE clears it. */
void timeouts_set(struct timeouts *timeouts, struct timeout *timeout, enum timeout_class class, uint64_t now);
/* Nothing happens if it is idle. */
void timeouts_clear(struct timeouts *timeouts, struct timeout *timeout);
/* When the next entry is due, or TIMEOUTS_NEVER. */
uint64_t timeouts_next(const struct timeouts *timeouts);
/* Takes one entry that is due at NOW out of its list; NULL when there is none. CLASS says which list it was
 * in. */
struct timeout *timeouts_pop(struct timeouts *timeouts, uint64_t now, enum timeout_class *class);
/* "handshake", "idle", …; for logs and metrics. */
const char *timeouts_name(enum timeout_class class);

#endif
