/* What is written at the end of a process, in its forks, and when it crashes. */
#include "common/log.h"
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
