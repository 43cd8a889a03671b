#include "edge/keyclient/client.h"

#include <stdlib.h>

#include "common/clock.h"
#include "edge/keyclient/client_state.h"

/* ---- life ---- */

static void free_client(struct client *client)
{
    inquiries_clear(&client->inquiries);
    route_clear(&client->route);
    epochs_free(client->epochs);
    pool_clear(&client->pool);
    buffer_clear(&client->batch.packed);
    free(client);
}

static int make_parts(struct client *client)
{
    const struct client_settings *settings = &client->settings;

    if (pool_init(&client->pool, settings->server_count) != 0)
        return ERR_MEMORY;
    client->epochs = epochs_new(settings->server_count, settings->handshake_ms * NS_PER_MS);
    if (client->epochs == NULL)
        return ERR_MEMORY;
    client->route.pool = &client->pool;
    client->route.turn = &client->turn;
    client->route.epochs = client->epochs;
    client->route.grants = settings->grants;
    client->route.fail_when_gone = settings->fail_when_gone;
    if (route_init(&client->route) != 0)
        return ERR_MEMORY;
    return inquiries_init(&client->inquiries, &client->route, settings->grants);
}

struct client *client_new(uv_loop_t *loop, const struct client_settings *settings)
{
    struct client *client = calloc(1, sizeof *client);

    if (client == NULL)
        return NULL;
    client->loop = loop;
    client->settings = *settings;
    if (make_parts(client) != 0 || client_loop_start(client) != 0) {
        free_client(client);
        return NULL;
    }
    client_links_start(client);
    return client;
}

void client_free_when_closed(struct client *client)
{
    if (client->closing && client->handles == 0 && pool_parts(&client->pool) == 0)
        free_client(client);
}

void client_close(struct client *client)
{
    if (client == NULL || client->closing)
        return;
    client->closing = true;
    route_fail_all(&client->route);
    epoch_waits_due(&client->epoch_waits, UINT64_MAX);
    client_links_close(client);
    client_loop_stop(client);
}

/* ---- requests ---- */

int client_submit(struct client *client, struct client_request *request)
{
    if (client->closing)
        return ERR_CLOSED;
    if (route_in_flight(&client->route) >= client->settings.in_flight_max)
        return ERR_BUSY;
    request->on_part = NULL;
    return route_open(&client->route, request, ROUTE_ANY);
}

void client_cancel(struct client *client, struct client_request *request)
{
    if (request->open)
        route_forget(&client->route, request);
}
