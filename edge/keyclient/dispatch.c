#include "edge/keyclient/dispatch.h"

#include <limits.h>

#include "common/clock.h"

#define REST_MS       100 /* doubles each time */
#define DOUBLINGS_MAX 3
#define LOOK_AGAIN_NS 5000000u /* the shortest wait before another look for a second server */

/* ---- to whom ---- */

enum { RANK_TRIED = 1, RANK_AVOIDED = 2, RANK_STRANGE = 4 };

static unsigned rank_of(const struct dispatch_server *server)
{
    return (server->tried ? RANK_TRIED : 0u) + (server->avoided ? RANK_AVOIDED : 0u) +
           (server->strange ? RANK_STRANGE : 0u);
}

/* True when some server that is connected is not known to refuse: those that do are not asked. */
static bool somebody_grants(const struct dispatch_server *servers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (servers[i].usable && !servers[i].refuses)
            return true;
    return false;
}

size_t dispatch_choose(const struct dispatch_server *servers, size_t count, uint64_t random,
                       struct balance_candidate *scratch)
{
    bool granted = somebody_grants(servers, count);
    unsigned best = UINT_MAX;
    size_t equals = 0;

    for (size_t i = 0; i < count; i++) {
        const struct dispatch_server *server = &servers[i];
        if (!server->room || server->has_it || (server->refuses && granted))
            continue;
        unsigned rank = rank_of(server);
        if (rank > best)
            continue;
        if (rank < best)
            equals = 0;
        best = rank;
        scratch[equals++] = server->load;
    }
    return equals > 0 ? balance_choose(scratch, equals, random) : count;
}

bool dispatch_has_other(const struct dispatch_server *servers, size_t count, bool avoided)
{
    bool granted = somebody_grants(servers, count);

    for (size_t i = 0; i < count; i++) {
        const struct dispatch_server *server = &servers[i];
        if (server->usable && !server->tried && (avoided || !server->avoided) &&
            !(server->refuses && granted))
            return true;
    }
    return false;
}

/* ---- when ---- */

/* True when REQUEST has had all its tries. Servers that could do nothing do not count, nor do lost channels,
 * which have a bound of their own. */
static bool is_used_up(const struct dispatch_request *request)
{
    return request->lost >= DISPATCH_LOST_MAX ||
           request->tries - request->unable - request->lost >= DISPATCH_TRIES_MAX;
}

static bool may_go_on(const struct dispatch_request *request, uint64_t now_ns)
{
    return !request->pinned && !is_used_up(request) && request->deadline_ns > now_ns;
}

static struct dispatch_verdict plainly(enum dispatch_step step)
{
    return (struct dispatch_verdict){.step = step};
}

/* The NUMBERth rest in a row; OTHERWISE when there is no time for it. */
static struct dispatch_verdict rest(const struct dispatch_request *request, unsigned number, uint64_t now_ns,
                                    uint64_t random, enum dispatch_step otherwise)
{
    unsigned doublings = number - 1 < DOUBLINGS_MAX ? number - 1 : DOUBLINGS_MAX;
    uint64_t wait_ms = (uint64_t)REST_MS << doublings;
    uint64_t due_ns = now_ns + (wait_ms / 2 + random % wait_ms) * NS_PER_MS;

    if (due_ns >= request->deadline_ns)
        return plainly(otherwise);
    return (struct dispatch_verdict){.step = DISPATCH_REST, .due_ns = due_ns};
}

struct dispatch_verdict dispatch_after_answer(const struct dispatch_request *request,
                                              enum dispatch_answer answer, bool other, uint64_t now_ns,
                                              uint64_t random)
{
    if (answer == DISPATCH_FINAL)
        return plainly(DISPATCH_END);
    if (request->placed)
        return plainly(DISPATCH_STAY);
    if (answer == DISPATCH_EXPIRED || !may_go_on(request, now_ns))
        return plainly(DISPATCH_END);
    if (answer == DISPATCH_UNAVAILABLE)
        return other ? plainly(DISPATCH_MOVE) : rest(request, request->unable, now_ns, random, DISPATCH_END);
    if (!other || request->retried)
        return plainly(DISPATCH_END);
    return (struct dispatch_verdict){.step = DISPATCH_MOVE, .paid = true};
}

struct dispatch_verdict dispatch_after_loss(const struct dispatch_request *request, bool other,
                                            uint64_t now_ns, uint64_t random)
{
    if (request->placed)
        return plainly(DISPATCH_STAY);
    if (!may_go_on(request, now_ns))
        return plainly(DISPATCH_END);
    if (request->lost >= 2 && !other)
        return rest(request, request->lost - 1, now_ns, random, DISPATCH_QUEUE);
    return plainly(DISPATCH_QUEUE);
}

/* True when half of the time of the server that has REQUEST is over. */
static bool had_its_time(const struct dispatch_request *request, uint64_t now_ns)
{
    return request->placed &&
           (request->sent_ns == 0 || now_ns - request->sent_ns >= request->deadline_ns - now_ns);
}

enum dispatch_step dispatch_when_due(const struct dispatch_request *request, uint64_t now_ns)
{
    if (now_ns >= request->deadline_ns)
        return DISPATCH_END;
    if (!request->placed && !request->waiting) /* its rest is over */
        return DISPATCH_QUEUE;
    if (had_its_time(request, now_ns) && !request->hedged && !is_used_up(request))
        return DISPATCH_SECOND;
    return DISPATCH_STAY;
}

bool dispatch_second_costs_budget(const struct dispatch_request *request, bool silent, bool works)
{
    return request->sent_ns != 0 && !(silent && works);
}

/* Half-way to the deadline when there is a second server to ask. */
uint64_t dispatch_first_ns(const struct dispatch_request *request, size_t servers, uint64_t now_ns)
{
    if (servers < 2 || request->pinned || request->deadline_ns <= now_ns)
        return request->deadline_ns;
    return now_ns + (request->deadline_ns - now_ns) / 2;
}

/* When half of the time of the current server is over, or half of the time that is left. */
uint64_t dispatch_next_ns(const struct dispatch_request *request, uint64_t now_ns)
{
    uint64_t end_ns = request->deadline_ns;

    if (request->hedged || is_used_up(request))
        return end_ns;
    if (request->placed && request->sent_ns != 0) {
        uint64_t half_ns = request->sent_ns + (end_ns - request->sent_ns + 1) / 2;
        if (half_ns > now_ns)
            return half_ns;
    }
    uint64_t wait_ns = (end_ns - now_ns) / 2;
    if (wait_ns < LOOK_AGAIN_NS)
        wait_ns = LOOK_AGAIN_NS;
    return wait_ns < end_ns - now_ns ? now_ns + wait_ns : end_ns;
}
