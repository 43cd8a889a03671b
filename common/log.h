/* Log lines: one event, one line, on stderr, with a stable event name.
 *
 *     log_event(LOG_WARN, "key_server_lost", "server=%s error=\"%s\"", name, why)
 *     2026-01-31T12:00:00.123Z warn keyless-edge event=key_server_lost server=main error="timed out"
 *
 * FIELDS is a printf format of logfmt `name=value` pairs (values with spaces quoted by the caller); in the
 * JSON format the same fields become members. Control characters are escaped whatever the input. Under
 * systemd (JOURNAL_STREAM set) lines begin with <priority> and carry no time. The same event repeated
 * more than a few times a second is counted and reported once ("repeated=312"). Lines that nobody reads in
 * time are dropped, and the next one says how many ("event=log_lines_dropped dropped=312"). Any thread. */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_LOGFMT, LOG_JSON };

/* As a configuration and a line say them, NULL-ended. */
extern const char *const log_level_names[];
extern const char *const log_format_names[];

/* PROGRAM is borrowed for the life of the process ("keyless-edge", "keyless-server[vault]"). */
void log_init(const char *program, enum log_level level, enum log_format format);
/* What FILE, a configuration that is not read yet, sets (config_peek.h), and else the defaults. */
enum log_level log_level_peek(const char *file);
enum log_format log_format_peek(const char *file);
void log_event(enum log_level level, const char *event, const char *fields, ...) PRINTF_LIKE(3, 4);
/* The same for what was found wrong with the operator's files (configuration, keys, certificates, lists):
 * each names another file, so none is held back. Never for what a peer can cause. */
void log_finding(enum log_level level, const char *event, const char *fields, ...) PRINTF_LIKE(3, 4);
/* The same at level info for records of which each one counts, such as an access log: never held back. */
void log_record(const char *event, const char *fields, ...) PRINTF_LIKE(2, 3);
/* The same for fields of text, with a fraction of the work: no format is read. */
struct log_field {
    const char *name, *value;
};
void log_record_fields(const char *event, const struct log_field *fields, size_t count);
/* The same, held back as log_event() is: for what a peer can cause at no cost. */
void log_info_fields(const char *event, const struct log_field *fields, size_t count);
/* For a thread whose loop calls log_flush() before it sleeps: from now on its records may wait until then, or
 * until there are as many as a pipe takes in one piece. An event of the thread makes them go first. */
void log_gather(void);
/* Writes the records of this thread that wait. */
void log_flush(void);

/* Says WHY the daemon does not start: to people in a line of their own, in the JSON format as an event. */
void log_start_failed(const char *why);

/* From now on a thread writes this process's lines, so that nobody who logs waits for standard error
 * (log_writer.h). A crash still writes the last lines. Once a process, also in a forked one. ERR_SYSTEM when
 * there can be no thread. */
int log_start(struct fault *fault) MUST_USE;
/* Writes what waits and what was held back, within half a second. At exit(3) it happens by itself; whoever
 * ends with _exit(2) calls it. */
void log_finish(void);
/* Lines of this process that were dropped, because nobody read them in time. */
uint64_t log_dropped(void);

/* Trace ids: 16 random bytes, written as 32 hex digits, the same in the edge's and the key server's log. */
#define TRACE_ID_SIZE 16
struct trace_id {
    uint8_t bytes[TRACE_ID_SIZE];
};
void trace_id_new(struct trace_id *id); /* a process that has forked may repeat its parent's */
/* The text of ID in OUT; returns OUT. */
char *trace_id_text(const struct trace_id *id, char out[static 2 * TRACE_ID_SIZE + 1]);
/* Ends a fork that is a program of its own: with all that it has logged written, and without exit handlers,
 * which are the parent's. */
_Noreturn void log_leave(int status);

#endif
