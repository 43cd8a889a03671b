#include "common/sandbox_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41 /* names of anonymous memory, for who looks at /proc/PID/maps */
#endif

#define V   (1u << SANDBOX_VAULT)
#define N   (1u << SANDBOX_NET)
#define E   (1u << SANDBOX_EDGE)
#define ALL (V | N | E)

/* The kernel takes the lower half of an int's register: whatever stands in the upper half means nothing. */
#define INT           UINT32_MAX

#define WHEN(n, m, v) .want = SANDBOX_VALUE, .argument = (n), .mask = (m), .value = (v)
#define WITHOUT(n, m) WHEN(n, m, 0)
#define THREADS       (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD)
#define CALL(name, of, ...)                                                                                  \
    {                                                                                                        \
        .call = (name), .roles = (of), ##__VA_ARGS__                                                         \
    }
#define BIT_CLEAR(number) CALL("rt_sigaction", ALL, WITHOUT(0, 1u << (number)))
#define BIT_SET(number)   CALL("rt_sigaction", ALL, WHEN(0, 1u << (number), 1u << (number)))

const struct sandbox_rule sandbox_rules[] = {
    /* What is open. */
    CALL("read", ALL),
    CALL("write", ALL),
    CALL("writev", ALL),
    CALL("readv", N | E),
    CALL("close", ALL),
    CALL("lseek", ALL),
    CALL("fcntl", N | E),
    CALL("ioctl", N | E, WHEN(1, INT, FIONBIO)),
    CALL("ioctl", N | E, WHEN(1, INT, FIONREAD)),
    CALL("ioctl", N | E, WHEN(1, INT, FIOCLEX)),
    CALL("ioctl", N | E, WHEN(1, INT, TCGETS)), /* the C library asks whether it is a terminal */
    CALL("pread64", N | E),
    CALL("fstat", ALL),
    CALL("newfstatat", ALL), /* the C library asks for its own descriptors that way */
    CALL("statx", N | E),

    /* To wait, and to be woken. */
    CALL("poll", ALL),
    CALL("ppoll", ALL),
    CALL("epoll_create1", N | E),
    CALL("epoll_ctl", N | E),
    CALL("epoll_wait", N | E),
    CALL("epoll_pwait", N | E),
    CALL("epoll_pwait2", N | E),
    CALL("eventfd2", N | E),
    CALL("pipe2", N | E),
    CALL("futex", ALL),
    CALL("futex_waitv", ALL),
    CALL("sched_yield", ALL),
    CALL("sched_getaffinity", ALL),
    CALL("clock_gettime", ALL),
    CALL("clock_getres", ALL),
    CALL("clock_nanosleep", ALL),
    CALL("nanosleep", ALL),
    CALL("gettimeofday", ALL),
    CALL("time", ALL),
    CALL("getcpu", ALL),
    CALL("restart_syscall", ALL),

    /* Memory, none of it executable. */
    CALL("mmap", ALL, WITHOUT(2, PROT_EXEC)),
    CALL("mprotect", ALL, WITHOUT(2, PROT_EXEC)),
    CALL("munmap", ALL),
    CALL("mremap", ALL),
    CALL("madvise", ALL),
    CALL("mlock", ALL),
    CALL("mlock2", ALL),
    CALL("munlock", ALL),
    CALL("brk", ALL),
    CALL("getrandom", ALL),
    CALL("sysinfo", N | E), /* the C library's sort asks how much there is */

    /* Signals: of all but the one that tells of a refused call (31) the handler may be another. */
    BIT_CLEAR(0),
    BIT_CLEAR(1),
    BIT_CLEAR(2),
    BIT_CLEAR(3),
    BIT_CLEAR(4),
    BIT_SET(5),
    BIT_SET(6),
    CALL("rt_sigprocmask", ALL),
    CALL("rt_sigreturn", ALL),
    CALL("sigaltstack", ALL),
    CALL("tgkill", ALL, .want = SANDBOX_SELF, .argument = 0, .mask = INT),

    /* Threads and the process itself. */
    CALL("getpid", ALL),
    CALL("gettid", ALL),
    CALL("getppid", N | E),
    CALL("getuid", N | E),
    CALL("geteuid", N | E),
    CALL("getgid", N | E),
    CALL("getegid", N | E),
    CALL("getgroups", N | E),
    CALL("getrusage", N | E),
    CALL("uname", N | E),
    CALL("rseq", ALL),
    CALL("set_robust_list", ALL),
    CALL("membarrier", ALL),
    CALL("prlimit64", N | E, WITHOUT(2, UINT64_MAX)), /* looks, and changes nothing */
    CALL("prctl", N | E, WHEN(0, INT, PR_SET_NAME)),
    CALL("prctl", N | E, WHEN(0, INT, PR_SET_VMA)),
    CALL("clone", N | E, WHEN(0, THREADS, THREADS)),
    CALL("clone3", N | E, .error = ENOSYS), /* its flags are in memory; the C library falls back on clone */
    CALL("exit", ALL),
    CALL("exit_group", ALL),

    /* Sockets. */
    CALL("recvfrom", ALL),
    CALL("sendto", ALL),
    CALL("recvmsg", N | E),
    CALL("sendmsg", N | E),
    CALL("recvmmsg", N | E),
    CALL("sendmmsg", N | E),
    CALL("accept", N | E),
    CALL("accept4", N | E),
    CALL("listen", N | E),
    CALL("shutdown", N | E),
    CALL("getsockname", N | E),
    CALL("getpeername", N | E),
    CALL("getsockopt", N | E),
    CALL("setsockopt", N | E),
    CALL("socket", E, WHEN(0, INT, AF_UNIX)),
    CALL("socket", E, WHEN(0, INT, AF_INET)),
    CALL("socket", E, WHEN(0, INT, AF_INET6)),
    CALL("connect", E),

    /* Files by their names. The vault has none but its audit log's: the filter sees the descriptor that a
     * path begins at, and that it does not lead out of that folder is Landlock's to see to. The edge may
     * read. */
    CALL("openat", V, .with_folder = true, .want = SANDBOX_FOLDER, .argument = 0, .mask = INT),
    CALL("flock", V, .with_folder = true),
    CALL("pread64", V, .with_folder = true),
    CALL("pwrite64", V, .with_folder = true),
    CALL("fdatasync", V, .with_folder = true),
    CALL("ftruncate", V, .with_folder = true),
    CALL("openat", E, WHEN(2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY)),
    CALL("getdents64", E),
    CALL("wait4", E),

    /* What libraries try, and can do without: a spare descriptor for when there is none, the kernel's
       version. */
    CALL("openat", N, .error = EACCES),
    CALL("open", N | E, .error = EACCES),
    CALL("access", N | E, .error = EACCES),
    CALL("faccessat", N | E, .error = EACCES),
    CALL("faccessat2", N | E, .error = EACCES),
    CALL("stat", N | E, .error = EACCES),
    CALL("lstat", N | E, .error = EACCES),
    CALL("readlink", N | E, .error = EACCES),
    CALL("readlinkat", N | E, .error = EACCES),
    CALL("unlink", N | E, .error = EACCES),
    CALL("unlinkat", N | E, .error = EACCES),
    CALL("io_uring_setup", N | E, .error = ENOSYS),
    CALL("kill", E, .error = EPERM),
    {.call = NULL},
};
