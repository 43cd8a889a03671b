#include "edge/session/timeouts.h"

#include <assert.h>
#include <stddef.h>

void timeouts_init(struct timeouts *timeouts, const uint64_t wait_ms[static TIMEOUT_CLASSES])
{
    for (size_t i = 0; i < TIMEOUT_CLASSES; i++) {
        TAILQ_INIT(&timeouts->list[i]);
        timeouts->wait_ms[i] = wait_ms[i];
    }
}

void timeouts_clear(struct timeouts *timeouts, struct timeout *timeout)
{
    if (timeout->class == TIMEOUT_NONE)
        return;
    TAILQ_REMOVE(&timeouts->list[timeout->class], timeout, entry);
    timeout->class = TIMEOUT_NONE;
}

void timeouts_set(struct timeouts *timeouts, struct timeout *timeout, enum timeout_class class, uint64_t now)
{
    assert(class < TIMEOUT_CLASSES);
    timeouts_clear(timeouts, timeout);
    if (class == TIMEOUT_NONE)
        return;
    timeout->class = class;
    timeout->due = now + timeouts->wait_ms[class];
    TAILQ_INSERT_TAIL(&timeouts->list[class], timeout, entry);
}

uint64_t timeouts_next(const struct timeouts *timeouts)
{
    uint64_t next = TIMEOUTS_NEVER;

    for (size_t i = 0; i < TIMEOUT_CLASSES; i++) {
        const struct timeout *head = TAILQ_FIRST(&timeouts->list[i]);
        if (head && head->due < next)
            next = head->due;
    }
    return next;
}

struct timeout *timeouts_pop(struct timeouts *timeouts, uint64_t now, enum timeout_class *class)
{
    for (size_t i = 0; i < TIMEOUT_CLASSES; i++) {
        struct timeout *head = TAILQ_FIRST(&timeouts->list[i]);
        if (head && head->due <= now) {
            *class = head->class;
            timeouts_clear(timeouts, head);
            return head;
        }
    }
    return NULL;
}

const char *timeouts_name(enum timeout_class class)
{
    static const char *const names[TIMEOUT_CLASSES] = {
        [TIMEOUT_NONE] = "none",       [TIMEOUT_HANDSHAKE] = "handshake",
        [TIMEOUT_CONNECT] = "connect", [TIMEOUT_IDLE] = "idle",
        [TIMEOUT_CLOSE] = "close",     [TIMEOUT_HALF_CLOSED] = "half_closed",
        [TIMEOUT_SILENCE] = "silence", [TIMEOUT_RETRY] = "retry",
        [TIMEOUT_ATTEMPT] = "attempt", [TIMEOUT_ACCEPT] = "accept",
    };
    return class < TIMEOUT_CLASSES ? names[class] : "none";
}
