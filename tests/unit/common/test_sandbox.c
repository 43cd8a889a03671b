/* System calls that are no part of a process's role. */
#include "tests/unit/common/sandbox_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/process.h"
#include "common/sandbox.h"
#include "common/secret.h"
#include "tests/unit/skip.h"

#define E     (1u << SANDBOX_EDGE)
#define R     (1u << SANDBOX_NAMES)
#define FORKS (S | L | R)
#define ALL   (V | N | E | FORKS)

static void try_open(void)
{
    (void)!open("/etc/passwd", O_RDONLY);
}

/* As the C library opens what it can do without, but to write. */
static void try_open_to_write(void)
{
    (void)!open("/proc/sys/vm/overcommit_memory", O_RDWR | O_CLOEXEC);
}

static void try_open_a_path(void)
{
    (void)!open("/etc/passwd", O_PATH | O_CLOEXEC);
}

/* No folder of the vault's is at this descriptor. */
static void try_open_in_another_folder(void)
{
    (void)!openat(STDERR_FILENO, "passwd", O_RDONLY | O_CLOEXEC);
}

static void try_create(void)
{
    (void)!openat(AT_FDCWD, "/tmp/sandbox-was-here", O_WRONLY | O_CREAT, 0600);
}

static void try_connect(void)
{
    const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
    (void)!connect(STDERR_FILENO, &nowhere, sizeof nowhere);
}

/* Not the C library's fork(), which blocks all signals from glibc 2.41 on. */
static void try_fork(void)
{
    if (syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL) == 0)
        _exit(0);
}

static void try_thread(void)
{
    pthread_t thread;
    (void)!pthread_create(&thread, NULL, nothing, NULL);
}

static void try_ptrace(void)
{
    (void)!ptrace(PTRACE_ATTACH, parent, NULL, NULL);
}

static void try_read_another_process(void)
{
    char byte;
    struct iovec here = {&byte, 1}, there = {&byte, 1};
    (void)!process_vm_readv(parent, &here, 1, &there, 1, 0);
}

static void try_kill(void)
{
    (void)!kill(parent, 0);
}

/* With F_SETSIG and O_ASYNC that would be a kill by another name. */
static void try_to_own_a_signal(void)
{
    (void)!fcntl(STDERR_FILENO, F_SETOWN, parent);
}

static void try_to_choose_a_signal(void)
{
    (void)!fcntl(STDERR_FILENO, F_SETSIG, SIGKILL);
}

/* A listening socket goes on to the next net process. */
static void try_to_filter_a_socket(void)
{
    struct sock_filter none = BPF_STMT(BPF_RET | BPF_K, 0);
    const struct sock_fprog program = {.len = 1, .filter = &none};
    (void)!setsockopt(STDERR_FILENO, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

/* Which has the number of TCP_KEEPINTVL, at another level. */
static void try_to_route_a_socket(void)
{
    const int on = 1;
    (void)!setsockopt(STDERR_FILENO, SOL_SOCKET, SO_DONTROUTE, &on, sizeof on);
}

/* A listening socket would be dead for the next net process, too. */
static void try_to_shut_a_socket_down(void)
{
    (void)!shutdown(STDERR_FILENO, SHUT_RDWR);
}

/* ---- standard error is everybody's ---- */

static void try_to_shut_the_log_down(void)
{
    (void)!shutdown(STDERR_FILENO, SHUT_WR);
}

static void try_to_change_the_mode_of_the_log(void)
{
    (void)!fcntl(STDERR_FILENO, F_SETFL, O_DIRECT);
}

static void try_to_make_the_log_non_blocking(void)
{
    int on = 1;
    (void)!ioctl(STDERR_FILENO, FIONBIO, &on);
}

/* The kernel looks at the lower half of the register only. */
static void try_to_move_in_the_log(void)
{
    (void)!syscall(SYS_lseek, 1L << 32 | STDERR_FILENO, 0L, SEEK_SET);
}

static void try_to_write_in_the_middle_of_the_log(void)
{
    (void)!pwrite(STDERR_FILENO, "x", 1, 0);
}

static void try_to_cut_the_log(void)
{
    (void)!ftruncate(STDERR_FILENO, 0);
}

/* Which no rule would know. */
static void try_another_number_for_the_log(void)
{
    (void)!fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 100);
}

static void try_dup_of_the_log(void)
{
    (void)!dup(STDERR_FILENO);
}

static void try_to_pass_the_log_on(void)
{
    struct msghdr nothing = {.msg_iov = NULL};
    (void)!sendmsg(STDIN_FILENO, &nothing, 0);
}

/* Threads are counted for the whole service: without any left no vault starts. (pthread_create() blocks
 * SIGSYS meanwhile, so nobody would name the call.) */
static void try_a_thread(void)
{
    static char stack[16384];
    const unsigned long flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;
    (void)!syscall(SYS_clone, flags, stack + sizeof stack, NULL, NULL, 0UL);
}

static void try_executable_memory(void)
{
    (void)!mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void try_to_make_memory_executable(void)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)!mprotect(page, 4096, PROT_READ | PROT_EXEC);
}

