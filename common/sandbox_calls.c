#include "common/sandbox_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41 /* names anonymous memory in /proc/PID/maps */
#endif

#define V   (1u << SANDBOX_VAULT)
#define N   (1u << SANDBOX_NET)
#define E   (1u << SANDBOX_EDGE)
#define S   (1u << SANDBOX_SUPERVISOR)
#define L   (1u << SANDBOX_LOADER)
#define R   (1u << SANDBOX_NAMES)
#define ALL (V | N | E | S | L | R)

/* A filter is inherited: a child can only have less. So the loader has whatever a vault
 * needs until it enters its own sandbox and afterwards, and the supervisor whatever the loader and the net
 * process need. What each of them refuses so that a library falls back, its parent refuses the same way or
 * allows. */
#define FORKS (S | L | R)
#define WIDE  (N | E | FORKS)

/* The kernel reads only the lower half of the register of an int argument. */
#define INT                           UINT32_MAX

#define WHEN(n, m, v)                 .want = SANDBOX_VALUE, .argument = (n), .mask = (m), .value = (v)
#define WITHOUT(n, m)                 WHEN(n, m, 0)
#define AND(n, m, v)                  .also = {(n), (m), (v)}
#define FCNTL(of, command)            CALL("fcntl", of, WHEN(1, INT, command))
#define SETSOCKOPT(of, level, option) CALL("setsockopt", of, WHEN(2, INT, option), AND(1, INT, level))
#define THREADS                       (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD)
#define CALL(name, of, ...)                                                                                  \
    {                                                                                                        \
        .call = (name), .roles = (of), ##__VA_ARGS__                                                         \
    }
#define NAMESPACES                                                                                           \
    (CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET |               \
     CLONE_NEWCGROUP)
#define BIT_CLEAR(number) CALL("rt_sigaction", V | N | E | R, WITHOUT(0, 1u << (number)))
#define BIT_SET(number)   CALL("rt_sigaction", V | N | E | R, WHEN(0, 1u << (number), 1u << (number)))

