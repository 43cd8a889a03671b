/* keyless ping: round trips to key servers over the real channel, as an edge makes them. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/servers.h"
#include "common/clock.h"

#define COUNT_MAX  100000
#define TIMEOUT_NS 5000000000u

struct ping {
    unsigned count;  /* wanted */
    json_t *list;    /* results; NULL = print for a person */
    uv_loop_t *loop; /* of the current server */
    struct client *client;
    struct client_request request;
    uint64_t *ns; /* one an answer */
    unsigned done;
    enum operation_status status;
};

static int submit(struct ping *ping)
{
    ping->request.deadline_ns = clock_ns() + TIMEOUT_NS;
    trace_id_new(&ping->request.trace);
    return client_submit(ping->client, &ping->request);
}

static void on_answer(struct client_request *request)
{
    struct ping *ping = request->user;
    ping->status = request->outcome.status;
    if (ping->status == STATUS_OK)
        ping->ns[ping->done++] = request->answered_ns - request->sent_ns;
    if (ping->status != STATUS_OK || ping->done == ping->count || submit(ping) != 0)
        uv_stop(ping->loop);
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void report(const struct ping *ping, const char *name, const char *address)
{
    double sum = 0;
    qsort(ping->ns, ping->done, sizeof *ping->ns, compare);
    for (unsigned i = 0; i < ping->done; i++)
        sum += (double)ping->ns[i];
    double least = (double)ping->ns[0] / 1e6, mean = sum / ping->done / 1e6;
    double p99 = (double)ping->ns[(ping->done - 1) * 99 / 100] / 1e6;
    if (ping->list != NULL)
        json_array_append_new(ping->list, json_pack("{s:s, s:s, s:i, s:f, s:f, s:f}", "server", name,
                                                    "address", address, "answers", (int)ping->done, "min_ms",
                                                    least, "avg_ms", mean, "p99_ms", p99));
    else
        printf("%s %s: %u answers, min/avg/p99 = %.3f/%.3f/%.3f ms\n", name, address, ping->done, least, mean,
               p99);
}

static int ask(uv_loop_t *loop, struct client *client, const struct client_server *server, void *user)
{
    struct ping *ping = user;
    char address[ADDRESS_TEXT_SIZE];
    ping->loop = loop;
    ping->client = client;
    ping->done = 0;
    ping->request = (struct client_request){
        .operation = {.kind = OP_PING}, .on_answer = on_answer, .user = ping};
    if (submit(ping) == 0)
        uv_run(loop, UV_RUN_DEFAULT);
    if (ping->done > 0)
        report(ping, server->name, endpoint_text(&server->endpoint, address));
    if (ping->done == ping->count)
        return CLI_DONE;
    return cli_fail(&cli_ping, CLI_UNREACHABLE, "%s (%s) did not answer within %u s: %s", server->name,
                    endpoint_text(&server->endpoint, address), (unsigned)(TIMEOUT_NS / 1000000000u),
                    status_name(ping->status));
}

enum { JSON = 1 };

static int run(int argc, char *argv[])
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
    result = ping.ns == NULL ? CLI_FAILED : servers_each(&servers, &cli_ping, ask, &ping);
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
    .run = run,
};
