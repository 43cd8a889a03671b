/* keyless-edge: terminates TLS with keys it does not have. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/output.h"
#include "common/process.h"
#include "common/secret.h"
#include "edge/daemon/edge.h"

#define PROGRAM      "keyless-edge"
#define DEFAULT_FILE "/etc/keyless/edge.conf"
#define STACK_LEAST  (512u << 10) /* bytes; most of it for what the name service calls */

enum { EXIT_USAGE = 2 };
enum mode { MODE_RUN, MODE_TEST, MODE_DUMP, MODE_VERSION, MODE_HELP, MODE_USAGE };

static const struct option options[] = {
    {"config", required_argument, NULL, 'c'}, {"test", no_argument, NULL, 't'},
    {"dump", no_argument, NULL, 'T'},         {"version", no_argument, NULL, 'V'},
    {"help", no_argument, NULL, 'h'},         {0},
};

static const char usage[] =
    "Usage: keyless-edge [-c FILE] [-t | -T]\n"
    "\n"
    "Terminates TLS with certificates whose private keys it does not have: for the private-key operation\n"
    "of each full handshake it asks a keyless-server. Relays the plain bytes to an origin. Runs in the\n"
    "foreground and logs to standard error.\n"
    "\n"
    "  -c, --config FILE  the configuration (default: " DEFAULT_FILE ")\n"
    "  -t, --test         test the configuration and every file it names, and end\n"
    "  -T, --dump         print the effective configuration, defaults included, and end\n"
    "  -V, --version      print the version and end\n"
    "  -h, --help         print this and end\n"
    "\n"
    "Signals: TERM or INT drains and ends (a second one ends at once).\n"
    "Exit status: 0 done, 1 failed, 2 usage or configuration.\n"
    "Manual: keyless-edge(8), keyless-edge.conf(5).\n";

static int help(FILE *to, int code)
{
    fputs(usage, to);
    return code;
}

static void say(const char *fault)
{
    fprintf(stderr, PROGRAM ": %s\n", fault);
}

static int complain(const struct fault *fault, int code)
{
    say(fault->text);
    return code;
}

static int fail_start(const struct fault *fault, int code)
{
    log_start_failed(fault->text);
    return code;
}

static int dump(const char *file)
{
    struct fault fault = {0};
    struct edge_config config = {0};
    struct buffer text = {0};

    int err = edge_config_load(&config, file, &fault);
    if (err)
        return complain(&fault, EXIT_USAGE);
    err = config_dump(edge_config_table, &config, &text);
    if (!err)
        fwrite(buffer_bytes(&text), 1, buffer_length(&text), stdout);
    buffer_clear(&text);
    edge_config_clear(&config);
    return err ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* The daemon starts all the same and looks again. */
static void warn_of_name(const char *file, const struct endpoint *endpoint)
{
    struct name_answer answer;

    endpoint_get(endpoint, &answer);
    if (answer.count == 0)
        log_event(LOG_WARN, "name_failed",
                  "address=%s error=\"%s\" hint=\"correct it in %s; the daemon starts without "
                  "it and looks again\"",
                  endpoint->text, answer.why, file);
}

static int test(const char *file)
{
    struct fault fault = {0};
    struct setup setup = {0};

    if (process_check_stack(STACK_LEAST, "an edge", &fault) != 0)
        return complain(&fault, EXIT_FAILURE);
    if (edge_config_load(&setup.config, file, &fault) != 0)
        return complain(&fault, EXIT_USAGE);
    log_init(PROGRAM, LOG_INFO, (enum log_format)setup.config.log_format);
    if (setup_try(&setup, file, say) != 0)
        return EXIT_USAGE;
    for (size_t i = 0; i < setup.origins.count; i++)
        warn_of_name(file, &setup.origins.route[i].endpoint);
    for (size_t i = 0; i < setup.key_servers.count; i++)
        warn_of_name(file, &setup.key_servers.servers[i].endpoint);
    printf("%s: OK: %zu certificates, %zu key servers\n", file, certs_count(setup.certs),
           setup.key_servers.count);
    setup_clear(&setup);
    return EXIT_SUCCESS;
}

static int run_edge(const char *file)
{
    struct fault fault = {0};
    struct setup setup = {0};

    log_init(PROGRAM, log_level_peek(file), log_format_peek(file));
    if (process_check_stack(STACK_LEAST, "an edge", &fault) != 0 || process_harden(PROGRAM, &fault) != 0)
        return fail_start(&fault, EXIT_FAILURE);
    if (process_name_limit(&fault, edge_config_load(&setup.config, file, &fault)) != 0)
        return fail_start(&fault, EXIT_USAGE);
    log_init(PROGRAM, (enum log_level)setup.config.log_level, (enum log_format)setup.config.log_format);
    if (process_name_limit(&fault, setup_load(&setup, file, &fault)) != 0)
        return fail_start(&fault, EXIT_USAGE);
    int err = process_name_limit(&fault, edge_run(&setup, &fault));
    setup_clear(&setup);
    return err ? fail_start(&fault, EXIT_FAILURE) : EXIT_SUCCESS;
}

static enum mode parse(int argc, char **argv, const char **file)
{
    static const char letters[] = "tTVh";
    static const enum mode modes[] = {MODE_TEST, MODE_DUMP, MODE_VERSION, MODE_HELP};
    enum mode mode = MODE_RUN;
    int letter;

    while ((letter = getopt_long(argc, argv, "c:tTVh", options, NULL)) != -1) {
        if (letter == 'c') {
            *file = optarg;
            continue;
        }
        for (size_t i = 0; i <= sizeof(modes) / sizeof(modes[0]); i++) {
            if (letters[i] == '\0')
                return MODE_USAGE;
            if (letters[i] == letter) {
                mode = modes[i];
                break;
            }
        }
    }
    return optind == argc ? mode : MODE_USAGE;
}

int main(int argc, char **argv)
{
    const char *file = DEFAULT_FILE;
    struct fault fault = {0};

    if (process_begin() != 0)
        return EXIT_FAILURE; /* nothing can be said without standard error */
    enum mode mode = parse(argc, argv, &file);
    log_init(PROGRAM, LOG_INFO, LOG_LOGFMT);
    if (mode == MODE_HELP)
        return output_finish(PROGRAM, help(stdout, EXIT_SUCCESS));
    if (mode == MODE_USAGE)
        return help(stderr, EXIT_USAGE);
    if (mode == MODE_VERSION)
        return output_finish(PROGRAM, puts(PROGRAM " " KEYLESS_VERSION) < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
    if (mode == MODE_DUMP)
        return output_finish(PROGRAM, dump(file));
    if (secret_start(&fault) != 0)
        return complain(&fault, EXIT_FAILURE);
    return mode == MODE_TEST ? output_finish(PROGRAM, test(file)) : run_edge(file);
}
