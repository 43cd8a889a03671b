/* keyless genkey: 32 random bytes as a line of base64, good as an identity, a pre-shared key or a group
 * secret. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "common/identity.h"
#include "common/output.h"
#include "common/secret.h"

/* A redirection that lets others read the secret deserves a word; it is mended where it stands. */
static void close_output_to_others(void)
{
    struct stat info;
    if (fstat(STDOUT_FILENO, &info) != 0 || !S_ISREG(info.st_mode) || (info.st_mode & 077) == 0)
        return;
    if (fchmod(STDOUT_FILENO, 0400) != 0)
        fputs("keyless genkey: others may read the file that this was written to; run: chmod 0400 FILE\n",
              stderr);
}

/* FILE is where the secret is, NULL for standard output. */
static void print(const struct identity *identity, const char *file, bool json)
{
    char secret[IDENTITY_TEXT_SIZE] = "", public[IDENTITY_TEXT_SIZE];
    base64_encode(public, identity->public, sizeof identity->public);
    if (file == NULL) {
        close_output_to_others();
        base64_encode(secret, identity->secret, sizeof identity->secret);
    }
    if (json && file == NULL)
        printf("{\"secret\": \"%s\", \"public_key\": \"%s\"}\n", secret, public);
    else if (json)
        printf("{\"public_key\": \"%s\"}\n", public);
    else if (file == NULL)
        puts(secret);
    wipe(secret, sizeof secret);
}

/* All or nothing: a secret in FILE whose public key is lost is removed again. */
static int give(const struct identity *identity, const char *file, bool json, struct fault *fault)
{
    int err = file != NULL ? identity_save_secret(file, identity->secret, fault) : 0;
    if (err != 0)
        return err;
    print(identity, file, json);
    err = output_flush(fault);
    if (err != 0 && file != NULL)
        (void)unlink(file);
    return err;
}

static int run_genkey(int argc, char *argv[])
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'}, {0}};
    bool json = false;
    for (int option; (option = cli_option(&cli_genkey, argc, argv, "", options)) != -1; json = true)
        if (option != 'j')
            return CLI_USAGE;
    if (argc > optind + 1)
        return cli_usage(&cli_genkey, "one file at most");
    struct identity *identity = secret_new(sizeof *identity);
    if (identity == NULL)
        return cli_fail(&cli_genkey, CLI_FAILED, "no guarded memory");
    identity_generate(identity);
    const char *file = argc == optind + 1 ? argv[optind] : NULL;
    struct fault fault = {0};
    int err = give(identity, file, json, &fault);
    secret_free(identity);
    return err == 0 ? CLI_DONE : cli_fail(&cli_genkey, CLI_FAILED, "%s", fault.text);
}

const struct cli_verb cli_genkey = {
    .name = "genkey",
    .arguments = "[--json] [FILE]",
    .summary = "Makes a new secret: an identity, a pre-shared key or a group secret.",
    .help = "Writes it to FILE (new, mode 0400) or to standard output.\n\n"
            "      --json   the public key as well; the secret only without FILE\n\n"
            "  keyless genkey identity.key\n"
            "  keyless pubkey identity.key      # what the other side may know\n",
    .run = run_genkey,
};
