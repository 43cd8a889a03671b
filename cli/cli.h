/* What the verbs of the command share: their table, exit codes, options and output. One file a verb.
 *
 * Everything a verb prints for a person goes to stdout, every complaint to stderr as
 * `keyless VERB: what, which, why, how to mend it`. One thread. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <getopt.h>
#include <stdbool.h>

#include "common/err.h"

enum cli_exit {
    CLI_DONE = 0,
    CLI_FAILED = 1,
    CLI_USAGE = 2,       /* usage or configuration */
    CLI_UNREACHABLE = 3, /* nobody answered */
    CLI_REFUSED = 4,     /* somebody answered no */
};

struct cli_verb {
    const char *name;
    const char *arguments;              /* "FILE…" for the usage line */
    const char *summary;                /* one line for `keyless help` */
    const char *help;                   /* the rest of `keyless VERB --help`: options, examples */
    int (*run)(int argc, char *argv[]); /* argv[0] is the verb; returns an enum cli_exit */
};

extern const struct cli_verb cli_audit, cli_bench, cli_check, cli_genkey, cli_init, cli_keys, cli_ping,
    cli_pubkey, cli_status, cli_trace;

/* Complains: "keyless VERB: …" and a newline on stderr. Returns CODE, so that verbs can `return
 * cli_fail(...)`. */
int cli_fail(const struct cli_verb *verb, int code, const char *format, ...) PRINTF_LIKE(3, 4);
/* Wrong use: the complaint and the usage line on stderr; returns CLI_USAGE. */
int cli_usage(const struct cli_verb *verb, const char *format, ...) PRINTF_LIKE(2, 3);
/* The exit code that fits a negative enum err. */
int cli_exit_of(int err);

/* The exit code of a command that would end with STATUS: what it printed and cannot be written is an error.
 */
int cli_end(int status) MUST_USE;

/* What `keyless VERB --help` says, on stdout. */
void cli_help(const struct cli_verb *verb);

/* getopt_long over SHORT_OPTIONS and LONG_OPTIONS with --help and -h added: prints help and exits 0 on those;
 * an unknown option is complained about, with the one that may be meant, and gives '?'. Returns the option or
 * -1 at the end, as getopt_long does. */
int cli_option(const struct cli_verb *verb, int argc, char *argv[], const char *short_options,
               const struct option *long_options);

/* Colour only on a terminal and without NO_COLOR. */
bool cli_colour(void);

#endif
