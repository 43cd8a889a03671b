#include "edge/keyclient/route.h"

#include <assert.h>
#include <string.h>
#include <utlist.h>

#include "common/clock.h"
#include "edge/keyclient/choice.h"

#define AGAIN_MS      100 /* until a request that found no server is sent again; doubles each time */
#define DOUBLINGS_MAX 3
#define LOOK_AGAIN_NS 5000000u /* the shortest wait before another look for a second server */

/* ---- where it is and where it was ---- */

static struct client_attempt *find_attempt(struct client_request *request)
{
    for (size_t i = 0; i < CLIENT_ATTEMPTS_MAX; i++)
        if (request->attempts[i].conn != NULL)
            return &request->attempts[i];
    return NULL;
}

static void remember(struct client_request *request, const struct link *link)
{
    if (choice_was_at(request, link))
        return;
    if (request->tried_count == CLIENT_TRIES_MAX)
        request->tried_count = 0; /* moved often without being sent: begin again */
    request->tried[request->tried_count++] = link;
}

/* True when REQUEST has been with servers often enough. Those that could do nothing do not count, nor do lost
 * channels, which have a bound of their own. */
static bool used_up(const struct client_request *request)
{
    return request->lost >= CLIENT_LOST_MAX ||
           request->tries - request->unable - request->lost >= CLIENT_TRIES_MAX;
}

