/* The tables of calls, kernels without filters, and what else the kernel denies: rings and files. */
#include "tests/unit/common/sandbox_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/process.h"
#include "common/sandbox.h"
#include "common/sandbox_calls.h"
#include "common/secret.h"
#include "tests/unit/skip.h"

/* ---- the tables ---- */

static bool covers(const struct sandbox_rule *of_parent, const struct sandbox_rule *rule)
{
    if (strcmp(of_parent->call, rule->call) != 0)
        return false;
    if (strcmp(rule->call, "clone") == 0) /* a thread's flags are none of a namespace's */
        return true;
    if (of_parent->want == SANDBOX_ANY)
        return of_parent->error == 0 || of_parent->error == rule->error;
    return of_parent->want == rule->want && of_parent->argument == rule->argument &&
           of_parent->mask == rule->mask && of_parent->value == rule->value &&
           (of_parent->also.mask == 0 || memcmp(&of_parent->also, &rule->also, sizeof rule->also) == 0) &&
           of_parent->error == rule->error;
}

/* A filter goes down to children: what a child is to do its parent may, too. */
static void what_a_child_may_its_parent_may(void **state)
{
    static const struct {
        unsigned child, parent;
    } families[] = {{V, L}, {L, S}, {N, S}};
    (void)state;
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        for (const struct sandbox_rule *rule = sandbox_rules; rule->call != NULL; rule++) {
            bool covered = (rule->roles & families[i].child) == 0;
            for (const struct sandbox_rule *other = sandbox_rules; !covered && other->call != NULL; other++)
                covered = (other->roles & families[i].parent) != 0 && covers(other, rule);
            if (!covered)
                fail_msg("the parent of role %x may not %s", families[i].child, rule->call);
        }
    }
}

/* A slip of the pen in a name would be a call that a process dies of. */
static void every_name_is_that_of_a_call(void **state)
{
    (void)state;
    for (const struct sandbox_rule *rule = sandbox_rules; rule->call != NULL; rule++)
        if (seccomp_syscall_resolve_name(rule->call) == __NR_SCMP_ERROR || rule->roles == 0)
            fail_msg("%s", rule->call);
}

/* What both architectures have must be there on both: with all numbers that a 64-bit ARM has. */
static void on_arm_the_same_is_allowed(void **state)
{
    static const char *const needed[] = {"ppoll", "epoll_pwait", "accept4",
                                         "clone", "openat",      "rt_sigaction"};
    (void)state;
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        const struct sandbox_rule *rule = sandbox_rules;
        while (rule->call != NULL && strcmp(rule->call, needed[i]) != 0)
            rule++;
        assert_non_null(rule->call);
        assert_true(seccomp_syscall_resolve_name_arch(SCMP_ARCH_AARCH64, needed[i]) >= 0);
    }
}

/* ---- where there is no filter ---- */

/* As in a container whose profile does not know it. */
static void forbid_filters(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    must(filter != NULL && seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(seccomp), 0) == 0 &&
         seccomp_rule_add(filter, SCMP_ACT_ERRNO(EINVAL), SCMP_SYS(prctl), 1,
                          SCMP_A0(SCMP_CMP_MASKED_EQ, UINT32_MAX, PR_SET_SECCOMP)) == 0 &&
         seccomp_load(filter) == 0);
    seccomp_release(filter);
}

static void without_filters_it_says_what_is_missing(void **state)
{
    struct trial trial = {.role = SANDBOX_NET, .before = forbid_filters, .act = do_what_all_do};
    (void)state;
    if (PROCESS_SANITIZED)
        SKIP_FOR("no sandbox under a sanitizer");
    int status = run(&trial);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 3);
    assert_non_null(strstr(trial.text, "system calls cannot be filtered (seccomp): "));
    assert_non_null(strstr(trial.text, "sandbox = log"));
    assert_null(strstr(trial.text, "Cannot allocate memory"));
    trial.mode = SANDBOX_LOG;
    assert_true(survived(run(&trial)));
    assert_non_null(strstr(trial.text, "event=sandbox_missing"));
    assert_non_null(strstr(trial.text, "event=entered filter=unfiltered"));
}

/* A ring that a library opened before the filter would be a way around it, or a call that a process dies of.
 */
static void a_process_gets_no_ring(void **state)
{
    int status = 0;
    (void)state;
    if (PROCESS_SANITIZED)
        SKIP_FOR("no sandbox under a sanitizer");
    for (enum sandbox_mode mode = SANDBOX_ON; mode <= SANDBOX_LOG; mode++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            struct fault fault = {0};
            if (sandbox_refuse_rings(mode, &fault) != 0)
                _exit(1);
            _exit(syscall(SYS_io_uring_setup, 1, NULL) == -1 && errno == ENOSYS ? SURVIVED : 2);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), SURVIVED);
    }
}

static void where_rings_cannot_be_refused_it_says_what_is_missing(void **state)
{
    int status = 0;
    (void)state;
    if (PROCESS_SANITIZED)
        SKIP_FOR("no sandbox under a sanitizer");
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct fault fault = {0};
        forbid_filters();
        if (sandbox_refuse_rings(SANDBOX_LOG, &fault) != 0)
            _exit(1);
        int failed = sandbox_refuse_rings(SANDBOX_ON, &fault);
        _exit(failed == ERR_SYSTEM && strstr(fault.text, "sandbox = log") != NULL ? SURVIVED : 2);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), SURVIVED);
}

/* Landlock alone: without the filter, files are still out of reach. */
static void files_are_denied_by_the_kernel_as_well(void **state)
{
    int status = 0;
    (void)state;
    if (PROCESS_SANITIZED ||
        syscall(SYS_landlock_create_ruleset, NULL, 0, 1 /* LANDLOCK_CREATE_RULESET_VERSION */) < 1)
        SKIP_FOR("no Landlock in this kernel, or a sanitizer in this build");
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct fault fault = {0};
        if (process_harden("test", &fault) != 0 || !process_deny_files())
            _exit(1);
        _exit(open("/etc/passwd", O_RDONLY) < 0 && errno == EACCES ? SURVIVED : 2);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), SURVIVED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_child_may_its_parent_may),
        cmocka_unit_test(every_name_is_that_of_a_call),
        cmocka_unit_test(on_arm_the_same_is_allowed),
        cmocka_unit_test(without_filters_it_says_what_is_missing),
        cmocka_unit_test(a_process_gets_no_ring),
        cmocka_unit_test(where_rings_cannot_be_refused_it_says_what_is_missing),
        cmocka_unit_test(files_are_denied_by_the_kernel_as_well),
    };
    if (secret_init() != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
