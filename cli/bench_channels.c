#include "cli/bench_channels.h"

#include <stdlib.h>

#include "cli/key_list.h"
#include "common/channel_times.h"
#include "common/clock.h"
#include "common/secret.h"

#define CONNECT_TIMEOUT_MS 3000
#define EPOCH_TIMEOUT_NS   5000000000u
#define HANDSHAKE_MS       10000 /* rsa_master: the longest that a request may take, from its making on */

/* ---- keys ---- */

/* Takes what CLIENT's edge is granted into the plan. */
static int plan_with(struct bench_channels *channels, struct client *client, bool first,
                     const struct bench_wishes *wishes)
{
    struct key_list list = {.item = NULL};
    channels->asking.loop = &channels->loop;
    channels->asking.client = client;
    int result = (int)key_list_ask(&list, &channels->asking);
    if (list.short_of_memory)
        result = ERR_MEMORY;
    if (result == STATUS_OK && first)
        result = bench_plan_make(&channels->plan, wishes, list.item, list.count);
    else if (result == STATUS_OK)
        bench_plan_keep(&channels->plan, list.item, list.count);
    key_list_clear(&list);
    return result;
}

/* ---- opening and closing ---- */

static struct client *open_client(struct bench_channels *channels, const struct bench_edge *edge)
{
    const struct client_settings settings = {
        .identity = edge->all->identity,
        .servers = edge->server,
        .server_count = 1,
        .stats = &channels->stats[channels->count],
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .backoff_min_ms = 500,
        .backoff_max_ms = 3000,
        .ping_interval_ms = CHANNEL_PING_MS,
        .rehandshake_ms = 3600000,
        .handshake_ms = HANDSHAKE_MS,
        .in_flight_max = BENCH_IN_FLIGHT_MAX,
        .software = "keyless " KEYLESS_VERSION,
        .on_failed = servers_on_failed,
        .user = &channels->asking,
    };
    struct client *client = client_new(&channels->loop, &settings);
    if (client != NULL)
        channels->client[channels->count++] = client;
    return client;
}

static int open_edge(struct bench_channels *channels, const struct bench_edge *edge, size_t each,
                     const struct bench_wishes *wishes)
{
    int result = STATUS_OK;
    for (size_t i = 0; i < each && result == STATUS_OK; i++) {
        struct client *client = open_client(channels, edge);
        if (client == NULL)
            return ERR_MEMORY;
        if (i == 0)
            result = plan_with(channels, client, channels->count == 1, wishes);
    }
    return result;
}

int bench_channels_open(struct bench_channels *channels, const struct bench_target *target, size_t each,
                        const struct bench_wishes *wishes)
{
    int result = STATUS_OK;
    *channels = (struct bench_channels){.count = 0};
    if (uv_loop_init(&channels->loop) != 0)
        return ERR_MEMORY;
    channels->open = true;
    channels->client = calloc(target->edge_count * each, sizeof(struct client *));
    channels->stats = calloc(target->edge_count * each, sizeof *channels->stats);
    if (channels->client == NULL || channels->stats == NULL)
        return ERR_MEMORY;
    for (size_t i = 0; i < target->edge_count && result == STATUS_OK; i++)
        result = open_edge(channels, &target->edge[i], each, wishes);
    return result;
}

void bench_channels_close(struct bench_channels *channels)
{
    if (!channels->open)
        return;
    for (size_t i = 0; i < channels->count; i++)
        client_close(channels->client[i]);
    while (uv_loop_alive(&channels->loop))
        uv_run(&channels->loop, UV_RUN_DEFAULT);
    uv_loop_close(&channels->loop);
    bench_plan_clear(&channels->plan);
    free(channels->client);
    free(channels->stats);
    *channels = (struct bench_channels){.count = 0};
}

/* ---- epochs ---- */

static void on_end(struct client_epoch_wait *wait)
{
    uv_stop(wait->user);
}

enum operation_status bench_channels_await_epochs(struct bench_channels *channels)
{
    enum operation_status status = STATUS_OK;
    for (size_t i = 0; i < channels->count; i++) {
        struct client_epoch epoch;
        struct client_epoch_wait wait = {
            .deadline_ns = clock_ns() + EPOCH_TIMEOUT_NS, .on_end = on_end, .user = &channels->loop};
        if (client_choose_epoch(channels->client[i], &epoch) == EPOCH_DUE &&
            client_await_epoch(channels->client[i], &wait) == 0)
            uv_run(&channels->loop, UV_RUN_DEFAULT);
        client_cancel_epoch(channels->client[i], &wait);
        if (client_choose_epoch(channels->client[i], &epoch) != EPOCH_CHOSEN)
            status = STATUS_UNAVAILABLE;
        wipe(&epoch, sizeof epoch);
    }
    return status;
}
