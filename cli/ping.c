/* keyless ping: round trips to key servers over the real channel, as an edge makes them. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/ping_print.h"
#include "cli/servers.h"
#include "common/clock.h"

#define COUNT_MAX  100000
#define TIMEOUT_NS (SERVERS_TIMEOUT_S * NS_PER_S)

struct ping {
    unsigned count; /* wanted */
    json_t *list;   /* results; NULL = print for a person */
    struct asking *asking;
    struct client_request request;
    uint64_t *ns; /* one an answer */
    unsigned sent, answered;
};

static int submit(struct ping *ping)
{
    ping->request.deadline_ns = clock_ns() + TIMEOUT_NS;
    ping->request.outcome.status = STATUS_UNAVAILABLE;
    trace_id_new(&ping->request.trace);
    return client_submit(ping->asking->client, &ping->request);
}

static void on_answer(struct client_request *request)
{
    struct ping *ping = request->user;
    bool good = request->outcome.status == STATUS_OK;
    ping->sent += request->sent_ns != 0;
    if (good)
        ping->ns[ping->answered++] = request->answered_ns - request->sent_ns;
    if (!good || ping->answered == ping->count || submit(ping) != 0)
        uv_stop(ping->asking->loop);
}

/* Pings until all are answered or one is not. */
static void ask_all(struct ping *ping, struct asking *asking)
{
    ping->asking = asking;
    ping->sent = ping->answered = 0;
    ping->request = (struct client_request){
        .operation = {.kind = OP_PING}, .on_answer = on_answer, .user = ping};
    asking->waiting = true;
    if (submit(ping) == 0)
        uv_run(asking->loop, UV_RUN_DEFAULT);
    asking->waiting = false;
    if (ping->request.open)
        ping->sent += ping->request.sent_ns != 0;
    client_cancel(asking->client, &ping->request);
    servers_explain(asking, ping->answered == ping->count ? STATUS_OK : ping->request.outcome.status,
                    ping->request.answered);
}

static int ping_server(struct asking *asking, void *user)
{
    struct ping *ping = user;
    char address[ADDRESS_TEXT_SIZE], why[SERVERS_WHY_SIZE];
    ask_all(ping, asking);
    struct ping_result result = {.server = asking->server->name,
                                 .address = endpoint_text(&asking->server->endpoint, address),
                                 .sent = ping->sent,
                                 .error = asking->error,
                                 .hint = asking->hint};
    ping_result_take(&result, ping->ns, ping->answered);
    if (ping->list != NULL)
        json_array_append_new(ping->list, ping_json(&result));
    else if (ping->answered > 0)
        ping_print(stdout, &result);
    if (ping->answered == ping->count)
        return CLI_DONE;
    if (ping->answered > 0 && ping->list == NULL)
        return CLI_UNREACHABLE;
    return cli_fail(&cli_ping, CLI_UNREACHABLE, "%s %s: %u sent, %u answered: %s", result.server,
                    result.address, ping->sent, ping->answered, servers_why(asking, why));
}

enum { JSON = 1 };

static int run_ping(int argc, char *argv[])
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"count", required_argument, NULL, 'n'},
                                            {"json", no_argument, NULL, JSON},
                                            {0}};
    struct ping ping = {.count = 10};
    struct servers servers;
    const char *file = "/etc/keyless/edge.conf";
    int option;
    while ((option = cli_option(&cli_ping, argc, argv, "c:n:", options)) != -1) {
        if (option == 'c')
            file = optarg;
        else if (option == 'n')
            ping.count = (unsigned)strtoul(optarg, NULL, 10);
        else if (option == JSON)
            ping.list = json_array();
        else
            return CLI_USAGE;
    }
    if (ping.count < 1 || ping.count > COUNT_MAX)
        return cli_usage(&cli_ping, "-n takes a number from 1 to %d", COUNT_MAX);
    int result = servers_open(&servers, &cli_ping, file, argv[optind]);
    if (result != 0)
        return result;
    ping.ns = calloc(ping.count, sizeof *ping.ns);
    result = ping.ns == NULL ? CLI_FAILED : servers_each(&servers, &cli_ping, ping_server, &ping);
    if (ping.list != NULL) {
        json_dumpf(ping.list, stdout, JSON_INDENT(2));
        putchar('\n');
    }
    json_decref(ping.list);
    free(ping.ns);
    servers_close(&servers);
    return result;
}

const struct cli_verb cli_ping = {
    .name = "ping",
    .arguments = "[-c EDGE.CONF] [-n COUNT] [--json] [SERVER]",
    .summary = "Measures round trips to the key servers of an edge.",
    .help = "  -c, --config FILE   the edge's configuration (/etc/keyless/edge.conf)\n"
            "  -n, --count N       pings for each server (10)\n"
            "      --json\n",
    .run = run_ping,
};
