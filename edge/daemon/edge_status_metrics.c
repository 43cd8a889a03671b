/* The Prometheus half of the edge's status: tables of families, each row naming one counter. */
#include <stddef.h>
#include <stdio.h>
#include <time.h>

#include "common/clock.h"
#include "edge/certs/certs_report.h"
#include "edge/daemon/edge_status.h"
#include "edge/provider/provider.h"
#include "edge/session/session_io.h"

#define LABELS_MAX 512

/* A family of one sample, a counter at OFFSET. */
struct single {
    const char *name;
    enum metric_type type;
    const char *help;
    size_t offset;
};

static const counter *at(const void *base, size_t offset)
{
    return (const counter *)((const char *)base + offset);
}

/* Gauges are counters that may have been subtracted from: a sum taken meanwhile may be below zero. */
static double value_of(enum metric_type type, uint64_t value)
{
    if (type == METRIC_GAUGE)
        return (int64_t)value > 0 ? (double)value : 0;
    return (double)value;
}

static void put_singles(struct buffer *out, const struct single *rows, const void *base)
{
    for (; rows->name; rows++) {
        metrics_family(out, rows->name, rows->type, rows->help);
        metrics_sample(out, rows->name, NULL, value_of(rows->type, counter_get(at(base, rows->offset))));
    }
}

static void put_labelled(struct buffer *out, const char *name, const char *label, const char *value,
                         uint64_t count)
{
    char labels[LABELS_MAX];

    snprintf(labels, sizeof(labels), "%s=\"%s\"", label, value);
    metrics_sample(out, name, labels, (double)count);
}

/* ---- connections ---- */

#define OF_SESSION(field) offsetof(struct session_stats, field)

static const struct single session_rows[] = {
    {"keyless_edge_connections_accepted_total", METRIC_COUNTER, "Connections accepted.",
     OF_SESSION(accepted)},
    {"keyless_edge_connections_active", METRIC_GAUGE, "Connections open now.", OF_SESSION(active)},
    {"keyless_edge_connections_dropped_total", METRIC_COUNTER,
     "Accepted connections dropped for want of memory.", OF_SESSION(accept_failed)},
    {"keyless_edge_listeners_broken", METRIC_GAUGE,
     "Sockets, of each thread, that were to listen and do not any more.", OF_SESSION(listeners_broken)},
    {"keyless_edge_sessions_impossible_total", METRIC_COUNTER,
     "Connections closed because of a fault of keyless-edge itself.", OF_SESSION(impossible)},
    {"keyless_edge_jobs_stuck_total", METRIC_COUNTER,
     "Handshakes given up whose memory cannot be freed, because of a fault of keyless-edge or OpenSSL.",
     OF_SESSION(jobs_stuck)},
    {"keyless_edge_handshakes_waiting_for_key", METRIC_GAUGE, "Handshakes paused for a key server.",
     OF_SESSION(waiting_key)},
    {"keyless_edge_rsa_epoch_waits_total", METRIC_COUNTER,
     "RSA key exchanges that waited for a key server to announce an epoch.", OF_SESSION(epoch_waits)},
    {0},
};

static void put_handshakes(struct buffer *out, const struct session_stats *sum)
{
    metrics_family(out, "keyless_edge_handshakes_total", METRIC_COUNTER, "Completed handshakes by kind.");
    for (int i = 0; i < TLS_KINDS; i++)
        put_labelled(out, "keyless_edge_handshakes_total", "kind", tls_kind_name((enum tls_kind)i),
                     counter_get(&sum->handshakes[i]));
    metrics_family(out, "keyless_edge_handshake_failures_total", METRIC_COUNTER,
                   "Failed handshakes by reason.");
    for (int i = FAILURE_NONE + 1; i < SESSION_FAILURES; i++)
        put_labelled(out, "keyless_edge_handshake_failures_total", "reason",
                     session_stats_failure_name((enum session_failure)i), counter_get(&sum->failures[i]));
    metrics_family(out, "keyless_edge_handshake_seconds", METRIC_HISTOGRAM,
                   "From the ClientHello to the end of the handshake.");
    metrics_histogram(out, "keyless_edge_handshake_seconds", "type=\"full\"", &sum->handshake_full);
    metrics_histogram(out, "keyless_edge_handshake_seconds", "type=\"resumed\"", &sum->handshake_resumed);
}

