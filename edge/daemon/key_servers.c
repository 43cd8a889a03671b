#include "edge/daemon/key_servers.h"

#include "common/clock.h"
#include "common/secret.h"

static int load_server(struct client_server *out, const struct edge_config_server *from, struct names *names,
                       struct fault *fault)
{
    out->name = from->title;
    if (base64_decode(out->key, sizeof(out->key), from->key) != 0)
        return fault_set(fault, ERR_CONFIG, "key_server %s: key is not 32 bytes in base64", from->title);
    int err = names_add(names, &out->endpoint, from->address, KEY_SERVER_PORT, fault);
    if (err)
        return err;
    return identity_load_shared(out->psk, from->psk, KEY_SERVERS_PSK_HOLDER, fault);
}

/* A key server with the edge's own key could never complete a handshake. */
static int check_not_own(const struct key_servers *servers, const struct edge_config *config,
                         struct fault *fault)
{
    const struct edge_config_server *from = config->key_servers.item;
    for (size_t i = 0; i < servers->count; i++)
        if (same_bytes(servers->servers[i].key, servers->identity->public, IDENTITY_KEY_SIZE))
            return fault_set(
                fault, ERR_CONFIG,
                "%s: key_server %s: key is this edge's own public key, of %s; take the line that the key "
                "server prints with: keyless pubkey < identity.key",
                from[i].key_place, from[i].title, config->identity);
    return 0;
}

static int load_servers(struct key_servers *out, const struct edge_config *config, struct names *names,
                        struct fault *fault)
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
        int err = load_server(&out->servers[i], &from[i], names, fault);
        if (err)
            return err;
        if (out->servers[i].endpoint.names != NULL)
            out->names = names;
    }
    return 0;
}

int key_servers_load(struct key_servers *out, const struct edge_config *config, struct names *names,
                     struct fault *fault)
{
    int err;

    if (!config->identity)
        return fault_set(fault, ERR_CONFIG, "identity is not set; add: identity = \"identity.key\"");
    if ((err = identity_load(&out->identity, config->identity, fault)) != 0 ||
        (err = load_servers(out, config, names, fault)) != 0 ||
        (err = check_not_own(out, config, fault)) != 0)
        key_servers_clear(out);
    return err;
}

void key_servers_resolve(struct key_servers *servers, struct names *names)
{
    struct name_answer answer;

    (void)names_resolve(names, clock_ns()); /* a name not found is reported at the connect */
    for (size_t i = 0; i < servers->count; i++) {
        endpoint_get(&servers->servers[i].endpoint, &answer);
        if (answer.count > 0)
            servers->servers[i].endpoint.address = answer.addresses[0];
    }
}

void key_servers_clear(struct key_servers *servers)
{
    secret_free(servers->identity);
    secret_free(servers->servers);
    *servers = (struct key_servers){0};
}
