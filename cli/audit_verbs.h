/* The two halves of `keyless audit`: each a verb with options of its own. */
#ifndef CLI_AUDIT_VERBS_H
#define CLI_AUDIT_VERBS_H

#include "cli/cli.h"

extern const struct cli_verb cli_audit_verify, cli_audit_tail;

#endif
