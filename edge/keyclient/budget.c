#include "edge/keyclient/budget.h"

static void advance_period(struct budget *b, uint64_t now_ns)
{
    uint64_t period = now_ns / BUDGET_PERIOD_NS;

    if (period == b->period)
        return;
    bool next = period == b->period + 1;
    b->requests[1] = next ? b->requests[0] : 0;
    b->extra[1] = next ? b->extra[0] : 0;
    b->requests[0] = b->extra[0] = 0;
    b->period = period;
}

void budget_request(struct budget *b, uint64_t now_ns)
{
    advance_period(b, now_ns);
    b->requests[0]++;
}

bool budget_take(struct budget *b, uint64_t now_ns)
{
    advance_period(b, now_ns);
    uint64_t allowed = BUDGET_FLOOR + (b->requests[0] + b->requests[1]) / BUDGET_SHARE;
    if (b->extra[0] + b->extra[1] >= allowed)
        return false;
    b->extra[0]++;
    return true;
}
