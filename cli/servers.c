#include "cli/servers.h"

#include <string.h>

#include "common/clock.h"

#define CONNECT_TIMEOUT_MS 3000
#define ANSWER_TIMEOUT_MS  5000u

int servers_open(struct servers *servers, const struct cli_verb *verb, const char *file, const char *only)
{
    struct fault fault = {0};
    *servers = (struct servers){.only = only};
    names_init(&servers->names);
    int err = edge_config_load(&servers->config, file, &fault);
    if (err == 0)
        err = key_servers_load(&servers->all, &servers->config, &servers->names, &fault);
    if (err != 0) {
        servers_close(servers);
        return cli_fail(verb, CLI_USAGE, "%s", fault.text);
    }
    key_servers_resolve(&servers->all, &servers->names);
    log_init("keyless", LOG_WARN, LOG_LOGFMT);
    return 0;
}

void servers_close(struct servers *servers)
{
    key_servers_clear(&servers->all);
    names_clear(&servers->names);
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
        .backoff_min_ms = 1500, /* each failure is a log line: a few are enough */
        .backoff_max_ms = 3000,
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

/* ---- lists of keys ---- */

struct listing {
    uv_loop_t *loop;
    client_keys_handler on_keys;
    void *user;
    enum operation_status status;
};

static void on_connected(struct client_request *request)
{
    struct listing *listing = request->user;
    listing->status = request->outcome.status;
    uv_stop(listing->loop);
}

static void on_list(const char *server, enum operation_status status, const struct key_info *list,
                    size_t count, void *user)
{
    struct listing *listing = user;
    if (server == NULL) {
        uv_stop(listing->loop);
        return;
    }
    listing->status = status;
    listing->on_keys(server, status, list, count, listing->user);
}

enum operation_status servers_list_keys(uv_loop_t *loop, struct client *client, client_keys_handler on_keys,
                                        void *user)
{
    struct listing listing = {.loop = loop, .on_keys = on_keys, .user = user, .status = STATUS_UNAVAILABLE};
    struct client_request ping = {.operation = {.kind = OP_PING},
                                  .deadline_ns = clock_ns() + ANSWER_TIMEOUT_MS * UINT64_C(1000000),
                                  .on_answer = on_connected,
                                  .user = &listing};
    trace_id_new(&ping.trace);
    if (client_submit(client, &ping) == 0) /* client_keys asks connected servers only */
        uv_run(loop, UV_RUN_DEFAULT);
    if (listing.status != STATUS_OK)
        return listing.status;
    listing.status = STATUS_UNAVAILABLE;
    if (client_keys(client, ANSWER_TIMEOUT_MS, on_list, &listing) == 0)
        uv_run(loop, UV_RUN_DEFAULT);
    return listing.status;
}
