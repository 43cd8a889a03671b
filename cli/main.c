/* keyless: one command for both sides. A table of verbs. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "common/secret.h"

static const struct cli_verb *const verbs[] = {&cli_init, &cli_genkey, &cli_pubkey, &cli_check, &cli_status,
                                               &cli_ping, &cli_keys,   &cli_bench,  &cli_trace, &cli_audit};
#define VERB_COUNT (sizeof verbs / sizeof verbs[0])

static int print_usage(FILE *out, int result)
{
    fputs("usage: keyless VERB …\n\n", out);
    for (size_t i = 0; i < VERB_COUNT; i++)
        fprintf(out, "  %-8s %s\n", verbs[i]->name, verbs[i]->summary);
    fputs("\n`keyless VERB --help` tells more; `keyless --version` prints the version.\n", out);
    return result;
}

int main(int argc, char *argv[])
{
    if (argc < 2)
        return print_usage(stderr, CLI_USAGE);
    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return print_usage(stdout, CLI_DONE);
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
        return puts("keyless " KEYLESS_VERSION) < 0;
    signal(SIGPIPE, SIG_IGN); /* a peer that hangs up is an error to report, not an end */
    if (secret_init() != 0) {
        fputs("keyless: libsodium cannot start\n", stderr);
        return CLI_FAILED;
    }
    for (size_t i = 0; i < VERB_COUNT; i++)
        if (strcmp(argv[1], verbs[i]->name) == 0)
            return verbs[i]->run(argc - 1, argv + 1);
    fprintf(stderr, "keyless: there is no verb '%s'\n", argv[1]);
    return print_usage(stderr, CLI_USAGE);
}
