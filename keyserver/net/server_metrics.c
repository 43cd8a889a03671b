#include "keyserver/net/server_metrics.h"
#include "common/clock.h"

#include <stdio.h>

#define LABELS_SIZE 128
#define P           "keyless_server_"

static const char *operation_label(size_t kind)
{
    return kind == 0 ? "unknown" : operation_name((enum operation_kind)kind);
}

static void one(struct buffer *out, const char *name, enum metric_type type, const char *help, double value)
{
    metrics_family(out, name, type, help);
    metrics_sample(out, name, NULL, value);
}

static void gauge(struct buffer *out, const char *name, const char *help, double value)
{
    one(out, name, METRIC_GAUGE, help, value);
}

static void total(struct buffer *out, const char *name, const char *help, const counter *value)
{
    one(out, name, METRIC_COUNTER, help, (double)counter_get(value));
}

static void write_process(struct buffer *out, const struct server_status *status)
{
    metrics_family(out, P "build_info", METRIC_GAUGE, "Always 1; the label is the running version.");
    metrics_sample(out, P "build_info", "version=\"" KEYLESS_VERSION "\"", 1);
    gauge(out, P "start_time_seconds", "When this net process started, in seconds since 1970.",
          (double)status->started);
    gauge(out, P "draining", "1 while the server drains before it stops.",
          service_draining(status->service) ? 1 : 0);
}

/* Of each process: what it is kept from. */
static void write_sandbox(struct buffer *out, const struct server_status *status)
{
    struct wall_stats stats;

    vault_link_stats(service_link(status->service), &stats);
    metrics_family(out, P "sandbox", METRIC_GAUGE,
                   "1 where a process makes only its own system calls, opens no file but its own, has its "
                   "memory locked.");
    metrics_sample(out, P "sandbox", "process=\"net\",layer=\"system_calls\"",
                   status->sandbox.filter == SANDBOX_FILTERED);
    metrics_sample(out, P "sandbox", "process=\"net\",layer=\"files\"", status->sandbox.files_denied);
    metrics_sample(out, P "sandbox", "process=\"vault\",layer=\"system_calls\"", stats.calls_filtered);
    metrics_sample(out, P "sandbox", "process=\"vault\",layer=\"files\"", stats.files_denied);
    metrics_sample(out, P "sandbox", "process=\"vault\",layer=\"memory\"", stats.memory_locked);
}

static void write_edges(struct buffer *out, const struct server_status *status)
{
    const struct net_counters *counters = service_counters(status->service);
    size_t channels = 0;
    char labels[LABELS_SIZE];

    for (const struct peer *peer = service_peers(status->service); peer != NULL; peer = peer->all_next)
        channels++;
    gauge(out, P "channels", "Open channels.", (double)channels);
    gauge(out, P "connected_edges", "Edges with at least one open channel.",
          (double)edge_states_count(service_edge_states(status->service)));
    total(out, P "channels_accepted_total", "Channels that were authenticated and greeted.",
          &counters->channels_accepted);
    metrics_family(out, P "connections_dropped_total", METRIC_COUNTER,
                   "Connections ended before they were authenticated, by reason.");
    for (size_t why = 0; why < DROP_KINDS; why++) {
        snprintf(labels, sizeof labels, "reason=\"%s\"", channel_drop_name((enum channel_drop)why));
        metrics_sample(out, P "connections_dropped_total", labels,
                       (double)counter_get(&counters->drops[why]));
    }
    total(out, P "accept_paused_total", "Times that nobody was accepted for want of descriptors or memory.",
          &counters->accept_pauses);
    gauge(out, P "listeners_broken", "Sockets that were to listen and do not any more.",
          (double)server_status_broken(status, NULL));
    total(out, P "malformed_messages_total", "Messages of edges that were no proper message.",
          &counters->malformed_messages);
    total(out, P "slow_readers_total", "Channels ended because their edge did not read its answers.",
          &counters->slow_readers);
}

static void write_answers(struct buffer *out, const struct net_counters *counters)
{
    char labels[LABELS_SIZE];

    metrics_family(out, P "answers_total", METRIC_COUNTER, "Answers to edges, by operation and status.");
    for (size_t kind = 0; kind < OP_KINDS; kind++) {
        for (size_t status = 0; status < STATUS_KINDS; status++) {
            snprintf(labels, sizeof labels, "operation=\"%s\",status=\"%s\"", operation_label(kind),
                     status_name((enum operation_status)status));
            metrics_sample(out, P "answers_total", labels,
                           (double)counter_get(&counters->answers[kind][status]));
        }
    }
}

