#include "edge/key_servers.h"

#include "common/secret.h"

#define KEY_SERVER_PORT 2407

static int load_server(struct client_server *out, const struct edge_config_server *from, struct fault *fault)
{
    out->name = from->title;
    if (base64_decode(out->key, sizeof(out->key), from->key) != 0)
        return fault_set(fault, ERR_CONFIG, "key_server %s: key is not 32 bytes in base64", from->title);
    int error = address_parse(&out->address, from->address, KEY_SERVER_PORT, fault);
    if (error)
        return error;
    return identity_load_secret(out->psk, from->psk, fault);
}

static int load_servers(struct key_servers *out, const struct edge_config *config, struct fault *fault)
{
    const struct edge_config_server *from = config->key_servers.item;
    size_t count = config->key_servers.count;

    if (count == 0)
        return fault_set(fault, ERR_CONFIG,
                         "no key_server is configured; add: key_server main { address = "
                         "\"HOST:%d\" key = \"…\" }",
                         KEY_SERVER_PORT);
    out->servers = secret_new(count * sizeof *out->servers);
    if (!out->servers)
        return fault_set(fault, ERR_MEMORY, "no guarded memory for %zu key servers", count);
    out->count = count;
    for (size_t i = 0; i < count; i++) {
        int error = load_server(&out->servers[i], &from[i], fault);
        if (error)
            return error;
    }
    return 0;
}

int key_servers_load(struct key_servers *out, const struct edge_config *config, struct fault *fault)
{
    int error;

    if (!config->identity)
        return fault_set(fault, ERR_CONFIG, "identity is not set; add: identity = \"identity.key\"");
    if ((error = identity_load(&out->identity, config->identity, fault)) != 0 ||
        (error = load_servers(out, config, fault)) != 0)
        key_servers_clear(out);
    return error;
}

void key_servers_clear(struct key_servers *servers)
{
    secret_free(servers->identity);
    secret_free(servers->servers);
    *servers = (struct key_servers){0};
}
