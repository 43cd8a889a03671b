/* Lists of keys are long, and a small request is answered by one: an edge has one made at a time, in the
 * order in which it asked over all of its channels, and the next only while what it leaves unread has room
 * for that, too. So whoever reads, however slowly, never comes to the limit of what may be unread. */
#include "keyserver/net/service_inside.h"

#define KEY_SIZE_MAX 64 /* of one key in a list, packed, its part of frames included */

void service_want_list(struct service *service, struct peer *peer)
{
    struct edge_state *edge_state = peer->edge_state;

    if (edge_state->wants_lists)
        return;
    edge_state->wants_lists = true;
    edge_state->wants_after = service->wanting;
    service->wanting = edge_state;
}

void service_drop_edge_state(struct service *service, struct edge_state *edge_state)
{
    if (!edge_state->wants_lists)
        return;
    struct edge_state **at = &service->wanting;
    while (*at != edge_state)
        at = &(*at)->wants_after;
    *at = edge_state->wants_after;
    edge_state->wants_lists = false;
}

/* The request for a list that waits for longest, or NULL. */
static struct request *oldest_of(struct service *service, const struct edge_state *edge_state)
{
    struct request *oldest = NULL;

    for (struct peer *peer = edge_state->peers; peer != NULL; peer = peer->edge_next) {
        struct request *first = requests_first(service->requests, &peer->lists);
        if (first != NULL && (oldest == NULL || first->received_ns < oldest->received_ns))
            oldest = first;
    }
    return oldest;
}

/* A list that alone is longer than the room is begun when nothing is unread. */
static bool has_room(struct edge_state *edge_state, size_t list_size)
{
    if (edge_state->lists > 0)
        return false;
    size_t unsent = registry_unsent(edge_state);
    return unsent == 0 || unsent + list_size <= SERVICE_LISTS_UNSENT;
}

static void begin_list(struct service *service, struct request *request)
{
    const struct msg_request sent = {.id = request->id,
                                     .trace = request->trace,
                                     .no_trace = request->no_trace,
                                     .no_key_id = 1, /* it is about all keys */
                                     .operation.kind = request->kind};
    int r = service_submit(service, request, &sent);

    if (r != 0) {
        service_give_up(service, request, r == ERR_BUSY ? STATUS_BUSY : STATUS_UNAVAILABLE, false);
        return;
    }
    request->peer->edge_state->lists++;
    requests_move(service->requests, request, &request->peer->open);
}

void service_begin_lists(struct service *service)
{
    struct edge_state **at = &service->wanting;
    struct wall_stats stats;

    if (*at == NULL)
        return;
    vault_link_stats(service->link, &stats);
    while (*at != NULL) {
        struct edge_state *edge_state = *at;
        struct request *oldest;
        while ((oldest = oldest_of(service, edge_state)) != NULL &&
               has_room(edge_state, stats.keys * KEY_SIZE_MAX))
            begin_list(service, oldest);
        if (oldest != NULL) {
            at = &edge_state->wants_after;
            continue;
        }
        *at = edge_state->wants_after;
        edge_state->wants_lists = false;
    }
}