const struct sandbox_rule sandbox_rules[] = {
    /* What is open. */
    CALL("read", ALL),
    CALL("write", ALL),
    CALL("writev", ALL),
    CALL("readv", WIDE),
    CALL("close", ALL),
    CALL("lseek", V | E | FORKS),
    /* Of fcntl nothing that sends a signal (F_SETOWN, F_SETSIG, F_SETLEASE, F_NOTIFY): the receiver may be
     * any process of the same account. */
    FCNTL(E | FORKS, F_DUPFD),
    FCNTL(WIDE, F_DUPFD_CLOEXEC),
    FCNTL(WIDE, F_GETFD),
    FCNTL(WIDE, F_SETFD),
    FCNTL(WIDE, F_GETFL),
    FCNTL(WIDE, F_SETFL),
    FCNTL(N | S | L, F_GET_SEALS),
    FCNTL(S | L, F_ADD_SEALS),
    FCNTL(V | S | L, F_GETLK), /* which vaults live, */
    FCNTL(V | S | L, F_SETLK), /* and that this one does, by locks of their processes */
    CALL("ioctl", WIDE, WHEN(1, INT, FIONBIO)),
    CALL("ioctl", WIDE, WHEN(1, INT, FIONREAD)),
    CALL("ioctl", WIDE, WHEN(1, INT, FIOCLEX)),
    CALL("ioctl", WIDE, WHEN(1, INT, TCGETS)), /* the C library asks whether it is a terminal */
    CALL("pread64", WIDE),
    CALL("fstat", ALL),
    CALL("newfstatat", ALL), /* the C library asks for its own descriptors that way */
    CALL("statx", WIDE),

    /* To wait, and to be woken. */
    CALL("poll", ALL),
    CALL("ppoll", ALL),
    CALL("epoll_create1", WIDE),
    CALL("epoll_ctl", WIDE),
    CALL("epoll_wait", WIDE),
    CALL("epoll_pwait", WIDE),
    CALL("epoll_pwait2", WIDE),
    CALL("eventfd2", WIDE),
    CALL("pipe2", WIDE),
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
    CALL("sysinfo", ALL), /* the C library's sort asks for the size of memory and handles no error */

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
    CALL("tgkill", V | N | E, .want = SANDBOX_SELF, .argument = 0, .mask = INT),

    /* Threads and the process itself. */
    CALL("getpid", ALL),
    CALL("gettid", ALL),
    CALL("getppid", WIDE),
    CALL("getuid", WIDE),
    CALL("geteuid", WIDE),
    CALL("getgid", WIDE),
    CALL("getegid", WIDE),
    CALL("getgroups", WIDE),
    CALL("getrusage", WIDE),
    CALL("uname", WIDE),
    CALL("rseq", ALL),
    CALL("set_robust_list", ALL),
    CALL("membarrier", ALL),
    CALL("prlimit64", V | N | E | R, WITHOUT(2, UINT64_MAX)), /* reads a limit, sets none */
    CALL("prctl", N | E | R, WHEN(0, INT, PR_SET_NAME)),
    CALL("prctl", V | N | E | R, WHEN(0, INT, PR_SET_VMA)),
    /* The net process has its threads before. Their number is bounded for a whole service or account: without
     * any left, no vault could be started. */
    CALL("clone", E, WHEN(0, THREADS, THREADS)),
    CALL("clone3", WIDE, .error = ENOSYS), /* its flags are in memory; the C library falls back on clone */
    CALL("exit", ALL),
    CALL("exit_group", ALL),

    /* Sockets. */
    CALL("recvfrom", ALL),
    CALL("sendto", ALL),
    CALL("recvmsg", WIDE),
    CALL("sendmsg", E | FORKS), /* the net process passes no descriptor to anybody */
    CALL("recvmmsg", WIDE),
    CALL("sendmmsg", E | FORKS),
    CALL("accept", WIDE),
    CALL("accept4", WIDE),
    CALL("listen", WIDE),
    CALL("shutdown", FORKS),
    CALL("shutdown", N | E, WHEN(1, INT, SHUT_WR)), /* which does nothing to a socket that listens */
    CALL("getsockname", WIDE),
    CALL("getpeername", WIDE),
    CALL("getsockopt", WIDE),
    CALL("setsockopt", E | FORKS),
    /* Of a channel. A listening socket outlives the net process: with other options, a filter for one, it
     * would accept nobody for those that follow. */
    SETSOCKOPT(N, IPPROTO_TCP, TCP_NODELAY),
    SETSOCKOPT(N, IPPROTO_TCP, TCP_KEEPIDLE),
    SETSOCKOPT(N, IPPROTO_TCP, TCP_KEEPINTVL),
    SETSOCKOPT(N, IPPROTO_TCP, TCP_KEEPCNT),
    SETSOCKOPT(N, SOL_SOCKET, SO_KEEPALIVE),
    CALL("socket", E | FORKS, WHEN(0, INT, AF_UNIX)), /* of who forks: services for accounts and names */
    CALL("socket", E | R, WHEN(0, INT, AF_INET)),
    CALL("socket", E | R, WHEN(0, INT, AF_INET6)),
    CALL("socket", R, WHEN(0, INT, AF_NETLINK)), /* which addresses this machine has */
    CALL("bind", R),
    CALL("connect", E | FORKS),

    /* Files by path. The vault opens only those of its audit log: the filter checks the descriptor that a
     * path starts from, and Landlock checks that the path does not leave that folder. The edge may read. */
    CALL("openat", V, .with_folder = true, .want = SANDBOX_FOLDER, .argument = 0, .mask = INT),
    CALL("flock", V, .with_folder = true),
    CALL("pread64", V, .with_folder = true),
    CALL("pwrite64", V, .with_folder = true),
    CALL("fdatasync", V, .with_folder = true),
    CALL("ftruncate", V, .with_folder = true),
    CALL("openat", E | R, WHEN(2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY)),
    CALL("getdents64", E | FORKS),
    CALL("wait4", E | FORKS),

    /* Processes that fork others read files, create what an owner finds missing, and change the user of their
     * children. None of them executes a program, mounts, traces or loads a module. */
    CALL("clone", FORKS, WITHOUT(0, NAMESPACES)),
    CALL("fork", FORKS),
    CALL("waitid", FORKS),
    CALL("kill", S | R),
    CALL("tgkill", FORKS),
    CALL("tkill", FORKS),
    CALL("signalfd4", S),
    CALL("rt_sigaction", S | L), /* each child sets its own for a refused call */
    CALL("rt_sigpending", FORKS),
    CALL("rt_sigtimedwait", FORKS),
    CALL("prctl", S | L),
    CALL("prctl", R, WHEN(0, INT, PR_SET_PDEATHSIG)),
    /* What modules of the C library's name service ask about their own process (those of systemd ask for
     * capabilities). The questions change nothing. */
    CALL("prctl", R, WHEN(0, INT, PR_CAPBSET_READ)),
    CALL("prctl", R, WHEN(0, INT, PR_GET_DUMPABLE)),
    CALL("prctl", R, WHEN(0, INT, PR_GET_KEEPCAPS)),
    CALL("prctl", R, WHEN(0, INT, PR_GET_NAME)),
    CALL("prctl", R, WHEN(0, INT, PR_GET_NO_NEW_PRIVS)),
    CALL("prctl", R, WHEN(0, INT, PR_GET_PDEATHSIG)),
    CALL("prctl", R, WHEN(0, INT, PR_GET_SECCOMP)),
    CALL("prctl", R, WHEN(0, INT, PR_GET_SECUREBITS)),
    CALL("getpgrp", R),
    CALL("getpgid", R),
    CALL("getsid", R),
    CALL("getpriority", R),
    CALL("getitimer", R),
    CALL("capget", R),
    CALL("sched_get_priority_max", R),
    CALL("sched_get_priority_min", R),
    CALL("mmap", FORKS, WITHOUT(2, PROT_WRITE)), /* the C library loads what accounts and names come from */
    CALL("open", FORKS),
    CALL("openat", S | L),
    CALL("stat", FORKS),
    CALL("fgetxattr", S | L), /* the access control list of a file with a secret */
    CALL("lstat", FORKS),
    CALL("statfs", FORKS),
    CALL("fstatfs", FORKS),
    CALL("access", FORKS),
    CALL("faccessat", FORKS),
    CALL("faccessat2", FORKS),
    CALL("readlink", FORKS),
    CALL("readlinkat", FORKS),
    CALL("getcwd", FORKS),
    CALL("dup", FORKS),
    CALL("dup2", FORKS),
    CALL("dup3", FORKS),
    CALL("close_range", FORKS),
    CALL("pipe", FORKS),
    CALL("select", FORKS),
    CALL("pselect6", FORKS),
    CALL("set_tid_address", FORKS),
    CALL("sched_getparam", FORKS),
    CALL("sched_getscheduler", FORKS),
    CALL("getresuid", FORKS),
    CALL("getresgid", FORKS),
    CALL("ioctl", FORKS), /* of sockets, and of a child's watched filter */
    CALL("timerfd_create", R),
    CALL("timerfd_settime", R),
    CALL("timerfd_gettime", R),
    CALL("mkdir", S | L),
    CALL("mkdirat", S | L),
    CALL("unlink", S | L),
    CALL("unlinkat", S | L),
    CALL("rename", S | L),
    CALL("renameat", S | L),
    CALL("renameat2", S | L),
    CALL("link", S | L),
    CALL("linkat", S | L),
    CALL("umask", S | L),
    CALL("chmod", S | L),
    CALL("fchmod", S | L),
    CALL("fchmodat", S | L),
    CALL("chown", S | L),
    CALL("fchown", S | L),
    CALL("fchownat", S | L),
    CALL("flock", S | L),
    CALL("fsync", S | L),
    CALL("fdatasync", S | L),
    CALL("ftruncate", S | L),
    CALL("fallocate", S | L),
    CALL("pwrite64", S | L),
    CALL("memfd_create", S | L),
    CALL("socketpair", S | L),
    CALL("mlockall", S | L),
    CALL("munlockall", S | L),
    CALL("prlimit64", S | L),
    CALL("setrlimit", S | L),
    CALL("getrlimit", FORKS),
    CALL("capget", S | L),
    CALL("capset", S | L),
    CALL("setuid", S | L),
    CALL("setgid", S | L),
    CALL("setreuid", S | L),
    CALL("setregid", S | L),
    CALL("setresuid", S | L),
    CALL("setresgid", S | L),
    CALL("setgroups", S | L),
    CALL("sched_setaffinity", S | L),
    CALL("seccomp", S | L),
    CALL("landlock_create_ruleset", S | L),
    CALL("landlock_add_rule", S | L),
    CALL("landlock_restrict_self", S | L),

    /* What libraries try and can do without fails with an error: a spare descriptor for when there is none,
     * the kernel's version; of the C library the kernel's policy of memory, when a thread's heap shrinks, the
     * number of processors, the time zone, and the library that walks stacks. The vault's row is no wider
     * than what the C library opens so: it reads by a path, and keeps nothing open over an exec. Any other
     * open ends the vault. */
    CALL("openat", V, .error = EACCES,
         WHEN(2, INT & ~(unsigned)(O_DIRECTORY | O_NONBLOCK), O_RDONLY | O_CLOEXEC),
         AND(0, INT, (uint32_t)AT_FDCWD)),
    CALL("mmap", E, .error = EACCES, WHEN(2, PROT_EXEC | PROT_WRITE, PROT_EXEC)), /* of that library */
    CALL("openat", N, .error = EACCES),
    CALL("open", N | E, .error = EACCES),
    CALL("access", N | E, .error = EACCES),
    CALL("faccessat", N | E, .error = EACCES),
    CALL("faccessat2", N | E, .error = EACCES),
    CALL("stat", N | E, .error = EACCES),
    CALL("lstat", N | E, .error = EACCES),
    CALL("readlink", N | E, .error = EACCES),
    CALL("readlinkat", N | E, .error = EACCES),
    CALL("unlink", N | E | R, .error = EACCES),
    CALL("unlinkat", N | E | R, .error = EACCES),
    CALL("io_uring_setup", WIDE, .error = ENOSYS),
    CALL("kill", E, .error = EPERM),
    {.call = NULL},
};

