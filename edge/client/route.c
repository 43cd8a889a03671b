#include "edge/client/route.h"

#include <assert.h>
#include <limits.h>
#include <string.h>
#include <utlist.h>

#include "common/clock.h"

#define LOOK_AGAIN_NS 5000000u /* the shortest wait before another look for a second server */

/* ---- where it is and where it was ---- */

static struct client_flight *find_flight(struct client_request *request)
{
    for (size_t i = 0; i < CLIENT_FLIGHTS_MAX; i++)
        if (request->flights[i].conn != NULL)
            return &request->flights[i];
    return NULL;
}

static const struct link *link_of(const struct client_flight *flight)
{
    return flight->conn->user;
}

static bool is_at(const struct client_request *request, const struct link *link)
{
    for (size_t i = 0; i < CLIENT_FLIGHTS_MAX; i++)
        if (request->flights[i].conn != NULL && link_of(&request->flights[i]) == link)
            return true;
    return false;
}

static bool was_at(const struct client_request *request, const struct link *link)
{
    for (unsigned i = 0; i < request->tried_count; i++)
        if (request->tried[i] == link)
            return true;
    return false;
}

static void remember(struct client_request *request, const struct link *link)
{
    if (was_at(request, link))
        return;
    if (request->tried_count == CLIENT_TRIES_MAX)
        request->tried_count = 0; /* moved often without being sent: begin again */
    request->tried[request->tried_count++] = link;
}

/* ---- choosing ---- */

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
    bool tried = was_at(request, link);
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

/* The better of two among the links of the lowest rank that have room; NULL when none has. */
static struct link *choose(struct client *client, const struct client_request *request, uint64_t now)
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

/* True when a server that has not seen REQUEST could take it, now or soon; avoided ones count with AVOIDED.
 */
static bool has_other(const struct client *client, const struct client_request *request, bool avoided,
                      uint64_t now)
{
    for (size_t i = 0; i < client->link_count; i++) {
        const struct link *link = &client->links[i];
        if (link_usable(link) && (avoided || !link_avoided(link, now)) && !was_at(request, link) &&
            !is_vain(client, request, i))
            return true;
    }
    return false;
}

static void give(struct client_request *request, struct link *link, uint64_t now)
{
    struct client_flight *flight = request->flights;

    while (flight->conn != NULL)
        flight++;
    assert(flight < request->flights + CLIENT_FLIGHTS_MAX);
    flight->request = request;
    remember(request, link);
    link_put(link, flight, now);
}

/* ---- queue ---- */

static void wait_last(struct client *client, struct client_request *request)
{
    request->waiting = true;
    DL_APPEND(client->waiting, request);
}

/* What has waited before goes first. */
static void wait_first(struct client *client, struct client_request *request)
{
    request->waiting = true;
    DL_PREPEND(client->waiting, request);
}

static void wait_end(struct client *client, struct client_request *request)
{
    request->waiting = false;
    DL_DELETE(client->waiting, request);
}

static void hurry(struct client *client)
{
    for (size_t i = 0; i < client->link_count; i++)
        if (link_usable(&client->links[i]))
            return;
    for (size_t i = 0; i < client->link_count; i++)
        link_hurry(&client->links[i]);
}

/* Gives waiting requests to servers with room. */
static void dispatch(struct client *client)
{
    uint64_t now = client->waiting != NULL ? clock_ns() : 0;

    for (struct client_request *request; (request = client->waiting) != NULL;) {
        if (request->deadline_ns <= now) {
            wait_end(client, request); /* too late to be sent: the timer ends it */
            continue;
        }
        struct link *link = choose(client, request, now);
        if (link == NULL) { /* no server, or none with room: it is the same for all that wait behind */
            hurry(client);
            return;
        }
        wait_end(client, request);
        give(request, link, now);
    }
}

static void on_turn(uv_idle_t *turn)
{
    struct client *client = turn->data;

    uv_idle_stop(turn);
    client_epochs_turn(client);
    client_grants_due(client, clock_ns());
    if (client->epoch_waits != NULL)
        hurry(client);
    dispatch(client);
    for (size_t i = 0; i < client->link_count; i++)
        link_flush(&client->links[i]);
}

