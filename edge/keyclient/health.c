#include "edge/keyclient/health.h"

#include "common/clock.h"

bool health_answer(struct health *health, uint64_t now_ns)
{
    bool stalled = health->stalled;

    health->answered_ns = now_ns;
    health->stalled = false;
    return stalled;
}

void health_send(struct health *health, uint64_t now_ns)
{
    if (health->stalled)
        health->probe_ns = now_ns + health->probe_interval_ns;
}

bool health_stall(struct health *health, uint64_t now_ns)
{
    if (health->stalled)
        return false;
    health->stalled = true;
    health->probe_ns = now_ns + health->probe_interval_ns;
    return true;
}

void health_set_unable(struct health *health, uint64_t now_ns)
{
    health->unable_ns = now_ns + HEALTH_UNABLE_MS * NS_PER_MS;
}

bool health_is_silent(const struct health *health, uint64_t since_ns)
{
    return health->answered_ns < since_ns;
}

bool health_is_avoided(const struct health *health, uint64_t now_ns)
{
    return now_ns < health->unable_ns || (health->stalled && now_ns < health->probe_ns);
}
