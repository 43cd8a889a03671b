/* client_grants() of client.h: what the servers that are asked grant together. */
#include "edge/keyclient/client_state.h"

/* True when SERVER counts: while servers are connected only those do, otherwise all that have ever
 * answered. */
static bool counts(const struct client *client, size_t server)
{
    return client->pool.usable > 0 ? link_usable(&client->pool.links[server])
                                   : grants_known(client->settings.grants, server);
}

uint32_t client_grants(const struct client *client, const uint8_t key_id[static KEY_ID_SIZE])
{
    const struct grants *grants = client->settings.grants;
    size_t number = 0;
    uint32_t granted = 0;
    bool heard = false;

    if (grants == NULL || grants_find(grants, key_id, &number) != 0)
        return CLIENT_GRANTS_UNKNOWN;
    for (size_t i = 0; i < client->pool.count; i++) {
        if (!counts(client, i))
            continue;
        granted |= grants_known(grants, i) ? grants_get(grants, i, number) : CLIENT_GRANTS_UNKNOWN;
        heard = true;
    }
    return heard ? granted : CLIENT_GRANTS_UNKNOWN;
}