static void put_exchanges(struct buffer *out, const struct session_stats *sum)
{
    metrics_family(out, "keyless_edge_rsa_key_exchanges_total", METRIC_COUNTER,
                   "RSA key exchanges that asked a key server: bound, or why they were plain.");
    for (int i = RSA_MODE_NONE + 1; i < RSA_MODES; i++)
        put_labelled(out, "keyless_edge_rsa_key_exchanges_total", "mode", rsa_mode_name((enum rsa_mode)i),
                     counter_get(&sum->exchanges[i]));
    metrics_family(
        out, "keyless_edge_rsa_key_exchanges_withheld_total", METRIC_COUNTER,
        "Handshakes that failed at the ClientHello: it offered RSA key exchange only, which was no "
        "choice, by why.");
    for (int i = WITHHELD_NOT + 1; i < WITHHELD_REASONS; i++)
        put_labelled(out, "keyless_edge_rsa_key_exchanges_withheld_total", "reason",
                     rsa_withheld_name((enum rsa_withheld)i), counter_get(&sum->withheld[i]));
}

static void put_origins(struct buffer *out, const struct session_stats *sum, const struct origins *origins)
{
    static const char connections[] = "keyless_edge_origin_connections_total";
    static const char failures[] = "keyless_edge_origin_failures_total";

    metrics_family(out, connections, METRIC_COUNTER, "Connections to an origin, by the protocol it is for.");
    for (size_t i = 0; i < origins->count; i++)
        put_labelled(out, connections, "origin_for", origins->route[i].protocol,
                     counter_get(&sum->origin_connected[i]));
    metrics_family(out, failures, METRIC_COUNTER, "Connections to an origin that did not come about.");
    for (size_t i = 0; i < origins->count; i++)
        put_labelled(out, failures, "origin_for", origins->route[i].protocol,
                     counter_get(&sum->origin_failed[i]));
}

static void put_sessions(struct buffer *out, const struct session_stats *sum)
{
    put_singles(out, session_rows, sum);
    metrics_family(out, "keyless_edge_connections_closed_total", METRIC_COUNTER,
                   "Closed connections by how they ended.");
    for (int i = RESULT_NONE + 1; i < SESSION_RESULTS; i++)
        put_labelled(out, "keyless_edge_connections_closed_total", "result",
                     session_stats_result_name((enum session_result)i), counter_get(&sum->results[i]));
    metrics_family(out, "keyless_edge_accept_paused_total", METRIC_COUNTER,
                   "Times accepting stopped, by cause.");
    put_labelled(out, "keyless_edge_accept_paused_total", "cause", "connections_max",
                 counter_get(&sum->paused_full));
    put_labelled(out, "keyless_edge_accept_paused_total", "cause", "descriptors",
                 counter_get(&sum->paused_descriptors));
    put_handshakes(out, sum);
    put_exchanges(out, sum);
    metrics_family(out, "keyless_edge_relayed_bytes_total", METRIC_COUNTER, "Plaintext bytes relayed.");
    put_labelled(out, "keyless_edge_relayed_bytes_total", "direction", "to_origin",
                 counter_get(&sum->bytes_to_origin));
    put_labelled(out, "keyless_edge_relayed_bytes_total", "direction", "to_client",
                 counter_get(&sum->bytes_to_client));
    metrics_family(out, "keyless_edge_timeouts_total", METRIC_COUNTER, "Connections timed out, by class.");
    for (int i = TIMEOUT_HANDSHAKE; i <= TIMEOUT_CLOSE; i++)
        put_labelled(out, "keyless_edge_timeouts_total", "class", timeouts_name((enum timeout_class)i),
                     counter_get(&sum->timeouts[i]));
}

/* ---- key servers ---- */

#define OF_SERVER(field) offsetof(struct client_server_stats, field)

static const struct single server_rows[] = {
    {"keyless_edge_key_server_channels", METRIC_GAUGE, "Open channels to the key server.",
     OF_SERVER(connected)},
    {"keyless_edge_key_server_gone", METRIC_GAUGE,
     "Threads of the edge that have tried every address of the key server in vain.", OF_SERVER(gone)},
    {"keyless_edge_key_server_connects_total", METRIC_COUNTER, "Channels opened.", OF_SERVER(connects)},
    {"keyless_edge_key_server_channels_lost_total", METRIC_COUNTER, "Open channels that were lost.",
     OF_SERVER(lost)},
    {"keyless_edge_key_server_channels_silent_total", METRIC_COUNTER,
     "Open channels through which nothing came any more.", OF_SERVER(silent)},
    {"keyless_edge_key_server_connect_failures_total", METRIC_COUNTER, "Attempts that came to no channel.",
     OF_SERVER(failed)},
    {"keyless_edge_key_server_timeouts_total", METRIC_COUNTER, "Requests without an answer in time.",
     OF_SERVER(timeouts)},
    {"keyless_edge_key_server_retried_total", METRIC_COUNTER, "Requests taken to another key server.",
     OF_SERVER(retried)},
    {"keyless_edge_key_server_stray_answers_total", METRIC_COUNTER, "Answers nobody waited for.",
     OF_SERVER(stray)},
    {"keyless_edge_key_server_malformed_answers_total", METRIC_COUNTER, "Answers of wrong length or form.",
     OF_SERVER(malformed)},
    {"keyless_edge_key_server_epoch", METRIC_GAUGE,
     "Number of the newest epoch announced, for bound RSA key exchange; 0 without any.", OF_SERVER(epoch)},
    {"keyless_edge_key_server_other_secrets_total", METRIC_COUNTER,
     "Epochs whose key contradicts another key server's: their group secrets differ.",
     OF_SERVER(other_secrets)},
    {"keyless_edge_key_server_other_clocks_total", METRIC_COUNTER,
     "Epochs more than one away from another key server's: their clocks differ.", OF_SERVER(other_clocks)},
    {"keyless_edge_key_server_in_flight", METRIC_GAUGE, "Requests open now.", OF_SERVER(in_flight)},
    {0},
};

