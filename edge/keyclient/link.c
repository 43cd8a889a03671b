#include "edge/keyclient/link.h"

#include <assert.h>
#include <utlist.h>

#include "common/channel_times.h"
#include "common/clock.h"
#include "common/secret.h"
#include "edge/keyclient/balance.h"
#include "edge/keyclient/link_log.h"

#define RESOLVE_MS  300         /* an attempt with an older answer waits so long for the name servers */
#define NAME_AGE_NS 1000000000u /* an answer that is older is asked for again */
#define HURRY_MS    300 /* the longest that a waiting request lets the next connect wait, but for jitter */

/* ---- connecting ---- */

static void set_timer(struct link *link, uint64_t ms)
{
    if (!link->closing)
        uv_timer_start(&link->timer, link->on_timer, ms, 0);
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

/* The round failed: the next one comes after the back-off. */
static enum link_change fail_round(struct link *link, const struct address *address, int why)
{
    uint64_t retry_ms = backoff_next(&link->backoff, balance_random(&link->random));

    counter_add(&link->setup.stats->failed, 1);
    link_log_failed(link, address, why, retry_ms);
    set_timer(link, retry_ms);
    if (link->current == NULL)
        set_reach(link, LINK_GONE);
    link->failure = link_log_failure(link, address, why);
    return LINK_FAILED;
}

/* Connects to the next address of the round. */
static enum link_change connect_next(struct link *link)
{
    const struct address *address = targets_next(&link->targets);

    if (address == NULL)
        return fail_round(link, NULL, ERR_NOT_FOUND);
    uint64_t patience_ms = targets_patience_ms(&link->targets, link->connect_timeout_ms);
    link->setup.channel.connect_timeout_ms = patience_ms;
    link->fresh = conn_new(&link->setup, address);
    if (link->fresh == NULL)
        return fail_round(link, address, ERR_MEMORY);
    DL_APPEND(link->conns, link->fresh);
    link->parts++;
    set_timer(link, 2 * patience_ms); /* until the hello */
    return LINK_UNCHANGED;
}

/* Connecting to ADDRESS failed. */
static enum link_change fail_connect(struct link *link, const struct address *address, int why)
{
    if (!targets_left(&link->targets))
        return fail_round(link, address, why);
    counter_add(&link->setup.stats->failed, 1);
    link_log_failed(link, address, why, 0);
    return connect_next(link);
}

static enum link_change begin_round(struct link *link)
{
    link->resolving = false;
    targets_begin(&link->targets, &link->setup.server->endpoint);
    return connect_next(link);
}

/* Looks a name up first, for a moment: with a slow resolver the last good answer is used, and the next
 * attempt has the new one. Without a good answer there is nothing to connect to. A server whose name has not
 * been found yet is not gone, so that look-up may take its time. */
enum link_change link_start(struct link *link)
{
    const struct endpoint *endpoint = &link->setup.server->endpoint;

    if (endpoint_is_fresh(endpoint, clock_ns(), NAME_AGE_NS))
        return begin_round(link);
    link->resolving = true;
    set_timer(link, endpoint_is_awaited(endpoint) ? NAMES_ANSWER_MS : RESOLVE_MS);
    return LINK_UNCHANGED;
}

enum link_change link_resolved(struct link *link)
{
    if (!link->closing && link->resolving &&
        endpoint_is_fresh(&link->setup.server->endpoint, clock_ns(), NAME_AGE_NS))
        return begin_round(link);
    return LINK_UNCHANGED;
}

enum link_change link_timed_out(struct link *link, struct conn **overdue)
{
    *overdue = link->fresh;
    if (link->fresh != NULL)
        return LINK_UNCHANGED;
    return link->resolving ? begin_round(link) : link_start(link);
}

/* ---- what happens to a connection ---- */

/* The current connection takes over from the one before. What is open on that one may still be answered, but
 * not through a channel that has gone silent. */
static enum link_change replace(struct link *link, struct conn *before)
{
    bool silent = link->silent && channel_asked_ns(before->channel) != 0;

    link->silent = false;
    before->state = CONN_DRAINING;
    if (!silent)
        return LINK_REPLACED;
    link->health.stalled = false;
    return LINK_REPLACED_SILENT;
}

enum link_change link_opened(struct link *link, struct conn **before)
{
    assert(link->fresh != NULL);
    *before = link->current;
    link->current = link->fresh;
    link->fresh = NULL;
    link->opened_ns = clock_ns();
    link->rehandshake_ns = link->opened_ns + jittered(link, link->rehandshake_ms) * NS_PER_MS;
    targets_reset(&link->targets);
    endpoint_prefer(&link->setup.server->endpoint, channel_address(link->current->channel));
    counter_add(&link->setup.stats->connects, 1);
    set_rehandshake(link);
    if (*before != NULL)
        return replace(link, *before);
    link->health.stalled = false;
    set_reach(link, LINK_UP);
    counter_add(&link->setup.stats->connected, 1);
    link_log_connected(link);
    return LINK_OPENED;
}

static enum link_change lose_current(struct link *link)
{
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
    return LINK_CLOSED;
}

enum link_change link_ended(struct link *link, const struct conn *conn, int why)
{
    if (conn == link->fresh) {
        link->fresh = NULL;
        return fail_connect(link, channel_address(conn->channel), why);
    }
    return conn == link->current ? lose_current(link) : LINK_UNCHANGED;
}

void link_answered(struct link *link)
{
    backoff_reset(&link->backoff);
    if (health_answer(&link->health, clock_ns()))
        log_event(LOG_INFO, "key_server_answers", "server=%s", link_name(link));
}

void link_drop(struct link *link, struct conn *conn)
{
    DL_DELETE(link->conns, conn);
    link->parts--;
    conn_free(conn);
}

/* ---- life ---- */

void link_init(struct link *link, const struct client_settings *settings, size_t number,
               const struct conn_setup *setup, uv_timer_cb on_timer)
{
    *link = (struct link){
        .setup = *setup,
        .on_timer = on_timer,
        .rehandshake_ms = settings->rehandshake_ms,
        .connect_timeout_ms = settings->connect_timeout_ms,
        .health.probe_interval_ns = settings->ping_interval_ms * NS_PER_MS,
        .parts = 1,
    };
    link->setup.identity = settings->identity;
    link->setup.server = &settings->servers[number];
    link->setup.number = number;
    link->setup.stats = &settings->stats[number];
    link->setup.sharers = settings->sharers > 0 ? settings->sharers : 1;
    link->setup.software = settings->software != NULL ? settings->software : "";
    channel_settings_default(&link->setup.channel);
    link->setup.channel.ping_interval_ms = settings->ping_interval_ms;
    link->setup.channel.idle_timeout_ms = CHANNEL_SILENT_MS(settings->ping_interval_ms);
    backoff_init(&link->backoff, settings->backoff_min_ms, settings->backoff_max_ms);
    random_bytes(&link->random, sizeof link->random);
    uv_timer_init(setup->loop, &link->timer); /* cannot fail */
    link->timer.data = link;
}

void link_hurry(struct link *link)
{
    bool connecting = link->fresh != NULL || link->current != NULL || link->resolving;

    if (!link->closing && !connecting && uv_timer_get_due_in(&link->timer) > 2 * HURRY_MS)
        set_timer(link, HURRY_MS + balance_random(&link->random) % HURRY_MS);
}

void link_close(struct link *link, uv_close_cb on_closed)
{
    if (link->closing)
        return;
    link->closing = true;
    if (link->current != NULL)
        counter_add(&link->setup.stats->connected, (uint64_t)-1);
    set_reach(link, LINK_UNKNOWN);
    link->current = link->fresh = NULL;
    for (struct conn *conn = link->conns; conn != NULL; conn = conn->next)
        (void)conn_end(conn);
    uv_close((uv_handle_t *)&link->timer, on_closed);
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

bool link_works(const struct link *link)
{
    return link_usable(link) && !link->health.stalled && !link->silent;
}

bool link_avoided(const struct link *link, uint64_t now_ns)
{
    return link->silent || health_is_avoided(&link->health, now_ns);
}

void link_set_stalled(struct link *link, uint64_t now_ns)
{
    if (link->current != NULL && health_stall(&link->health, now_ns))
        link_log_stalled(link);
}

void link_put(struct link *link, struct client_attempt *attempt, uint64_t now_ns)
{
    health_send(&link->health, now_ns);
    conn_put(link->current, attempt);
}

/* ---- before the loop sleeps ---- */

static void set_heard(struct link *link)
{
    link->silent = false;
    link->resolving = false;
    link_log_heard(link);
    if (link->fresh != NULL)
        (void)conn_end(link->fresh);
    link->fresh = NULL;
    set_rehandshake(link);
}

void link_measure(struct link *link)
{
    uint64_t rtt_ns = link->current != NULL ? channel_rtt_ns(link->current->channel) : 0;

    if (rtt_ns != 0 && rtt_ns != link->rtt_ns) {
        link->rtt_ns = rtt_ns;
        atomic_store_explicit(&link->setup.stats->rtt_ns, rtt_ns, memory_order_relaxed);
    }
    if (link->silent && channel_asked_ns(link->current->channel) == 0)
        set_heard(link);
}

/* A second channel comes at once, but not again and again: only an answer ends the back-off. */
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
}

enum link_watch link_watch(struct link *link, struct conn *conn, uint64_t now_ns, uint64_t *look_ns)
{
    if (!conn_watch(conn, link->rtt_ns, now_ns, look_ns))
        return LINK_WATCH_FINE;
    *look_ns = UINT64_MAX; /* a silence ends by an event, not by time */
    if (conn != link->current)
        return LINK_WATCH_LOST;
    if (link->silent)
        return LINK_WATCH_FINE;
    set_silent(link, now_ns);
    return LINK_WATCH_SILENT;
}
