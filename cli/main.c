/* keyless: one command for both sides. A table of verbs. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "common/process.h"
#include "common/secret.h"
#include "common/similar.h"

static const struct cli_verb *const verbs[] = {&cli_init, &cli_genkey, &cli_pubkey, &cli_check, &cli_status,
                                               &cli_ping, &cli_keys,   &cli_bench,  &cli_trace, &cli_audit};
#define VERB_COUNT (sizeof verbs / sizeof verbs[0])

static int print_usage(FILE *out, int result)
{
    fputs("usage: keyless VERB …\n\n", out);
    for (size_t i = 0; i < VERB_COUNT; i++)
        fprintf(out, "  %-8s %s\n", verbs[i]->name, verbs[i]->summary);
    fputs("\n`keyless help VERB` tells more; `keyless --version` prints the version.\n", out);
    return result;
}

static const struct cli_verb *find_verb(const char *name)
{
    for (size_t i = 0; i < VERB_COUNT; i++)
        if (strcmp(name, verbs[i]->name) == 0)
            return verbs[i];
    return NULL;
}

static int complain_unknown(const char *name)
{
    struct similar similar;
    similar_init(&similar, name);
    for (size_t i = 0; i < VERB_COUNT; i++)
        similar_offer(&similar, verbs[i]->name);
    if (similar.best == NULL) {
        fprintf(stderr, "keyless: there is no verb '%s'\n", name);
        return print_usage(stderr, CLI_USAGE);
    }
    fprintf(stderr, "keyless: there is no verb '%s'; did you mean '%s'? `keyless help` lists all\n", name,
            similar.best);
    return CLI_USAGE;
}

/* `keyless help` and `keyless help VERB`. */
static int help(int argc, char *argv[])
{
    if (argc < 3)
        return print_usage(stdout, CLI_DONE);
    const struct cli_verb *verb = find_verb(argv[2]);
    if (verb == NULL)
        return complain_unknown(argv[2]);
    cli_help(verb);
    return CLI_DONE;
}

int main(int argc, char *argv[])
{
    if (process_open_standard() != 0)
        return CLI_FAILED;    /* nothing can be said */
    signal(SIGPIPE, SIG_IGN); /* a peer that hangs up is an error to report, not an end */
    if (argc < 2)
        return print_usage(stderr, CLI_USAGE);
    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return cli_end(help(argc, argv));
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
        return cli_end(puts("keyless " KEYLESS_VERSION) < 0 ? CLI_FAILED : CLI_DONE);
    struct fault fault = {0};
    if (secret_start(&fault) != 0) {
        fprintf(stderr, "keyless: %s\n", fault.text);
        return CLI_FAILED;
    }
    const struct cli_verb *verb = find_verb(argv[1]);
    return cli_end(verb != NULL ? verb->run(argc - 1, argv + 1) : complain_unknown(argv[1]));
}
