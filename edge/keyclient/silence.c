#include "edge/keyclient/silence.h"

#include "common/clock.h"

#define LATE_TRIPS   2
#define PROVEN_TRIPS 3

static enum silence decide_when_due(uint64_t due_ns, enum silence due, uint64_t now_ns, uint64_t *look_ns)
{
    *look_ns = clock_later(due_ns, now_ns + 1);
    return now_ns >= due_ns ? due : SILENCE_NONE;
}

enum silence silence_decide(const struct silence_sight *sight, uint64_t now_ns, uint64_t *look_ns)
{
    if (sight->asked_ns != 0)
        return decide_when_due(sight->asked_ns + clock_later(SILENCE_PROVEN_NS, PROVEN_TRIPS * sight->rtt_ns),
                               SILENCE_PROVEN, now_ns, look_ns);
    if (sight->waits_ns != 0)
        return decide_when_due(clock_later(sight->waits_ns, sight->heard_ns) +
                                   clock_later(SILENCE_LATE_NS, LATE_TRIPS * sight->rtt_ns),
                               SILENCE_LATE, now_ns, look_ns);
    *look_ns = UINT64_MAX;
    return SILENCE_NONE;
}
