#include "common/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/config_peek.h"
#include "common/log_crash.h"
#include "common/log_line.h"
#include "common/log_ring.h"
#include "common/log_writer.h"
#include "common/process.h"
#include "common/secret.h"

#define EVENT_SLOTS   128 /* event names whose repetition is counted; a power of two */
#define EVENT_NAME    48
#define EVENT_LIMIT   10 /* lines of one event in one window */
#define EVENT_WINDOW  UINT64_C(1000000000)
#define LEVEL_DEFAULT LOG_INFO
#define FINISH_MS     500 /* without anybody reading */
#define TRACE_STORE   16  /* ids that a thread has in store */
#define GATHER_SIZE   LOG_PIECE_SIZE

struct event_slot {
    char name[EVENT_NAME]; /* empty: unused */
    enum log_level level;  /* of the last one held back */
    uint64_t window_start; /* clock_ns() */
    uint64_t written;      /* lines in this window */
    uint64_t held_back;    /* events counted but not written */
};

static struct {
    const char *program; /* borrowed */
    enum log_level level;
    enum log_format format;
    bool journal; /* stderr is the journal's socket */
    pthread_mutex_t lock;
    struct event_slot slots[EVENT_SLOTS]; /* under lock */
    uint64_t next_report;                 /* under lock; earliest end of a window with something held back */
} logger = {.program = "keyless", .level = LEVEL_DEFAULT, .lock = PTHREAD_MUTEX_INITIALIZER};

/* Records that wait to be written together. */
static _Thread_local struct {
    bool wanted;
    size_t length;
    char text[GATHER_SIZE];
} gathered;

const char *const log_level_names[] = {
    [LOG_ERROR] = "error", [LOG_WARN] = "warn", [LOG_INFO] = "info", [LOG_DEBUG] = "debug", NULL};
const char *const log_format_names[] = {[LOG_LOGFMT] = "logfmt", [LOG_JSON] = "json", NULL};
static const char *const journal_prefixes[] = {
    [LOG_ERROR] = "<3>", [LOG_WARN] = "<4>", [LOG_INFO] = "<6>", [LOG_DEBUG] = "<7>"};

/* True when JOURNAL_STREAM names the very file that stderr is (systemd.exec(5)); the variable alone is
 * inherited by children whose stderr went elsewhere. */
static bool stderr_is_journal(void)
{
    const char *text = getenv("JOURNAL_STREAM");
    struct stat info;
    char expected[64];
    if (text == NULL || fstat(STDERR_FILENO, &info) != 0)
        return false;
    snprintf(expected, sizeof expected, "%ju:%ju", (uintmax_t)info.st_dev, (uintmax_t)info.st_ino);
    return strcmp(text, expected) == 0;
}

void log_gather(void)
{
    gathered.wanted = true;
}

static void start_line(struct log_line *line, enum log_level level, const char *event)
{
    char now[CLOCK_RFC3339_SIZE];
    log_line_start(line, logger.format == LOG_JSON, logger.journal ? journal_prefixes[level] : "");
    if (!logger.journal)
        log_line_head(line, "time", clock_rfc3339(now));
    log_line_head(line, "level", log_level_names[level]);
    log_line_head(line, "program", logger.program);
    log_line_field(line, "event", event);
}

/* Reports, before the next line, how many lines were dropped. */
static void tell_gap(void)
{
    struct log_line line UNINITIALIZED;
    uint64_t lines = log_writer_take_gap();
    if (lines == 0)
        return;
    start_line(&line, LOG_WARN, "log_lines_dropped");
    log_line_count(&line, "dropped", lines);
    log_line_field(&line, "hint", "see to it that whatever reads this log keeps up");
    log_writer_put(line.text, log_line_finish(&line), LOG_AT_ONCE);
}

static void put_lines(const char *lines, size_t length, enum log_haste haste)
{
    tell_gap();
    log_writer_put(lines, length, haste);
}

void log_flush(void)
{
    if (gathered.length == 0)
        return;
    put_lines(gathered.text, gathered.length, LOG_SOON);
    gathered.length = 0;
}

