/* Waiting that fails: for want of memory, by a signal, for good. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <seccomp.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/waiting.h"
#include "tests/unit/common/in_child.h"
#include "tests/unit/skip.h"

#define CANNOT 77 /* the kernel has no filters */

/* From now on poll() of two descriptors fails with WHY; the log waits for one. */
static bool break_poll(int why)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    const int calls[] = {SCMP_SYS(poll), SCMP_SYS(ppoll)};
    bool good = filter != NULL;

    for (size_t i = 0; good && i < sizeof calls / sizeof calls[0]; i++) /* one of them is not everywhere */
        (void)seccomp_rule_add(filter, SCMP_ACT_ERRNO((unsigned)why), calls[i], 1,
                               SCMP_A1(SCMP_CMP_EQ, 2, 0));
    good = good && seccomp_load(filter) == 0;
    seccomp_release(filter);
    return good;
}

/* Two waits with a stale `revents`, and what is written to standard error meanwhile into TEXT. */
static int wait_twice(char *text, size_t size)
{
    struct waiting waiting = {.failing = {.begun = false}};
    struct fault fault = {.text = ""};
    int log[2], result = 0;

    if (pipe2(log, O_NONBLOCK) != 0 || dup2(log[1], STDERR_FILENO) < 0)
        return 2;
    uint64_t begun_ms = clock_ms();
    for (int i = 0; i < 2 && result == 0; i++) {
        struct pollfd fds[2] = {{.fd = log[0], .events = POLLIN, .revents = POLLIN}, {.fd = -1}};
        if (waiting_poll(&waiting, fds, 2, 0, &fault) != 0 || fds[0].revents != 0)
            result = 3;
    }
    if (result == 0 && clock_ms() - begun_ms < 2 * WAITING_PAUSE_MS - 2)
        result = 4;
    ssize_t n = read(log[0], text, size - 1);
    text[n > 0 ? n : 0] = 0;
    return result;
}

static int lack_memory(void)
{
    char text[4096];

    if (!break_poll(ENOMEM))
        return CANNOT;
    int result = wait_twice(text, sizeof text);
    if (result != 0)
        return result;
    const char *line = strstr(text, "event=wait_failed error=\"cannot wait for events: ");
    return line != NULL && strstr(line + 1, "event=wait_failed") == NULL ? 0 : 5;
}

static int be_interrupted(void)
{
    struct waiting waiting = {.failing = {.begun = false}};
    struct pollfd fds[2] = {{.fd = 0, .events = POLLIN, .revents = POLLIN}, {.fd = -1}};
    struct fault fault = {.text = ""};

    if (!break_poll(EINTR))
        return CANNOT;
    return waiting_poll(&waiting, fds, 2, 0, &fault) == 0 && fds[0].revents == 0 ? 0 : 1;
}

static int poll_too_many(void)
{
    struct waiting waiting = {.failing = {.begun = false}};
    struct pollfd fds[2] = {{.fd = -1, .revents = POLLIN}, {.fd = -1, .revents = POLLIN}};
    struct rlimit one = {.rlim_cur = 1, .rlim_max = 1};
    struct fault fault = {.text = ""};

    if (setrlimit(RLIMIT_NOFILE, &one) != 0)
        return CANNOT;
    if (waiting_poll(&waiting, fds, 2, 0, &fault) != ERR_SYSTEM)
        return 1;
    return strstr(fault.text, strerror(EINVAL)) != NULL && fds[0].revents == 0 && fds[1].revents == 0 ? 0 : 2;
}

static void check(int (*in)(void))
{
    int result = in_child(in);
    if (result == CANNOT)
        SKIP_FOR("the kernel has no filter or no limit");
    assert_int_equal(result, 0);
}

static void a_lack_of_memory_is_waited_for(void **state)
{
    (void)state;
    check(lack_memory);
}

static void a_signal_is_no_failure(void **state)
{
    (void)state;
    check(be_interrupted);
}

static void what_does_not_pass_is_a_failure(void **state)
{
    (void)state;
    check(poll_too_many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lack_of_memory_is_waited_for),
        cmocka_unit_test(a_signal_is_no_failure),
        cmocka_unit_test(what_does_not_pass_is_a_failure),
    };
    return cmocka_run_group_tests_name("waiting", tests, NULL, NULL);
}
