/* What is written at the end of a process, in its forks, and when it crashes. */
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/seccomp.h>

#include "common/log.h"
#include "common/log_crash.h"
#include "tests/unit/common/log_rig.h"

static void log_and_exit(void)
{
    start();
    for (int i = 0; i < 500; i++)
        log_record("last", "number=%d", i);
}

static void everything_is_written_at_the_end(void **state)
{
    (void)state;
    run(log_and_exit, 0);
    assert_int_equal(count_of("event=last"), 500);
}

static void log_and_leave(void)
{
    log_and_exit();
    log_leave(0);
}

static void a_fork_that_leaves_has_written_everything(void **state)
{
    (void)state;
    run(log_and_leave, 0);
    assert_int_equal(count_of("event=last"), 500);
}

static void log_and_fork(void)
{
    int status = -1;
    start();
    for (int i = 0; i < 500; i++)
        log_record("parent", "number=%d", i);
    pid_t pid = fork();
    if (pid == 0) {
        log_init("child", LOG_INFO, LOG_LOGFMT);
        log_event(LOG_INFO, "child_direct", "x=1");
        if (!PROCESS_SANITIZED) /* TSan allows no thread there */
            start();
        log_event(LOG_INFO, "child_thread", "x=1");
        log_finish();
        _exit(0);
    }
    waitpid(pid, &status, 0);
    exit(WEXITSTATUS(status));
}

static void a_fork_writes_its_own_lines_only(void **state)
{
    (void)state;
    run(log_and_fork, 0);
    assert_int_equal(count_of("event=parent"), 500);
    assert_int_equal(count_of("event=child_direct"), 1);
    assert_int_equal(count_of("event=child_thread"), 1);
}

static void log_and_abort(void)
{
    start();
    for (int i = 0; i < 100; i++)
        log_record("before", "number=%d", i);
    abort();
}

static void a_crash_says_its_last_lines(void **state)
{
    (void)state;
    struct logger logger = begin(log_and_abort);
    read_log(&logger);
    int status = wait_end(&logger);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_int_equal(count_of("event=before"), 100);
    assert_has(" error p event=crashed signal=ABRT\n");
}

static void log_too_much_and_abort(void)
{
    start();
    for (int i = 0; i < MANY; i++)
        log_record("much", "number=%d filler=%0100d", i, i);
    abort();
}

static void log_and_assert(void)
{
    start();
    log_event(LOG_INFO, "before", "a=1");
    assert(getpid() == 0);
}

static void a_failed_assertion_says_which_and_where(void **state)
{
    (void)state;
    struct logger logger = begin(log_and_assert);
    read_log(&logger);
    int status = wait_end(&logger);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_has("event=before a=1\n");
    assert_has(
        "event=crashed signal=ABRT error=\"getpid() == 0\" file=tests/unit/common/test_log_end.c line=");
    assert_has(" function=");
    assert_has("log_and_assert"); /* clang's macro gives its return type and arguments as well */
    assert_null(strstr(strstr(text, "event=crashed") + 1, "event=crashed"));
}

static void log_too_much_and_assert(void)
{
    log_too_much();
    assert(getpid() == 0);
}

static void a_failed_assertion_does_not_wait_for_who_reads(void **state)
{
    (void)state;
    struct logger logger = begin(log_too_much_and_assert);
    int status = wait_end(&logger);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    read_log(&logger);
}

static void a_crash_does_not_wait_for_who_reads(void **state)
{
    (void)state;
    struct logger logger = begin(log_too_much_and_abort);
    int status = wait_end(&logger);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    close(logger.log);
}

/* ---- signals from outside ---- */

static const struct {
    int number;
    const char *line;
} outside[] = {
    {SIGABRT, "event=crashed signal=ABRT\n"}, {SIGSEGV, "event=crashed signal=SEGV\n"},
    {SIGBUS, "event=crashed signal=BUS\n"},   {SIGFPE, "event=crashed signal=FPE\n"},
    {SIGILL, "event=crashed signal=ILL\n"},
};
#define OUTSIDE                                                                                              \
    (PROCESS_SANITIZED ? 1 : sizeof outside / sizeof outside[0]) /* a sanitizer takes the others */

static void *log_for_ever(void *argument)
{
    for (uint64_t i = 0;; i++)
        log_event(LOG_INFO, "busy", "number=%d", (int)(i % 1000));
    return argument;
}

