/* keyless pubkey: the public half of an identity. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "common/identity.h"
#include "common/permissions.h"
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

static void print_public(const struct identity *identity, bool json)
{
    char text[IDENTITY_TEXT_SIZE];
    base64_encode(text, identity->public, sizeof identity->public);
    printf(json ? "{\"public_key\": \"%s\"}\n" : "%s\n", text);
}

/* The configuration may let the group read it; this verb reads none. */
static int fail(const char *file, bool group, const struct fault *fault)
{
    struct stat info;
    bool would_do = !group && stat(file, &info) == 0 && (info.st_mode & 077) == 040;
    return cli_fail(&cli_pubkey, CLI_USAGE, "%s%s%s", fault->text,
                    would_do ? "; then this reads it as well: keyless pubkey --group " : "",
                    would_do ? file : "");
}

static int run_pubkey(int argc, char *argv[])
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'}, {"group", no_argument, NULL, 'g'}, {0}};
    struct fault fault = {0};
    struct identity *identity = NULL;
    bool json = false, group = false;
    for (int option; (option = cli_option(&cli_pubkey, argc, argv, "", options)) != -1;) {
        if (option != 'j' && option != 'g')
            return CLI_USAGE;
        json = json || option == 'j';
        group = group || option == 'g';
    }
    permissions_set_readers(group ? PERMISSIONS_GROUP : PERMISSIONS_OWNER);
    if (argc > optind + 1)
        return cli_usage(&cli_pubkey, "one file at most; a secret is never an argument");
    if (argc == optind + 1) {
        int err = identity_load(&identity, argv[optind], &fault);
        if (err != 0)
            return fail(argv[optind], group, &fault);
    } else if ((identity = secret_new(sizeof *identity)) == NULL || read_stdin(identity) != 0) {
        secret_free(identity);
        return cli_fail(
            &cli_pubkey, CLI_USAGE,
            "standard input is not one line with the base64 of 32 bytes, as `keyless genkey` prints it");
    }
    print_public(identity, json);
    secret_free(identity);
    return CLI_DONE;
}

const struct cli_verb cli_pubkey = {
    .name = "pubkey",
    .arguments = "[--group] [--json] [FILE]",
    .summary = "Prints the public key of a secret identity.",
    .help = "Reads FILE or standard input.\n\n"
            "      --group  FILE may be its group's, too, as with secret_files = \"group\"\n"
            "      --json\n\n  keyless genkey | tee identity.key | keyless pubkey\n",
    .run = run_pubkey,
};
