/* The writer with a pipe for standard error, in a process of its own for each test: what a thread does at the
 * end of a process, in a fork and in a crash is part of what is tested. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <assert.h>
#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/log_ring.h"
#include "common/process.h"

#define TEXT_MAX   (8 << 20)
#define PATIENT_MS 60000 /* for what comes for sure */

static char text[TEXT_MAX]; /* what the process has logged */

struct logger {
    pid_t pid;
    int log;  /* reads its standard error */
    int done; /* end of file once it has ended */
};

/* Runs BODY in a process whose standard error is a pipe. */
static struct logger begin(void (*body)(void))
{
    int log[2], done[2];
    assert_int_equal(pipe2(log, O_CLOEXEC), 0);
    assert_int_equal(pipe2(done, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(log[1], STDERR_FILENO);
        close(log[0]);
        close(log[1]);
        close(done[0]);
        log_init("p", LOG_INFO, LOG_LOGFMT);
        body();
        exit(0);
    }
    close(log[1]);
    close(done[1]);
    return (struct logger){.pid = pid, .log = log[0], .done = done[0]};
}

/* Waits for the end of the process; its status. */
static int wait_end(struct logger *logger)
{
    struct pollfd entry = {.fd = logger->done, .events = POLLIN};
    int status = -1;
    if (poll(&entry, 1, PATIENT_MS) <= 0)
        kill(logger->pid, SIGKILL);
    assert_int_equal(waitpid(logger->pid, &status, 0), logger->pid);
    close(logger->done);
    return status;
}

/* Everything to the end of file, into `text`. */
static void read_log(struct logger *logger)
{
    size_t length = 0;
    ssize_t count;
    while ((count = read(logger->log, text + length, sizeof text - 1 - length)) > 0)
        length += (size_t)count;
    text[length] = 0;
    close(logger->log);
}

static void run(void (*body)(void), int expected)
{
    struct logger logger = begin(body);
    read_log(&logger);
    assert_int_equal(wait_end(&logger), expected);
}

static void assert_has(const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("no [%s] in [%.2000s]", part, text);
}

static size_t count_of(const char *part)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at++)
        count++;
    return count;
}

static void start(void)
{
    if (log_start() != 0)
        _exit(70);
}

/* ---- order ---- */

#define THREADS 4
#define LINES   2000

static void *log_many(void *argument)
{
    int thread = *(const int *)argument;
    log_gather();
    for (int i = 0; i < LINES; i++) {
        log_record("many", "thread=%d number=%d end=1", thread, i);
        if (i % 50 == 0)
            log_flush();
    }
    log_flush();
    return NULL;
}

static void log_from_threads(void)
{
    pthread_t threads[THREADS];
    int numbers[THREADS];
    start();
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        pthread_create(&threads[i], NULL, log_many, &numbers[i]);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

/* The next numbers of all threads, or how many lines are told to be missing. */
static void lines_of_one_thread_keep_their_order_and_none_is_lost_untold(void **state)
{
    (void)state;
    int last[THREADS] = {-1, -1, -1, -1};
    unsigned long long seen = 0, dropped = 0;
    run(log_from_threads, 0);
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        int thread, number, end = 0;
        unsigned long long gap;
        const char *fields = strstr(line, "event=");
        assert_non_null(fields);
        if (sscanf(fields, "event=log_lines_dropped dropped=%llu", &gap) == 1) {
            dropped += gap;
            continue;
        }
        assert_int_equal(sscanf(fields, "event=many thread=%d number=%d end=%d", &thread, &number, &end), 3);
        assert_in_range(thread, 0, THREADS - 1);
        assert_int_equal(end, 1);
        assert_true(number > last[thread]);
        last[thread] = number;
        seen++;
    }
    assert_int_equal(seen + dropped, THREADS * LINES);
}

/* ---- a reader that does not read ---- */

#define MANY 10000 /* much more than pipe and ring hold */

static int progress[2]; /* how the process says where it is */

static void log_too_much(void)
{
    start();
    for (int i = 0; i < MANY; i++)
        log_record("much", "number=%d filler=%0100d", i, i);
    (void)!write(progress[1], "1", 1);
}

static void who_logs_does_not_wait_for_who_reads(void **state)
{
    (void)state;
    char byte;
    assert_int_equal(pipe2(progress, O_CLOEXEC), 0);
    struct logger logger = begin(log_too_much);
    assert_int_equal(read(progress[0], &byte, 1), 1); /* without one byte of the log read */
    assert_int_equal(wait_end(&logger), 0);           /* and it ends */
    read_log(&logger);
    assert_has("number=0 ");
    assert_int_equal(text[strlen(text) - 1], '\n');
    close(progress[0]);
    close(progress[1]);
}

static int resume[2]; /* how the process is told to go on */

static void log_too_much_and_then_more(void)
{
    char byte;
    log_too_much();
    (void)!read(resume[0], &byte, 1);
    uint64_t end = clock_ms() + PATIENT_MS;
    for (int before = 0; read(resume[0], &byte, 1) != 0 && clock_ms() < end; before++) {
        log_record("after", "before=%d", before);
        usleep(1000);
    }
}

