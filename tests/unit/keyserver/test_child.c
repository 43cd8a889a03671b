/* Child processes: what they keep of their parent, and how long the next one waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "keyserver/supervisor/child.h"
#include "keyserver/supervisor/children.h"

static void the_wait_doubles_up_to_its_end_and_is_forgotten_after_a_long_life(void **state)
{
    struct child_backoff backoff = {0};
    const uint64_t delays[] = {100, 200, 400, 800, 1600, 3200, 5000, 5000};

    (void)state;
    assert_false(child_backoff_due(&backoff, 1000));
    for (size_t i = 0; i < sizeof delays / sizeof delays[0]; i++) {
        child_backoff_died(&backoff, 1000, CHILD_BACKOFF_FORGET_MS - 1);
        assert_false(child_backoff_due(&backoff, 1000 + delays[i] - 1));
        assert_true(child_backoff_due(&backoff, 1000 + delays[i]));
        assert_false(child_backoff_due(&backoff, 1000 + delays[i]));
    }
    child_backoff_died(&backoff, 1000, CHILD_BACKOFF_FORGET_MS);
    assert_true(child_backoff_due(&backoff, 1100));
}

/* Descriptors in use above standard error; the highest of them in *LAST. */
static int open_descriptors(int *last)
{
    int count = 0;

    for (int fd = STDERR_FILENO + 1; fd < 256; fd++) {
        if (fcntl(fd, F_GETFD) >= 0) {
            *last = fd;
            count++;
        }
    }
    return count;
}

static void a_child_keeps_its_descriptors_in_order_and_no_other(void **state)
{
    int out[2], in[2], other[2], last = -1, status;
    char text[8] = "";

    (void)state;
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(other, O_CLOEXEC), 0);
    assert_int_equal(write(in[1], "hello", 5), 5);
    int fds[] = {out[1], in[0]}; /* the order is not that of their numbers */
    pid_t pid = child_fork("net", fds, 2);
    if (pid == 0) {
        bool kept = open_descriptors(&last) == 2 && last == fds[1] && read(fds[1], text, 5) == 5 &&
                    write(fds[0], text, 5) == 5;
        _exit(kept ? 0 : 1);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(read(out[0], text, 5), 5);
    assert_string_equal(text, "hello");
    for (int i = 0; i < 2; i++) {
        close(out[i]);
        close(in[i]);
        close(other[i]);
    }
}

static void a_child_outlasts_the_signals_meant_for_its_parent(void **state)
{
    int go[2], status;
    sigset_t set, before;
    char byte;

    (void)state;
    sigemptyset(&set); /* as in the supervisor, which reads them from a descriptor */
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    assert_int_equal(sigprocmask(SIG_BLOCK, &set, &before), 0);
    assert_int_equal(pipe2(go, O_CLOEXEC), 0);
    int fds[] = {go[0]};
    pid_t pid = child_fork("net", fds, 1);
    if (pid == 0) {
        raise(SIGTERM);
        raise(SIGINT);
        raise(SIGHUP);
        _exit(read(fds[0], &byte, 1) == 1 ? 7 : 1);
    }
    assert_true(pid > 0);
    assert_int_equal(kill(pid, SIGTERM), 0);
    assert_int_equal(write(go[1], "x", 1), 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    assert_int_equal(sigprocmask(SIG_SETMASK, &before, NULL), 0);
    close(go[0]);
    close(go[1]);
}

/* Returns when the child has ended, and leaves it to be waited for. */
static pid_t ended_child(int status)
{
    siginfo_t info;
    pid_t pid = fork();

    if (pid == 0)
        _exit(status);
    assert_true(pid > 0);
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    return pid;
}

/* As a vault that is killed at its birth, while the loader's answer is on its way. */
static void the_end_of_a_vault_waits_until_it_is_known(void **state)
{
    struct children children = {0};
    struct child child;
    int status = 0;

    (void)state;
    log_init("test", LOG_ERROR, LOG_LOGFMT);
    pid_t vault = ended_child(7), loader = ended_child(3);
    children.item[2] = (struct child){.role = CHILD_LOADER, .pid = loader};
    assert_int_equal(children_wait(&children, false, &status), loader);
    assert_int_equal(WEXITSTATUS(status), 3);
    assert_int_equal(children_take(&children, loader, &child), 0);
    assert_int_equal(children_wait(&children, false, &status), 0);
    children_add_vault(&children, vault);
    assert_int_equal(children_wait(&children, false, &status), vault);
    assert_int_equal(WEXITSTATUS(status), 7);
    assert_int_equal(children_take(&children, vault, &child), 0);
    assert_int_equal(child.role, CHILD_VAULT_LOADING);
    assert_int_equal(children_wait(&children, true, &status), 0);
}

static void others_that_were_adopted_are_waited_for(void **state)
{
    struct children children = {0};
    int status = 0;

    (void)state;
    pid_t other = ended_child(0);
    assert_int_equal(children_wait(&children, false, &status), 0);
    assert_int_equal(children_wait(&children, true, &status), other);
    assert_int_equal(children_wait(&children, true, &status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_wait_doubles_up_to_its_end_and_is_forgotten_after_a_long_life),
        cmocka_unit_test(a_child_keeps_its_descriptors_in_order_and_no_other),
        cmocka_unit_test(a_child_outlasts_the_signals_meant_for_its_parent),
        cmocka_unit_test(the_end_of_a_vault_waits_until_it_is_known),
        cmocka_unit_test(others_that_were_adopted_are_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
