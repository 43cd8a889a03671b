#include "tests/unit/common/sandbox_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "common/process.h"
#include "common/sandbox.h"
#include "common/secret.h"

const char *const role_names[SANDBOX_ROLES] = {"vault", "net", "edge", "supervisor", "loader", "names"};
pid_t parent;

void try_exec(void)
{
    char *const arguments[] = {NULL};
    execve("/bin/true", arguments, arguments);
}

void *nothing(void *argument)
{
    return argument;
}

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

int run(struct trial *trial)
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

bool died_of_the_call(const struct trial *trial, int status, const char *call)
{
    char wanted[64];
    if (call == NULL)
        return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
    snprintf(wanted, sizeof wanted, "event=sandbox_refused call=%s number=", call);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS && strstr(trial->text, wanted) != NULL;
}

bool survived(int status)
{
    return WIFEXITED(status) && WEXITSTATUS(status) == SURVIVED;
}

void must(bool good)
{
    if (!good)
        _exit(2);
}

void do_what_all_do(void)
{
    uint8_t bytes[64], hash[32];
    void *secret = secret_new(32), *large = malloc(8 << 20), *larger;
    must(secret != NULL && large != NULL);
    memset(large, 1, 8 << 20);
    must((larger = realloc(large, 64 << 20)) != NULL);
    must(process_limit_hint(ENOMEM) != NULL); /* asks for limits */
    random_bytes(bytes, sizeof bytes);
    sha256(hash, bytes, sizeof bytes);
    log_event(LOG_ERROR, "inside", "event_number=%d", 1);
    free(larger);
    secret_free(secret);
}
