/* What a taken-over process would try, each in a process of its own behind the sandbox of its role. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/process.h"
#include "common/sandbox.h"
#include "common/sandbox_calls.h"
#include "common/secret.h"
#include "tests/unit/skip.h"

#define SURVIVED  77
#define TEXT_SIZE 8192

#define V         (1u << SANDBOX_VAULT)
#define N         (1u << SANDBOX_NET)
#define E         (1u << SANDBOX_EDGE)

#define S         (1u << SANDBOX_SUPERVISOR)
#define L         (1u << SANDBOX_LOADER)
#define R         (1u << SANDBOX_NAMES)
#define FORKS     (S | L | R)
#define ALL       (V | N | E | FORKS)

static const char *const role_names[SANDBOX_ROLES] = {"vault",      "net",    "edge",
                                                      "supervisor", "loader", "names"};

static pid_t parent; /* whose the processes here are */

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

static void try_exec(void)
{
    char *const arguments[] = {NULL};
    execve("/bin/true", arguments, arguments);
}

/* Not the C library's fork(), which blocks all signals from glibc 2.41 on. */
static void try_fork(void)
{
    if (syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL) == 0)
        _exit(0);
}

static void *nothing(void *argument)
{
    return argument;
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

/* In a process of its own, after it has entered what ENTER does: ACT. What it wrote to its log is in TEXT;
 * returns its wait status. */
struct trial {
    enum sandbox_role role;
    enum sandbox_mode mode;
    void (*before)(void);
    void (*act)(void);
    bool keep_files; /* as on a kernel without Landlock */
    char text[TEXT_SIZE];
};

static _Noreturn void run_child(const struct trial *trial, int log_fd)
{
    struct sandbox_state state;
    struct fault fault = {0};
    if (dup2(log_fd, STDERR_FILENO) < 0)
        _exit(1);
    log_init("test", LOG_WARN, LOG_LOGFMT);
    if (trial->before != NULL)
        trial->before();
    if (process_harden("test", &fault) != 0)
        _exit(1);
    state.files_denied = !trial->keep_files && process_deny_files();
    if (sandbox_enter(&state, trial->role, trial->mode, -1, &fault) != 0) {
        log_event(LOG_ERROR, "not_entered", "error=\"%s\"", fault.text);
        _exit(3);
    }
    log_event(LOG_WARN, "entered", "filter=%s", sandbox_filter_name(state.filter));
    trial->act();
    _exit(SURVIVED);
}

static int run(struct trial *trial)
{
    int status = 0, fds[2];
    size_t length = 0;
    ssize_t n;
    assert_int_equal(pipe(fds), 0);
    parent = getpid();
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        run_child(trial, fds[1]);
    close(fds[1]);
    while ((n = read(fds[0], trial->text + length, TEXT_SIZE - 1 - length)) > 0)
        length += (size_t)n;
    close(fds[0]);
    trial->text[length] = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static bool died_of_the_call(const struct trial *trial, int status, const char *call)
{
    char wanted[64];
    if (call == NULL)
        return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
    snprintf(wanted, sizeof wanted, "event=sandbox_refused call=%s number=", call);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS && strstr(trial->text, wanted) != NULL;
}

static bool survived(int status)
{
    return WIFEXITED(status) && WEXITSTATUS(status) == SURVIVED;
}

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

/* ---- threads ---- */

/* Another thread, started before the sandbox was entered, is inside it too. */
static int pipe_to_thread[2];

static void *exec_when_told(void *argument)
{
    char byte;
    if (read(pipe_to_thread[0], &byte, 1) == 1)
        try_exec();
    return argument;
}

static pthread_t thread_before;

static void start_thread(void)
{
    if (pipe(pipe_to_thread) != 0 || pthread_create(&thread_before, NULL, exec_when_told, NULL) != 0)
        _exit(1);
}

static void tell_thread(void)
{
    if (write(pipe_to_thread[1], "1", 1) != 1)
        _exit(1);
    pthread_join(thread_before, NULL);
}

static void threads_that_were_there_before_are_inside_too(void **state)
{
    (void)state;
    if (PROCESS_SANITIZED)
        SKIP_FOR("no sandbox under a sanitizer");
    for (unsigned role = 0; role < SANDBOX_ROLES; role++) {
        struct trial trial = {.role = (enum sandbox_role)role, .before = start_thread, .act = tell_thread};
        int status = run(&trial);
        if (!died_of_the_call(&trial, status, "execve"))
            fail_msg("%s: status %x: %s", role_names[role], (unsigned)status, trial.text);
    }
}

/* ---- what is allowed ---- */

static void must(bool good)
{
    if (!good)
        _exit(2);
}

static void do_what_all_do(void)
{
    uint8_t bytes[64], hash[32];
    void *secret = secret_new(32), *large = malloc(8 << 20), *larger;
    must(secret != NULL && large != NULL);
    memset(large, 1, 8 << 20);
    must((larger = realloc(large, 64 << 20)) != NULL);
    random_bytes(bytes, sizeof bytes);
    sha256(hash, bytes, sizeof bytes);
    log_event(LOG_ERROR, "inside", "event_number=%d", 1);
    free(larger);
    secret_free(secret);
}

/* As libuv and the daemons do on their loops. */
static void do_what_a_loop_does(void)
{
    struct epoll_event event = {.events = EPOLLIN};
    struct rlimit limit;
    int fds[2], loop = epoll_create1(EPOLL_CLOEXEC), wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    char byte = 0;
    pthread_t thread;
    do_what_all_do();
    must(loop >= 0 && wake >= 0 && pipe2(fds, O_CLOEXEC | O_NONBLOCK) == 0);
    must(epoll_ctl(loop, EPOLL_CTL_ADD, fds[0], &event) == 0 && write(fds[1], "x", 1) == 1);
    must(epoll_wait(loop, &event, 1, -1) == 1 && read(fds[0], &byte, 1) == 1);
    must(fcntl(fds[0], F_SETFL, O_NONBLOCK) == 0 && getrlimit(RLIMIT_NOFILE, &limit) == 0);
    must(pthread_create(&thread, NULL, nothing, NULL) == 0 && pthread_join(thread, NULL) == 0);
    must(signal(SIGTERM, SIG_IGN) != SIG_ERR && getppid() > 0);
}

static void do_what_a_net_process_does(void)
{
    do_what_a_loop_does();
    must(open("/dev/null", O_RDONLY) < 0 && errno == EACCES);
    must(access("/etc/passwd", R_OK) < 0 && errno == EACCES);
}

static void do_what_an_edge_does(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
    do_what_a_loop_does();
    must(fd >= 0 && connect(fd, &nowhere, sizeof nowhere) == 0 && shutdown(fd, SHUT_WR) != 0);
    must(open("/dev/null", O_RDONLY) >= 0 || errno == EACCES); /* as Landlock has it */
    must(kill(parent, 0) < 0 && errno == EPERM);
}

/* In a child: enters the sandbox of ROLE below the one that came down, and does ACT there. */
static void fork_into(enum sandbox_role role, void (*act)(void))
{
    struct sandbox_state state;
    struct fault fault;
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        must(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0);
        (void)process_deny_files();
        must(sandbox_enter(&state, role, SANDBOX_ON, -1, &fault) == 0);
        act();
        _exit(0);
    }
    must(pid > 0 && waitpid(pid, &status, 0) == pid);
    must(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void do_what_a_loader_does(void)
{
    do_what_a_loop_does();
    fork_into(SANDBOX_VAULT, do_what_all_do);
}

static void do_what_a_supervisor_does(void)
{
    do_what_a_loader_does();
    fork_into(SANDBOX_LOADER, do_what_a_loader_does);
    fork_into(SANDBOX_NET, do_what_a_net_process_does);
}

/* As nss-mymachines and nss-systemd do, when they are loaded. */
static void do_what_a_name_service_module_does(void)
{
    char name[16] = "";
    must(prctl(PR_CAPBSET_READ, 0, 0, 0, 0) >= 0);
    must(prctl(PR_GET_NAME, name, 0, 0, 0) == 0);
    must(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) >= 0);
    must(getpgrp() >= 0 && getsid(0) >= 0); /* 0: led by a process outside of the namespace */
}

static void do_what_a_look_up_does(void)
{
    struct addrinfo *list = NULL;
    do_what_a_loop_does();
    do_what_a_name_service_module_does();
    (void)getaddrinfo("localhost", NULL, NULL, &list);
    if (list != NULL)
        freeaddrinfo(list);
}

static void do_what_looks_names_up(void)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        do_what_a_look_up_does();
        _exit(0);
    }
    must(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
}

static void what_a_role_does_is_allowed(void **state)
{
    static void (*const acts[SANDBOX_ROLES])(void) = {do_what_all_do,        do_what_a_net_process_does,
                                                      do_what_an_edge_does,  do_what_a_supervisor_does,
                                                      do_what_a_loader_does, do_what_looks_names_up};
    (void)state;
    if (PROCESS_SANITIZED)
        SKIP_FOR("no sandbox under a sanitizer");
    for (unsigned role = 0; role < SANDBOX_ROLES; role++) {
        struct trial trial = {.role = (enum sandbox_role)role, .act = acts[role]};
        int status = run(&trial);
        if (!survived(status) || strstr(trial.text, "event=entered filter=filtered") == NULL)
            fail_msg("%s: status %x: %s", role_names[role], (unsigned)status, trial.text);
    }
}

/* ---- what the C library does by itself ---- */

#define CHUNK  ((size_t)64 << 10) /* small enough to come from the heap, not from mmap() */
#define CHUNKS 32                 /* 2 MB: a heap gives back what is free above 128 KB */

static int up_or_down(const void *a, const void *b)
{
    return (*(const uint64_t *)a > *(const uint64_t *)b) - (*(const uint64_t *)a < *(const uint64_t *)b);
}

/* In a thread that is not the first, so in a heap of its own. */
static void grow_and_shrink_the_heap(void)
{
    void *chunks[CHUNKS];
    for (size_t i = 0; i < CHUNKS; i++) {
        must((chunks[i] = malloc(CHUNK)) != NULL);
        memset(chunks[i], 1, CHUNK);
    }
    for (size_t i = CHUNKS; i > 0; i--)
        free(chunks[i - 1]);
}

static void *use_the_c_library_when_told(void *argument)
{
    static uint64_t numbers[4096];
    void *frames[8];
    struct tm tm;
    time_t now = 0;
    char byte;
    if (read(pipe_to_thread[0], &byte, 1) != 1)
        return argument;
    grow_and_shrink_the_heap();
    grow_and_shrink_the_heap();
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        numbers[i] = i * 2654435761u % 4093;
    qsort(numbers, sizeof numbers / sizeof numbers[0], sizeof numbers[0], up_or_down);
    must(sysconf(_SC_NPROCESSORS_ONLN) > 0 && sysconf(_SC_NPROCESSORS_CONF) > 0);
    must(sysconf(_SC_PHYS_PAGES) > 0 && localtime_r(&now, &tm) != NULL);
    must(strerror(EFBIG) != NULL);
    (void)!backtrace(frames, 8); /* loads a library, or does not */
    return argument;
}

static void start_user_of_the_c_library(void)
{
    must(pipe(pipe_to_thread) == 0);
    must(pthread_create(&thread_before, NULL, use_the_c_library_when_told, NULL) == 0);
}

static void what_the_c_library_does_by_itself_ends_nobody(void **state)
{
    (void)state;
    if (PROCESS_SANITIZED)
        SKIP_FOR("no sandbox under a sanitizer");
    for (unsigned role = 0; role < SANDBOX_ROLES; role++) {
        struct trial trial = {
            .role = (enum sandbox_role)role, .before = start_user_of_the_c_library, .act = tell_thread};
        for (int files = 0; files < 2; files++) {
            trial.keep_files = files == 1;
            int status = run(&trial);
            if (!survived(status) || strstr(trial.text, "event=entered filter=filtered") == NULL)
                fail_msg("%s: status %x: %s", role_names[role], (unsigned)status, trial.text);
        }
    }
}

static void do_abort(void)
{
    abort();
}

static void a_process_that_aborts_dies_of_that(void **state)
{
    (void)state;
    if (PROCESS_SANITIZED)
        SKIP_FOR("no sandbox under a sanitizer");
    for (unsigned role = 0; role < SANDBOX_ROLES; role++) {
        struct trial trial = {.role = (enum sandbox_role)role, .act = do_abort};
        int status = run(&trial);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
            fail_msg("%s: status %x: %s", role_names[role], (unsigned)status, trial.text);
    }
}

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
        cmocka_unit_test(where_the_operator_chose_the_code_a_refused_call_fails),
        cmocka_unit_test(a_call_that_is_no_part_of_the_role_ends_it_and_is_named),
        cmocka_unit_test(nothing_is_refused_when_it_is_only_logged),
        cmocka_unit_test(threads_that_were_there_before_are_inside_too),
        cmocka_unit_test(what_a_role_does_is_allowed),
        cmocka_unit_test(what_the_c_library_does_by_itself_ends_nobody),
        cmocka_unit_test(a_process_that_aborts_dies_of_that),
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
