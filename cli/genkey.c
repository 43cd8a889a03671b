/* keyless genkey: 32 random bytes as a line of base64, good as an identity, a pre-shared key or a group
 * secret. */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "common/identity.h"
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

static int run(int argc, char *argv[])
{
    if (cli_option(&cli_genkey, argc, argv, "", NULL) != -1)
        return CLI_USAGE;
    if (argc > optind + 1)
        return cli_usage(&cli_genkey, "one file at most");
    struct identity *identity = secret_new(sizeof *identity);
    if (identity == NULL)
        return cli_fail(&cli_genkey, CLI_FAILED, "no guarded memory");
    identity_generate(identity);
    int result = CLI_DONE;
    if (argc == optind + 1) {
        struct fault fault = {0};
        int err = identity_save_secret(argv[optind], identity->secret, &fault);
        if (err != 0)
            result = cli_fail(&cli_genkey, CLI_FAILED, "%s", fault.text);
    } else {
        char line[IDENTITY_TEXT_SIZE];
        close_output_to_others();
        puts(base64_encode(line, identity->secret, sizeof identity->secret));
        wipe(line, sizeof line);
        if (fflush(stdout) != 0)
            result = cli_fail(&cli_genkey, CLI_FAILED, "stdout cannot be written");
    }
    secret_free(identity);
    return result;
}

const struct cli_verb cli_genkey = {
    .name = "genkey",
    .arguments = "[FILE]",
    .summary = "Makes a new secret: an identity, a pre-shared key or a group secret.",
    .help = "Writes it to FILE (new, mode 0400) or to standard output.\n\n"
            "  keyless genkey identity.key\n"
            "  keyless pubkey identity.key      # what the other side may know\n",
    .run = run,
};