void route_wake(struct client *client)
{
    if (!client->closing)
        uv_idle_start(&client->turn, on_turn); /* nothing happens when it is started already */
}

/* ---- beginning and end ---- */

/* When to look at REQUEST first: half-way, if there is a second server to turn to. */
static uint64_t first_look(const struct client *client, const struct client_request *request, uint64_t now)
{
    if (client->link_count < 2 || request->only != NULL || request->deadline_ns <= now)
        return request->deadline_ns;
    return now + (request->deadline_ns - now) / 2;
}

int route_open(struct client *client, struct client_request *request, const struct link *only)
{
    uint64_t now = clock_ns();

    assert(!request->open);
    if (deadlines_reserve(&client->deadlines) != 0)
        return ERR_MEMORY;
    request->outcome.status = STATUS_UNAVAILABLE;
    request->outcome.length = 0;
    request->server = NULL;
    request->sent_ns = request->answered_ns = 0;
    request->tries = request->tried_count = 0;
    request->open = true;
    request->retried = request->hedged = false;
    request->only = only;
    deadlines_put(&client->deadlines, request, first_look(client, request, now));
    budget_request(&client->budget, now);
    if (only == NULL)
        wait_last(client, request);
    else
        give(request, &client->links[only - client->links], now);
    route_wake(client);
    return 0;
}

void route_forget(struct client *client, struct client_request *request)
{
    for (struct client_flight *flight; (flight = find_flight(request)) != NULL;)
        conn_take(flight);
    if (request->waiting)
        wait_end(client, request);
    deadlines_remove(&client->deadlines, request);
    request->open = false;
    route_wake(client); /* its place is free */
}

static void finish(struct client *client, struct client_request *request, const struct outcome *outcome,
                   const char *server)
{
    route_forget(client, request);
    request->answered_ns = clock_ns();
    request->server = server;
    request->outcome.status = outcome->status;
    request->outcome.length = outcome->length;
    memcpy(request->outcome.bytes, outcome->bytes, outcome->length);
    request->on_answer(request);
}

void route_fail(struct client *client, struct client_request *request)
{
    const struct outcome unavailable = {.status = STATUS_UNAVAILABLE};
    finish(client, request, &unavailable, NULL);
}

/* ---- answers ---- */

/* Lets another server try after an answer that was none; false when it shall not, or none is there. A server
 * that is UNABLE has done nothing for the request, which only moves, as from a lost channel: no budget, and
 * more than once. */
static bool retry(struct client *client, struct client_request *request, struct link *from, bool unable)
{
    uint64_t now = clock_ns();

    if (unable)
        link_set_unable(from, now);
    if (request->only != NULL || request->tries >= CLIENT_TRIES_MAX || request->deadline_ns <= now ||
        !has_other(client, request, unable, now))
        return false;
    if (!unable && (request->retried || !budget_take(&client->budget, now)))
        return false;
    request->retried = request->retried || !unable;
    counter_add(&from->setup.stats->retried, 1);
    wait_first(client, request);
    route_wake(client);
    return true;
}

/* Busy, unavailable and expired decide nothing while another server may still answer. */
static bool is_final(enum operation_status status)
{
    return status == STATUS_OK || status == STATUS_REFUSED;
}

void route_answer(struct client *client, struct link *link, struct client_flight *flight,
                  const struct msg_answer *answer)
{
    static const struct outcome unavailable = {.status = STATUS_UNAVAILABLE};
    struct client_request *request = flight->request;
    const struct outcome *outcome = answer != NULL ? &answer->outcome : &unavailable;

    if (answer != NULL && answer->key_count > 0 && request->on_part != NULL &&
        request->on_part(request, answer->keys, answer->key_count) != 0)
        outcome = &unavailable;
    else if (answer != NULL && answer->more)
        return;
    conn_take(flight);
    if (outcome->status == STATUS_REFUSED && request->operation.kind != OP_KEYS)
        client_grants_stir(client, link);
    if (!is_final(outcome->status)) {
        if (find_flight(request) != NULL)
            return;
        bool unable = outcome != &unavailable && outcome->status == STATUS_UNAVAILABLE;
        if (outcome->status != STATUS_EXPIRED && retry(client, request, link, unable))
            return;
    }
    finish(client, request, outcome, answer != NULL ? link_name(link) : NULL);
}

