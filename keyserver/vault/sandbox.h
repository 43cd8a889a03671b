/* The vault's sandbox: after start it may compute and talk to the wall, and nothing else. Files go before the
 * threads are started (process_deny_files), system calls after. */
#ifndef KEYSERVER_VAULT_SANDBOX_H
#define KEYSERVER_VAULT_SANDBOX_H

#include <stdbool.h>

#include "common/err.h"

/* Locks what is loaded into memory where the limit allows, and denies every system call but those that a
 * running vault needs, and executable memory, to all threads (seccomp; anything else kills the process). Logs
 * "sandbox" with what took effect, FILES_DENIED included. In a sanitizer build the filter is left out,
 * because the sanitizer needs more. */
int sandbox_enter(bool files_denied, struct fault *fault) MUST_USE;

#endif
