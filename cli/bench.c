/* keyless bench: latency and throughput of key servers, for every operation that an edge is granted. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/bench_print.h"
#include "cli/bench_work.h"
#include "common/secret.h"

#define SERVERS_MAX 64 /* different key servers in all configurations */
#define USUAL_ADMIN "127.0.0.1:2406"

struct bench {
    const char *files[BENCH_EDGES_MAX];
    size_t file_count;
    struct servers edges[BENCH_EDGES_MAX]; /* loaded: `edge_count` */
    size_t edge_count;
    struct bench_target targets[SERVERS_MAX];
    size_t target_count;
    struct bench_wishes wishes;
    struct bench_depths depths;
    struct bench_settings settings;
    unsigned long each; /* channels of an edge */
    const char *admin;  /* NULL = look at the usual address */
    json_t *list;       /* results; NULL = print for a person */
    bool terminal;      /* somebody looks */
    struct bench_result result;
    /* for the line of progress */
    const struct bench_case *one;
    unsigned depth;
    size_t number, total;
};

/* ---- who is measured ---- */

static struct bench_target *target_of(struct bench *bench, const struct client_server *server)
{
    for (size_t i = 0; i < bench->target_count; i++)
        if (same_bytes(bench->targets[i].server->key, server->key, sizeof server->key))
            return &bench->targets[i];
    if (bench->target_count == SERVERS_MAX)
        return NULL;
    struct bench_target *target = &bench->targets[bench->target_count++];
    target->server = server;
    return target;
}

/* Key servers with one key are one key server, which several edges know. */
static int gather(struct bench *bench, const char *only)
{
    for (size_t i = 0; i < bench->edge_count; i++) {
        const struct key_servers *all = &bench->edges[i].all;
        for (size_t k = 0; k < all->count; k++) {
            if (only != NULL && strcmp(only, all->servers[k].name) != 0)
                continue;
            struct bench_target *target = target_of(bench, &all->servers[k]);
            if (target == NULL)
                return cli_usage(&cli_bench, "more than %d key servers", SERVERS_MAX);
            if (target->edge_count < BENCH_EDGES_MAX)
                target->edge[target->edge_count++] = (struct bench_edge){.all = all,
                                                                         .server = &all->servers[k]};
        }
    }
    if (bench->target_count == 0)
        return cli_usage(&cli_bench, "there is no key_server '%s' in the configuration", only);
    if (bench->admin != NULL && bench->target_count > 1)
        return cli_usage(&cli_bench, "--admin is of one key server: name the one that is to be measured");
    return 0;
}

static int load_edges(struct bench *bench)
{
    if (bench->file_count == 0)
        bench->files[bench->file_count++] = "/etc/keyless/edge.conf";
    for (size_t i = 0; i < bench->file_count; i++) {
        int result = servers_open(&bench->edges[i], &cli_bench, bench->files[i], NULL);
        if (result != 0)
            return result;
        bench->edge_count++;
    }
    return 0;
}

/* Without --admin it is a bonus: a key server on this machine at the usual address. */
static int find_cpu(const struct bench *bench, const struct bench_target *target, struct bench_cpu *cpu)
{
    struct fault fault = {0};
    *cpu = (struct bench_cpu){.count = 0};
    if (bench->admin == NULL) {
        if (address_is_loopback(&target->server->endpoint.address) &&
            bench_cpu_find(cpu, USUAL_ADMIN, &target->server->endpoint.address, NULL) != 0)
            *cpu = (struct bench_cpu){.count = 0};
        return 0;
    }
    if (bench_cpu_find(cpu, bench->admin, NULL, &fault) != 0)
        return cli_fail(&cli_bench, CLI_UNREACHABLE, "%s", fault.text);
    return 0;
}

/* ---- measuring ---- */

static void on_progress(double done, void *user)
{
    const struct bench *bench = user;
    bench_progress_show(stderr, bench->one, bench->depth, bench->number, bench->total, done);
}

static int exit_of(const struct bench_result *result)
{
    if (result->failed[STATUS_REFUSED] > 0)
        return CLI_REFUSED;
    if (result->failed[STATUS_UNAVAILABLE] > 0)
        return CLI_UNREACHABLE;
    return bench_result_failed(result) > 0 || result->latency.count == 0 ? CLI_FAILED : CLI_DONE;
}

static void complain(const struct bench *bench, const struct bench_target *target, int code)
{
    static const char *const why[] = {
        [CLI_FAILED] =
            "requests failed or none was answered; see `queue_max` and `in_flight_per_edge` of its "
            "configuration, or measure longer or with fewer in flight",
        [CLI_UNREACHABLE] = "it stopped answering, or announced no epoch (rsa_master needs one)",
        [CLI_REFUSED] =
            "it refused what it says this edge may ask; is there a rate, a quota, or a list of names "
            "(see --name)?",
    };
    char name[BENCH_KEY_NAME_SIZE];
    cli_fail(&cli_bench, code, "%s: %s with %s, %u in flight: %s", target->server->name,
             operation_name(bench->one->kind), bench_key_name(name, &bench->one->key), bench->depth,
             why[code]);
}

