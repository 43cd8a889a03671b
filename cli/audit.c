/* keyless audit: verifies and shows the record of every use of a key. */
#include <string.h>

#include "cli/audit_verbs.h"

static int run_audit(int argc, char *argv[])
{
    static const struct cli_verb *const halves[] = {&cli_audit_verify, &cli_audit_tail};
    for (size_t i = 0; argc > 1 && i < sizeof halves / sizeof halves[0]; i++)
        if (strcmp(argv[1], strchr(halves[i]->name, ' ') + 1) == 0)
            return halves[i]->run(argc - 1, argv + 1);
    if (cli_option(&cli_audit, argc, argv, "", NULL) != -1)
        return CLI_USAGE;
    if (argc > 1)
        return cli_usage(&cli_audit, "there is no '%s'; verify or tail?", argv[1]);
    return cli_usage(&cli_audit, "verify or tail?");
}

const struct cli_verb cli_audit = {
    .name = "audit",
    .arguments = "verify|tail …",
    .summary = "Verifies and shows the record of every use of a key.",
    .help = "  keyless audit verify FOLDER    is it complete and unaltered?\n"
            "  keyless audit tail -f FOLDER   what is being recorded?\n\n"
            "`keyless audit verify --help` and `keyless audit tail --help` tell more.\n",
    .run = run_audit,
};
