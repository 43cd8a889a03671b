#include "edge/keyclient/balance.h"

#include <assert.h>

static uint64_t floored(uint64_t rtt_ns)
{
    return rtt_ns > BALANCE_RTT_FLOOR_NS ? rtt_ns : BALANCE_RTT_FLOOR_NS;
}

static uint64_t cost(size_t in_flight, uint64_t rtt_ns)
{
    uint64_t product;
    return __builtin_mul_overflow((uint64_t)in_flight + 1, floored(rtt_ns), &product) ? UINT64_MAX : product;
}

int balance_prefers(const struct balance_candidate *a, const struct balance_candidate *b)
{
    if (a->rtt_ns == 0 || b->rtt_ns == 0)
        return a->in_flight <= b->in_flight;
    return cost(a->in_flight, a->rtt_ns) <= cost(b->in_flight, b->rtt_ns);
}

size_t balance_choose(const struct balance_candidate *candidates, size_t count, uint64_t random)
{
    assert(count >= 1);
    if (count == 1)
        return candidates[0].index;
    size_t first = (uint32_t)random % count;
    size_t second = (random >> 32) % (count - 1);
    if (second >= first)
        second++;
    const struct balance_candidate *a = &candidates[first], *b = &candidates[second];
    return balance_prefers(a, b) ? a->index : b->index;
}

uint64_t balance_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}