/* A name from the configuration as a label value. */
static void server_label(char *out, size_t size, const char *name)
{
    size_t end = (size_t)snprintf(out, size, "server=\"");

    for (; *name && end + 4 < size; name++) {
        if (*name == '"' || *name == '\\')
            out[end++] = '\\';
        out[end++] = (unsigned char)*name < ' ' ? '_' : *name;
    }
    out[end++] = '"';
    out[end] = '\0';
}

static void put_server_operations(struct buffer *out, const struct setup *setup)
{
    char server[LABELS_MAX / 2], labels[LABELS_MAX];

    metrics_family(out, "keyless_edge_key_server_requests_total", METRIC_COUNTER,
                   "Requests sent, by operation.");
    for (size_t i = 0; i < setup->key_servers.count; i++) {
        server_label(server, sizeof(server), setup->key_servers.servers[i].name);
        for (int op = OP_PING; op < OP_KINDS; op++) {
            snprintf(labels, sizeof(labels), "%s,operation=\"%s\"", server,
                     operation_name((enum operation_kind)op));
            metrics_sample(out, "keyless_edge_key_server_requests_total", labels,
                           (double)counter_get(&setup->stats[i].requests[op]));
        }
    }
    metrics_family(out, "keyless_edge_key_server_answers_total", METRIC_COUNTER,
                   "Answers received, by operation and status.");
    for (size_t i = 0; i < setup->key_servers.count; i++) {
        server_label(server, sizeof(server), setup->key_servers.servers[i].name);
        for (int n = OP_PING * (int)STATUS_KINDS; n < OP_KINDS * (int)STATUS_KINDS; n++) {
            int op = n / STATUS_KINDS, status = n % STATUS_KINDS;
            snprintf(labels, sizeof(labels), "%s,operation=\"%s\",status=\"%s\"", server,
                     operation_name((enum operation_kind)op), status_name((enum operation_status)status));
            metrics_sample(out, "keyless_edge_key_server_answers_total", labels,
                           (double)counter_get(&setup->stats[i].answers[op][status]));
        }
    }
}

static void put_servers(struct buffer *out, const struct setup *setup)
{
    char server[LABELS_MAX / 2];

    for (const struct single *row = server_rows; row->name; row++) {
        metrics_family(out, row->name, row->type, row->help);
        for (size_t i = 0; i < setup->key_servers.count; i++) {
            server_label(server, sizeof(server), setup->key_servers.servers[i].name);
            metrics_sample(out, row->name, server,
                           value_of(row->type, counter_get(at(&setup->stats[i], row->offset))));
        }
    }
    put_server_operations(out, setup);
    metrics_family(
        out, "keyless_edge_key_server_granted_keys", METRIC_GAUGE,
        "Of the keys of the certificates here, those that it lets this edge use; 0 until it has said.");
    for (size_t i = 0; i < setup->key_servers.count; i++) {
        server_label(server, sizeof(server), setup->key_servers.servers[i].name);
        metrics_sample(out, "keyless_edge_key_server_granted_keys", server,
                       (double)grants_count(setup->grants, i));
    }
    metrics_family(out, "keyless_edge_key_server_rtt_seconds", METRIC_GAUGE,
                   "Round trip of the last ping of a channel.");
    for (size_t i = 0; i < setup->key_servers.count; i++) {
        server_label(server, sizeof(server), setup->key_servers.servers[i].name);
        metrics_sample(out, "keyless_edge_key_server_rtt_seconds", server,
                       (double)counter_get(&setup->stats[i].rtt_ns) / (double)NS_PER_S);
    }
    metrics_family(out, "keyless_edge_key_server_answer_seconds", METRIC_HISTOGRAM,
                   "From a request for a key operation to its answer.");
    for (size_t i = 0; i < setup->key_servers.count; i++) {
        server_label(server, sizeof(server), setup->key_servers.servers[i].name);
        metrics_histogram(out, "keyless_edge_key_server_answer_seconds", server, &setup->stats[i].latency);
    }
}

