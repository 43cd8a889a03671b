/* The JSON half of the edge's status. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "edge/certs/certs_time.h"
#include "edge/daemon/edge_status.h"

#define DAY_SECONDS 86400

/* Counters are below 2^63. */
static json_t *number(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *text_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}

/* Writes VALUE (taken) into BODY; jansson's functions pass NULL on when memory runs out, so one check here is
 * enough. */
static int answer(struct buffer *body, json_t *value)
{
    char *text = value ? json_dumps(value, JSON_INDENT(2)) : NULL;
    int err = text ? buffer_printf(body, "%s\n", text) : ERR_MEMORY;

    free(text);
    json_decref(value);
    return err ? 503 : 200;
}

/* What is known of an endpoint. Shows a name that cannot be resolved. */
static json_t *addresses_json(const struct name_answer *known)
{
    char address[ADDRESS_TEXT_SIZE];
    json_t *list = json_array();

    for (size_t i = 0; i < known->count; i++)
        json_array_append_new(list, json_string(address_text(&known->addresses[i], address)));
    return list;
}

static json_t *server_json(const struct client_server *server, const struct client_server_stats *stats)
{
    char address[ADDRESS_TEXT_SIZE];
    uint64_t requests = 0, ok = 0, bad = 0;
    uint64_t connected = counter_get(&stats->connected);
    struct name_answer known;

    endpoint_get(&server->endpoint, &known);

    for (int op = OP_PING; op < OP_KINDS; op++) {
        if (!operation_uses_key((enum operation_kind)op))
            continue;
        requests += counter_get(&stats->requests[op]);
        for (int status = 0; status < STATUS_KINDS; status++)
            *(status == STATUS_OK ? &ok : &bad) += counter_get(&stats->answers[op][status]);
    }
    return json_pack(
        "{s:s, s:s, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s}",
        "name", server->name, "address", endpoint_text(&server->endpoint, address), "addresses",
        addresses_json(&known), "name_error", text_or_null(known.why[0] ? known.why : NULL), "state",
        connected ? "connected" : "disconnected", "channels", number(connected), "rtt_ns",
        number(counter_get(&stats->rtt_ns)), "in_flight", number(counter_get(&stats->in_flight)), "requests",
        number(requests), "answers_ok", number(ok), "answers_other", number(bad), "timeouts",
        number(counter_get(&stats->timeouts)), "retried", number(counter_get(&stats->retried)), "connects",
        number(counter_get(&stats->connects)), "connects_failed", number(counter_get(&stats->failed)),
        "channels_lost", number(counter_get(&stats->lost)), "channels_silent",
        number(counter_get(&stats->silent)), "epoch", number(counter_get(&stats->epoch)), "reach",
        connected                   ? "up"
        : counter_get(&stats->gone) ? "gone"
                                    : "unknown");
}

static json_t *servers_json(const struct setup *setup)
{
    json_t *list = json_array();

    for (size_t i = 0; i < setup->key_servers.count; i++)
        json_array_append_new(list, server_json(&setup->key_servers.servers[i], &setup->stats[i]));
    return list;
}

static json_t *certificate_json(const struct cert *cert)
{
    char key_id[2 * KEY_ID_SIZE + 1];
    json_t *names = json_array();
    int64_t now = (int64_t)time(NULL), left = cert->not_after - now;

    for (size_t i = 0; i < cert->name_count; i++)
        json_array_append_new(names, json_string(cert->names[i]));
    return json_pack("{s:s, s:o, s:o, s:s, s:s, s:I, s:I, s:I}", "file", cert->file, "names", names,
                     "key_type", text_or_null(key_type_name(cert->type)), "key_id",
                     hex_encode(key_id, cert->key_id, KEY_ID_SIZE), "state",
                     certs_time_name(certs_time_state(cert, now)), "not_before", (json_int_t)cert->not_before,
                     "not_after", (json_int_t)cert->not_after, "days_left", (json_int_t)(left / DAY_SECONDS));
}

static json_t *certificates_json(const struct certs *certs)
{
    json_t *list = json_array();

    for (size_t i = 0; i < certs_count(certs); i++)
        json_array_append_new(list, certificate_json(certs_at(certs, i)));
    return list;
}

static json_t *listeners_json(const struct edge_status *status)
{
    json_t *list = json_array();
    char address[ADDRESS_TEXT_SIZE];

    for (size_t i = 0; i < status->listener_count; i++)
        json_array_append_new(list, json_string(address_text(&status->listeners[i], address)));
    return list;
}

