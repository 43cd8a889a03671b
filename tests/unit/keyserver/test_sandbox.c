/* What a taken-over vault would try, each in a process of its own behind the sandbox. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "common/process.h"
#include "common/secret.h"
#include "keyserver/vault/sandbox.h"
#include "tests/unit/skip.h"

#define SURVIVED 77

static void try_open(void)
{
    (void)!open("/etc/passwd", O_RDONLY);
}

static void try_create(void)
{
    (void)!open("/tmp/sandbox-was-here", O_WRONLY | O_CREAT, 0600);
}

static void try_socket(void)
{
    (void)!socket(AF_INET, SOCK_STREAM, 0);
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

static void try_fork(void)
{
    if (fork() == 0)
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
    (void)!ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
}

static void try_read_another_process(void)
{
    char byte;
    struct iovec here = {&byte, 1}, there = {&byte, 1};
    (void)!process_vm_readv(getppid(), &here, 1, &there, 1, 0);
}

static void try_kill(void)
{
    (void)!kill(getppid(), 0);
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

static void try_unlink(void)
{
    unlink("/tmp/no-such-file-here");
}

static const struct {
    const char *name;
    void (*act)(void);
} forbidden[] = {
    {"open", try_open},
    {"create", try_create},
    {"socket", try_socket},
    {"connect", try_connect},
    {"exec", try_exec},
    {"fork", try_fork},
    {"thread", try_thread},
    {"ptrace", try_ptrace},
    {"process_vm_readv", try_read_another_process},
    {"kill", try_kill},
    {"executable memory", try_executable_memory},
    {"mprotect exec", try_to_make_memory_executable},
    {"dumpable", try_to_be_dumpable},
    {"unlink", try_unlink},
};

/* Runs ACT behind the sandbox; the wait status of its process. */
static int run_inside(void (*act)(void))
{
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct fault fault = {0};
        log_init("test", LOG_ERROR, LOG_LOGFMT);
        if (process_harden("test", &fault) != 0 || sandbox_enter(process_deny_files(), -1, true, &fault) != 0)
            _exit(1);
        act();
        _exit(SURVIVED);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void whatever_a_vault_never_does_kills_it(void **state)
{
    (void)state;
    if (PROCESS_SANITIZED)
        SKIP_FOR("no sandbox under a sanitizer");
    for (size_t i = 0; i < sizeof forbidden / sizeof forbidden[0]; i++) {
        int status = run_inside(forbidden[i].act);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
            fail_msg("%s: status %x", forbidden[i].name, status);
    }
    assert_int_not_equal(access("/tmp/sandbox-was-here", F_OK), 0);
}

/* Another thread, started before the sandbox was entered, is inside it too. */
static int pipe_to_thread[2];

static void *open_when_told(void *argument)
{
    char byte;
    if (read(pipe_to_thread[0], &byte, 1) == 1)
        try_open();
    return argument;
}

static void threads_that_were_there_before_are_inside_too(void **state)
{
    int status = 0;
    (void)state;
    if (PROCESS_SANITIZED)
        SKIP_FOR("no sandbox under a sanitizer");
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct fault fault = {0};
        pthread_t thread;
        log_init("test", LOG_ERROR, LOG_LOGFMT);
        if (pipe(pipe_to_thread) != 0 || pthread_create(&thread, NULL, open_when_told, NULL) != 0 ||
            process_harden("test", &fault) != 0 || sandbox_enter(false, -1, true, &fault) != 0 ||
            write(pipe_to_thread[1], "1", 1) != 1)
            _exit(1);
        pthread_join(thread, NULL);
        _exit(SURVIVED);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSYS);
}

static void do_what_a_vault_does(void)
{
    uint8_t bytes[64], hash[32];
    void *secret = secret_new(32), *large = malloc(8 << 20);
    if (secret == NULL || large == NULL)
        _exit(1);
    memset(large, 1, 8 << 20);
    random_bytes(bytes, sizeof bytes);
    sha256(hash, bytes, sizeof bytes);
    log_event(LOG_ERROR, "inside", "event_number=%d", 1);
    free(large);
    secret_free(secret);
}

static void what_a_vault_does_is_allowed(void **state)
{
    (void)state;
    int status = run_inside(do_what_a_vault_does);
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
        cmocka_unit_test(whatever_a_vault_never_does_kills_it),
        cmocka_unit_test(threads_that_were_there_before_are_inside_too),
        cmocka_unit_test(what_a_vault_does_is_allowed),
        cmocka_unit_test(files_are_denied_by_the_kernel_as_well),
    };
    if (secret_init() != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
