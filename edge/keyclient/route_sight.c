#include "edge/keyclient/route_sight.h"

struct client_attempt *route_sight_attempt(struct client_request *request)
{
    for (size_t i = 0; i < DISPATCH_ATTEMPTS_MAX; i++)
        if (request->attempts[i].conn != NULL)
            return &request->attempts[i];
    return NULL;
}

static uint64_t bit_of(size_t server)
{
    return UINT64_C(1) << server % 64;
}

void route_sight_note(struct client_request *request, size_t server)
{
    request->tried |= bit_of(server);
}

static bool was_at(const struct client_request *request, size_t server)
{
    return (request->tried & bit_of(server)) != 0;
}

struct dispatch_request route_sight_request(struct client_request *request)
{
    const struct client_attempt *attempt = route_sight_attempt(request);

    return (struct dispatch_request){.deadline_ns = request->deadline_ns,
                                     .tries = request->tries,
                                     .unable = request->unable,
                                     .lost = request->lost,
                                     .pinned = request->pinned,
                                     .retried = request->retried,
                                     .hedged = request->hedged,
                                     .waiting = request->waiting,
                                     .placed = attempt != NULL,
                                     .sent_ns = attempt != NULL ? attempt->sent_ns : 0};
}

static bool is_at(const struct client_request *request, size_t server)
{
    for (size_t i = 0; i < DISPATCH_ATTEMPTS_MAX; i++)
        if (request->attempts[i].conn != NULL && conn_server(request->attempts[i].conn) == server)
            return true;
    return false;
}

/* True when server NUMBER has not announced the epoch of REQUEST, or has had the request. Such a server may
 * know the epoch all the same, but is asked after those that have announced it. */
static bool is_strange(const struct route *route, const struct client_request *request, size_t number,
                       bool tried)
{
    return request->epoch != 0 && (tried || !epochs_know(route->epochs, number, request->epoch));
}

static struct dispatch_server sight_of(const struct route *route, const struct client_request *request,
                                       size_t number, uint64_t now_ns)
{
    const struct link *link = &route->pool->links[number];
    bool tried = was_at(request, number);

    return (struct dispatch_server){
        .load = {.in_flight = link_in_flight(link), .rtt_ns = link->rtt_ns, .index = number},
        .usable = link_usable(link),
        .room = link_has_room(link),
        .avoided = link_avoided(link, now_ns),
        .refuses = route->grants != NULL && route->pool->count > 1 &&
                   grants_lacks(route->grants, number, &request->operation),
        .strange = is_strange(route, request, number, tried),
        .has_it = tried && is_at(request, number),
        .tried = tried};
}

void route_sight_servers(struct route *route, const struct client_request *request, uint64_t now_ns)
{
    for (size_t i = 0; i < route->pool->count; i++)
        route->servers[i] = sight_of(route, request, i, now_ns);
}
