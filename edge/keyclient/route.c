#include "edge/keyclient/route.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "common/clock.h"
#include "common/secret.h"
#include "edge/keyclient/dispatch.h"
#include "edge/keyclient/route_sight.h"

/* ---- life ---- */

int route_init(struct route *route)
{
    size_t count = route->pool->count + 1; /* never an allocation of 0 bytes */

    route->servers = calloc(count, sizeof *route->servers);
    route->candidates = calloc(count, sizeof *route->candidates);
    random_bytes(&route->random, sizeof route->random);
    return route->servers != NULL && route->candidates != NULL ? 0 : ERR_MEMORY;
}

void route_clear(struct route *route)
{
    deadlines_clear(&route->deadlines);
    free(route->servers);
    free(route->candidates);
}

size_t route_in_flight(const struct route *route)
{
    return route->deadlines.count;
}

uint64_t route_first_ns(const struct route *route)
{
    return deadlines_first_ns(&route->deadlines);
}

/* ---- queue ---- */

static void queue_last(struct route *route, struct client_request *request)
{
    request->waiting = true;
    DL_APPEND(route->queue, request);
    turn_wake(route->turn);
}

static void queue_first(struct route *route, struct client_request *request)
{
    request->waiting = true;
    DL_PREPEND(route->queue, request);
    turn_wake(route->turn);
}

static void unqueue(struct route *route, struct client_request *request)
{
    request->waiting = false;
    DL_DELETE(route->queue, request);
}

static struct link *link_of(const struct route *route, const struct client_attempt *attempt)
{
    return &route->pool->links[conn_server(attempt->conn)];
}

static void give_to(struct route *route, struct client_request *request, size_t server, uint64_t now)
{
    struct client_attempt *attempt = request->attempts;

    while (attempt->conn != NULL)
        attempt++;
    assert(attempt < request->attempts + DISPATCH_ATTEMPTS_MAX);
    attempt->request = request;
    route_sight_note(request, server);
    link_put(&route->pool->links[server], attempt, now);
}

/* ---- beginning and end ---- */

int route_open(struct route *route, struct client_request *request, size_t only)
{
    uint64_t now = clock_ns();

    assert(!request->open);
    if (deadlines_reserve(&route->deadlines) != 0)
        return ERR_MEMORY;
    request->outcome.status = STATUS_UNAVAILABLE;
    request->outcome.length = 0;
    request->answered = false;
    request->sent_ns = request->answered_ns = 0;
    request->tries = request->unable = request->lost = 0;
    request->tried = 0;
    request->open = true;
    request->gone = false;
    request->retried = request->hedged = false;
    request->pinned = only != ROUTE_ANY;
    const struct dispatch_request facts = route_sight_request(request);
    deadlines_put(&route->deadlines, request, dispatch_first_ns(&facts, route->pool->count, now));
    budget_request(&route->budget, now);
    if (request->pinned)
        give_to(route, request, only, now);
    else
        queue_last(route, request);
    turn_wake(route->turn);
    return 0;
}

void route_forget(struct route *route, struct client_request *request)
{
    for (struct client_attempt *attempt; (attempt = route_sight_attempt(request)) != NULL;)
        conn_take(attempt);
    if (request->waiting)
        unqueue(route, request);
    deadlines_remove(&route->deadlines, request);
    request->open = false;
    turn_wake(route->turn); /* its place is free */
}

static void finish_request(struct route *route, struct client_request *request, const struct outcome *outcome)
{
    route_forget(route, request);
    request->answered_ns = clock_ns();
    request->outcome.status = outcome->status;
    request->outcome.length = outcome->length;
    memcpy(request->outcome.bytes, outcome->bytes, outcome->length);
    request->on_answer(request);
}

static void fail_request(struct route *route, struct client_request *request)
{
    const struct outcome unavailable = {.status = STATUS_UNAVAILABLE};

    request->answered = false;
    finish_request(route, request, &unavailable);
}

void route_fail_all(struct route *route)
{
    for (struct client_request *request; (request = deadlines_find_first(&route->deadlines)) != NULL;)
        fail_request(route, request);
}

/* ---- to servers ---- */

