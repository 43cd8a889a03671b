/* One log line under construction: fields in, logfmt or JSON text out, cut at LOG_LINE_SIZE.
 *
 * Only the format decides where a field begins and ends: what an argument contains is escaped and never taken
 * for a field, a quote or a line end. Knows no clock and no descriptor. Pure; any thread. */
#ifndef COMMON_LOG_LINE_H
#define COMMON_LOG_LINE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define LOG_LINE_SIZE  4096 /* with the line end; PIPE_BUF, so that lines of several processes never mix */
#define LOG_VALUE_SIZE 2048 /* bytes of one value before escaping */
#define LOG_NAME_SIZE  64   /* bytes of one field's name */

struct log_line {
    char text[LOG_LINE_SIZE];
    size_t length;
    bool json;
    bool begun; /* something stands after the prefix */
    bool full;  /* nothing more fits */
    bool cut;   /* a value was longer than LOG_VALUE_SIZE */
};

/* PREFIX stands before everything else, also before the JSON object ("<4>" or ""). */
void log_line_start(struct log_line *line, bool json, const char *prefix);
/* Text without a name in logfmt, the member NAME in JSON. */
void log_line_head(struct log_line *line, const char *name, const char *value);
/* One field with a text value; NAME is of letters, digits, dots, underscores and hyphens. */
void log_line_field(struct log_line *line, const char *name, const char *value);
/* One field with a number. */
void log_line_count(struct log_line *line, const char *name, uint64_t value);
/* The fields of a printf FORMAT such as `server=%s error="%s"`. A "%s" where a name is expected stands for
 * whole fields, already in logfmt. Numbers become numbers in JSON. */
void log_line_fields(struct log_line *line, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));
/* Closes the line with its line end; returns the length in bytes. */
size_t log_line_finish(struct log_line *line);

#endif