static int measure(struct bench *bench, const struct bench_target *target, struct bench_channels *channels,
                   const struct bench_cpu *cpu)
{
    const struct bench_row row = {.target = target,
                                  .channels = channels,
                                  .one = bench->one,
                                  .depth = bench->depth,
                                  .cpu = cpu,
                                  .result = &bench->result};
    if (operation_mode(bench->one->kind) == MODE_BOUND &&
        bench_channels_await_epochs(channels) != STATUS_OK) {
        complain(bench, target, CLI_UNREACHABLE);
        return CLI_UNREACHABLE;
    }
    int err = bench_load_run(channels, bench->one, bench->depth, &bench->settings, &bench->result);
    if (bench->terminal)
        bench_progress_clear(stderr);
    if (err != 0)
        return cli_fail(&cli_bench, CLI_FAILED, "%s", err_string(err));
    if (bench->list != NULL)
        json_array_append_new(bench->list, bench_row_json(&row));
    else
        bench_print_row(stdout, &row);
    int code = exit_of(&bench->result);
    if (code != CLI_DONE)
        complain(bench, target, code);
    return code;
}

static int measure_plan(struct bench *bench, const struct bench_target *target,
                        struct bench_channels *channels, const struct bench_cpu *cpu)
{
    int worst = CLI_DONE;
    bench->number = 0;
    bench->total = channels->plan.count * bench->depths.count;
    bench->settings.cpu = cpu;
    if (bench->list == NULL)
        bench_print_head(stdout, target, channels, cpu);
    for (size_t i = 0; i < channels->plan.count; i++) {
        for (size_t k = 0; k < bench->depths.count; k++) {
            bench->number++;
            bench->one = &channels->plan.cases[i];
            bench->depth = bench->depths.depth[k];
            int result = measure(bench, target, channels, cpu);
            worst = result > worst ? result : worst;
        }
    }
    return worst;
}

static int measure_target(struct bench *bench, const struct bench_target *target)
{
    struct bench_channels channels;
    struct bench_cpu cpu;
    char address[ADDRESS_TEXT_SIZE], why[SERVERS_WHY_SIZE];
    int result = find_cpu(bench, target, &cpu);
    if (result != 0)
        return result;
    int status = bench_channels_open(&channels, target, bench->each, &bench->wishes);
    endpoint_text(&target->server->endpoint, address);
    if (status < 0)
        result = cli_fail(&cli_bench, CLI_FAILED, "%s", err_string(status));
    else if (status != STATUS_OK)
        result = cli_fail(&cli_bench, CLI_UNREACHABLE, "%s (%s): %s", target->server->name, address,
                          servers_why(&channels.asking, why));
    else if (channels.plan.count == 0)
        result = cli_fail(&cli_bench, CLI_REFUSED,
                          "%s (%s) lets this edge ask nothing of that; `keyless keys` lists what it grants",
                          target->server->name, address);
    else
        result = measure_plan(bench, target, &channels, &cpu);
    bench_channels_close(&channels);
    return result;
}

/* ---- the command line ---- */

enum { JSON = 1, OP, KEY, IN_FLIGHT, CHANNELS, SECONDS, WARM_UP, NAME, ADMIN };

static int take_number(struct bench *bench, int option)
{
    if (option == SECONDS && bench_seconds_parse(&bench->settings.measure_ns, optarg, 0.01) != 0)
        return cli_usage(&cli_bench, "--seconds takes a number from 0.01 to 3600");
    if (option == WARM_UP && bench_seconds_parse(&bench->settings.warm_up_ns, optarg, 0) != 0)
        return cli_usage(&cli_bench, "--warm-up takes a number from 0 to 3600");
    if (option == IN_FLIGHT && bench_depths_parse(&bench->depths, optarg) != 0)
        return cli_usage(&cli_bench, "--in-flight takes up to %d numbers from 1 to %d, such as 1,8,64",
                         BENCH_DEPTHS_MAX, BENCH_IN_FLIGHT_MAX);
    if (option == CHANNELS)
        bench->each = strtoul(optarg, NULL, 10);
    return 0;
}

static int take_wish(struct bench *bench, int option)
{
    char list[OPERATION_LIST_SIZE], types[BENCH_TYPE_LIST_SIZE];
    if (option == OP && bench_wishes_add_operation(&bench->wishes, optarg) != 0)
        return cli_usage(&cli_bench, "--op %s: is none of %s", optarg, operation_key_list(list, ", "));
    if (option == KEY && bench_wishes_add_key(&bench->wishes, optarg) != 0)
        return cli_usage(&cli_bench,
                         "--key %s: is neither a type (%s) nor the beginning of an id as `keyless keys` "
                         "shows it; at most %d",
                         optarg, bench_type_list(types), BENCH_WISHES_MAX);
    return 0;
}

