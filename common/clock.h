/* Time: monotonic for deadlines, wall clock for log lines. Any thread. */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S  UINT64_C(1000000000)

/* Nanoseconds of CLOCK_MONOTONIC: the same clock in every process of one machine. */
uint64_t clock_ns(void);
uint64_t clock_ms(void);
/* Seconds since 1970 of the wall clock, which may be set. */
int64_t clock_unix(void);
/* The same in milliseconds; 0 for a time before 1970. */
uint64_t clock_unix_ms(void);

/* Of two times of one clock. */
static inline uint64_t clock_earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t clock_later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

#define CLOCK_RFC3339_SIZE 25
/* "2026-01-31T12:00:00.123Z" of now into OUT. */
char *clock_rfc3339(char out[static CLOCK_RFC3339_SIZE]);

#endif