/* No server is there to wait for. What is submitted meanwhile is handled in its own turn. */
static void fail_queue(struct route *route)
{
    struct client_request *request;
    size_t count;

    DL_COUNT(route->queue, request, count);
    while (count-- > 0 && (request = route->queue) != NULL) {
        request->gone = true;
        fail_request(route, request);
    }
}

/* The number of the server that gets REQUEST; the number of servers when none can have it. */
static size_t choose_server(struct route *route, const struct client_request *request, uint64_t now)
{
    size_t count = route->pool->count;

    route_sight_servers(route, request, now);
    return dispatch_choose(route->servers, count, count > 1 ? balance_random(&route->random) : 0,
                           route->candidates);
}

void route_give(struct route *route)
{
    uint64_t now = route->queue != NULL ? clock_ns() : 0;

    for (struct client_request *request; (request = route->queue) != NULL;) {
        if (request->deadline_ns <= now) {
            unqueue(route, request); /* too late to be sent: its deadline will end it */
            continue;
        }
        size_t server = choose_server(route, request, now);
        if (server == route->pool->count) { /* it is the same for all requests behind this one */
            pool_hurry(route->pool);
            if (route->fail_when_gone && pool_gone(route->pool))
                fail_queue(route);
            return;
        }
        unqueue(route, request);
        give_to(route, request, server, now);
    }
}

/* ---- answers ---- */

static bool has_other(struct route *route, const struct client_request *request, bool avoided, uint64_t now)
{
    route_sight_servers(route, request, now);
    return dispatch_has_other(route->servers, route->pool->count, avoided);
}

/* Takes the part of a list that ANSWER brings. Returns ANSWER, or NULL when its owner refuses that part. */
static const struct msg_answer *take_part(struct client_request *request, const struct msg_answer *answer)
{
    bool refused = answer != NULL && answer->key_count > 0 && request->on_part != NULL &&
                   request->on_part(request, answer->keys, answer->key_count) != 0;

    return refused ? NULL : answer;
}

static enum dispatch_answer kind_of(const struct msg_answer *answer)
{
    static const enum dispatch_answer kinds[STATUS_KINDS] = {
        [STATUS_OK] = DISPATCH_FINAL,
        [STATUS_REFUSED] = DISPATCH_FINAL,
        [STATUS_UNAVAILABLE] = DISPATCH_UNAVAILABLE,
        [STATUS_EXPIRED] = DISPATCH_EXPIRED,
        [STATUS_BUSY] = DISPATCH_TRY_OTHER,
    };

    return answer != NULL ? kinds[answer->outcome.status] : DISPATCH_TRY_OTHER;
}

/* Decides what follows for REQUEST after an answer of FROM, which is KIND. */
static enum dispatch_step step_after(struct route *route, struct client_request *request, struct link *from,
                                     enum dispatch_answer kind)
{
    uint64_t now = clock_ns();
    bool unable = kind == DISPATCH_UNAVAILABLE && route_sight_attempt(request) == NULL;

    if (unable) {
        health_set_unable(&from->health, now);
        request->unable++;
    }
    const struct dispatch_request facts = route_sight_request(request);
    bool other = kind != DISPATCH_FINAL && has_other(route, request, unable, now);
    uint64_t random = kind == DISPATCH_UNAVAILABLE ? balance_random(&route->random) : 0;
    struct dispatch_verdict verdict = dispatch_after_answer(&facts, kind, other, now, random);
    if (verdict.paid && !budget_take(&route->budget, now))
        return DISPATCH_END;
    if (verdict.step == DISPATCH_REST)
        deadlines_move(&route->deadlines, request, verdict.due_ns);
    request->retried = request->retried || verdict.paid;
    return verdict.step;
}

void route_answered(struct route *route, struct client_attempt *attempt, const struct msg_answer *answer)
{
    static const struct outcome unavailable = {.status = STATUS_UNAVAILABLE};
    struct client_request *request = attempt->request;
    struct link *from = link_of(route, attempt);
    const struct msg_answer *good = take_part(request, answer);

    if (good != NULL && good->more)
        return;
    conn_take(attempt);
    enum dispatch_answer kind = kind_of(good);
    enum dispatch_step step = kind != DISPATCH_FINAL ? step_after(route, request, from, kind) : DISPATCH_END;
    if (step == DISPATCH_MOVE) {
        counter_add(&from->setup.stats->retried, 1);
        queue_first(route, request);
    } else if (step == DISPATCH_END) {
        request->answered = answer != NULL;
        request->server = from->setup.number;
        finish_request(route, request, good != NULL ? &good->outcome : &unavailable);
    }
}

