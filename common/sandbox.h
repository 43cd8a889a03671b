/* The sandbox of a process: the system calls of its role, and no others (seccomp).
 *
 * Files are denied before that, by Landlock (process_deny_files). A call that is not in the
 * role's table (sandbox_calls.h) does not happen: one log line, "sandbox_refused", names it, and the process
 * dies of SIGSYS. It dies without the line where all signals are blocked, as the C library does to make a
 * thread or a process. Where code runs that the operator chose, the call can fail instead
 * (sandbox_fail_calls). Linux only. */
#ifndef COMMON_SANDBOX_H
#define COMMON_SANDBOX_H

#include <stdbool.h>

#include "common/err.h"

enum sandbox_role {
    SANDBOX_VAULT,
    SANDBOX_NET,
    SANDBOX_EDGE,
    /* Those that fork others, whose filters go down to their children: */
    SANDBOX_SUPERVISOR,
    SANDBOX_LOADER,
    SANDBOX_NAMES, /* the edge's look-up of names */
    SANDBOX_ROLES
};

/* `sandbox = on | log` of the configurations, in this order. */
enum sandbox_mode {
    SANDBOX_ON,
    SANDBOX_LOG, /* refuses nothing; the first time of each call that is not in the table is logged; of a
                    process that forks others it is the kernel that logs, in its audit log */
};

enum sandbox_filter { SANDBOX_UNFILTERED, SANDBOX_LOGGED, SANDBOX_FILTERED };

/* What took effect; kept by whoever shows it. */
struct sandbox_state {
    bool files_denied;
    enum sandbox_filter filter;
};

/* Filters the system calls of all threads, for good. FOLDER is the descriptor of the vault's only folder, or
 * -1. Sets what is said in STATE's `filter`. With SANDBOX_ON ERR_SYSTEM, with the hint, where the kernel has
 * no filter; with SANDBOX_LOG a warning then. In a build with sanitizers, which make calls of their own, it
 * stays unfiltered. */
int sandbox_enter(struct sandbox_state *state, enum sandbox_role role, enum sandbox_mode mode, int folder,
                  struct fault *fault) MUST_USE;
/* In a process forked by one of SANDBOX_NAMES: from now on a refused call fails with EPERM, after the line
 * that names it, the first of each. Where the machine's registers are not known here, the process dies as
 * before. For a process with one thread, which another process ends in time: foreign code may retry for
 * ever. */
void sandbox_fail_calls(void);
/* The call that failed first, or NULL. */
const char *sandbox_failed_call(void);
/* To be called before a process makes its first event loop: from then on the kernel has no io_uring for it
 * and its children (ENOSYS), whatever the mode is. libuv from 1.45 on opens a ring with each loop, and works
 * it by calls that are in no role's table: what a ring does, a filter does not see. libuv does without.
 * ERR_SYSTEM, with the hint, where the kernel has no filter and MODE is SANDBOX_ON. */
int sandbox_refuse_rings(enum sandbox_mode mode, struct fault *fault) MUST_USE;
/* "filtered", "logged" or "unfiltered"; "denied" or "undenied". */
const char *sandbox_filter_name(enum sandbox_filter filter);
const char *sandbox_files_name(bool denied);

#endif
