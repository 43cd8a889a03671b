/* Back-off: how long to wait before the next connect. Full jitter: uniform between the minimum and a ceiling
 * that doubles with every failure, so that a thousand edges do not come back at the same moment.
 *
 * Knows no clock and no timer. Pure; any thread. */
#ifndef EDGE_KEYCLIENT_BACKOFF_H
#define EDGE_KEYCLIENT_BACKOFF_H

#include <stdint.h>

struct backoff {
    uint64_t min_ms;
    uint64_t max_ms;
    unsigned failures; /* in a row */
};

/* MIN_MS 0 counts as 1; a MAX_MS below the minimum as the minimum. */
void backoff_init(struct backoff *b, uint64_t min_ms, uint64_t max_ms);
/* Counts one more failure and returns the wait in ms, drawn with RANDOM: between min and
 * min(max, min × 2^failures). */
uint64_t backoff_next(struct backoff *b, uint64_t random);
/* It works again. */
void backoff_reset(struct backoff *b);

#endif
