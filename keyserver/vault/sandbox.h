/* The vault's sandbox: after start it may compute and talk to the wall, and nothing else. One call, for the
 * whole process. */
#ifndef KEYSERVER_VAULT_SANDBOX_H
#define KEYSERVER_VAULT_SANDBOX_H

#include "common/err.h"

/* Denies every file (Landlock, where the kernel has it) and every system call but those that a running vault
 * needs (seccomp; anything else kills the process), in all threads. Logs "sandbox" with what took effect. In
 * a sanitizer build the system-call filter is left out, because the sanitizer needs more. */
int sandbox_enter(struct fault *fault) MUST_USE;

#endif
