/* keyless pubkey: the public half of an identity. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "common/identity.h"
#include "common/secret.h"

static int read_stdin(struct identity *identity)
{
    char line[IDENTITY_TEXT_SIZE + 1] = {0};
    if (fgets(line, sizeof line, stdin) == NULL)
        return ERR_FORMAT;
    line[strcspn(line, "\r\n")] = 0;
    int err = base64_decode(identity->secret, sizeof identity->secret, line);
    wipe(line, sizeof line);
    if (err == 0)
        identity_derive(identity);
    return err;
}

static int print_public(const struct identity *identity, bool json)
{
    char text[IDENTITY_TEXT_SIZE];
    base64_encode(text, identity->public, sizeof identity->public);
    printf(json ? "{\"public_key\": \"%s\"}\n" : "%s\n", text);
    return fflush(stdout) == 0 ? CLI_DONE : CLI_FAILED;
}

static int run(int argc, char *argv[])
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'}, {0}};
    struct fault fault = {0};
    struct identity *identity = NULL;
    bool json = false;
    for (int option; (option = cli_option(&cli_pubkey, argc, argv, "", options)) != -1; json = true)
        if (option != 'j')
            return CLI_USAGE;
    if (argc > optind + 1)
        return cli_usage(&cli_pubkey, "one file at most; a secret is never an argument");
    if (argc == optind + 1) {
        int err = identity_load(&identity, argv[optind], &fault);
        if (err != 0)
            return cli_fail(&cli_pubkey, CLI_USAGE, "%s", fault.text);
    } else if ((identity = secret_new(sizeof *identity)) == NULL || read_stdin(identity) != 0) {
        secret_free(identity);
        return cli_fail(
            &cli_pubkey, CLI_USAGE,
            "standard input is not one line with the base64 of 32 bytes, as `keyless genkey` prints it");
    }
    int result = print_public(identity, json);
    secret_free(identity);
    return result;
}

const struct cli_verb cli_pubkey = {
    .name = "pubkey",
    .arguments = "[--json] [FILE]",
    .summary = "Prints the public key of a secret identity.",
    .help = "Reads FILE or standard input.\n\n  keyless genkey | tee identity.key | keyless pubkey\n",
    .run = run,
};
