/* keyless-server: the command line. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/output.h"
#include "common/process.h"
#include "keyserver/supervisor/dry_run.h"
#include "keyserver/supervisor/supervisor.h"
#include "keyserver/vault/keys/openssl_heap.h"

#define DEFAULT_FILE "/etc/keyless/server.conf"
#define STACK_LEAST  (1u << 20) /* bytes; a vault locks half of it into memory (memory_lock()) */

enum { EXPLAIN = 1, FROM, NAME, AT };

static const struct option options[] = {
    {"config", required_argument, NULL, 'c'}, {"test", no_argument, NULL, 't'},
    {"dump", no_argument, NULL, 'T'},         {"version", no_argument, NULL, 'V'},
    {"help", no_argument, NULL, 'h'},         {"explain", no_argument, NULL, EXPLAIN},
    {"from", required_argument, NULL, FROM},  {"name", required_argument, NULL, NAME},
    {"at", required_argument, NULL, AT},      {NULL, 0, NULL, 0},
};

static const char usage[] =
    "Usage: keyless-server [-c FILE] [-t | -T]\n"
    "       keyless-server [-c FILE] --explain EDGE KEY OPERATION [--from ADDRESS] [--name NAME]\n"
    "                      [--at TIME]\n"
    "\n"
    "Holds TLS private keys and uses them for authorized edges, which terminate TLS without keys: judges\n"
    "each request by the owner's policy, records it, and answers with a signature or a secret, never the\n"
    "key. Runs in the foreground and logs to standard error.\n"
    "\n"
    "  -c, --config FILE  the configuration (default: " DEFAULT_FILE ")\n"
    "  -t, --test         test the configuration and every file it names, and end\n"
    "  -T, --dump         print the effective configuration, defaults included, and end\n"
    "      --explain      say whether this edge may ask this of this key, and which line says so, and end\n"
    "      --from ADDRESS …  from there\n"
    "      --name NAME       … for a client that asks for this server (\"\" for none)\n"
    "      --at TIME         … at another time than now\n"
    "  -V, --version      print the version and end\n"
    "  -h, --help         print this and end\n"
    "\n"
    "Signals: TERM or INT drains and ends (a second one ends at once), HUP loads keys and rights anew.\n"
    "Exit status: 0 done, 1 failed, 2 usage or configuration, 4 refused (--explain).\n"
    "Manual: keyless-server(8), keyless-server.conf(5), authorized_edges(5).\n";

struct command {
    enum { RUN, TEST, DUMP, ASK, SAID } action; /* SAID: all is said already */
    const char *file;
    struct question question;
    bool asks; /* an option of --explain was there */
};

static int dump(const struct server_config *config)
{
    struct buffer out;

    buffer_init(&out);
    int r = config_dump(server_config_table, config, &out);
    if (r == 0)
        fwrite(buffer_bytes(&out), 1, buffer_length(&out), stdout); /* what is lost, the end says */
    buffer_clear(&out);
    return r == 0 ? 0 : 1;
}

static int fail(const char *what)
{
    fprintf(stderr, "keyless-server: %s\n", what);
    return 2;
}

/* The options of a question. */
static int take_part(struct command *command, int option, struct fault *fault)
{
    command->asks = true;
    if (option == FROM)
        return question_take_from(&command->question, optarg, fault);
    if (option == AT)
        return question_take_at(&command->question, optarg, fault);
    command->question.name = optarg;
    return 0;
}

static int take_option(struct command *command, int option, struct fault *fault)
{
    switch (option) {
    case 'c':
        command->file = optarg;
        return 0;
    case 't':
        command->action = TEST;
        return 0;
    case 'T':
        command->action = DUMP;
        return 0;
    case EXPLAIN:
        command->action = ASK;
        return 0;
    case FROM:
    case NAME:
    case AT:
        return take_part(command, option, fault);
    case 'V':
    case 'h':
        fputs(option == 'V' ? "keyless-server " KEYLESS_VERSION "\n" : usage, stdout);
        command->action = SAID;
        return 0;
    default:
        return fault_set(fault, ERR_CONFIG, "run keyless-server --help for the options");
    }
}

/* What stands behind the options. */
static int take_words(struct command *command, int count, char **words, struct fault *fault)
{
    if (command->action != ASK && count > 0)
        return fault_set(fault, ERR_CONFIG, "%s: what is this for? A configuration is given with -c FILE",
                         words[0]);
    if (command->action != ASK)
        return command->asks ? fault_set(fault, ERR_CONFIG, "--from, --name and --at belong to --explain")
                             : 0;
    if (count != 3)
        return fault_set(fault, ERR_CONFIG, "--explain takes three words: EDGE KEY OPERATION");
    command->question.edge = words[0];
    command->question.key = words[1];
    return question_take_operation(&command->question, words[2], fault);
}

static int read_command(struct command *command, int argc, char **argv, struct fault *fault)
{
    int option, r = 0;

    while (r == 0 && command->action != SAID &&
           (option = getopt_long(argc, argv, "c:tTVh", options, NULL)) != -1)
        r = take_option(command, option, fault);
    if (r == 0 && command->action != SAID)
        r = take_words(command, argc - optind, argv + optind, fault);
    return r;
}

/* Everything but running, which keeps the configuration. */
static int run_without_service(const struct command *command, struct server_config *config)
{
    int status;

    if (command->action == DUMP) {
        status = dump(config);
    } else {
        config->log_level = LOG_WARN; /* only what is wrong */
        log_init("keyless-server", LOG_WARN, (enum log_format)config->log_format);
        status = command->action == TEST ? dry_run(config, command->file)
                                         : dry_run_explain(config, &command->question);
    }
    server_config_clear(config);
    return output_finish("keyless-server", status);
}

/* For people, but in the log of a daemon that was to start. */
static int fail_config(const struct command *command, const struct fault *fault)
{
    if (command->action != RUN)
        return fail(fault->text);
    log_init("keyless-server", log_level_peek(command->file), log_format_peek(command->file));
    log_start_failed(fault->text);
    return 2;
}

int main(int argc, char **argv)
{
    struct command command = {.file = DEFAULT_FILE, .question.at = clock_unix()};
    struct server_config config = {.admin = NULL};
    struct fault fault = {.text = ""};

    if (process_begin() != 0)
        return 1; /* nothing can be said without standard error */
    /* Before a library that looks up users may use OpenSSL. Who loads keys says it when it cannot be. */
    (void)!openssl_heap_start();
    if (read_command(&command, argc, argv, &fault) != 0)
        return fail(fault.text);
    if (command.action == SAID)
        return output_finish("keyless-server", 0);
    if (process_check_stack(STACK_LEAST, "a key server", &fault) != 0 ||
        process_name_limit(&fault, server_config_load(&config, command.file, &fault)) != 0)
        return fail_config(&command, &fault);
    if (command.action != RUN)
        return run_without_service(&command, &config);
    log_init("keyless-server", (enum log_level)config.log_level, (enum log_format)config.log_format);
    return supervisor_run(&config, command.file);
}
