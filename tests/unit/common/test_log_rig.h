/* A process whose standard error is a pipe, for the tests of the writer: what a thread does at the end of a
 * process, in a fork and in a crash is part of what is tested. Not a test program by itself. */
#ifndef TESTS_UNIT_COMMON_TEST_LOG_RIG_H
#define TESTS_UNIT_COMMON_TEST_LOG_RIG_H

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
static inline struct logger begin(void (*body)(void))
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
static inline int wait_end(struct logger *logger)
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
static inline void read_log(struct logger *logger)
{
    size_t length = 0;
    ssize_t count;
    while ((count = read(logger->log, text + length, sizeof text - 1 - length)) > 0)
        length += (size_t)count;
    text[length] = 0;
    close(logger->log);
}

static inline void run(void (*body)(void), int expected)
{
    struct logger logger = begin(body);
    read_log(&logger);
    assert_int_equal(wait_end(&logger), expected);
}

static inline void assert_has(const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("no [%s] in [%.2000s]", part, text);
}

static inline size_t count_of(const char *part)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at++)
        count++;
    return count;
}

static inline void start(void)
{
    struct fault fault;
    if (log_start(&fault) != 0)
        _exit(70);
}

#define MANY 10000 /* much more than pipe and ring hold */

static int progress[2]; /* how the process says where it is */

static inline void log_too_much(void)
{
    start();
    for (int i = 0; i < MANY; i++)
        log_record("much", "number=%d filler=%0100d", i, i);
    (void)!write(progress[1], "1", 1);
}

#endif
