#include "common/log_crash.h"

#include <assert.h> /* declares what stands here */
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/date.h"
#include "common/log_line.h"
#include "common/log_writer.h"
#include "common/process.h"

static const struct crash {
    int number;
    const char *name;
} crashes[] = {{SIGABRT, "ABRT"}, {SIGSEGV, "SEGV"}, {SIGBUS, "BUS"}, {SIGILL, "ILL"}, {SIGFPE, "FPE"}};

static struct {
    const char *program; /* borrowed */
    bool json, journal;
} last = {.program = "keyless"};

static const char *name_of(int number)
{
    for (size_t i = 0; i < sizeof crashes / sizeof crashes[0]; i++)
        if (crashes[i].number == number)
            return crashes[i].name;
    return "";
}

static void start_last_line(struct log_line *line, int number)
{
    char now[DATE_TEXT_SIZE];

    log_line_start(line, last.json, last.journal ? "<2>" : "");
    if (!last.journal)
        log_line_head(line, "time", date_text(now, clock_unix()));
    log_line_head(line, "level", "error");
    log_line_head(line, "program", last.program);
    log_line_field(line, "event", "crashed");
    log_line_field(line, "signal", name_of(number));
}

/* The handler is gone by now: who returns from it runs into the same again, and dies of it. */
static void on_crash(int number)
{
    struct log_line line UNINITIALIZED;

    start_last_line(&line, number);
    log_writer_rescue(line.text, log_line_finish(&line));
}

/* What assert(3) calls, in place of the C library's, which waits for whoever reads standard error before it
 * raises SIGABRT. */
void __assert_fail(const char *assertion, const char *file, unsigned int number, const char *function)
{
    struct log_line line UNINITIALIZED;

    start_last_line(&line, SIGABRT);
    log_line_field(&line, "error", assertion);
    log_line_field(&line, "file", file);
    log_line_count(&line, "line", number);
    log_line_field(&line, "function", function != NULL ? function : "");
    log_writer_rescue(line.text, log_line_finish(&line));
    (void)signal(SIGABRT, SIG_DFL); /* all is said */
    abort();
}

void log_crash_catch(const char *program, bool json, bool journal)
{
    const struct sigaction action = {.sa_handler = on_crash, .sa_flags = (int)SA_RESETHAND};

    last.program = program;
    last.json = json;
    last.journal = journal;
    for (size_t i = 0; i < (PROCESS_SANITIZED ? 1 : sizeof crashes / sizeof crashes[0]); i++)
        sigaction(crashes[i].number, &action, NULL);
}