static void finish_line(struct log_line *line)
{
    size_t length = log_line_finish(line);
    log_flush();
    put_lines(line->text, length, LOG_AT_ONCE);
}

/* The same for a line that may wait. */
static void finish_record(struct log_line *line)
{
    size_t length = log_line_finish(line);
    if (gathered.length + length > sizeof gathered.text)
        log_flush();
    if (!gathered.wanted || length > sizeof gathered.text) {
        put_lines(line->text, length, LOG_SOON);
        return;
    }
    memcpy(gathered.text + gathered.length, line->text, length);
    gathered.length += length;
}

static void write_repeated(enum log_level level, const char *event, uint64_t times)
{
    struct log_line line UNINITIALIZED;
    start_line(&line, level, event);
    log_line_count(&line, "repeated", times);
    finish_line(&line);
}

/* The slot of EVENT, a fresh one for a new name, or NULL when all are taken. FNV-1a: names are our own. */
static struct event_slot *find_slot(const char *event)
{
    uint32_t hash = 2166136261u;
    for (const char *at = event; *at != 0; at++)
        hash = (hash ^ (uint8_t)*at) * 16777619u;
    for (uint32_t i = 0; i < EVENT_SLOTS; i++) {
        struct event_slot *slot = &logger.slots[(hash + i) % EVENT_SLOTS];
        if (slot->name[0] == 0)
            snprintf(slot->name, sizeof slot->name, "%s", event);
        if (strncmp(slot->name, event, sizeof slot->name - 1) == 0)
            return slot;
    }
    return NULL;
}

/* Counts one EVENT; true when its line shall be written. */
static bool admit(enum log_level level, const char *event, uint64_t now)
{
    struct event_slot *slot = find_slot(event);
    if (slot == NULL)
        return true;
    if (now - slot->window_start >= EVENT_WINDOW && slot->held_back == 0) {
        slot->window_start = now;
        slot->written = 0;
    }
    if (slot->written < EVENT_LIMIT) {
        slot->written++;
        return true;
    }
    uint64_t end = slot->window_start + EVENT_WINDOW;
    slot->held_back++;
    slot->level = level;
    if (logger.next_report == 0 || end < logger.next_report)
        logger.next_report = end;
    return false;
}

/* Writes what was held back in windows that ended by NOW. */
static void report_held_back(uint64_t now)
{
    logger.next_report = 0;
    for (size_t i = 0; i < EVENT_SLOTS; i++) {
        struct event_slot *slot = &logger.slots[i];
        uint64_t end = slot->window_start + EVENT_WINDOW;
        if (slot->held_back == 0)
            continue;
        if (now >= end) {
            write_repeated(slot->level, slot->name, slot->held_back);
            slot->held_back = 0;
        } else if (logger.next_report == 0 || end < logger.next_report) {
            logger.next_report = end;
        }
    }
}

void log_finish(void)
{
    pthread_mutex_lock(&logger.lock);
    report_held_back(UINT64_MAX);
    pthread_mutex_unlock(&logger.lock);
    log_flush();
    log_writer_finish(FINISH_MS);
    tell_gap();
}

int log_start(struct fault *fault)
{
    log_crash_catch();
    return log_writer_start() == 0 ? 0 : process_fail(fault, "cannot start the thread that writes the log");
}

uint64_t log_dropped(void)
{
    return log_writer_dropped();
}

void log_init(const char *program, enum log_level level, enum log_format format)
{
    static bool registered;
    tzset(); /* glibc reads the time-zone file even for UTC: now, before a sandbox forbids it */
    pthread_mutex_lock(&logger.lock);
    logger.program = program;
    logger.level = level;
    logger.format = format;
    logger.journal = stderr_is_journal();
    log_crash_name(program, format == LOG_JSON, logger.journal);
    logger.next_report = 0;
    memset(logger.slots, 0, sizeof logger.slots);
    if (!registered)
        registered = atexit(log_finish) == 0;
    pthread_mutex_unlock(&logger.lock);
}