static void log_from_two_threads(void)
{
    pthread_t thread;
    start();
    log_event(LOG_INFO, "before", "a=1");
    if (pthread_create(&thread, NULL, log_for_ever, NULL) != 0)
        _exit(71);
    (void)!write(progress[1], "1", 1);
    log_for_ever(NULL);
}

static void wait_for_progress(void)
{
    char byte;
    assert_int_equal(read(progress[0], &byte, 1), 1);
}

static void a_signal_of_another_process_ends_this_one(void **state)
{
    (void)state;
    assert_int_equal(pipe2(progress, O_CLOEXEC), 0);
    for (size_t i = 0; i < OUTSIDE; i++) {
        struct logger logger = begin(log_from_two_threads);
        wait_for_progress();
        assert_int_equal(kill(logger.pid, outside[i].number), 0);
        read_log(&logger);
        int status = wait_end(&logger);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == outside[i].number);
        assert_has("event=before a=1\n");
        assert_has(outside[i].line);
        assert_int_equal(count_of("event=crashed"), 1);
    }
    close(progress[0]);
    close(progress[1]);
}

static pthread_barrier_t both;

static void *abort_with_another(void *argument)
{
    pthread_barrier_wait(&both);
    abort();
    return argument;
}

static void abort_twice(void)
{
    pthread_t thread;
    start();
    if (pthread_barrier_init(&both, NULL, 2) != 0 ||
        pthread_create(&thread, NULL, abort_with_another, NULL) != 0)
        _exit(71);
    (void)abort_with_another(NULL);
}

static void two_threads_that_crash_say_so_once(void **state)
{
    (void)state;
    struct logger logger = begin(abort_twice);
    read_log(&logger);
    int status = wait_end(&logger);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_int_equal(count_of("event=crashed"), 1);
}

static void assert_beside_an_abort(void)
{
    pthread_t thread;
    start();
    if (pthread_barrier_init(&both, NULL, 2) != 0 ||
        pthread_create(&thread, NULL, abort_with_another, NULL) != 0)
        _exit(71);
    pthread_barrier_wait(&both);
    assert(getpid() == 0);
}

static void an_assertion_beside_another_crash_is_one_crash(void **state)
{
    (void)state;
    struct logger logger = begin(assert_beside_an_abort);
    read_log(&logger);
    int status = wait_end(&logger);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_int_equal(count_of("event=crashed"), 1);
}

static void crash_in_the_handler(void)
{
    start();
    log_crash_name((const char *)8, false, false);
    abort();
}

static void a_fault_in_the_handler_ends_the_process(void **state)
{
    (void)state;
    if (PROCESS_SANITIZED)
        skip();
    struct logger logger = begin(crash_in_the_handler);
    read_log(&logger);
    int status = wait_end(&logger);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

/* No thread may send a signal, not even to itself. */
static int forbid_sending(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_tgkill, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {.len = sizeof filter / sizeof filter[0], .filter = filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
                   prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0
               ? 0
               : -1;
}

static void wait_for_a_signal_that_it_cannot_send(void)
{
    start();
    if (forbid_sending() != 0)
        _exit(71);
    (void)!write(progress[1], "1", 1);
    for (;;)
        pause();
}

static void a_process_that_may_send_no_signal_ends_too(void **state)
{
    (void)state;
    if (PROCESS_SANITIZED)
        skip();
    assert_int_equal(pipe2(progress, O_CLOEXEC), 0);
    struct logger logger = begin(wait_for_a_signal_that_it_cannot_send);
    wait_for_progress();
    assert_int_equal(kill(logger.pid, SIGABRT), 0);
    read_log(&logger);
    int status = wait_end(&logger);
    assert_true(WIFSIGNALED(status));
    assert_has("event=crashed signal=ABRT\n");
    close(progress[0]);
    close(progress[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_written_at_the_end),
        cmocka_unit_test(a_fork_that_leaves_has_written_everything),
        cmocka_unit_test(a_fork_writes_its_own_lines_only),
        cmocka_unit_test(a_failed_assertion_says_which_and_where),
        cmocka_unit_test(a_failed_assertion_does_not_wait_for_who_reads),
        cmocka_unit_test(a_crash_says_its_last_lines),
        cmocka_unit_test(a_crash_does_not_wait_for_who_reads),
        cmocka_unit_test(a_signal_of_another_process_ends_this_one),
        cmocka_unit_test(two_threads_that_crash_say_so_once),
        cmocka_unit_test(an_assertion_beside_another_crash_is_one_crash),
        cmocka_unit_test(a_fault_in_the_handler_ends_the_process),
        cmocka_unit_test(a_process_that_may_send_no_signal_ends_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
