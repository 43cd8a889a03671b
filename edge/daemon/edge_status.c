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
    bool is_ready = edge_status_ready(status);
    const char *text = "ready\n";

    (void)rest;
    if (status->draining)
        text = "draining\n";
    else if (!is_ready)
        text = "no key server is connected\n";
    return buffer_printf(body, "%s", text) == 0 && is_ready ? 200 : 503;
}

const struct admin_route edge_status_routes[] = {
    {.path = "/metrics", .content_type = "text/plain; version=0.0.4", .handle = edge_status_metrics},
    {.path = "/live", .content_type = "text/plain", .handle = live},
    {.path = "/ready", .content_type = "text/plain", .handle = ready},
    {.path = "/status.json", .content_type = "application/json", .handle = edge_status_json},
    {.path = "/trace/", .content_type = "application/json", .handle = edge_status_trace},
    {0},
};

bool edge_status_ready(const struct edge_status *status)
{
    if (status->draining)
        return false;
    for (size_t i = 0; i < status->setup->key_servers.count; i++) {
        if (counter_get(&status->setup->stats[i].connected) > 0)
            return true;
    }
    return false;
}

void edge_status_sum(const struct edge_status *status, struct session_stats *out)
{
    memset(out, 0, sizeof(*out));
    for (unsigned i = 0; i < status->thread_count; i++)
        session_stats_sum(out, thread_stats(status->threads[i]));
}
