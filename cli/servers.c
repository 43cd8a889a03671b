#include "cli/servers.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/channel_times.h"
#include "common/clock.h"

#define CONNECT_TIMEOUT_MS                                                                                   \
    (SERVERS_TIMEOUT_S * 1000 - 1000) /* sooner than the answer is given up: it has a hint */
#define ANSWER_TIMEOUT_MS (SERVERS_TIMEOUT_S * 1000u)

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
    log_init("keyless", LOG_ERROR, LOG_LOGFMT); /* what a daemon warns of, the verb says itself */
    return 0;
}

void servers_close(struct servers *servers)
{
    key_servers_clear(&servers->all);
    names_clear(&servers->names);
    edge_config_clear(&servers->config);
}

/* ---- why there is no answer ---- */

/* "Connection refused" stands in the midst of a sentence. */
static void put_error(struct asking *asking, const char *error, const char *hint)
{
    snprintf(asking->error, sizeof asking->error, "%s", error);
    if (islower((unsigned char)asking->error[1]))
        asking->error[0] = (char)tolower((unsigned char)asking->error[0]);
    snprintf(asking->hint, sizeof asking->hint, "%s", hint);
}

static void put_timeout(struct asking *asking, const char *hint)
{
    char error[64];
    snprintf(error, sizeof error, "no answer within %d s", SERVERS_TIMEOUT_S);
    put_error(asking, error, hint);
}

void servers_on_failed(const struct client_failure *failure, void *user)
{
    struct asking *asking = user;
    if (!asking->waiting)
        return;
    if (failure->why == ERR_TIMEOUT) {
        put_timeout(asking, failure->hint);
        return;
    }
    put_error(asking, failure->error, failure->hint);
    uv_stop(asking->loop);
}

void servers_explain(struct asking *asking, enum operation_status status, bool answered)
{
    char error[64];
    if (status == STATUS_OK) {
        asking->error[0] = asking->hint[0] = 0;
    } else if (answered) {
        snprintf(error, sizeof error, "it answers: %s", status_name(status));
        put_error(asking, error, "");
    } else if (asking->error[0] == 0) {
        put_timeout(asking, "");
    }
}

char *servers_why(const struct asking *asking, char out[static SERVERS_WHY_SIZE])
{
    snprintf(out, SERVERS_WHY_SIZE, "%s%s%s", asking->error, asking->hint[0] != 0 ? ": " : "", asking->hint);
    return out;
}

/* ---- asking ---- */

static int ask_one(const struct servers *servers, const struct client_server *server, servers_ask ask,
                   void *user)
{
    uv_loop_t loop;
    struct asking asking = {.loop = &loop, .server = server};
    struct client_server_stats stats = {0};
    const struct client_settings settings = {
        .identity = servers->all.identity,
        .servers = server,
        .server_count = 1,
        .stats = &stats,
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .backoff_min_ms = 500,
        .backoff_max_ms = 1000,
        .ping_interval_ms = CHANNEL_PING_MS,
        .rehandshake_ms = 3600000,
        .in_flight_max = 65536,
        .software = "keyless " KEYLESS_VERSION,
        .on_failed = servers_on_failed,
        .user = &asking,
    };
    if (uv_loop_init(&loop) != 0)
        return CLI_FAILED;
    asking.client = client_new(&loop, &settings);
    int result = asking.client == NULL ? CLI_FAILED : ask(&asking, user);
    client_close(asking.client);
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
    uv_stop(request->user);
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

/* Waits for a channel: client_keys() asks connected servers only. */
static enum operation_status connect_by_ping(struct asking *asking)
{
    struct client_request ping = {.operation = {.kind = OP_PING},
                                  .deadline_ns = clock_ns() + ANSWER_TIMEOUT_MS * NS_PER_MS,
                                  .on_answer = on_connected,
                                  .user = asking->loop};
    ping.outcome.status = STATUS_UNAVAILABLE;
    trace_id_new(&ping.trace);
    asking->waiting = true;
    if (client_submit(asking->client, &ping) == 0)
        uv_run(asking->loop, UV_RUN_DEFAULT);
    asking->waiting = false;
    client_cancel(asking->client, &ping);
    servers_explain(asking, ping.outcome.status, ping.answered);
    return ping.outcome.status;
}

enum operation_status servers_list_keys(struct asking *asking, client_keys_handler on_keys, void *user)
{
    struct listing listing = {
        .loop = asking->loop, .on_keys = on_keys, .user = user, .status = STATUS_UNAVAILABLE};
    enum operation_status status = connect_by_ping(asking);
    if (status != STATUS_OK)
        return status;
    if (client_keys(asking->client, ANSWER_TIMEOUT_MS, on_list, &listing) == 0)
        uv_run(asking->loop, UV_RUN_DEFAULT);
    servers_explain(asking, listing.status, listing.status != STATUS_UNAVAILABLE);
    return listing.status;
}
