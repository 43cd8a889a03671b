#include "common/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "common/log.h"
#include "common/process.h"
#include "common/sandbox_calls.h"
#include "common/sandbox_watch.h"

#ifndef SYS_SECCOMP
#define SYS_SECCOMP 1 /* of si_code; the kernel's own header has it */
#endif

const char *sandbox_filter_name(enum sandbox_filter filter)
{
    static const char *const names[] = {
        [SANDBOX_UNFILTERED] = "unfiltered", [SANDBOX_LOGGED] = "logged", [SANDBOX_FILTERED] = "filtered"};
    return names[filter];
}

const char *sandbox_files_name(bool denied)
{
    return denied ? "denied" : "undenied";
}

/* ---- the filter ---- */

static uint64_t wanted_value(const struct sandbox_rule *rule, int folder)
{
    if (rule->want == SANDBOX_FOLDER)
        return (uint32_t)folder;
    return rule->want == SANDBOX_SELF ? (uint32_t)getpid() : rule->value;
}

static int add_action(scmp_filter_ctx filter, uint32_t action, const struct sandbox_rule *rule, int folder)
{
    int number = seccomp_syscall_resolve_name(rule->call);
    if (number < 0) /* not on this architecture, or newer than the library */
        return 0;
    if (rule->want == SANDBOX_ANY)
        return seccomp_rule_add(filter, action, number, 0);
    const struct scmp_arg_cmp wanted[] = {
        SCMP_CMP(rule->argument, SCMP_CMP_MASKED_EQ, rule->mask, wanted_value(rule, folder)),
        SCMP_CMP(rule->also.argument, SCMP_CMP_MASKED_EQ, rule->also.mask, rule->also.value)};
    return seccomp_rule_add_array(filter, action, number, rule->also.mask != 0 ? 2 : 1, wanted);
}

/* With `sandbox = log` nothing is refused. */
static int add_rules(scmp_filter_ctx filter, enum sandbox_role role, enum sandbox_mode mode, int folder)
{
    int failed = 0;
    for (const struct sandbox_rule *rule = sandbox_rules; failed == 0 && rule->call != NULL; rule++)
        if ((rule->roles & 1u << role) != 0 && (!rule->with_folder || folder >= 0))
            failed = add_action(filter,
                                rule->error == 0 || mode == SANDBOX_LOG
                                    ? SCMP_ACT_ALLOW
                                    : SCMP_ACT_ERRNO((uint16_t)rule->error),
                                rule, folder);
    return failed;
}

/* A filter of its own, which leaves the rest to the next: of all that a process has, the strictest decides.
 */
static int forbid(enum sandbox_role role, enum sandbox_mode mode)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    int failed = filter == NULL ? -EOPNOTSUPP : seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    for (const struct sandbox_rule *rule = sandbox_forbidden; failed == 0 && rule->call != NULL; rule++)
        if ((rule->roles & 1u << role) != 0)
            failed = add_action(filter, mode == SANDBOX_LOG ? SCMP_ACT_LOG : SCMP_ACT_TRAP, rule, -1);
    if (failed == 0)
        failed = seccomp_load(filter);
    seccomp_release(filter);
    return failed;
}

/* The action for a call that is not listed. A process and all that it forks can have only one listener for
 * such calls together, so a process that forks others leaves the listener to them. */
static uint32_t otherwise(enum sandbox_role role, enum sandbox_mode mode)
{
    return mode != SANDBOX_LOG ? SCMP_ACT_TRAP : role < SANDBOX_SUPERVISOR ? SCMP_ACT_NOTIFY : SCMP_ACT_LOG;
}

/* No process needs calls of another architecture. */
static int load(enum sandbox_role role, enum sandbox_mode mode, int folder)
{
    scmp_filter_ctx filter = seccomp_init(otherwise(role, mode));
    int failed = filter == NULL ? -EOPNOTSUPP : seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (failed == 0)
        failed = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (failed == 0)
        failed = add_rules(filter, role, mode, folder);
    if (failed == 0 && otherwise(role, mode) == SCMP_ACT_NOTIFY)
        failed = sandbox_watch_load(filter);
    else if (failed == 0)
        failed = seccomp_load(filter);
    seccomp_release(filter);
    return failed;
}

/* ---- a refused call ---- */