static void try_to_be_dumpable(void)
{
    (void)!prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static void try_ip_socket(void)
{
    (void)!socket(AF_INET, SOCK_STREAM, 0);
}

static void try_packet_socket(void)
{
    (void)!socket(AF_PACKET, SOCK_RAW, 0);
}

static void try_netlink_socket(void)
{
    (void)!socket(AF_NETLINK, SOCK_RAW, 0);
}

static void try_perf_event_open(void)
{
    struct perf_event_attr attributes = {.size = sizeof attributes};
    syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0);
}

static void try_bpf(void)
{
    syscall(SYS_bpf, 0, NULL, 0);
}

static void try_io_uring_enter(void)
{
    syscall(SYS_io_uring_enter, -1, 0, 0, 0, NULL, 0);
}

static void try_setuid(void)
{
    (void)!setuid(0);
}

static void try_tgkill(void)
{
    syscall(SYS_tgkill, parent, parent, 0);
}

/* Whoever could take the signal would live on after a call that is refused. */
static void try_to_catch_the_signal(void)
{
    (void)signal(SIGSYS, SIG_IGN);
}

/* Half of the register that the kernel does not look at. */
static void try_to_catch_it_with_a_wide_number(void)
{
    syscall(SYS_rt_sigaction, (1L << 40) | SIGSYS, NULL, NULL, 8);
}

static void try_unlink(void)
{
    unlink("/tmp/no-such-file-here");
}

static void try_namespace(void)
{
    syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);
}

static void try_mount(void)
{
    (void)!mount("none", "/tmp", "tmpfs", 0, NULL);
}

static const struct {
    const char *call; /* that the log names; NULL: none, since it is made with all signals blocked */
    unsigned roles;
    void (*act)(void);
} forbidden[] = {
    {"openat", V, try_open},
    {"openat", V | E | R, try_open_to_write},
    {"openat", V, try_open_a_path},
    {"openat", V, try_open_in_another_folder},
    {"openat", V | E | R, try_create},
    {"socket", V | N | S | L, try_ip_socket},
    {"socket", ALL, try_packet_socket},
    {"socket", V | N | E | S | L, try_netlink_socket},
    {"connect", V | N, try_connect},
    {"execve", ALL, try_exec},
    {"clone", V | N | E, try_fork},
    {NULL, V, try_thread},
    {"ptrace", ALL, try_ptrace},
    {"process_vm_readv", ALL, try_read_another_process},
    {"kill", V | N | L, try_kill},
    {"tgkill", V | N | E, try_tgkill},
    {"fcntl", ALL, try_to_own_a_signal},
    {"fcntl", ALL, try_to_choose_a_signal},
    {"setsockopt", V | N, try_to_filter_a_socket},
    {"setsockopt", V | N, try_to_route_a_socket},
    {"shutdown", V | N | E, try_to_shut_a_socket_down},
    {"shutdown", V | N | E | R, try_to_shut_the_log_down},
    {"fcntl", V | N | E | R, try_to_change_the_mode_of_the_log},
    {"fcntl", V | N | E | R, try_another_number_for_the_log},
    {"ioctl", V | N | E | R, try_to_make_the_log_non_blocking},
    {"lseek", V | N | E | R, try_to_move_in_the_log},
    {"pwrite64", V | N | E | R, try_to_write_in_the_middle_of_the_log},
    {"ftruncate", V | N | E | R, try_to_cut_the_log},
    {"dup", V | N | E | R, try_dup_of_the_log},
    {"sendmsg", V | N, try_to_pass_the_log_on},
    {"clone", N, try_a_thread},
    {"mmap", ALL, try_executable_memory},
    {"mprotect", ALL, try_to_make_memory_executable},
    {"prctl", V | N | E | R, try_to_be_dumpable},
    {"unlink", V, try_unlink},
    {"perf_event_open", ALL, try_perf_event_open},
    {"bpf", ALL, try_bpf},
    {"io_uring_enter", ALL, try_io_uring_enter},
    {"setuid", V | N | E | R, try_setuid},
    {"rt_sigaction", V | N | E | R, try_to_catch_the_signal},
    {"rt_sigaction", V | N | E | R, try_to_catch_it_with_a_wide_number},
    {"clone", FORKS, try_namespace},
    {"mount", FORKS, try_mount},
};

