#include "common/clock.h"

#include <string.h>
#include <time.h>

uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t clock_ms(void)
{
    return clock_ns() / NS_PER_MS;
}

int64_t clock_unix(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec;
}

uint64_t clock_unix_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec < 0 ? 0 : (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / NS_PER_MS;
}

#define FIRST_SECOND INT64_C(-62135596800) /* of the year 1 */
#define LAST_SECOND  INT64_C(253402300799) /* of the year 9999: RFC 3339 has four digits for it */

/* A time before or after all that the form can say is its first or last second. */
static char *text_of(char out[static CLOCK_RFC3339_SIZE], int64_t second, unsigned ms)
{
    /* Made once a second: it is most of the work of an access log's line. */
    static _Thread_local struct {
        int64_t second;
        size_t length;
        char text[CLOCK_RFC3339_SIZE];
    } last;
    second = second < FIRST_SECOND ? FIRST_SECOND : second > LAST_SECOND ? LAST_SECOND : second;
    if (second != last.second || last.length == 0) {
        const time_t at = (time_t)second;
        struct tm parts;
        gmtime_r(&at, &parts);
        last.length = strftime(last.text, sizeof last.text, "%Y-%m-%dT%H:%M:%S", &parts);
        last.second = second;
    }
    const char fraction[] = {
        '.', (char)('0' + ms / 100 % 10), (char)('0' + ms / 10 % 10), (char)('0' + ms % 10), 'Z', 0};
    memcpy(out, last.text, last.length);
    memcpy(out + last.length, fraction, sizeof fraction);
    return out;
}

char *clock_rfc3339(char out[static CLOCK_RFC3339_SIZE])
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return text_of(out, now.tv_sec, (unsigned)(now.tv_nsec / (long)NS_PER_MS));
}
