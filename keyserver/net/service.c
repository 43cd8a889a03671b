#include "keyserver/net/service_inside.h"

#include <assert.h>
#include <stdlib.h>

#include "common/clock.h"
#include "keyserver/net/slot.h"

#define SWEEP_MS        100

#define ANSWER_SIZE_MAX 640 /* one packed answer, its frame included */
#define UNSENT_MIN      ((size_t)1 << 20)

static const struct vault_link_handlers link_handlers;
static void on_turn(uv_check_t *turn);
static void on_sweep(uv_timer_t *timer);

size_t service_unsent_max(const struct server_config *config)
{
    size_t unsent = (size_t)config->in_flight_per_edge * ANSWER_SIZE_MAX;

    return SERVICE_LISTS_UNSENT + (unsent > UNSENT_MIN ? unsent : UNSENT_MIN);
}

struct service *service_new(uv_loop_t *loop, const struct server_config *config)
{
    struct service *service = calloc(1, sizeof *service);

    if (service == NULL)
        return NULL;
    service->loop = loop;
    service->config = config;
    service->requests = requests_new(REQUESTS_MAX);
    /* As many as the vault itself would queue: what it has room for must not be refused on the way. */
    service->link = vault_link_new(loop, (size_t)config->queue_max, &link_handlers, service);
    if (service->requests == NULL || service->link == NULL) {
        requests_free(service->requests);
        vault_link_close(service->link);
        free(service);
        return NULL;
    }
    service->registry.link = service->link;
    service->registry.unsent_max = service_unsent_max(config);
    uv_check_init(loop, &service->turn); /* these three cannot fail */
    uv_timer_init(loop, &service->sweep);
    uv_timer_init(loop, &service->drain);
    service->turn.data = service->sweep.data = service->drain.data = service;
    uv_check_start(&service->turn, on_turn);
    service_silence_start(service);
    channel_shares_start(&service->shares, loop);
    return service;
}

/* ---- requests: from a peer to the vault ---- */

static enum operation_kind known_kind(enum operation_kind kind)
{
    return operation_find(kind) != NULL ? kind : 0;
}

/* Answers what the vault need not or cannot be asked. */
static void answer_here(struct service *service, struct peer *peer, const struct msg_request *request,
                        enum operation_status status)
{
    counter_add(&service->counters.answers[known_kind(request->operation.kind)][status], 1);
    peer->refused += status == STATUS_REFUSED;
    peer_answer_status(peer, request->id, status);
}

static void answer_ping(struct service *service, struct peer *peer, const struct msg_request *request)
{
    struct wall_stats stats;

    vault_link_stats(service->link, &stats);
    counter_add(&service->counters.answers[OP_PING][STATUS_OK], 1);
    peer_answer_ping(peer, request->id, (uint32_t)requests_count(service->requests), stats.workers);
}

static uint64_t deadline_of(const struct service *service, const struct msg_request *request,
                            uint64_t received_ns)
{
    uint64_t ms = service->config->deadline_max;

    if (request->deadline_ms < ms)
        ms = request->deadline_ms;
    return received_ns + ms * NS_PER_MS;
}

int service_submit(struct service *service, struct request *request, const struct msg_request *sent)
{
    const struct peer *peer = request->peer;
    const struct slot_origin origin = {.token = request->token,
                                       .deadline_ns = request->overdue_ns - SERVICE_GRACE_NS,
                                       .edge_key = peer->edge_state->key,
                                       .channel_hash = channel_hash(peer->channel),
                                       .from = channel_address(peer->channel)};

    if (service_silence_goes_on(service))
        return ERR_NOT_FOUND;
    return vault_link_submit(service->link, sent, &origin, &request->wall);
}

/* Opens MESSAGE's request in the table and hands it to the link, or lets it wait; otherwise says what to
 * answer. */
static enum operation_status submit(struct service *service, struct peer *peer,
                                    const struct msg_request *message, uint64_t received_ns)
{
    uint64_t deadline = deadline_of(service, message, received_ns);
    bool waits = message->operation.kind == OP_KEYS;
    struct request *entry = requests_add(service->requests, waits ? &peer->lists : &peer->open,
                                         &(struct request){.id = message->id,
                                                           .received_ns = received_ns,
                                                           .overdue_ns = deadline + SERVICE_GRACE_NS,
                                                           .peer = peer,
                                                           .trace = message->trace,
                                                           .no_trace = message->no_trace != 0,
                                                           .kind = message->operation.kind});
    if (entry == NULL)
        return STATUS_BUSY;
    int r = waits ? 0 : service_submit(service, entry, message);
    if (r == 0) {
        peer->edge_state->open++;
        if (waits)
            service_want_list(service, peer);
        return STATUS_OK;
    }
    requests_remove(service->requests, entry);
    return r == ERR_BUSY ? STATUS_BUSY : STATUS_UNAVAILABLE;
}