static json_t *connections_json(const struct edge_status *status)
{
    struct session_stats sum;
    uint64_t handshakes = 0, failures = 0, plain = 0;

    edge_status_sum(status, &sum);
    for (int i = 0; i < TLS_KINDS; i++)
        handshakes += counter_get(&sum.handshakes[i]);
    for (int i = 0; i < SESSION_FAILURES; i++)
        failures += counter_get(&sum.failures[i]);
    for (int i = RSA_MODE_BOUND + 1; i < RSA_MODES; i++)
        plain += counter_get(&sum.exchanges[i]);
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "accepted",
                     number(counter_get(&sum.accepted)), "active", number(counter_get(&sum.active)),
                     "waiting_for_key", number(counter_get(&sum.waiting_key)), "handshakes",
                     number(handshakes), "handshakes_failed", number(failures), "rsa_bound",
                     number(counter_get(&sum.exchanges[RSA_MODE_BOUND])), "rsa_plain", number(plain),
                     "bytes_to_origin", number(counter_get(&sum.bytes_to_origin)), "bytes_to_client",
                     number(counter_get(&sum.bytes_to_client)));
}

/* {"default": ADDRESS, "h2": ADDRESS, …} */
static json_t *origins_json(const struct setup *setup)
{
    json_t *all = json_object();
    char address[ADDRESS_TEXT_SIZE];

    for (size_t i = 0; i < setup->origins.count; i++) {
        const struct origin_route *route = &setup->origins.route[i];
        json_object_set_new(all, route->protocol, json_string(endpoint_text(&route->endpoint, address)));
    }
    return all;
}

int edge_status_json(struct buffer *body, const char *rest, void *user)
{
    const struct edge_status *status = user;
    const struct setup *setup = status->setup;
    char origin[ADDRESS_TEXT_SIZE];

    (void)rest;
    return answer(
        body,
        json_pack("{s:s, s:s, s:b, s:b, s:o, s:i, s:o, s:s, s:o, s:o, s:s, s:o, s:o, s:o, s:{s:{s:b, s:b}}}",
                  "program", "keyless-edge", "version", KEYLESS_VERSION, "ready",
                  edge_status_not_ready(status) == NULL, "draining", status->draining, "uptime_seconds",
                  number((clock_ns() - status->started_ns) / NS_PER_S), "threads", (int)status->thread_count,
                  "listeners", listeners_json(status), "origin",
                  endpoint_text(&setup->origins.route[0].endpoint, origin), "origins", origins_json(setup),
                  "connections", connections_json(status), "when_unavailable",
                  setup->config.when_unavailable == EDGE_FAIL ? "fail" : "wait", "key_servers",
                  servers_json(setup), "certificates", certificates_json(setup->certs),
                  "certificates_skipped", number(certs_skipped(setup->certs)), "sandbox", "edge",
                  "system_calls", status->sandbox.filter == SANDBOX_FILTERED, "files",
                  status->sandbox.files_denied));
}

/* ---- /trace/ ---- */

static json_t *trace_points(const struct trace_record *record)
{
    json_t *points = json_object();

    for (enum trace_point point = 0; point < TRACE_POINTS; point++)
        json_object_set_new(points, trace_point_name(point),
                            record->at[point] ? number(record->at[point]) : json_null());
    return points;
}

static json_t *trace_key(const struct trace_record *record)
{
    if (record->operation == 0)
        return json_null();
    return json_pack(
        "{s:o, s:o, s:o, s:i, s:i, s:i, s:o}", "operation", text_or_null(operation_name(record->operation)),
        "status", text_or_null(status_name(record->status)), "server", text_or_null(record->server),
        "operations", (int)record->operations, "sent_bytes", (int)record->sent_bytes, "received_bytes",
        (int)record->received_bytes, "server_rtt_ns", number(record->server_rtt_ns));
}

static int trace_find_any(const struct edge_status *status, const uint8_t *random, struct trace_record *out)
{
    for (unsigned i = 0; i < status->thread_count; i++) {
        if (trace_find(thread_traces(status->threads[i]), random, out) == 0)
            return 0;
    }
    return ERR_NOT_FOUND;
}

int edge_status_trace(struct buffer *body, const char *rest, void *user)
{
    const struct edge_status *status = user;
    struct trace_record record;
    uint8_t random[TLS_RANDOM_SIZE];
    char random_text[2 * TLS_RANDOM_SIZE + 1], id[2 * TRACE_ID_SIZE + 1];

    if (strlen(rest) != sizeof(random_text) - 1 || hex_decode(random, sizeof(random), rest) != 0)
        return 404;
    if (trace_find_any(status, random, &record) != 0)
        return 404;
    return answer(body,
                  json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "client_random",
                            hex_encode(random_text, random, sizeof(random)), "trace",
                            trace_id_text(&record.id, id), "tls_kind", text_or_null(record.kind), "result",
                            text_or_null(record.result), "origin_for", text_or_null(record.origin), "ns",
                            trace_points(&record), "key", trace_key(&record)));
}
