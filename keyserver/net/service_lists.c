/* Lists of keys are long, and a small request is answered by one: an edge has one made at a time, in the
 * order in which it asked over all of its channels, and the next only while what it leaves unread has room
 * for that, too. So whoever reads, however slowly, never comes to the limit of what may be unread. */
#include "keyserver/net/service_inside.h"

#define KEY_SIZE_MAX 64 /* of one key in a list, packed, its part of frames included */

void service_want_list(struct service *service, struct peer *peer)
{
    struct account *account = peer->account;

    if (account->wants_lists)
        return;
    account->wants_lists = true;
    account->wants_after = service->wanting;
    service->wanting = account;
}

void service_drop_account(struct service *service, struct account *account)
{
    if (!account->wants_lists)
        return;
    struct account **at = &service->wanting;
    while (*at != account)
        at = &(*at)->wants_after;
    *at = account->wants_after;
    account->wants_lists = false;
}

/* The request for a list that waits for longest, or NULL. */
static struct request *oldest_of(struct service *service, const struct account *account)
{
    struct request *oldest = NULL;

    for (struct peer *peer = account->peers; peer != NULL; peer = peer->beside) {
        struct request *first = requests_first(service->requests, &peer->lists);
        if (first != NULL && (oldest == NULL || first->received_ns < oldest->received_ns))
            oldest = first;
    }
    return oldest;
}

/* A list that alone is longer than the room is begun when nothing is unread. */
static bool has_room(struct account *account, size_t list_size)
{
    if (account->lists > 0)
        return false;
    size_t unsent = crowd_unsent(account);
    return unsent == 0 || unsent + list_size <= SERVICE_LISTS_UNSENT;
}

static void begin(struct service *service, struct request *request)
{
    const struct msg_request sent = {
        .id = request->id, .trace = request->trace, .operation.kind = request->kind};
    int r = service_submit(service, request, &sent);

    if (r != 0) {
        service_give_up(service, request, r == ERR_BUSY ? STATUS_BUSY : STATUS_UNAVAILABLE, false);
        return;
    }
    request->peer->account->lists++;
    requests_move(service->requests, request, &request->peer->open);
}

void service_begin_lists(struct service *service)
{
    struct account **at = &service->wanting;
    struct wall_stats stats;

    if (*at == NULL)
        return;
    vault_link_stats(service->link, &stats);
    while (*at != NULL) {
        struct account *account = *at;
        struct request *oldest;
        while ((oldest = oldest_of(service, account)) != NULL && has_room(account, stats.keys * KEY_SIZE_MAX))
            begin(service, oldest);
        if (oldest != NULL) {
            at = &account->wants_after;
            continue;
        }
        *at = account->wants_after;
        account->wants_lists = false;
    }
}