/* Reads the process's log until PART is there. */
static size_t read_until(struct logger *logger, const char *part)
{
    size_t length = 0;
    while (strstr(text, part) == NULL) {
        ssize_t count = read(logger->log, text + length, sizeof text - 1 - length);
        assert_true(count > 0);
        length += (size_t)count;
        text[length] = 0;
    }
    return length;
}

static void the_next_line_says_how_many_are_missing(void **state)
{
    (void)state;
    char byte;
    unsigned long long dropped = 0, lost = 0;
    assert_int_equal(pipe2(progress, O_CLOEXEC), 0);
    assert_int_equal(pipe2(resume, O_CLOEXEC), 0);
    struct logger logger = begin(log_too_much_and_then_more);
    assert_int_equal(read(progress[0], &byte, 1), 1);
    text[0] = 0;
    fcntl(resume[0], F_SETFL, O_NONBLOCK);
    assert_int_equal(write(resume[1], "1", 1), 1);
    read_until(&logger, "event=after");
    close(resume[1]);
    const char *after = strstr(text, "event=after"), *gap = text;
    while ((gap = strstr(gap, "event=log_lines_dropped")) != NULL && gap < after) {
        unsigned long long lines;
        assert_int_equal(sscanf(gap++, "event=log_lines_dropped dropped=%llu", &lines), 1);
        dropped += lines;
    }
    assert_int_equal(sscanf(after, "event=after before=%llu", &lost), 1);
    assert_int_equal(count_of("event=much") + dropped, MANY + lost);
    kill(logger.pid, SIGKILL);
    wait_end(&logger);
    close(logger.log);
    close(resume[0]);
    close(progress[0]);
    close(progress[1]);
}

/* A page at a time and slowly: whenever the writer comes to the pipe, it is full. */
static void read_slowly(struct logger *logger)
{
    size_t length = 0;
    ssize_t count = 1;
    while (count > 0) {
        usleep(1000);
        count = read(logger->log, text + length, LOG_PIECE_SIZE);
        length += count > 0 ? (size_t)count : 0;
    }
    text[length] = 0;
    close(logger->log);
}

static void the_end_of_a_process_tells_what_is_missing_though_the_pipe_is_full(void **state)
{
    (void)state;
    char byte;
    unsigned long long dropped = 0;
    assert_int_equal(pipe2(progress, O_CLOEXEC), 0);
    struct logger logger = begin(log_too_much);
    assert_int_equal(read(progress[0], &byte, 1), 1);
    read_slowly(&logger);
    assert_int_equal(wait_end(&logger), 0);
    assert_has("event=log_lines_dropped");
    for (const char *gap = text; (gap = strstr(gap, "event=log_lines_dropped dropped=")) != NULL;) {
        unsigned long long lines;
        assert_int_equal(sscanf(gap++, "event=log_lines_dropped dropped=%llu", &lines), 1);
        dropped += lines;
    }
    assert_int_equal(count_of("event=much") + dropped, MANY);
    close(progress[0]);
    close(progress[1]);
}

static void log_much_at_once(void)
{
    for (int i = 0; i < MANY; i++)
        log_record("much", "number=%d filler=%0100d", i, i);
}

static void without_a_thread_it_waits_a_second_in_all(void **state)
{
    (void)state;
    struct logger logger = begin(log_much_at_once);
    assert_int_equal(wait_end(&logger), 0);
    read_log(&logger);
    assert_has("number=0 ");
}

static void log_into_nothing(void)
{
    close(STDERR_FILENO);
    start();
    for (int i = 0; i < 100; i++)
        log_record("gone", "number=%d", i);
    log_finish();
    /* before each there may be a line that tells of those before it, and is lost as well */
    _exit(log_dropped() >= 100 && log_dropped() <= 200 ? 0 : 71);
}

static void lines_that_cannot_be_written_are_counted(void **state)
{
    (void)state;
    run(log_into_nothing, 0);
}

/* ---- the end, fork, and crashes ---- */

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
        "event=crashed signal=ABRT error=\"getpid() == 0\" file=tests/unit/common/test_log_writer.c line=");
    assert_has(" function=log_and_assert\n");
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
        cmocka_unit_test(lines_of_one_thread_keep_their_order_and_none_is_lost_untold),
        cmocka_unit_test(who_logs_does_not_wait_for_who_reads),
        cmocka_unit_test(the_next_line_says_how_many_are_missing),
        cmocka_unit_test(the_end_of_a_process_tells_what_is_missing_though_the_pipe_is_full),
        cmocka_unit_test(without_a_thread_it_waits_a_second_in_all),
        cmocka_unit_test(lines_that_cannot_be_written_are_counted),
        cmocka_unit_test(everything_is_written_at_the_end),
        cmocka_unit_test(a_fork_writes_its_own_lines_only),
        cmocka_unit_test(a_failed_assertion_says_which_and_where),
        cmocka_unit_test(a_failed_assertion_does_not_wait_for_who_reads),
        cmocka_unit_test(a_crash_says_its_last_lines),
        cmocka_unit_test(a_crash_does_not_wait_for_who_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
