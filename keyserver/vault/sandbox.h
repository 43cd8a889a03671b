/* The vault's sandbox: after start it may compute, talk to the wall and write the audit log, and nothing
 * else. Files go before the threads are started (process_deny_files_but), system calls after. */
#ifndef KEYSERVER_VAULT_SANDBOX_H
#define KEYSERVER_VAULT_SANDBOX_H

#include <stdbool.h>

#include "common/err.h"

/* Locks what is loaded into memory. Before the user is dropped: as root, and with CAP_IPC_LOCK, no limit
 * counts; else RLIMIT_MEMLOCK does, which is raised as far as it goes. False when it cannot be locked. */
bool sandbox_lock_memory(void) MUST_USE;
/* Denies every system call but those that a
 * running vault needs, and executable memory, to all threads (seccomp; anything else kills the process).
 * Files can be opened beneath FOLDER only, the descriptor of the audit log's; with -1 none can. Logs
 * "sandbox" with what took effect, FILES_DENIED and LOCKED included. In a sanitizer build the filter is left
 * out, because the sanitizer needs more. */
int sandbox_enter(bool files_denied, int folder, bool locked, struct fault *fault) MUST_USE;

#endif