/* REQUEST is open no more. */
static void forget(struct service *service, struct request *request)
{
    struct edge_state *edge_state = request->peer->edge_state;

    edge_state->open--;
    edge_state->lists -= request->kind == OP_KEYS && request->owner == &request->peer->open;
    requests_remove(service->requests, request);
}

static void on_request(struct peer *peer, const struct msg_request *request, uint64_t received_ns, void *user)
{
    struct service *service = user;
    enum operation_kind kind = known_kind(request->operation.kind);
    enum operation_status status;

    counter_add(&service->counters.requests[kind], 1);
    if (kind == OP_PING) {
        answer_ping(service, peer, request);
        return;
    }
    if (kind == 0)
        status = STATUS_REFUSED;
    else if (service->draining)
        status = STATUS_UNAVAILABLE;
    else if (peer->edge_state->open >= peer->in_flight_max) /* over all of the edge's channels */
        status = STATUS_BUSY;
    else
        status = submit(service, peer, request, received_ns);

    if (status != STATUS_OK)
        answer_here(service, peer, request, status);
    else if (!uv_is_active((uv_handle_t *)&service->sweep))
        uv_timer_start(&service->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
}

static void on_gathered(struct peer *peer, void *user)
{
    struct service *service = user;

    if (peer->gathered)
        return;
    peer->gathered = true;
    peer->gathered_next = service->gathered;
    service->gathered = peer;
}

static void on_greeted(struct peer *peer, void *user)
{
    struct service *service = user;

    registry_greet(&service->registry, peer);
}

static const struct peer_handlers peer_handlers = {
    .on_request = on_request, .on_gathered = on_gathered, .on_greeted = on_greeted};

/* ---- answers: from the vault to the peer that asked ---- */

/* Counts and closes REQUEST, of which nothing more will be heard. */
static void count_answer(struct service *service, struct request *request, enum operation_status status,
                         bool wanted_no_more)
{
    counter_add(&service->counters.answers[request->kind][status], 1);
    request->peer->refused += status == STATUS_REFUSED;
    histogram_add(&service->counters.duration[request->kind], service->now_ns - request->received_ns);
    vault_link_settle(service->link, request->wall, request->token, wanted_no_more);
    forget(service, request);
}

void service_give_up(struct service *service, struct request *request, enum operation_status status,
                     bool wanted_no_more)
{
    service->now_ns = clock_ns();
    peer_answer_status(request->peer, request->id, status);
    count_answer(service, request, status, wanted_no_more);
}

static void on_answer(const struct wall_answer *answer, void *user)
{
    struct service *service = user;
    struct request *request = requests_find(service->requests, answer->token);
    struct peer *peer = request != NULL ? request->peer : NULL;

    if (request == NULL) {
        counter_add(&service->counters.stray_answers, 1);
    } else if (answer->kind == WALL_OUTCOME &&
               (request->kind != OP_KEYS || answer->u.outcome.status != STATUS_OK)) {
        peer_answer(peer, request->id, &answer->u.outcome);
        count_answer(service, request, answer->u.outcome.status, false);
    } else if (answer->kind == WALL_KEYS && request->kind == OP_KEYS) {
        peer_answer_keys(peer, request->id, answer->u.keys.item, answer->u.keys.count, answer->more != 0);
        if (answer->more == 0)
            count_answer(service, request, STATUS_OK, false);
    } else { /* keys for a signature, or a signature for keys: no edge shall see it */
        log_event(LOG_ERROR, "vault_answer_mismatch", "op=%s", operation_name(request->kind));
        service_give_up(service, request, STATUS_UNAVAILABLE, false);
    }
}

void service_watch_vault(struct service *service, void (*on_vault)(bool there, void *user), void *user)
{
    service->on_vault = on_vault;
    service->vault_user = user;
}

static void tell_of_vault(const struct service *service)
{
    if (service->on_vault != NULL)
        service->on_vault(vault_link_ready(service->link) != 0, service->vault_user);
}

static void on_lost(uint32_t wall, void *user)
{
    struct service *service = user;
    struct request *request;
    size_t at = 0, count = 0;

    while ((request = requests_through(service->requests, wall, &at)) != NULL) {
        service_give_up(service, request, STATUS_UNAVAILABLE, false);
        count++;
    }
    if (count > 0 || !service->draining)
        log_event(LOG_WARN, "vault_lost", "open=%zu answered=unavailable", count);
    tell_of_vault(service);
}

static void on_epoch(const struct wall_answer *answer, void *user)
{
    struct service *service = user;

    registry_give_epoch(&service->registry, answer);
}

static void on_stats(uint32_t wall, void *user)
{
    struct service *service = user;
    struct wall_stats stats;

    service_silence_end(service, wall);
    if (wall != vault_link_ready(service->link))
        return;
    vault_link_stats(service->link, &stats);
    registry_begin_epoch(&service->registry, stats.epoch);
}

static const struct vault_link_handlers link_handlers = {
    .on_answer = on_answer, .on_epoch = on_epoch, .on_stats = on_stats, .on_lost = on_lost};

void service_adopt_wall(struct service *service, int fd, enum control_wall_cause cause)
{
    int r = vault_link_adopt(service->link, fd);

    tell_of_vault(service);
    if (r != 0) {
        log_event(LOG_ERROR, "vault_link", "error=\"%s\"", err_string(r));
        return;
    }
    service_silence_watch(service, vault_link_ready(service->link));
    registry_begin_epoch(&service->registry, 0); /* its first figures say which it is in */
    if (cause == CONTROL_WALL_RESTART)
        counter_add(&service->counters.vault_restarts, 1);
    else if (cause == CONTROL_WALL_RELOAD)
        counter_add(&service->counters.vault_reloads, 1);
}

/* ---- peers ---- */

struct peer *service_attach(struct service *service, struct channel *channel,
                            const struct authorized_edge *edge)
{
    struct edge_state *edge_state = service->draining ? NULL : registry_admit(&service->registry, edge);

    if (edge_state == NULL)
        return NULL;
    struct peer *peer = peer_new(channel, edge_state, (uint32_t)service->config->in_flight_per_edge,
                                 &service->counters, &peer_handlers, service);
    if (peer != NULL)
        registry_enter(&service->registry, peer);
    else
        registry_turn_away(&service->registry, edge_state);
    return peer;
}

struct channel_shares *service_shares(struct service *service)
{
    return &service->shares;
}

/* What a peer that is gone had open is wanted no more. */
static void cancel_all(struct service *service, struct peer *peer)
{
    struct request *request;

    while ((request = requests_first(service->requests, &peer->open)) != NULL ||
           (request = requests_first(service->requests, &peer->lists)) != NULL) {
        vault_link_settle(service->link, request->wall, request->token, true);
        forget(service, request);
        counter_add(&service->counters.cancelled, 1);
    }
}

void service_detach(struct service *service, struct peer *peer)
{
    cancel_all(service, peer);
    if (peer->gathered) {
        struct peer **at = &service->gathered;
        while (*at != peer)
            at = &(*at)->gathered_next;
        *at = peer->gathered_next;
    }
    if (peer->edge_state->channels == 1)
        service_drop_edge_state(service, peer->edge_state);
    registry_leave(&service->registry, peer);
    peer_free(peer);
}

void service_revoke(struct service *service, const struct authorized *edges, const struct authorized *before)
{
    for (struct peer *peer = service->registry.peers; peer != NULL; peer = peer->all_next) {
        const char *why = registry_revoked(peer, edges, before);
        if (why == NULL)
            continue;
        peer_close(peer, why);
        cancel_all(service, peer);
    }
}

/* ---- the turn of the loop ---- */

/* An edge that lets answers pile up, over all of its channels, loses the one that it reads least. */
static void close_slow_reader(struct service *service, struct peer *peer)
{
    struct peer *slowest = registry_find_slowest(&service->registry, peer);

    if (slowest == NULL)
        return;
    counter_add(&service->counters.slow_readers, 1);
    peer_close(slowest, "slow_reader");
    cancel_all(service, slowest);
}

static void flush_peers(struct service *service)
{
    while (service->gathered != NULL) {
        struct peer *peer = service->gathered;
        service->gathered = peer->gathered_next;
        peer->gathered = false;
        peer_flush(peer);
        close_slow_reader(service, peer);
        if (peer->closing) /* it will not hear the rest */
            cancel_all(service, peer);
    }
}

void service_flush(struct service *service)
{
    service->now_ns = clock_ns();
    vault_link_take(service->link);
    service_begin_lists(service);
    vault_link_flush(service->link); /* before the answers: the vault need not wait for their sealing */
    flush_peers(service);
    vault_link_flush(service->link); /* what is wanted no more, by peers that are gone */
    flush_peers(service);            /* what a vault that is gone has left unanswered */
}

static void on_turn(uv_check_t *turn)
{
    struct service *service = turn->data;

    service_flush(service);
    service_drain_check(service);
}

static void on_sweep(uv_timer_t *timer)
{
    struct service *service = timer->data;
    uint64_t now = clock_ns();
    struct request *request;

    while ((request = requests_overdue(service->requests, now)) != NULL)
        service_give_up(service, request, STATUS_EXPIRED, true);
    if (requests_count(service->requests) == 0)
        uv_timer_stop(timer);
    service_flush(service); /* timers run after the last turn's end */
    service_drain_check(service);
}

void service_close(struct service *service)
{
    vault_link_close(service->link);
    service->link = NULL;
    uv_close((uv_handle_t *)&service->turn, NULL);
    uv_close((uv_handle_t *)&service->sweep, NULL);
    uv_close((uv_handle_t *)&service->drain, NULL);
    uv_close((uv_handle_t *)&service->look, NULL);
    channel_shares_close(&service->shares);
}

void service_free(struct service *service)
{
    if (service == NULL)
        return;
    assert(service->registry.peers == NULL && service->link == NULL);
    requests_free(service->requests);
    free(service);
}
