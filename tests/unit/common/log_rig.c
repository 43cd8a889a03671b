#include "tests/unit/common/log_rig.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

char text[TEXT_MAX];

struct logger begin(void (*body)(void))
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

int wait_end(struct logger *logger)
{
    struct pollfd entry = {.fd = logger->done, .events = POLLIN};
    int status = -1;
    if (poll(&entry, 1, PATIENT_MS) <= 0)
        kill(logger->pid, SIGKILL);
    assert_int_equal(waitpid(logger->pid, &status, 0), logger->pid);
    close(logger->done);
    return status;
}

void read_log(struct logger *logger)
{
    size_t length = 0;
    ssize_t count;
    while ((count = read(logger->log, text + length, sizeof text - 1 - length)) > 0)
        length += (size_t)count;
    text[length] = 0;
    close(logger->log);
}

void run(void (*body)(void), int expected)
{
    struct logger logger = begin(body);
    read_log(&logger);
    assert_int_equal(wait_end(&logger), expected);
}

void assert_has(const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("no [%s] in [%.2000s]", part, text);
}

size_t count_of(const char *part)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at++)
        count++;
    return count;
}

void start(void)
{
    struct fault fault;
    if (log_start(&fault) != 0)
        _exit(70);
}

int progress[2];

void log_too_much(void)
{
    start();
    for (int i = 0; i < MANY; i++)
        log_record("much", "number=%d filler=%0100d", i, i);
    (void)!write(progress[1], "1", 1);
}
