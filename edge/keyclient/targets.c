#include "edge/keyclient/targets.h"

#define DOUBLINGS_MAX 16

void targets_begin(struct targets *t, const struct endpoint *endpoint)
{
    endpoint_get(endpoint, &t->answer);
    t->next = 0;
    if (t->rounds <= DOUBLINGS_MAX)
        t->rounds++;
}

const struct address *targets_next(struct targets *t)
{
    return targets_left(t) ? &t->answer.addresses[t->next++] : NULL;
}

bool targets_left(const struct targets *t)
{
    return t->next < t->answer.count;
}

uint64_t targets_patience_ms(const struct targets *t, uint64_t full_ms)
{
    uint64_t short_ms = (uint64_t)TARGETS_FIRST_MS << (t->rounds > 0 ? t->rounds - 1 : 0);

    return t->answer.count > 1 && short_ms < full_ms ? short_ms : full_ms;
}

void targets_reset(struct targets *t)
{
    t->rounds = 0;
}