static int take_option(struct bench *bench, int option)
{
    if (option == 'c') {
        if (bench->file_count == BENCH_EDGES_MAX)
            return cli_usage(&cli_bench, "more than %d edges", BENCH_EDGES_MAX);
        bench->files[bench->file_count++] = optarg;
    } else if (option == JSON && bench->list == NULL) {
        bench->list = json_array();
    } else if (option == NAME) {
        bench->settings.name = optarg;
    } else if (option == ADMIN) {
        bench->admin = optarg;
    } else if (option == '?') {
        return CLI_USAGE;
    }
    int result = take_number(bench, option);
    return result != 0 ? result : take_wish(bench, option);
}

static int read_options(struct bench *bench, int argc, char *argv[])
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"op", required_argument, NULL, OP},
                                            {"key", required_argument, NULL, KEY},
                                            {"in-flight", required_argument, NULL, IN_FLIGHT},
                                            {"channels", required_argument, NULL, CHANNELS},
                                            {"seconds", required_argument, NULL, SECONDS},
                                            {"warm-up", required_argument, NULL, WARM_UP},
                                            {"name", required_argument, NULL, NAME},
                                            {"admin", required_argument, NULL, ADMIN},
                                            {"json", no_argument, NULL, JSON},
                                            {0}};
    int option, result = 0;
    while (result == 0 && (option = cli_option(&cli_bench, argc, argv, "c:", options)) != -1)
        result = take_option(bench, option);
    if (result != 0)
        return result;
    if (bench->each < 1 || bench->each > BENCH_CHANNELS_MAX / BENCH_EDGES_MAX)
        return cli_usage(&cli_bench, "--channels takes a number from 1 to %d",
                         BENCH_CHANNELS_MAX / BENCH_EDGES_MAX);
    if (bench->settings.name != NULL &&
        (bench->settings.name[0] == 0 || strlen(bench->settings.name) > BENCH_NAME_MAX))
        return cli_usage(&cli_bench, "--name takes a host name");
    return argc - optind > 1 ? cli_usage(&cli_bench, "one SERVER at most") : 0;
}

static int run_bench(int argc, char *argv[])
{
    static struct bench bench; /* too large for a stack */
    bench.each = 1;
    bench.depths = (struct bench_depths){.depth = {1, 8, 64}, .count = 3};
    bench.settings = (struct bench_settings){
        .warm_up_ns = 200000000u, .measure_ns = 1000000000u, .user = &bench};
    bench.terminal = isatty(STDERR_FILENO);
    bench.settings.on_progress = bench.terminal ? on_progress : NULL;
    int result = read_options(&bench, argc, argv);
    if (result == 0)
        result = load_edges(&bench);
    if (result == 0)
        result = gather(&bench, argv[optind]);
    for (size_t i = 0; result != CLI_USAGE && i < bench.target_count; i++) {
        int code = measure_target(&bench, &bench.targets[i]);
        result = code > result ? code : result;
    }
    if (bench.list != NULL && result != CLI_USAGE) {
        json_dumpf(bench.list, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
        putchar('\n');
    }
    json_decref(bench.list);
    for (size_t i = 0; i < bench.edge_count; i++)
        servers_close(&bench.edges[i]);
    return result;
}

const struct cli_verb cli_bench = {
    .name = "bench",
    .arguments = "[-c EDGE.CONF]… [options] [SERVER]",
    .summary = "Measures latency and throughput of the key servers of an edge.",
    .help =
        "Every operation that the edge is granted, with one key of each type. Each request uses a key: it\n"
        "counts against rates and quotas and leaves a record.\n\n"
        "  -c, --config FILE        the edge's configuration (/etc/keyless/edge.conf); several: at once\n"
        "      --op OPERATION       this one only: sign_tls13, sign_tls12, rsa_premaster, rsa_master;\n"
        "                           repeatable\n"
        "      --key TYPE|ID        with such a key only: rsa2048, p256, …, or the beginning of its id;\n"
        "                           repeatable\n"
        "      --in-flight N,N,…    requests in flight, one measurement each (1,8,64)\n"
        "      --channels N         channels of each edge (1)\n"
        "      --seconds S          for each measurement (1)\n"
        "      --warm-up S          before it (0.2)\n"
        "      --name HOST          rsa_master: the name that the clients ask for\n"
        "      --admin ADDRESS      the key server's admin endpoint, if it runs on this machine: CPU time\n"
        "                           (127.0.0.1:2406 is tried)\n"
        "      --json\n",
    .run = run_bench,
};