/* ---- lost channels ---- */

/* The request only moves, the lost server works no longer: no budget, which would fail requests exactly when
 * the second server is needed. CLIENT_TRIES_MAX bounds what one request can do to a fleet. */
bool route_lost(struct client *client, struct link *link, struct client_flight *flight)
{
    struct client_request *request = flight->request;

    if (find_flight(request) != NULL)
        return false; /* it is already with another server */
    if (request->only != NULL || request->tries >= CLIENT_TRIES_MAX || request->deadline_ns <= clock_ns()) {
        route_fail(client, request);
        return false;
    }
    counter_add(&link->setup.stats->retried, 1);
    wait_last(client, request);
    route_wake(client);
    return true;
}

/* ---- deadlines ---- */

static void expire(struct client *client, struct client_request *request, uint64_t now)
{
    for (size_t i = 0; i < CLIENT_FLIGHTS_MAX; i++) {
        struct client_flight *flight = &request->flights[i];
        if (flight->conn == NULL)
            continue;
        struct link *link = flight->conn->user;
        counter_add(&link->setup.stats->timeouts, 1);
        if (flight->sent_ns != 0 && link_silent(link, flight->sent_ns))
            link_set_stalled(link, now);
    }
    route_fail(client, request);
}

/* True when LINK shows that it works: it has answered since SINCE_NS, or has nothing to answer. */
static bool shows_life(const struct link *link, uint64_t since_ns)
{
    return !link_silent(link, since_ns) || link_in_flight(link) == 0;
}

/* A second server for REQUEST, whose first one at FLIGHT has had its time. The budget does not count when the
 * first answers nobody and the second does: then nothing is doubled. */
static void hedge(struct client *client, struct client_request *request, struct client_flight *flight,
                  uint64_t now)
{
    struct link *first = flight->conn->user;
    bool unsent = flight->sent_ns == 0;
    bool silent = !unsent && link_silent(first, flight->sent_ns);

    if (silent) {
        link_set_stalled(first, now);
        route_wake(client); /* its word on epochs is not waited for */
    }
    struct link *second = choose(client, request, now);
    if (second == NULL)
        return;
    bool free_of_charge = unsent || (silent && shows_life(second, flight->sent_ns));
    if (!free_of_charge && !budget_take(&client->budget, now))
        return;
    if (unsent)
        conn_take(flight);
    else
        request->hedged = true;
    counter_add(&first->setup.stats->retried, 1);
    give(request, second, now);
    route_wake(client);
}

/* When to look again: half of the time the present server has, or of what is left. */
static uint64_t next_look(const struct client_request *request, const struct client_flight *flight,
                          uint64_t now)
{
    uint64_t end = request->deadline_ns;

    if (request->hedged || request->tries >= CLIENT_TRIES_MAX)
        return end;
    if (flight != NULL && flight->sent_ns != 0) {
        uint64_t half = flight->sent_ns + (end - flight->sent_ns + 1) / 2;
        if (half > now)
            return half;
    }
    uint64_t wait = (end - now) / 2;
    if (wait < LOOK_AGAIN_NS)
        wait = LOOK_AGAIN_NS;
    return wait < end - now ? now + wait : end;
}

void route_due(struct client *client, struct client_request *request, uint64_t now_ns)
{
    if (now_ns >= request->deadline_ns) {
        expire(client, request, now_ns);
        return;
    }
    struct client_flight *flight = find_flight(request);
    bool had_time = flight != NULL &&
                    (flight->sent_ns == 0 || now_ns - flight->sent_ns >= request->deadline_ns - now_ns);
    if (had_time && !request->hedged && request->tries < CLIENT_TRIES_MAX)
        hedge(client, request, flight, now_ns);
    deadlines_move(&client->deadlines, request, next_look(request, find_flight(request), now_ns));
}
