#include "edge/keyclient/link.h"

#include <assert.h>
#include <utlist.h>

#include "common/channel_times.h"
#include "common/clock.h"
#include "common/secret.h"
#include "edge/keyclient/balance.h"
#include "edge/keyclient/link_log.h"

#define RESOLVE_MS  300         /* how long an attempt waits for the name servers */
#define NAME_AGE_NS 1000000000u /* an answer that is older is asked for again */
#define HURRY_MS    300 /* the longest that a waiting request lets the next connect wait, but for jitter */

static const struct conn_events conn_events;

/* ---- connecting ---- */

static void on_timer(uv_timer_t *timer);

static void set_timer(struct link *link, uint64_t ms)
{
    if (!link->closing)
        uv_timer_start(&link->timer, on_timer, ms, 0);
}

/* ± 10 %, so that the handshakes of many edges that started together drift apart. */
static uint64_t jittered(struct link *link, uint64_t ms)
{
    return ms - ms / 10 + balance_random(&link->random) % (ms / 5 + 1);
}

static void set_rehandshake(struct link *link)
{
    uint64_t now = clock_ns();

    set_timer(link, link->rehandshake_ns > now ? (link->rehandshake_ns - now) / NS_PER_MS : 0);
}

static void set_reach(struct link *link, enum link_reach reach)
{
    if (link->reach == LINK_GONE)
        counter_add(&link->setup.stats->gone, (uint64_t)-1);
    if (reach == LINK_GONE)
        counter_add(&link->setup.stats->gone, 1);
    link->reach = reach;
}

/* Nothing came of the round: the next one comes after the back-off. */
static void fail_round(struct link *link, const struct address *address, int why)
{
    uint64_t retry_ms = backoff_next(&link->backoff, balance_random(&link->random));

    counter_add(&link->setup.stats->failed, 1);
    link_log_failed(link, address, why, retry_ms);
    set_timer(link, retry_ms);
    if (link->current == NULL)
        set_reach(link, LINK_GONE);
    struct client_failure failure = link_log_failure(link, address, why);
    link->events->on_failed(link, &failure, link->user);
}

/* The next address of the round. */
static void connect_next(struct link *link)
{
    const struct address *address = targets_next(&link->targets);

    if (address == NULL) {
        fail_round(link, NULL, ERR_NOT_FOUND);
        return;
    }
    uint64_t patience_ms = targets_patience_ms(&link->targets, link->connect_timeout_ms);
    link->setup.channel.connect_timeout_ms = patience_ms;
    link->fresh = conn_new(&link->setup, address, link);
    if (link->fresh == NULL) {
        fail_round(link, address, ERR_MEMORY);
        return;
    }
    DL_APPEND(link->conns, link->fresh);
    link->parts++;
    set_timer(link, 2 * patience_ms); /* until the hello */
}

/* The channel to ADDRESS did not come about. */
static void fail_connect(struct link *link, const struct address *address, int why)
{
    if (!targets_left(&link->targets)) {
        fail_round(link, address, why);
        return;
    }
    counter_add(&link->setup.stats->failed, 1);
    link_log_failed(link, address, why, 0);
    connect_next(link);
}

static void begin_round(struct link *link)
{
    link->resolving = false;
    targets_begin(&link->targets, &link->setup.server->endpoint);
    connect_next(link);
}

/* A name is looked up first, for a moment: with a resolver that is slow the last good answer has to do, and
 * the next attempt has the new one. */
static void start_connect(struct link *link)
{
    if (endpoint_is_fresh(&link->setup.server->endpoint, clock_ns(), NAME_AGE_NS)) {
        begin_round(link);
        return;
    }
    link->resolving = true;
    set_timer(link, RESOLVE_MS);
}

void link_resolved(struct link *link)
{
    if (!link->closing && link->resolving &&
        endpoint_is_fresh(&link->setup.server->endpoint, clock_ns(), NAME_AGE_NS))
        begin_round(link);
}

static void on_timer(uv_timer_t *timer)
{
    struct link *link = timer->data;

    if (link->fresh != NULL)
        conn_fail(link->fresh, ERR_TIMEOUT);
    else if (link->resolving)
        begin_round(link);
    else
        start_connect(link);
}

/* ---- what happens to a connection ---- */

/* Hands all attempts of CONN back; returns how many will be sent again. */
static size_t give_up_attempts(struct link *link, struct conn *conn)
{
    size_t again = 0;

    for (struct client_attempt *attempt;
         (attempt = conn->sent != NULL ? conn->sent : conn->queued) != NULL;) {
        conn_take(attempt);
        if (link->events->on_lost(link, attempt, link->user))
            again++;
    }
    return again;
}