/* Standard error is a socket, a pipe or a file that a process shares with all others of the daemon, and with
 * those that follow it: its state is theirs, too. A process that could shut it down, move its position or
 * take another number for it could silence the others, and rewrite what they have logged. */
#define ON_STANDARD_ERROR(name, of, ...) CALL(name, of, WHEN(0, INT, STDERR_FILENO), ##__VA_ARGS__)

const struct sandbox_rule sandbox_forbidden[] = {
    ON_STANDARD_ERROR("shutdown", N | E | R),
    ON_STANDARD_ERROR("fcntl", N | E | R, AND(1, INT, F_SETFL)),
    ON_STANDARD_ERROR("fcntl", E | R, AND(1, INT, F_DUPFD)),
    ON_STANDARD_ERROR("fcntl", N | E | R, AND(1, INT, F_DUPFD_CLOEXEC)),
    ON_STANDARD_ERROR("ioctl", N | E | R, AND(1, INT, FIONBIO)),
    ON_STANDARD_ERROR("lseek", V | N | E | R),
    ON_STANDARD_ERROR("pwrite64", V),
    ON_STANDARD_ERROR("ftruncate", V),
    ON_STANDARD_ERROR("dup", R),
    ON_STANDARD_ERROR("dup2", R),
    ON_STANDARD_ERROR("dup3", R),
    {.call = NULL},
};
