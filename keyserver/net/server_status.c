#include "keyserver/net/server_status.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "keyserver/net/server_metrics.h"

void server_status_init(struct server_status *status, struct service *service, const int *listeners,
                        size_t count, struct channel_listener *const *accepting)
{
    struct address address;

    *status = (struct server_status){
        .service = service, .started_ns = clock_ns(), .started = time(NULL), .accepting = accepting};
    for (size_t i = 0; i < count && i < SERVER_LISTENERS_MAX; i++) {
        char *text = status->listeners[status->listener_count++];
        if (address_of_socket(listeners[i], &address) == 0)
            address_text(&address, text);
        else
            snprintf(text, ADDRESS_TEXT_SIZE, "?");
    }
}

size_t server_status_broken(const struct server_status *status, const char **at)
{
    size_t count = 0;

    for (size_t i = 0; i < status->listener_count; i++) {
        if (status->accepting[i] == NULL || !channel_listener_is_broken(status->accepting[i]))
            continue;
        count++;
        if (at != NULL)
            *at = status->listeners[i];
    }
    return count;
}

/* ---- JSON: a NULL from any of these means no memory, and json_object_set_new() takes it as such ---- */

static json_t *json_of_operations(const counter *by_kind)
{
    json_t *object = json_object();

    for (size_t kind = 1; kind < OP_KINDS; kind++)
        json_object_set_new(object, operation_name((enum operation_kind)kind),
                            json_integer((json_int_t)counter_get(&by_kind[kind])));
    return object;
}

static json_t *json_of_answers(const struct net_counters *counters)
{
    json_t *object = json_object();

    for (size_t status = 0; status < STATUS_KINDS; status++) {
        uint64_t sum = 0;
        for (size_t kind = 0; kind < OP_KINDS; kind++)
            sum += counter_get(&counters->answers[kind][status]);
        json_object_set_new(object, status_name((enum operation_status)status),
                            json_integer((json_int_t)sum));
    }
    return object;
}

static json_t *json_of_drops(const struct net_counters *counters)
{
    json_t *object = json_object();

    for (size_t why = 0; why < DROP_KINDS; why++)
        json_object_set_new(object, channel_drop_name((enum channel_drop)why),
                            json_integer((json_int_t)counter_get(&counters->drops[why])));
    return object;
}

static json_t *json_of_listeners(const struct server_status *status)
{
    json_t *array = json_array();

    for (size_t i = 0; i < status->listener_count; i++)
        json_array_append_new(array, json_string(status->listeners[i]));
    return array;
}

static json_t *json_of_audit(const struct wall_stats *stats)
{
    return json_pack("{s:I, s:b, s:I, s:I}", "sequence", (json_int_t)stats->audit_seq, "failing",
                     (int)stats->audit_failing, "withheld", (json_int_t)stats->audit_withheld, "unrecorded",
                     (json_int_t)stats->audit_unrecorded);
}

static json_t *json_of_sandbox(const struct server_status *status)
{
    const struct sandbox_state *net = &status->sandbox;
    struct wall_stats stats;

    vault_link_stats(service_link(status->service), &stats);
    return json_pack("{s:{s:b, s:b}, s:{s:b, s:b, s:b}}", "net", "system_calls",
                     net->filter == SANDBOX_FILTERED, "files", net->files_denied, "vault", "system_calls",
                     (int)stats.calls_filtered, "files", (int)stats.files_denied, "memory",
                     (int)stats.memory_locked);
}

static json_t *json_of_vault(const struct server_status *status)
{
    const struct vault_link *link = service_link(status->service);
    const struct net_counters *counters = service_counters(status->service);
    struct wall_stats stats;
    json_t *refusals = json_object();
    static const char *const loads[CONTROL_LOADS] = {"none", "goes_on", "silent", "fails"};

    vault_link_stats(link, &stats);
    for (size_t reason = REFUSAL_NONE + 1; reason < REFUSAL_KINDS; reason++)
        json_object_set_new(refusals, refusal_name((enum refusal)reason),
                            json_integer((json_int_t)stats.refusals[reason]));
    return json_pack("{s:b, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:o, s:o}", "ready",
                     service_vault_serves(status->service), "load", loads[status->load], "keys",
                     (json_int_t)stats.keys, "key_files_skipped", (json_int_t)stats.key_files_skipped,
                     "workers", (json_int_t)stats.workers, "queued", (json_int_t)stats.queued, "working",
                     (json_int_t)stats.working, "faults", (json_int_t)stats.faults, "restarts",
                     (json_int_t)counter_get(&counters->vault_restarts), "reloads",
                     (json_int_t)counter_get(&counters->vault_reloads), "epoch", (json_int_t)stats.epoch,
                     "epoch_ahead_seconds", (double)stats.epoch_ahead_ms / 1e3, "audit",
                     json_of_audit(&stats), "refusals", refusals);
}