/* ---- the rest ---- */

static void put_provider(struct buffer *out)
{
    struct provider_stats stats;

    provider_stats_get(&stats);
    metrics_family(out, "keyless_edge_key_operations_rejected_total", METRIC_COUNTER,
                   "Key operations thrown away on this side.");
    put_labelled(out, "keyless_edge_key_operations_rejected_total", "reason", "input", stats.refused_locally);
    put_labelled(out, "keyless_edge_key_operations_rejected_total", "reason", "length", stats.bad_length);
    put_labelled(out, "keyless_edge_key_operations_rejected_total", "reason", "signature",
                 stats.bad_signature);
    metrics_family(
        out, "keyless_edge_rsa_ciphertexts_replaced_total", METRIC_COUNTER,
        "Encrypted pre-master secrets of clients that can be none, in whose place a random one was "
        "asked for.");
    metrics_sample(out, "keyless_edge_rsa_ciphertexts_replaced_total", NULL, (double)stats.replaced);
}

static void put_gauge(struct buffer *out, const char *name, const char *help, double value)
{
    metrics_family(out, name, METRIC_GAUGE, help);
    metrics_sample(out, name, NULL, value);
}

static void put_sandbox(struct buffer *out, const struct sandbox_state *sandbox)
{
    static const char name[] = "keyless_edge_sandbox";

    metrics_family(out, name, METRIC_GAUGE,
                   "1 where the edge makes only its own system calls, opens no file.");
    put_labelled(out, name, "layer", "system_calls", sandbox->filter == SANDBOX_FILTERED);
    put_labelled(out, name, "layer", "files", sandbox->files_denied);
}

static void put_certificates(struct buffer *body, const struct certs *certs)
{
    static const char *const names = "keyless_edge_certificate_names";
    struct certs_summary summary;

    certs_summarize(certs, (int64_t)time(NULL), &summary);
    put_gauge(body, "keyless_edge_certificates", "Certificates loaded.", (double)certs_count(certs));
    put_gauge(body, "keyless_edge_certificates_skipped",
              "Certificate files that were not usable, or not read.", (double)certs_skipped(certs));
    metrics_family(body, names, METRIC_GAUGE, "Names, by the validity of the certificate that answers now.");
    for (int state = 0; state < CERT_STATES; state++)
        put_labelled(body, names, "state", certs_time_name((enum cert_state)state), summary.names[state]);
    put_gauge(body, "keyless_edge_certificate_earliest_expiry_timestamp_seconds",
              "When the first of the certificates that answer now expires, in Unix time.",
              (double)summary.earliest_expiry);
}

int edge_status_metrics(struct buffer *body, const char *rest, void *user)
{
    const struct edge_status *status = user;
    const struct setup *setup = status->setup;
    struct session_stats sum;
    char labels[LABELS_MAX];

    (void)rest;
    edge_status_sum(status, &sum);
    metrics_family(body, "keyless_edge_build_info", METRIC_GAUGE, "Always 1; what was built with what.");
    snprintf(labels, sizeof(labels), "version=\"%s\",openssl=\"%s\"", KEYLESS_VERSION, session_io_library());
    metrics_sample(body, "keyless_edge_build_info", labels, 1);
    put_gauge(body, "keyless_edge_uptime_seconds", "Since the start.",
              (double)(clock_ns() - status->started_ns) / (double)NS_PER_S);
    put_sandbox(body, &status->sandbox);
    put_gauge(body, "keyless_edge_ready", "1 when a key server is connected and nothing drains.",
              edge_status_not_ready(status) == NULL);
    put_gauge(body, "keyless_edge_threads", "Threads that serve.", status->thread_count);
    put_certificates(body, setup->certs);
    metrics_family(body, "keyless_edge_log_lines_dropped_total", METRIC_COUNTER,
                   "Log lines dropped because nobody read them in time.");
    metrics_sample(body, "keyless_edge_log_lines_dropped_total", NULL, (double)log_dropped());
    metrics_family(body, "keyless_edge_resolver_restarts_total", METRIC_COUNTER,
                   "Times that the process that looks names up has died and was started again.");
    metrics_sample(body, "keyless_edge_resolver_restarts_total", NULL,
                   (double)counter_get(&setup->resolver_restarts));
    put_sessions(body, &sum);
    put_origins(body, &sum, &setup->origins);
    put_servers(body, setup);
    put_provider(body);
    return 200;
}
