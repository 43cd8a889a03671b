#include "edge/keyclient/choice.h"

#include <limits.h>

static const struct link *link_of(const struct client_attempt *attempt)
{
    return attempt->conn->user;
}

static bool is_at(const struct client_request *request, const struct link *link)
{
    for (size_t i = 0; i < CLIENT_ATTEMPTS_MAX; i++)
        if (request->attempts[i].conn != NULL && link_of(&request->attempts[i]) == link)
            return true;
    return false;
}

bool choice_was_at(const struct client_request *request, const struct link *link)
{
    for (unsigned i = 0; i < request->tried_count; i++)
        if (request->tried[i] == link)
            return true;
    return false;
}

/* How little a link is wanted for a request: the sum of what speaks against it; a lower rank always wins. */
enum { RANK_TRIED = 1, RANK_STALLED = 2, RANK_STRANGE = 4 };

/* True when the session of REQUEST is marked with an epoch that LINK's server has not announced. It may know
 * it all the same; whoever has announced it is asked first, but not twice before the others. */
static bool is_strange(const struct client *client, const struct client_request *request,
                       const struct link *link, bool tried)
{
    return request->epoch != 0 &&
           (tried || !epochs_know(client->epochs, (size_t)(link - client->links), request->epoch));
}

static unsigned rank_of(const struct client *client, const struct client_request *request,
                        const struct link *link, uint64_t now)
{
    bool tried = choice_was_at(request, link);
    return (tried ? RANK_TRIED : 0u) + (link_avoided(link, now) ? RANK_STALLED : 0u) +
           (is_strange(client, request, link, tried) ? RANK_STRANGE : 0u);
}

/* True when LINK's server is known to refuse REQUEST, and another one that is connected is not. */
static bool is_vain(const struct client *client, const struct client_request *request, size_t link)
{
    if (client->link_count < 2 || !client_grants_lacks(client, request, link))
        return false;
    for (size_t i = 0; i < client->link_count; i++)
        if (i != link && link_usable(&client->links[i]) && !client_grants_lacks(client, request, i))
            return true;
    return false;
}

struct link *choice_find(struct client *client, const struct client_request *request, uint64_t now)
{
    unsigned best = UINT_MAX;
    size_t count = 0;

    for (size_t i = 0; i < client->link_count; i++) {
        const struct link *link = &client->links[i];
        if (!link_has_room(link) || is_at(request, link) || is_vain(client, request, i))
            continue;
        unsigned own = rank_of(client, request, link, now);
        if (own > best)
            continue;
        if (own < best)
            count = 0;
        best = own;
        client->candidates[count++] = (struct balance_candidate){
            .in_flight = link_in_flight(link), .rtt_ns = link->rtt_ns, .index = i};
    }
    if (count == 0)
        return NULL;
    uint64_t random = count > 1 ? balance_random(&client->random) : 0;
    return &client->links[balance_choose(client->candidates, count, random)];
}

bool choice_has_other(const struct client *client, const struct client_request *request, bool avoided,
                      uint64_t now)
{
    for (size_t i = 0; i < client->link_count; i++) {
        const struct link *link = &client->links[i];
        if (link_usable(link) && (avoided || !link_avoided(link, now)) && !choice_was_at(request, link) &&
            !is_vain(client, request, i))
            return true;
    }
    return false;
}