/* The current connection takes over from REPLACED: what is open there may still be answered, but not through
 * a channel that has gone silent. */
static void replace(struct link *link, struct conn *replaced)
{
    bool silent = link->silent && channel_asked_ns(replaced->channel) != 0;

    link->silent = false;
    replaced->state = CONN_DRAINING;
    if (silent) {
        size_t in_flight = conn_in_flight(replaced);
        link->stalled = false;
        size_t again = give_up_attempts(link, replaced);
        link_log_replaced(link, in_flight, again);
    }
    link->events->on_work(link, link->user); /* link_flush() closes REPLACED when nothing is open there */
}

static void on_conn_open(struct conn *conn, void *user)
{
    struct link *link = user;
    struct conn *replaced = link->current;

    assert(conn == link->fresh);
    link->fresh = NULL;
    link->current = conn;
    link->opened_ns = clock_ns();
    link->rehandshake_ns = link->opened_ns + jittered(link, link->rehandshake_ms) * NS_PER_MS;
    targets_reset(&link->targets);
    endpoint_prefer(&link->setup.server->endpoint, channel_address(conn->channel));
    counter_add(&link->setup.stats->connects, 1);
    set_rehandshake(link);
    if (replaced != NULL) {
        replace(link, replaced);
        return;
    }
    link->stalled = false;
    set_reach(link, LINK_UP);
    counter_add(&link->setup.stats->connected, 1);
    link_log_connected(link);
    link->events->on_open(link, link->user);
}

static void on_current_lost(struct link *link, struct conn *conn, int why)
{
    size_t in_flight = conn_in_flight(conn);
    uint64_t opened_ms = (clock_ns() - link->opened_ns) / NS_PER_MS;

    link->current = NULL;
    link->silent = false;
    set_reach(link, LINK_UNKNOWN);
    if (opened_ms >= link->backoff.max_ms)
        backoff_reset(&link->backoff);
    counter_add(&link->setup.stats->lost, 1);
    counter_add(&link->setup.stats->connected, (uint64_t)-1);
    if (link->fresh == NULL)
        set_timer(link, backoff_next(&link->backoff, balance_random(&link->random)));
    link->events->on_closed(link, link->user);
    size_t again = give_up_attempts(link, conn);
    link_log_lost(link, why, in_flight, again);
}

static void on_conn_end(struct conn *conn, int why, void *user)
{
    struct link *link = user;

    if (conn == link->fresh) {
        link->fresh = NULL;
        fail_connect(link, channel_address(conn->channel), why);
    } else if (conn == link->current) {
        on_current_lost(link, conn, why);
    } else {
        give_up_attempts(link, conn);
    }
}

static void on_conn_answer(struct conn *conn, struct client_attempt *attempt, const struct msg_answer *answer,
                           void *user)
{
    struct link *link = user;

    (void)conn;
    if (answer != NULL) {
        link->answered_ns = clock_ns();
        backoff_reset(&link->backoff);
        if (link->stalled) {
            link->stalled = false;
            log_event(LOG_INFO, "key_server_answers", "server=%s", link_name(link));
        }
    }
    link->events->on_answer(link, attempt, answer, link->user);
}

/* A connection that was replaced has nothing to say that the current one does not say too. */
static void on_conn_epoch(struct conn *conn, const struct msg_epoch *epoch, void *user)
{
    struct link *link = user;

    if (conn == link->current)
        link->events->on_epoch(link, epoch, link->user);
}

static void on_conn_room(struct conn *conn, void *user)
{
    struct link *link = user;

    (void)conn;
    link->events->on_work(link, link->user);
}

static void on_conn_gone(struct conn *conn, void *user)
{
    struct link *link = user;

    DL_DELETE(link->conns, conn);
    link->parts--;
    link->events->on_gone(link, link->user);
}

static const struct conn_events conn_events = {
    .on_open = on_conn_open,
    .on_answer = on_conn_answer,
    .on_epoch = on_conn_epoch,
    .on_room = on_conn_room,
    .on_end = on_conn_end,
    .on_gone = on_conn_gone,
};

/* ---- life ---- */

void link_init(struct link *link, uv_loop_t *loop, const struct client_settings *settings, size_t number,
               struct conn_batch *batch, const struct link_events *events, void *user)
{
    *link = (struct link){
        .setup = {.loop = loop,
                  .identity = settings->identity,
                  .server = &settings->servers[number],
                  .stats = &settings->stats[number],
                  .software = settings->software != NULL ? settings->software : "",
                  .events = &conn_events,
                  .batch = batch},
        .events = events,
        .user = user,
        .rehandshake_ms = settings->rehandshake_ms,
        .connect_timeout_ms = settings->connect_timeout_ms,
        .probe_interval_ns = settings->ping_interval_ms * NS_PER_MS,
        .parts = 1,
    };
    channel_settings_default(&link->setup.channel);
    link->setup.channel.ping_interval_ms = settings->ping_interval_ms;
    link->setup.channel.idle_timeout_ms = CHANNEL_SILENT_MS(settings->ping_interval_ms);
    backoff_init(&link->backoff, settings->backoff_min_ms, settings->backoff_max_ms);
    random_bytes(&link->random, sizeof link->random);
    uv_timer_init(loop, &link->timer); /* cannot fail */
    link->timer.data = link;
}

