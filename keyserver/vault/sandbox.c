#include "keyserver/vault/sandbox.h"

#include <errno.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "common/log.h"
#include "common/process.h"
#include "common/secret.h"

#define STACK_RESERVED (512 * 1024)

/* What a vault does once it runs: the wall (waking and being woken), waiting, memory, time, randomness, its
 * log, its end. A look at a file (newfstatat) is one of them: the C library asks for its own descriptors that
 * way. */
static const int allowed[] = {
    SCMP_SYS(sendto),
    SCMP_SYS(recvfrom),
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(writev),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(futex),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(mlock),
    SCMP_SYS(mlock2),
    SCMP_SYS(munlock),
    SCMP_SYS(brk),
    SCMP_SYS(getrandom),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(sched_yield),
    SCMP_SYS(close),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(tgkill),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(fstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(lseek),
    SCMP_SYS(rseq),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(membarrier),
    SCMP_SYS(sched_getaffinity),
};

/* What the audit log needs beside that: a lock for each batch, a look at what others have appended, to the
 * disk, back to where a batch began that failed, and its file `head` written in place. */
static const int allowed_for_audit[] = {
    SCMP_SYS(flock), SCMP_SYS(pread64), SCMP_SYS(pwrite64), SCMP_SYS(fdatasync), SCMP_SYS(ftruncate),
};

/* Allowed unless the memory is to be executable: the third argument of both. */
static const int allowed_without_exec[] = {SCMP_SYS(mmap), SCMP_SYS(mprotect)};

static int allow_all(scmp_filter_ctx filter, const int *calls, size_t count)
{
    int failed = 0;
    for (size_t i = 0; failed == 0 && i < count; i++)
        failed = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
    return failed;
}

/* The filter sees the descriptor that a path begins at, not the path: that one does not lead out of the
 * folder is Landlock's to see to. */
static int allow_audit(scmp_filter_ctx filter, int folder)
{
    int failed = allow_all(filter, allowed_for_audit, sizeof allowed_for_audit / sizeof allowed_for_audit[0]);
    if (failed != 0)
        return failed;
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
                            SCMP_A0(SCMP_CMP_MASKED_EQ, UINT32_MAX, (uint32_t)folder));
}

static int filter_system_calls(int folder, struct fault *fault)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    int failed = filter == NULL ? -ENOMEM : seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (failed == 0)
        failed = allow_all(filter, allowed, sizeof allowed / sizeof allowed[0]);
    if (failed == 0 && folder >= 0)
        failed = allow_audit(filter, folder);
    for (size_t i = 0; failed == 0 && i < sizeof allowed_without_exec / sizeof allowed_without_exec[0]; i++)
        failed = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed_without_exec[i], 1,
                                  SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    if (failed == 0)
        failed = seccomp_load(filter);
    seccomp_release(filter);
    if (failed == 0)
        return 0;
    return fault_set(fault, ERR_SYSTEM, "the system-call filter could not be loaded: %s", strerror(-failed));
}

/* Beyond what the limit lets a process lock the kernel refuses to let a locked stack grow, and kills: the
 * vault's first thread has all that it will need before. */
static __attribute__((noinline)) void reserve_stack(void)
{
    uint8_t stack[STACK_RESERVED] UNINITIALIZED;
    wipe(stack, sizeof stack);
}

static bool lock_range(const char *line)
{
    unsigned long from, to;
    char rights[8], name[32] = "";
    int found = sscanf(line, "%lx-%lx %7s %*s %*s %*s %31s", &from, &to, rights, name);
    bool is_data = found >= 3 && strncmp(rights, "rw-p", 4) == 0 &&
                   (name[0] == 0 || strcmp(name, "[heap]") == 0);
    return !is_data || mlock2((const void *)from, to - from, MLOCK_ONFAULT) == 0;
}

/* Only where secrets can lie: writable memory that is of no file. */
static bool lock_data(void)
{
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "re");
    bool locked = maps != NULL;
    while (locked && fgets(line, sizeof line, maps) != NULL)
        locked = lock_range(line);
    if (maps != NULL)
        fclose(maps);
    return locked;
}

bool sandbox_lock_memory(void)
{
    struct rlimit limit, none = {RLIM_INFINITY, RLIM_INFINITY};
    if (setrlimit(RLIMIT_MEMLOCK, &none) != 0 && getrlimit(RLIMIT_MEMLOCK, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_MEMLOCK, &limit); /* to a limit that it has anyway */
    }
    reserve_stack();
    /* What is loaded now, the keys; of what is not used yet, when it is. Not what comes later: with a limit,
     * an allocation that passes it would fail. */
    return mlockall(MCL_CURRENT | MCL_ONFAULT) == 0 || lock_data();
}

int sandbox_enter(bool files_denied, int folder, bool locked, struct fault *fault)
{
    int err = PROCESS_SANITIZED ? 0 : filter_system_calls(folder, fault);
    if (err == 0)
        log_event(LOG_INFO, "sandbox", "system_calls=%s files=%s memory=%s",
                  PROCESS_SANITIZED ? "unfiltered" : "filtered", files_denied ? "denied" : "undenied",
                  locked ? "locked" : "unlocked");
    return err;
}