static bool calls_fail;              /* in this process, instead of ending it */
static const char *first_that_fails; /* static; NULL = none yet */

/* Makes the call that CONTEXT was interrupted in return EPERM; false on an architecture whose registers are
 * not known here. */
static bool make_it_fail(ucontext_t *context)
{
#if defined __x86_64__
    context->uc_mcontext.gregs[REG_RAX] = -EPERM;
    return true;
#elif defined __aarch64__
    context->uc_mcontext.regs[0] = (unsigned long long)-EPERM;
    return true;
#else
    (void)context;
    return false;
#endif
}

/* SIGSYS is blocked while its handler runs. A call that is refused then ends the process by SIGSYS, whatever
 * the handler is, and no role lists this call. */
static _Noreturn void die_of_it(void)
{
    syscall(SYS_bpf, -1, NULL, 0);
    _exit(128 + SIGSYS); /* another process sent the signal before there was a filter */
}

static void on_refused(int number, siginfo_t *info, void *context)
{
    (void)number;
    int before = errno;
    bool refused = info->si_code == SYS_SECCOMP;
    if (refused && calls_fail && make_it_fail(context)) {
        const char *call = sandbox_watch_say_failed(info->si_syscall);
        if (first_that_fails == NULL)
            first_that_fails = call;
        errno = before;
        return;
    }
    if (refused)
        sandbox_watch_say_refused(info->si_syscall);
    die_of_it();
}

/* Unless calls are to fail, SIGSYS has its default action while the line is written, so that a refused call
 * of another thread ends the process at once. */
static int catch_refusals(enum sandbox_role role)
{
    const struct sigaction action = {.sa_sigaction = on_refused,
                                     .sa_flags = role == SANDBOX_NAMES ? SA_SIGINFO
                                                                       : (int)(SA_SIGINFO | SA_RESETHAND)};
    sigset_t refused;
    sigemptyset(&refused);
    sigaddset(&refused, SIGSYS);
    return sigaction(SIGSYS, &action, NULL) == 0 && sigprocmask(SIG_UNBLOCK, &refused, NULL) == 0 ? 0
                                                                                                  : -errno;
}

void sandbox_fail_calls(void)
{
    calls_fail = true;
}

const char *sandbox_failed_call(void)
{
    return first_that_fails;
}

/* ---- the two steps ---- */

static int cannot_filter(int failed, struct fault *fault)
{
    return fault_set(
        fault, ERR_SYSTEM,
        "system calls cannot be filtered (seccomp): %s; use a kernel with CONFIG_SECCOMP_FILTER, "
        "and a container's profile that lets seccomp(2) and prctl(2) pass; with sandbox = log "
        "the process goes on without a filter",
        strerror(-failed));
}

int sandbox_refuse_rings(enum sandbox_mode mode, struct fault *fault)
{
    if (PROCESS_SANITIZED)
        return 0;
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    int failed = filter == NULL ? -EOPNOTSUPP : seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (failed == 0)
        failed = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(io_uring_setup), 0);
    if (failed == 0)
        failed = seccomp_load(filter);
    seccomp_release(filter);
    return failed == 0 || mode == SANDBOX_LOG ? 0 : cannot_filter(failed, fault);
}

int sandbox_enter(struct sandbox_state *state, enum sandbox_role role, enum sandbox_mode mode, int folder,
                  struct fault *fault)
{
    state->filter = SANDBOX_UNFILTERED;
    if (PROCESS_SANITIZED)
        return 0;
    sandbox_watch_learn_names();
    int failed = mode == SANDBOX_LOG ? 0 : catch_refusals(role);
    if (failed == 0)
        failed = forbid(role, mode);
    if (failed == 0)
        failed = load(role, mode, folder);
    if (failed == 0) {
        state->filter = mode == SANDBOX_LOG ? SANDBOX_LOGGED : SANDBOX_FILTERED;
        return 0;
    }
    if (mode == SANDBOX_LOG) {
        log_event(LOG_WARN, "sandbox_missing",
                  "error=\"system calls are neither filtered nor watched: %s\" "
                  "hint=\"a kernel from 5.7 on with CONFIG_SECCOMP_FILTER, whose seccomp(2) a container's "
                  "profile lets pass\"",
                  strerror(-failed));
        return 0;
    }
    return cannot_filter(failed, fault);
}