static void write_requests(struct buffer *out, const struct server_status *status)
{
    const struct net_counters *counters = service_counters(status->service);
    char labels[LABELS_SIZE];

    gauge(out, P "requests_in_flight", "Requests received and not yet answered.",
          (double)service_open(status->service));
    metrics_family(out, P "requests_total", METRIC_COUNTER, "Requests of edges, by operation.");
    for (size_t kind = 0; kind < OP_KINDS; kind++) {
        snprintf(labels, sizeof labels, "operation=\"%s\"", operation_label(kind));
        metrics_sample(out, P "requests_total", labels, (double)counter_get(&counters->requests[kind]));
    }
    write_answers(out, counters);
    total(out, P "requests_cancelled_total", "Requests whose channel ended before they were answered.",
          &counters->cancelled);
    metrics_family(out, P "request_duration_seconds", METRIC_HISTOGRAM,
                   "From a request's arrival to its answer, by operation.");
    for (size_t kind = 1; kind < OP_KINDS; kind++) {
        if (!operation_uses_key((enum operation_kind)kind))
            continue;
        snprintf(labels, sizeof labels, "operation=\"%s\"", operation_label(kind));
        metrics_histogram(out, P "request_duration_seconds", labels, &counters->duration[kind]);
    }
}

static void write_vault_totals(struct buffer *out, const struct wall_stats *stats)
{
    char labels[LABELS_SIZE];

    metrics_family(out, P "refusals_total", METRIC_COUNTER,
                   "Requests the vault refused, by reason; edges are never told which.");
    for (size_t reason = REFUSAL_NONE + 1; reason < REFUSAL_KINDS; reason++) {
        snprintf(labels, sizeof labels, "reason=\"%s\"", refusal_name((enum refusal)reason));
        metrics_sample(out, P "refusals_total", labels, (double)stats->refusals[reason]);
    }
    metrics_family(out, P "key_operation_seconds_total", METRIC_COUNTER,
                   "Time spent in private-key operations, by operation.");
    for (size_t kind = 1; kind < OP_KINDS; kind++) {
        if (!operation_uses_key((enum operation_kind)kind))
            continue;
        snprintf(labels, sizeof labels, "operation=\"%s\"", operation_label(kind));
        metrics_sample(out, P "key_operation_seconds_total", labels,
                       (double)stats->busy_ns[kind] / (double)NS_PER_S);
    }
    one(out, P "faults_total", METRIC_COUNTER,
        "Results that did not pass their own check and were not released.", (double)stats->faults);
}

static void write_audit(struct buffer *out, const struct wall_stats *stats)
{
    gauge(out, P "audit_sequence", "The number of the audit log's last record.", (double)stats->audit_seq);
    gauge(out, P "audit_failing", "1 while the audit log cannot be written.", stats->audit_failing);
    one(out, P "audit_withheld_total", METRIC_COUNTER,
        "Results that were not released, since they could not be recorded.", (double)stats->audit_withheld);
    one(out, P "audit_unrecorded_total", METRIC_COUNTER, "Answers that left without a record.",
        (double)stats->audit_unrecorded);
}

static void write_vault(struct buffer *out, const struct server_status *status)
{
    const struct net_counters *counters = service_counters(status->service);
    struct wall_stats stats;

    vault_link_stats(service_link(status->service), &stats);
    gauge(out, P "vault_ready", "1 while a vault with its keys serves.",
          service_vault_serves(status->service) ? 1 : 0);
    gauge(out, P "load_silent", "1 while a vault is being loaded and nothing goes on.",
          status->load == CONTROL_LOAD_SILENT ? 1 : 0);
    gauge(out, P "keys_loaded", "Private keys the vault holds.", stats.keys);
    gauge(out, P "key_files_skipped", "Key files found wrong and passed over.", stats.key_files_skipped);
    gauge(out, P "vault_queued", "Requests that wait in the vault.", stats.queued);
    gauge(out, P "vault_working", "Requests being computed.", stats.working);
    gauge(out, P "vault_workers", "Requests that can be computed at once.", stats.workers);
    gauge(out, P "epoch", "The number of the epoch that bound mode is in.", (double)stats.epoch);
    gauge(out, P "epoch_ahead_seconds", "How far epochs are ahead of the clock, which was set back.",
          (double)stats.epoch_ahead_ms / 1e3);
    write_vault_totals(out, &stats);
    write_audit(out, &stats);
    one(out, P "log_lines_dropped_total", METRIC_COUNTER,
        "Log lines of the net process and the vaults dropped because nobody read them in time.",
        (double)(stats.log_dropped + log_dropped()));
    total(out, P "vault_restarts_total", "Vaults that replaced one that died.", &counters->vault_restarts);
    total(out, P "vault_silences_total", "Times that the vault was there and said nothing.",
          &counters->vault_silences);
    total(out, P "vault_reloads_total", "Vaults that replaced one on reload.", &counters->vault_reloads);
    total(out, P "stray_answers_total", "Answers of the vault to requests that were given up.",
          &counters->stray_answers);
    one(out, P "wall_malformed_total", METRIC_COUNTER, "Slots of the vault that did not pass their check.",
        (double)vault_link_malformed(service_link(status->service)));
}

void server_metrics_write(struct buffer *out, const struct server_status *status)
{
    write_process(out, status);
    write_sandbox(out, status);
    write_edges(out, status);
    write_requests(out, status);
    write_vault(out, status);
}
