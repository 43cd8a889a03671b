/* keyless-server: the command line. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "keyserver/supervisor.h"
#include "keyserver/trial.h"

#define DEFAULT_FILE "/etc/keyless/server.conf"

static const struct option options[] = {
    {"config", required_argument, NULL, 'c'}, {"test", no_argument, NULL, 't'},
    {"dump", no_argument, NULL, 'T'},         {"version", no_argument, NULL, 'V'},
    {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
};

static const char usage[] =
    "Usage: keyless-server [-c FILE] [-t | -T]\n"
    "\n"
    "Holds TLS private keys and uses them for the edges it knows. Runs in the foreground.\n"
    "\n"
    "  -c, --config FILE  the configuration (default: " DEFAULT_FILE ")\n"
    "  -t, --test         test the configuration and every file it names, and end\n"
    "  -T, --dump         print the effective configuration, defaults included, and end\n"
    "  -V, --version      print the version and end\n"
    "  -h, --help         print this and end\n"
    "\n"
    "Signals: TERM or INT drains and ends (a second one ends at once), HUP loads keys and rights anew.\n"
    "Exit status: 0 done, 1 failed, 2 usage or configuration.\n";

static int dump(struct server_config *config, const char *file)
{
    struct buffer out;

    (void)file;
    buffer_init(&out);
    int r = config_dump(server_config_table, config, &out);
    if (r == 0 && fwrite(buffer_bytes(&out), 1, buffer_length(&out), stdout) != buffer_length(&out))
        r = ERR_SYSTEM;
    buffer_clear(&out);
    server_config_clear(config);
    return r == 0 && fflush(stdout) == 0 ? 0 : 1;
}

static int test(struct server_config *config, const char *file)
{
    config->log_level = LOG_WARN; /* only what is wrong */
    log_init("keyless-server", LOG_WARN, (enum log_format)config->log_format);
    int status = trial_run(config, file);
    server_config_clear(config);
    return status;
}

int main(int argc, char **argv)
{
    int (*action)(struct server_config * config, const char *file) = supervisor_run;
    const char *file = DEFAULT_FILE;
    struct server_config config = {.admin = NULL};
    struct fault fault = {.text = ""};
    int option;

    while ((option = getopt_long(argc, argv, "c:tTVh", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            file = optarg;
            break;
        case 't':
            action = test;
            break;
        case 'T':
            action = dump;
            break;
        case 'V':
            puts("keyless-server " KEYLESS_VERSION);
            return 0;
        case 'h':
            fputs(usage, stdout);
            return 0;
        default:
            fputs("keyless-server: run keyless-server --help for the options\n", stderr);
            return 2;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "keyless-server: %s: what is this for? A configuration is given with -c FILE\n",
                argv[optind]);
        return 2;
    }
    if (server_config_load(&config, file, &fault) != 0) {
        fprintf(stderr, "keyless-server: %s\n", fault.text);
        return 2;
    }
    log_init("keyless-server", (enum log_level)config.log_level, (enum log_format)config.log_format);
    return action(&config, file);
}
