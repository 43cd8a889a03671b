#include "edge/keyclient/silence.h"

#define LATE_TRIPS   2
#define PROVEN_TRIPS 3

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static enum silence judge_when_due(uint64_t due_ns, enum silence due, uint64_t now_ns, uint64_t *look_ns)
{
    *look_ns = later(due_ns, now_ns + 1);
    return now_ns >= due_ns ? due : SILENCE_NONE;
}

enum silence silence_judge(const struct silence_sight *sight, uint64_t now_ns, uint64_t *look_ns)
{
    if (sight->asked_ns != 0)
        return judge_when_due(sight->asked_ns + later(SILENCE_PROVEN_NS, PROVEN_TRIPS * sight->rtt_ns),
                              SILENCE_PROVEN, now_ns, look_ns);
    if (sight->waits_ns != 0)
        return judge_when_due(later(sight->waits_ns, sight->heard_ns) +
                                  later(SILENCE_LATE_NS, LATE_TRIPS * sight->rtt_ns),
                              SILENCE_LATE, now_ns, look_ns);
    *look_ns = UINT64_MAX;
    return SILENCE_NONE;
}
