/* The dry run: what `keyless-server -t` and `--explain` do. Loads everything a start would, and serves
 * nothing.
 */
#ifndef KEYSERVER_SUPERVISOR_DRY_RUN_H
#define KEYSERVER_SUPERVISOR_DRY_RUN_H

#include "keyserver/rules/question.h"
#include "keyserver/rules/server_config.h"

/* Checks addresses, the identity, authorized_edges, and, in a vault of its own that ends at once, the group
 * secret and every key file. Says on standard output what was found good and on standard error what was not.
 * Returns the exit status: 0 all is good, 1 the dry run itself failed, 2 something is wrong. */
int dry_run(const struct server_config *config, const char *file);

/* Lets a process that has loaded what a vault would answer QUESTION on standard output. Returns its exit
 * status: 0 granted, 4 refused, 2 something is wrong, 1 the dry run itself failed. */
int dry_run_explain(const struct server_config *config, const struct question *question);

#endif