static void give(struct client_request *request, struct link *link, uint64_t now)
{
    struct client_attempt *attempt = request->attempts;

    while (attempt->conn != NULL)
        attempt++;
    assert(attempt < request->attempts + CLIENT_ATTEMPTS_MAX);
    attempt->request = request;
    remember(request, link);
    link_put(link, attempt, now);
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

/* Nobody is there to wait for. What is submitted meanwhile has its own turn. */
static void fail_waiting(struct client *client)
{
    struct client_request *request;
    size_t count;

    DL_COUNT(client->waiting, request, count);
    while (count-- > 0 && (request = client->waiting) != NULL) {
        request->gone = true;
        route_fail(client, request);
    }
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
        struct link *link = choice_find(client, request, now);
        if (link == NULL) { /* no server, or none with room: it is the same for all that wait behind */
            hurry(client);
            if (client->settings.fail_when_gone && client_gone(client))
                fail_waiting(client);
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
    request->tries = request->unable = request->lost = request->tried_count = 0;
    request->open = true;
    request->gone = false;
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
    for (struct client_attempt *attempt; (attempt = find_attempt(request)) != NULL;)
        conn_take(attempt);
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

/* REQUEST has found no server that works for the NUMBERth time in a row: asks again after a while, if there
 * is time for that. */
static bool ask_later(struct client *client, struct client_request *request, unsigned number, uint64_t now)
{
    unsigned doublings = number - 1 < DOUBLINGS_MAX ? number - 1 : DOUBLINGS_MAX;
    uint64_t wait_ms = (uint64_t)AGAIN_MS << doublings;
    uint64_t due_ns = now + (wait_ms / 2 + balance_random(&client->random) % wait_ms) * NS_PER_MS;

    if (due_ns >= request->deadline_ns)
        return false;
    deadlines_move(&client->deadlines, request, due_ns);
    return true;
}

/* Lets another server try after an answer that was none; false when it shall not, or none is there. A server
 * that is UNABLE has done nothing for the request, which only moves, as from a lost channel: no budget, and
 * more than once. */
static bool retry(struct client *client, struct client_request *request, struct link *from, bool unable)
{
    uint64_t now = clock_ns();

    if (unable) {
        link_set_unable(from, now);
        request->unable++;
    }
    if (request->only != NULL || used_up(request) || request->deadline_ns <= now)
        return false;
    if (!choice_has_other(client, request, unable, now))
        return unable && ask_later(client, request, request->unable, now);
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

void route_answer(struct client *client, struct link *link, struct client_attempt *attempt,
                  const struct msg_answer *answer)
{
    static const struct outcome unavailable = {.status = STATUS_UNAVAILABLE};
    struct client_request *request = attempt->request;
    const struct outcome *outcome = answer != NULL ? &answer->outcome : &unavailable;

    if (answer != NULL && answer->key_count > 0 && request->on_part != NULL &&
        request->on_part(request, answer->keys, answer->key_count) != 0)
        outcome = &unavailable;
    else if (answer != NULL && answer->more)
        return;
    conn_take(attempt);
    if (outcome->status == STATUS_REFUSED && request->operation.kind != OP_KEYS)
        client_grants_stir(client, link);
    if (!is_final(outcome->status)) {
        if (find_attempt(request) != NULL)
            return;
        bool unable = outcome != &unavailable && outcome->status == STATUS_UNAVAILABLE;
        if (outcome->status != STATUS_EXPIRED && retry(client, request, link, unable))
            return;
    }
    finish(client, request, outcome, answer != NULL ? link_name(link) : NULL);
}

/* ---- lost channels ---- */

/* The request only moves, the lost server works no longer: no budget, which would fail requests exactly when
 * the second server is needed. One that loses channel after channel rests in between, and CLIENT_LOST_MAX
 * bounds what it can do to a fleet. */
bool route_lost(struct client *client, struct link *link, struct client_attempt *attempt)
{
    struct client_request *request = attempt->request;
    uint64_t now = clock_ns();

    if (attempt->sent_ns != 0)
        request->lost++;
    if (find_attempt(request) != NULL)
        return false; /* it is already with another server */
    if (request->only != NULL || used_up(request) || request->deadline_ns <= now) {
        route_fail(client, request);
        return false;
    }
    counter_add(&link->setup.stats->retried, 1);
    if (request->lost >= 2 && !choice_has_other(client, request, true, now) &&
        ask_later(client, request, request->lost - 1, now))
        return true;
    wait_last(client, request);
    route_wake(client);
    return true;
}

/* ---- deadlines ---- */

static void expire(struct client *client, struct client_request *request, uint64_t now)
{
    for (size_t i = 0; i < CLIENT_ATTEMPTS_MAX; i++) {
        struct client_attempt *attempt = &request->attempts[i];
        if (attempt->conn == NULL)
            continue;
        struct link *link = attempt->conn->user;
        counter_add(&link->setup.stats->timeouts, 1);
        if (attempt->sent_ns != 0 && link_silent(link, attempt->sent_ns))
            link_set_stalled(link, now);
    }
    route_fail(client, request);
}

/* True when LINK shows that it works: it has answered since SINCE_NS, or has nothing to answer. */
static bool shows_life(const struct link *link, uint64_t since_ns)
{
    return !link_silent(link, since_ns) || link_in_flight(link) == 0;
}

/* A second server for REQUEST, whose first one at ATTEMPT has had its time. The budget does not count when
 * the first answers nobody and the second does: then nothing is doubled. */
static void hedge(struct client *client, struct client_request *request, struct client_attempt *attempt,
                  uint64_t now)
{
    struct link *first = attempt->conn->user;
    bool unsent = attempt->sent_ns == 0;
    bool silent = !unsent && link_silent(first, attempt->sent_ns);

    if (silent) {
        link_set_stalled(first, now);
        route_wake(client); /* its word on epochs is not waited for */
    }
    struct link *second = choice_find(client, request, now);
    if (second == NULL)
        return;
    bool free_of_charge = unsent || (silent && shows_life(second, attempt->sent_ns));
    if (!free_of_charge && !budget_take(&client->budget, now))
        return;
    if (unsent)
        conn_take(attempt);
    else
        request->hedged = true;
    counter_add(&first->setup.stats->retried, 1);
    give(request, second, now);
    route_wake(client);
}

/* When to look again: half of the time the present server has, or of what is left. */
static uint64_t next_look(const struct client_request *request, const struct client_attempt *attempt,
                          uint64_t now)
{
    uint64_t end = request->deadline_ns;

    if (request->hedged || used_up(request))
        return end;
    if (attempt != NULL && attempt->sent_ns != 0) {
        uint64_t half = attempt->sent_ns + (end - attempt->sent_ns + 1) / 2;
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
    struct client_attempt *attempt = find_attempt(request);
    bool had_time = attempt != NULL &&
                    (attempt->sent_ns == 0 || now_ns - attempt->sent_ns >= request->deadline_ns - now_ns);
    if (attempt == NULL && !request->waiting) { /* its rest is over */
        wait_last(client, request);
        route_wake(client);
    }
    if (had_time && !request->hedged && !used_up(request))
        hedge(client, request, attempt, now_ns);
    deadlines_move(&client->deadlines, request, next_look(request, find_attempt(request), now_ns));
}