static void a_call_that_is_no_part_of_the_role_ends_it_and_is_named(void **state)
{
    (void)state;
    if (PROCESS_SANITIZED)
        SKIP_FOR("no sandbox under a sanitizer");
    for (size_t i = 0; i < sizeof forbidden / sizeof forbidden[0]; i++) {
        for (unsigned role = 0; role < SANDBOX_ROLES; role++) {
            struct trial trial = {.role = (enum sandbox_role)role, .act = forbidden[i].act};
            if ((forbidden[i].roles & 1u << role) == 0)
                continue;
            int status = run(&trial);
            if (!died_of_the_call(&trial, status, forbidden[i].call))
                fail_msg("%s, %s: status %x: %s", role_names[role],
                         forbidden[i].call ? forbidden[i].call : "thread", (unsigned)status, trial.text);
        }
    }
    assert_int_not_equal(access("/tmp/sandbox-was-here", F_OK), 0);
}

/* Foreign code: it goes on as if the kernel had no such call. */
static void be_refused_thrice(void)
{
    sandbox_fail_calls();
    for (int i = 0; i < 3; i++) {
        errno = 0;
        if (syscall(SYS_bpf, -1, NULL, 0) != -1 || errno != EPERM)
            _exit(1);
        if (mount("none", "/tmp", "tmpfs", 0, NULL) != -1 || errno != EPERM)
            _exit(2);
    }
    if (strcmp(sandbox_failed_call(), "bpf") != 0)
        _exit(3);
}

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;
    for (; (text = strstr(text, part)) != NULL; text++)
        count++;
    return count;
}

static void where_the_operator_chose_the_code_a_refused_call_fails(void **state)
{
    struct trial trial = {.role = SANDBOX_NAMES, .act = be_refused_thrice};
    (void)state;
    if (PROCESS_SANITIZED)
        SKIP_FOR("no sandbox under a sanitizer");
    int status = run(&trial);
    if (!survived(status))
        fail_msg("status %x: %s", (unsigned)status, trial.text);
    assert_int_equal(count_of(trial.text, "event=sandbox_refused call=bpf number="), 1);
    assert_int_equal(count_of(trial.text, "event=sandbox_refused call=mount number="), 1);
    assert_int_equal(count_of(trial.text, "/etc/nsswitch.conf"), 2);
}

/* The line of the first is written before the second is let through. */
static void make_two_calls(void)
{
    try_packet_socket();
    try_bpf();
}

static void nothing_is_refused_when_it_is_only_logged(void **state)
{
    (void)state;
    if (PROCESS_SANITIZED)
        SKIP_FOR("no sandbox under a sanitizer");
    for (unsigned role = 0; role < SANDBOX_ROLES; role++) {
        struct trial trial = {.role = (enum sandbox_role)role, .mode = SANDBOX_LOG, .act = make_two_calls};
        int status = run(&trial);
        bool told = (FORKS & 1u << role) != 0 || /* the kernel tells, where its audit log is */
                    strstr(trial.text, "event=sandbox_unlisted call=socket number=") != NULL;
        if (!survived(status) || !told || strstr(trial.text, "event=entered filter=logged") == NULL)
            fail_msg("%s: status %x: %s", role_names[role], (unsigned)status, trial.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(where_the_operator_chose_the_code_a_refused_call_fails),
        cmocka_unit_test(a_call_that_is_no_part_of_the_role_ends_it_and_is_named),
        cmocka_unit_test(nothing_is_refused_when_it_is_only_logged),
    };
    if (secret_init() != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
