#include "tests/unit/common/log_capture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/clock.h"

static uint64_t fake_clock_ns(void)
{
    return fake_now;
}

/* The module itself, with a clock that the tests move. */
#define clock_ns fake_clock_ns
#include "common/log.c"

_Atomic uint64_t fake_now = 1000 * SECOND;
char logged[TEXT_MAX];
static int saved_stderr = -1;
int captured = -1;

void capture(void)
{
    captured = memfd_create("log", MFD_CLOEXEC);
    saved_stderr = dup(STDERR_FILENO);
    fcntl(captured, F_SETFL, O_APPEND); /* so that the test file itself mixes no writes */
    assert_true(captured >= 0 && saved_stderr >= 0);
    dup2(captured, STDERR_FILENO);
}

size_t release(void)
{
    size_t lines = 0;
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    ssize_t length = pread(captured, logged, sizeof logged - 1, 0);
    close(captured);
    logged[length > 0 ? length : 0] = 0;
    for (const char *at = logged; *at != 0; at++)
        lines += *at == '\n';
    return lines;
}

void assert_has(const char *part)
{
    if (strstr(logged, part) == NULL)
        fail_msg("no [%s] in [%.2000s]", part, logged);
}

int start(void **state)
{
    (void)state;
    unsetenv("JOURNAL_STREAM");
    return secret_init();
}
