#include "edge/daemon/edge_status.h"

#include <string.h>

#include "common/clock.h"

static int live(struct buffer *body, const char *rest, void *user)
{
    const struct edge_status *status = user;
    uint64_t now = clock_ms();

    (void)rest;
    for (unsigned i = 0; i < status->thread_count; i++) {
        uint64_t turned = thread_turned_ms(status->threads[i]);
        if (now > turned + EDGE_LIVE_MS && !thread_ended(status->threads[i])) {
            (void)buffer_printf(body, "thread %u has not turned its loop for %llu ms\n", i,
                                (unsigned long long)(now - turned));
            return 503;
        }
    }
    return buffer_printf(body, "live\n") == 0 ? 200 : 503;
}

static int ready(struct buffer *body, const char *rest, void *user)
{
    const struct edge_status *status = user;
    const char *why = edge_status_not_ready(status);

    (void)rest;
    return buffer_printf(body, "%s\n", why != NULL ? why : "ready") == 0 && why == NULL ? 200 : 503;
}

const struct admin_route edge_status_routes[] = {
    {.path = "/metrics", .content_type = "text/plain; version=0.0.4", .handle = edge_status_metrics},
    {.path = "/live", .content_type = "text/plain", .handle = live},
    {.path = "/ready", .content_type = "text/plain", .handle = ready},
    {.path = "/status.json", .content_type = "application/json", .handle = edge_status_json},
    {.path = "/trace/", .content_type = "application/json", .handle = edge_status_trace},
    {0},
};

static bool has_key_server(const struct edge_status *status)
{
    for (size_t i = 0; i < status->setup->key_servers.count; i++) {
        if (counter_get(&status->setup->stats[i].connected) > 0)
            return true;
    }
    return false;
}

static bool has_broken_listener(const struct edge_status *status)
{
    for (unsigned i = 0; i < status->thread_count; i++) {
        if (counter_get(&thread_stats(status->threads[i])->listeners_broken) > 0)
            return true;
    }
    return false;
}

const char *edge_status_not_ready(const struct edge_status *status)
{
    if (status->draining)
        return "draining";
    if (!has_key_server(status))
        return "no key server is connected";
    if (has_broken_listener(status))
        return "a socket does not listen any more: restart keyless-edge (listener_broken in the log says "
               "which)";
    return NULL;
}

void edge_status_sum(const struct edge_status *status, struct session_stats *out)
{
    memset(out, 0, sizeof(*out));
    for (unsigned i = 0; i < status->thread_count; i++)
        session_stats_sum(out, thread_stats(status->threads[i]));
}
