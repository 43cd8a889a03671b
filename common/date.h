/* Dates as people write them into configurations: "2026-12-31", which is 00:00:00 UTC of that day, or a time
 * of RFC 3339 to the second, "2026-12-31T12:00:00Z" or "2026-12-31T12:00:00+02:00"; and stretches of time
 * between two of them. Knows no clock. Pure; any thread. */
#ifndef COMMON_DATE_H
#define COMMON_DATE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

#define DATE_TEXT_SIZE 21

/* Seconds since 1970 into UNIX_S; ERR_FORMAT for what is no date of the years 1970 to 9999. */
int date_parse(int64_t *unix_s, const char *text) MUST_USE;
/* "2026-12-31T12:00:00Z" of a time that date_parse() could have given, else ""; returns OUT. Signal-safe. */
char *date_text(char out[static DATE_TEXT_SIZE], int64_t unix_s);

/* From the second FIRST to the second LAST, both in it. */
struct date_span {
    int64_t first, last;
};

#define DATE_ALWAYS ((struct date_span){.first = INT64_MIN, .last = INT64_MAX})

bool date_span_has(const struct date_span *span, int64_t unix_s);

#endif
