/* What a role, and the C library by itself, does in a sandbox. */
#include "tests/unit/common/sandbox_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <malloc.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/process.h"
#include "common/sandbox.h"
#include "common/secret.h"
#include "tests/unit/skip.h"

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

/* As libuv and the daemons do on their loops. */
static void do_what_a_loop_does(void)
{
    struct epoll_event event = {.events = EPOLLIN};
    struct rlimit limit;
    int fds[2], loop = epoll_create1(EPOLL_CLOEXEC), wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    char byte = 0;
    do_what_all_do();
    must(loop >= 0 && wake >= 0 && pipe2(fds, O_CLOEXEC | O_NONBLOCK) == 0);
    must(epoll_ctl(loop, EPOLL_CTL_ADD, fds[0], &event) == 0 && write(fds[1], "x", 1) == 1);
    must(epoll_wait(loop, &event, 1, -1) == 1 && read(fds[0], &byte, 1) == 1);
    must(fcntl(fds[0], F_SETFL, O_NONBLOCK) == 0 && getrlimit(RLIMIT_NOFILE, &limit) == 0);
    must(signal(SIGTERM, SIG_IGN) != SIG_ERR && getppid() > 0);
}

static void do_what_a_net_process_does(void)
{
    do_what_a_loop_does();
    const int on = 1;
    must(setsockopt(STDERR_FILENO, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0 && errno == ENOTSOCK);
    must(setsockopt(STDERR_FILENO, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) < 0 && errno == ENOTSOCK);
    must(fcntl(STDERR_FILENO, F_GET_SEALS) < 0 && errno == EINVAL);
    must(fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0) >= 0);
    must(open("/dev/null", O_RDONLY) < 0 && errno == EACCES);
    must(access("/etc/passwd", R_OK) < 0 && errno == EACCES);
}

static void do_what_an_edge_does(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
    pthread_t thread;
    do_what_a_loop_does();
    must(pthread_create(&thread, NULL, nothing, NULL) == 0 && pthread_join(thread, NULL) == 0);
    malloc_trim(0);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_that_were_there_before_are_inside_too),
        cmocka_unit_test(what_a_role_does_is_allowed),
        cmocka_unit_test(what_the_c_library_does_by_itself_ends_nobody),
        cmocka_unit_test(a_process_that_aborts_dies_of_that),
    };
    if (secret_init() != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