/* ---- lost channels ---- */

bool route_lost(struct route *route, struct client_attempt *attempt, size_t server)
{
    struct client_request *request = attempt->request;
    uint64_t now = clock_ns();

    if (attempt->sent_ns != 0)
        request->lost++;
    const struct dispatch_request facts = route_sight_request(request);
    bool other = request->lost < 2 || has_other(route, request, true, now);
    uint64_t random = other ? 0 : balance_random(&route->random);
    struct dispatch_verdict verdict = dispatch_after_loss(&facts, other, now, random);
    if (verdict.step == DISPATCH_END)
        fail_request(route, request);
    if (verdict.step == DISPATCH_END || verdict.step == DISPATCH_STAY)
        return false; /* the request is over, or another server has it already */
    counter_add(&route->pool->links[server].setup.stats->retried, 1);
    if (verdict.step == DISPATCH_REST)
        deadlines_move(&route->deadlines, request, verdict.due_ns);
    else
        queue_last(route, request);
    return true;
}

/* ---- deadlines ---- */

/* True when the server that has ATTEMPT has answered nothing since the attempt was sent. */
static bool is_unheard(const struct link *link, const struct client_attempt *attempt)
{
    return attempt->sent_ns != 0 && health_is_silent(&link->health, attempt->sent_ns);
}

static void expire_request(struct route *route, struct client_request *request, uint64_t now)
{
    for (size_t i = 0; i < DISPATCH_ATTEMPTS_MAX; i++) {
        const struct client_attempt *attempt = &request->attempts[i];
        if (attempt->conn == NULL)
            continue;
        struct link *link = link_of(route, attempt);
        counter_add(&link->setup.stats->timeouts, 1);
        if (is_unheard(link, attempt))
            link_set_stalled(link, now);
    }
    fail_request(route, request);
}

/* True when LINK works: it has answered since SINCE_NS, or has nothing to answer. */
static bool shows_life(const struct link *link, uint64_t since_ns)
{
    return !health_is_silent(&link->health, since_ns) || link_in_flight(link) == 0;
}

/* Asks a second server for REQUEST, because the first one at ATTEMPT has had its time. */
static void ask_second(struct route *route, struct client_request *request, struct client_attempt *attempt,
                       uint64_t now)
{
    const struct dispatch_request facts = route_sight_request(request);
    struct link *first = link_of(route, attempt);
    bool silent = is_unheard(first, attempt);

    if (silent) {
        link_set_stalled(first, now);
        turn_wake(route->turn); /* this server's epochs are not waited for */
    }
    size_t second = choose_server(route, request, now);
    if (second == route->pool->count)
        return;
    bool works = shows_life(&route->pool->links[second], attempt->sent_ns);
    if (dispatch_second_costs_budget(&facts, silent, works) && !budget_take(&route->budget, now))
        return;
    if (attempt->sent_ns == 0)
        conn_take(attempt);
    else
        request->hedged = true;
    counter_add(&first->setup.stats->retried, 1);
    give_to(route, request, second, now);
    turn_wake(route->turn);
}

static void do_what_is_due(struct route *route, struct client_request *request, uint64_t now)
{
    struct dispatch_request facts = route_sight_request(request);
    enum dispatch_step step = dispatch_when_due(&facts, now);

    if (step == DISPATCH_END) {
        expire_request(route, request, now);
        return;
    }
    if (step == DISPATCH_QUEUE)
        queue_last(route, request);
    if (step == DISPATCH_SECOND)
        ask_second(route, request, route_sight_attempt(request), now);
    facts = route_sight_request(request);
    deadlines_move(&route->deadlines, request, dispatch_next_ns(&facts, now));
}

void route_due(struct route *route, uint64_t now_ns)
{
    while (deadlines_first_ns(&route->deadlines) <= now_ns)
        do_what_is_due(route, deadlines_find_first(&route->deadlines), now_ns);
}
