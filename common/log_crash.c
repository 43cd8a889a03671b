#include "common/log_crash.h"

#include <assert.h> /* declares what stands here */
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/date.h"
#include "common/log_line.h"
#include "common/log_writer.h"
#include "common/process.h"

#define WARN_MS 100 /* for somebody to read */

static const struct crash {
    int number;
    const char *name;
} crashes[] = {{SIGABRT, "ABRT"}, {SIGSEGV, "SEGV"}, {SIGBUS, "BUS"}, {SIGILL, "ILL"}, {SIGFPE, "FPE"}};

static struct {
    const char *program; /* borrowed */
    bool json, journal;
} form = {.program = "keyless"};

static const char *name_of(int number)
{
    for (size_t i = 0; i < sizeof crashes / sizeof crashes[0]; i++)
        if (crashes[i].number == number)
            return crashes[i].name;
    return "";
}

static void start_line(struct log_line *line, enum log_level level, const char *event)
{
    char now[DATE_TEXT_SIZE];

    log_line_start(line, form.json, !form.journal ? "" : level == LOG_ERROR ? "<2>" : "<4>");
    if (!form.journal)
        log_line_head(line, "time", date_text(now, clock_unix()));
    log_line_head(line, "level", level == LOG_ERROR ? "error" : "warn");
    log_line_head(line, "program", form.program);
    log_line_field(line, "event", event);
}

static size_t make_line(struct log_line *line, enum log_level level, const char *event,
                        const struct log_field *fields, size_t count)
{
    start_line(line, level, event);
    for (size_t i = 0; i < count; i++)
        log_line_field(line, fields[i].name, fields[i].value);
    return log_line_finish(line);
}

void log_crash_say(const char *event, const struct log_field *fields, size_t count)
{
    struct log_line line UNINITIALIZED;

    size_t length = make_line(&line, LOG_ERROR, event, fields, count);
    log_writer_rescue(line.text, length);
}

void log_crash_warn(const char *event, const struct log_field *fields, size_t count)
{
    struct log_line line UNINITIALIZED;
    struct pollfd standard_error = {.fd = STDERR_FILENO, .events = POLLOUT};

    size_t length = make_line(&line, LOG_WARN, event, fields, count);
    if (poll(&standard_error, 1, WARN_MS) == 1 && write(STDERR_FILENO, line.text, length) < 0)
        return; /* nobody is there to be told */
}

/* The handler is gone by now: who returns from it runs into the same again, and dies of it. */
static void on_crash(int number)
{
    const struct log_field name = {"signal", name_of(number)};

    log_crash_say("crashed", &name, 1);
}

/* What assert(3) calls, in place of the C library's, which waits for whoever reads standard error before it
 * raises SIGABRT. */
void __assert_fail(const char *assertion, const char *file, unsigned int number, const char *function)
{
    struct log_line line UNINITIALIZED;

    start_line(&line, LOG_ERROR, "crashed");
    log_line_field(&line, "signal", name_of(SIGABRT));
    log_line_field(&line, "error", assertion);
    log_line_field(&line, "file", file);
    log_line_count(&line, "line", number);
    log_line_field(&line, "function", function != NULL ? function : "");
    log_writer_rescue(line.text, log_line_finish(&line));
    (void)signal(SIGABRT, SIG_DFL); /* all is said */
    abort();
}

void log_crash_name(const char *program, bool json, bool journal)
{
    form.program = program;
    form.json = json;
    form.journal = journal;
}

void log_crash_catch(void)
{
    const struct sigaction action = {.sa_handler = on_crash, .sa_flags = (int)SA_RESETHAND};

    for (size_t i = 0; i < (PROCESS_SANITIZED ? 1 : sizeof crashes / sizeof crashes[0]); i++)
        sigaction(crashes[i].number, &action, NULL);
}
