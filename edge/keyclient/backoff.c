#include "edge/keyclient/backoff.h"

void backoff_init(struct backoff *b, uint64_t min_ms, uint64_t max_ms)
{
    b->min_ms = min_ms > 0 ? min_ms : 1;
    b->max_ms = max_ms > b->min_ms ? max_ms : b->min_ms;
    b->failures = 0;
}

static uint64_t ceiling(const struct backoff *b)
{
    if (b->failures >= 63 || b->min_ms > b->max_ms >> b->failures)
        return b->max_ms;
    return b->min_ms << b->failures;
}

uint64_t backoff_next(struct backoff *b, uint64_t random)
{
    if (b->failures < 64)
        b->failures++;
    uint64_t width = ceiling(b) - b->min_ms;
    return b->min_ms + (width == UINT64_MAX ? random : random % (width + 1));
}

void backoff_reset(struct backoff *b)
{
    b->failures = 0;
}