void link_start(struct link *link)
{
    start_connect(link);
}

void link_hurry(struct link *link)
{
    bool connecting = link->fresh != NULL || link->current != NULL || link->resolving;

    if (!link->closing && !connecting && uv_timer_get_due_in(&link->timer) > 2 * HURRY_MS)
        set_timer(link, HURRY_MS + balance_random(&link->random) % HURRY_MS);
}

static void on_timer_gone(uv_handle_t *handle)
{
    struct link *link = handle->data;

    link->parts--;
    link->events->on_gone(link, link->user);
}

void link_close(struct link *link)
{
    if (link->closing)
        return;
    link->closing = true;
    if (link->current != NULL)
        counter_add(&link->setup.stats->connected, (uint64_t)-1);
    set_reach(link, LINK_UNKNOWN);
    link->current = link->fresh = NULL;
    for (struct conn *conn = link->conns; conn != NULL; conn = conn->next)
        conn_close(conn);
    uv_close((uv_handle_t *)&link->timer, on_timer_gone);
}

/* ---- use ---- */

bool link_usable(const struct link *link)
{
    return link->current != NULL;
}

bool link_gone(const struct link *link)
{
    return link->reach == LINK_GONE;
}

bool link_has_room(const struct link *link)
{
    return link->current != NULL && conn_has_room(link->current);
}

size_t link_in_flight(const struct link *link)
{
    size_t sum = 0;

    for (const struct conn *conn = link->conns; conn != NULL; conn = conn->next)
        sum += conn_in_flight(conn);
    return sum;
}

const char *link_name(const struct link *link)
{
    return link->setup.server->name;
}

void link_put(struct link *link, struct client_attempt *attempt, uint64_t now_ns)
{
    if (link->stalled)
        link->probe_ns = now_ns + link->probe_interval_ns;
    conn_put(link->current, attempt);
}

void link_flush(struct link *link)
{
    for (struct conn *conn = link->conns, *next; conn != NULL; conn = next) {
        next = conn->next;
        conn_flush(conn);
        if (conn->state == CONN_DRAINING && conn_in_flight(conn) == 0)
            conn_close(conn);
    }
}

/* ---- silence ---- */

/* A second channel comes at once, but not again and again: the back-off ends with the next answer only. */
static void set_silent(struct link *link, uint64_t now_ns)
{
    uint64_t wait_ms = link->second_ns > now_ns ? (link->second_ns - now_ns) / NS_PER_MS : 0;

    link->silent = true;
    counter_add(&link->setup.stats->silent, 1);
    link_log_silent(link, (now_ns - channel_heard_ns(link->current->channel)) / NS_PER_MS);
    link->second_ns = now_ns +
                      (wait_ms + backoff_next(&link->backoff, balance_random(&link->random))) * NS_PER_MS;
    if (link->fresh == NULL && !link->resolving)
        set_timer(link, wait_ms);
    link->events->on_work(link, link->user); /* its word on epochs is not waited for */
}

static void set_heard(struct link *link)
{
    link->silent = false;
    link->resolving = false;
    link_log_heard(link);
    if (link->fresh != NULL)
        conn_close(link->fresh);
    link->fresh = NULL;
    set_rehandshake(link);
}

/* The current connection takes what is open on CONN; link_flush() closes it. */
static void give_up_draining(struct link *link, struct conn *conn)
{
    (void)give_up_attempts(link, conn);
    link->events->on_work(link, link->user);
}

uint64_t link_watch(struct link *link, uint64_t now_ns)
{
    uint64_t first_ns = UINT64_MAX, look_ns;

    if (link->silent && channel_asked_ns(link->current->channel) == 0)
        set_heard(link);
    for (struct conn *conn = link->conns; conn != NULL; conn = conn->next) {
        bool silent = conn_watch(conn, link->rtt_ns, now_ns, &look_ns);
        if (silent && conn == link->current && !link->silent)
            set_silent(link, now_ns);
        else if (silent && conn != link->current)
            give_up_draining(link, conn);
        else if (!silent && look_ns < first_ns)
            first_ns = look_ns;
    }
    return first_ns; /* the end of a silence is an event */
}
