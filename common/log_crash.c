#include "common/log_crash.h"

#include <assert.h> /* declares __assert_fail(), which is defined below */
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/date.h"
#include "common/log_line.h"
#include "common/log_writer.h"
#include "common/process.h"

#define WARN_MS  100  /* waits so long for room in standard error */
#define OTHER_MS 3000 /* for another thread that crashed first: its lines end the process */

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
        return; /* standard error is closed: nobody can be told */
}

/* True when the caller is to report the crash: one thread does, once. A second thread that crashes waits for
 * the first and ends the process if that takes too long. A thread that crashes while it reports ends the
 * process at once. */
static bool is_first(void)
{
    static _Atomic pid_t first;
    pid_t none = 0, self = gettid();

    if (atomic_compare_exchange_strong(&first, &none, self))
        return true;
    if (none != self)
        (void)poll(NULL, 0, OTHER_MS);
    return false;
}

/* Ends the process by the signal, whoever sent it: the signal of a fault would come again, one of kill(2)
 * would not. The first process of a container does not get a signal that it sends to itself; a fault ends it
 * as well. */
static _Noreturn void die_of(int number)
{
    const struct sigaction its_own = {.sa_handler = SIG_DFL};
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, number);
    sigaction(number, &its_own, NULL);
    (void)raise(number);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    __builtin_trap();
}

static void on_crash(int number)
{
    const struct log_field name = {"signal", name_of(number)};

    if (is_first())
        log_crash_say("crashed", &name, 1);
    die_of(number);
}

/* What assert(3) calls, in place of the C library's, which waits for whoever reads standard error before it
 * raises SIGABRT. */
void __assert_fail(const char *assertion, const char *file, unsigned int number, const char *function)
{
    struct log_line line UNINITIALIZED;

    if (is_first()) {
        start_line(&line, LOG_ERROR, "crashed");
        log_line_field(&line, "signal", name_of(SIGABRT));
        log_line_field(&line, "error", assertion);
        log_line_field(&line, "file", file);
        log_line_count(&line, "line", number);
        log_line_field(&line, "function", function != NULL ? function : "");
        log_writer_rescue(line.text, log_line_finish(&line));
    }
    die_of(SIGABRT);
}

void log_crash_name(const char *program, bool json, bool journal)
{
    form.program = program;
    form.json = json;
    form.journal = journal;
}

void log_crash_catch(void)
{
    struct sigaction action = {.sa_handler = on_crash};

    sigfillset(&action.sa_mask); /* a fault in the handler ends the process, without it */
    for (size_t i = 0; i < (PROCESS_SANITIZED ? 1 : sizeof crashes / sizeof crashes[0]); i++)
        sigaction(crashes[i].number, &action, NULL);
}