/* What FILE sets OPTION to, as a place in NAMES; FALLBACK where it says nothing, or nothing that is one. */
static int peek_name(const char *file, const char *option, const char *const *names, int fallback)
{
    char text[8];
    if (config_peek(file, option, text, sizeof text))
        for (int i = 0; names[i] != NULL; i++)
            if (strcmp(names[i], text) == 0)
                return i;
    return fallback;
}

enum log_level log_level_peek(const char *file)
{
    return (enum log_level)peek_name(file, "log_level", log_level_names, LEVEL_DEFAULT);
}

enum log_format log_format_peek(const char *file)
{
    return (enum log_format)peek_name(file, "log_format", log_format_names, LOG_LOGFMT);
}

void log_start_failed(const char *why)
{
    if (logger.format == LOG_JSON)
        log_event(LOG_ERROR, "start_failed", "error=\"%s\"", why);
    else
        fprintf(stderr, "%s: %s\n", logger.program, why);
}

/* Debug lines are never held back: only the other levels are limited. */
static bool shall_write(enum log_level level, const char *event)
{
    uint64_t now = clock_ns();
    pthread_mutex_lock(&logger.lock);
    if (logger.next_report != 0 && now >= logger.next_report)
        report_held_back(now);
    bool write_it = level == LOG_DEBUG || admit(level, event, now);
    pthread_mutex_unlock(&logger.lock);
    return write_it;
}

/* One line, which FINISH hands on. */
__attribute__((format(printf, 4, 0))) static void put_line(void (*finish)(struct log_line *line),
                                                           enum log_level level, const char *event,
                                                           const char *fields, va_list arguments)
{
    struct log_line line UNINITIALIZED;
    start_line(&line, level, event);
    log_line_fields(&line, fields, arguments);
    finish(&line);
}

void log_event(enum log_level level, const char *event, const char *fields, ...)
{
    va_list arguments;
    int saved = errno;
    if (level > logger.level || !shall_write(level, event))
        return;
    va_start(arguments, fields);
    put_line(finish_line, level, event, fields, arguments);
    va_end(arguments);
    errno = saved;
}

void log_finding(enum log_level level, const char *event, const char *fields, ...)
{
    va_list arguments;
    int saved = errno;
    if (level > logger.level)
        return;
    va_start(arguments, fields);
    put_line(finish_line, level, event, fields, arguments);
    va_end(arguments);
    errno = saved;
}

void log_record(const char *event, const char *fields, ...)
{
    va_list arguments;
    int saved = errno;
    if (LOG_INFO > logger.level)
        return;
    va_start(arguments, fields);
    put_line(finish_record, LOG_INFO, event, fields, arguments);
    va_end(arguments);
    errno = saved;
}

static void put_texts(void (*finish)(struct log_line *line), const char *event,
                      const struct log_field *fields, size_t count)
{
    struct log_line line UNINITIALIZED;
    int saved = errno;
    start_line(&line, LOG_INFO, event);
    for (size_t i = 0; i < count; i++)
        log_line_field(&line, fields[i].name, fields[i].value);
    finish(&line);
    errno = saved;
}

void log_record_fields(const char *event, const struct log_field *fields, size_t count)
{
    if (LOG_INFO <= logger.level)
        put_texts(finish_record, event, fields, count);
}

void log_info_fields(const char *event, const struct log_field *fields, size_t count)
{
    if (LOG_INFO <= logger.level && shall_write(LOG_INFO, event))
        put_texts(finish_line, event, fields, count);
}

/* Ids are no secrets, so a thread draws several at once. */
void trace_id_new(struct trace_id *id)
{
    static _Thread_local struct trace_id store[TRACE_STORE];
    static _Thread_local size_t left;
    if (left == 0) {
        random_bytes(store, sizeof store);
        left = TRACE_STORE;
    }
    *id = store[--left];
}

char *trace_id_text(const struct trace_id *id, char out[static 2 * TRACE_ID_SIZE + 1])
{
    return hex_encode(out, id->bytes, sizeof id->bytes);
}

/* Runs exit handlers only in a build with sanitizers: the leak sanitizer checks in one. */
void log_leave(int status)
{
    fflush(NULL);
    log_finish();
    if (PROCESS_SANITIZED)
        exit(status);
    _exit(status);
}
