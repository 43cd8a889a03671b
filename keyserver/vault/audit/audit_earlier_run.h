/* Whether a key server has run before: by what its audit log leaves. Reads no file and makes none. Start-up
 * only. */
#ifndef KEYSERVER_VAULT_AUDIT_AUDIT_EARLIER_RUN_H
#define KEYSERVER_VAULT_AUDIT_AUDIT_EARLIER_RUN_H

#include <limits.h>
#include <stdbool.h>

#include "keyserver/rules/server_config.h"

/* The path of what an earlier run has left into OUT: a file of the log by CONFIG, or the key that signs it.
 * What cannot be looked at counts as left. False: this is the first run. */
bool audit_earlier_run_find(const struct server_audit *config, char out[static PATH_MAX]);

#endif
