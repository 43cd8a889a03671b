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

char *clock_rfc3339(char out[static CLOCK_RFC3339_SIZE])
{
    /* Made once a second: it is most of the work of an access log's line. */
    static _Thread_local struct {
        time_t second;
        size_t length;
        char text[CLOCK_RFC3339_SIZE];
    } last;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (now.tv_sec != last.second || last.length == 0) {
        struct tm parts;
        gmtime_r(&now.tv_sec, &parts);
        last.length = strftime(last.text, sizeof last.text, "%Y-%m-%dT%H:%M:%S", &parts);
        last.second = now.tv_sec;
    }
    unsigned ms = (unsigned)(now.tv_nsec / 1000000) % 1000u;
    const char fraction[] = {
        '.', (char)('0' + ms / 100), (char)('0' + ms / 10 % 10), (char)('0' + ms % 10), 'Z', 0};
    memcpy(out, last.text, last.length);
    memcpy(out + last.length, fraction, sizeof fraction);
    return out;
}