static json_t *json_of_peer(const struct peer *peer, uint64_t now)
{
    uint64_t rtt = channel_rtt_ns(peer->channel);

    return json_pack("{s:s, s:s, s:s, s:f, s:I, s:I, s:I, s:o}", "name", peer->edge_state->name, "address",
                     peer->address, "software", peer->software, "connected_seconds",
                     (double)(now - peer->since_ns) / (double)NS_PER_S, "requests",
                     (json_int_t)peer->requests, "refused", (json_int_t)peer->refused, "in_flight",
                     (json_int_t)peer->open.count, "rtt_seconds",
                     rtt == 0 ? json_null() : json_real((double)rtt / (double)NS_PER_S));
}

static json_t *json_of_peers(const struct server_status *status)
{
    json_t *array = json_array();
    uint64_t now = clock_ns();

    for (const struct peer *peer = service_peers(status->service); peer != NULL; peer = peer->all_next) {
        if (peer->greeted)
            json_array_append_new(array, json_of_peer(peer, now));
    }
    return array;
}

static json_t *json_of_status(const struct server_status *status)
{
    const struct net_counters *counters = service_counters(status->service);

    return json_pack("{s:s, s:s, s:i, s:f, s:b, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:o}", "program",
                     "keyless-server", "version", KEYLESS_VERSION, "pid",
                     (int)getppid() /* the supervisor's */, "uptime_seconds",
                     (double)(clock_ns() - status->started_ns) / (double)NS_PER_S, "draining",
                     service_draining(status->service), "listeners", json_of_listeners(status), "vault",
                     json_of_vault(status), "edges", json_of_peers(status), "requests_in_flight",
                     (json_int_t)service_open(status->service), "requests",
                     json_of_operations(counters->requests), "answers", json_of_answers(counters), "dropped",
                     json_of_drops(counters), "sandbox", json_of_sandbox(status));
}

/* ---- routes ---- */

static int show_status(struct buffer *body, const char *rest, void *user)
{
    json_t *json = json_of_status(user);
    char *text = json != NULL ? json_dumps(json, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) : NULL;
    int r = ERR_MEMORY;

    (void)rest;
    if (text != NULL)
        r = buffer_printf(body, "%s\n", text);
    free(text);
    json_decref(json);
    return r == 0 ? 200 : 503;
}

static int show_metrics(struct buffer *body, const char *rest, void *user)
{
    (void)rest;
    server_metrics_write(body, user);
    return 200;
}

static int show_live(struct buffer *body, const char *rest, void *user)
{
    const struct server_status *status = user;
    uint64_t silent_ms = service_vault_silent_ms(status->service);

    (void)rest;
    if (silent_ms > SERVICE_VAULT_SILENT_MS) {
        (void)buffer_printf(body, "nothing heard from a vault for %llu ms\n", (unsigned long long)silent_ms);
        return 503;
    }
    return buffer_printf(body, "live\n") == 0 ? 200 : 503;
}

/* Why requests are not served, or "ready". */
static const char *ready_word(const struct server_status *status)
{
    static const char *const no_vault[CONTROL_LOADS] = {
        [CONTROL_LOAD_NONE] = "no vault",
        [CONTROL_LOAD_GOES_ON] = "no vault: one is being loaded",
        [CONTROL_LOAD_SILENT] = "no vault: one is being loaded, and nothing goes on; the log says what hangs",
        [CONTROL_LOAD_FAILS] = "no vault: none can be started; the log says why",
    };
    const struct service *service = status->service;
    struct wall_stats stats;

    if (service_draining(service))
        return "draining";
    if (vault_link_ready(service_link(service)) == 0)
        return no_vault[status->load];
    if (!service_vault_serves(service))
        return "the vault does not answer: is its process stopped, or the machine out of memory or disk?";
    vault_link_stats(service_link(service), &stats);
    return stats.refuses_all ? "audit log cannot be written" : "ready";
}

static int show_ready(struct buffer *body, const char *rest, void *user)
{
    const struct server_status *status = user;
    const char *word = ready_word(status);
    const char *at;

    (void)rest;
    if (strcmp(word, "ready") == 0 && server_status_broken(status, &at) > 0) {
        (void)buffer_printf(body, "nobody can connect at %s any more: restart keyless-server\n", at);
        return 503;
    }
    return buffer_printf(body, "%s\n", word) == 0 && strcmp(word, "ready") == 0 ? 200 : 503;
}

const struct admin_route server_status_routes[] = {
    {"/metrics", "text/plain; version=0.0.4; charset=utf-8", show_metrics},
    {"/live", "text/plain; charset=utf-8", show_live},
    {"/ready", "text/plain; charset=utf-8", show_ready},
    {"/status.json", "application/json", show_status},
    {NULL, NULL, NULL},
};
