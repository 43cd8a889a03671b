#include "cli/servers.h"

#include <string.h>

#define CONNECT_TIMEOUT_MS 3000

int servers_open(struct servers *servers, const struct cli_verb *verb, const char *file, const char *only)
{
    struct fault fault = {0};
    *servers = (struct servers){.only = only};
    int err = edge_config_load(&servers->config, file, &fault);
    if (err == 0)
        err = key_servers_load(&servers->all, &servers->config, &fault);
    if (err != 0) {
        servers_close(servers);
        return cli_fail(verb, CLI_USAGE, "%s", fault.text);
    }
    log_init("keyless", LOG_WARN, LOG_LOGFMT);
    return 0;
}

void servers_close(struct servers *servers)
{
    key_servers_clear(&servers->all);
    edge_config_clear(&servers->config);
}

static int ask_one(const struct servers *servers, const struct client_server *server, servers_ask ask,
                   void *user)
{
    uv_loop_t loop;
    struct client_server_stats stats = {0};
    const struct client_settings settings = {
        .identity = servers->all.identity,
        .servers = server,
        .server_count = 1,
        .stats = &stats,
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .backoff_min_ms = 100,
        .backoff_max_ms = 1000,
        .ping_interval_ms = 5000,
        .rehandshake_ms = 3600000,
        .in_flight_max = 65536,
        .software = "keyless " KEYLESS_VERSION,
    };
    if (uv_loop_init(&loop) != 0)
        return CLI_FAILED;
    struct client *client = client_new(&loop, &settings);
    int result = client == NULL ? CLI_FAILED : ask(&loop, client, server, user);
    client_close(client);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    return result;
}

int servers_each(struct servers *servers, const struct cli_verb *verb, servers_ask ask, void *user)
{
    int worst = CLI_DONE;
    bool found = false;
    for (size_t i = 0; i < servers->all.count; i++) {
        const struct client_server *server = &servers->all.servers[i];
        if (servers->only != NULL && strcmp(servers->only, server->name) != 0)
            continue;
        found = true;
        int result = ask_one(servers, server, ask, user);
        if (result > worst)
            worst = result;
    }
    if (!found)
        return cli_usage(verb, "there is no key_server '%s' in the configuration", servers->only);
    return worst;
}
