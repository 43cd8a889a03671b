#include "keyserver/rules/rate_limit.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"

const char rate_limit_rate_form[] =
    "not a rate; write how many a second, minute or hour, like 100/s, 5000/m or "
    "1000000/h (at most a billion), or off";
const char rate_limit_quota_form[] =
    "not a quota; write how many an hour or a day, like 1000/h or 100000/d (at most "
    "a thousand billions), or off";

static const struct unit {
    char letter;
    uint32_t seconds;
} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
#define UNITS (sizeof units / sizeof units[0])

static const struct unit *find_unit(char letter)
{
    for (size_t i = 0; i < UNITS; i++)
        if (units[i].letter == letter)
            return &units[i];
    return NULL;
}

/* COUNT/UNIT with one of the LETTERS. */
static int parse(struct rate_limit *out, const char *text, const char *letters, uint64_t most)
{
    uint64_t count = 0;
    *out = (struct rate_limit){.count = 0};
    if (strcmp(text, "off") == 0)
        return 0;
    for (; isdigit((unsigned char)*text) && count <= most; text++)
        count = count * 10 + (uint64_t)(*text - '0');
    if (count == 0 || count > most || text[0] != '/' || text[1] == 0 || strchr(letters, text[1]) == NULL ||
        text[2] != 0)
        return ERR_FORMAT;
    *out = (struct rate_limit){.count = count, .seconds = find_unit(text[1])->seconds};
    return 0;
}

int rate_limit_parse_rate(struct rate_limit *out, const char *text)
{
    return parse(out, text, "smh", RATE_LIMIT_RATE_MAX);
}

int rate_limit_parse_quota(struct rate_limit *out, const char *text)
{
    return parse(out, text, "hd", RATE_LIMIT_QUOTA_MAX);
}

char *rate_limit_text(char out[static RATE_LIMIT_TEXT_SIZE], const struct rate_limit *limit)
{
    char letter = '?';
    for (size_t i = 0; i < UNITS; i++)
        if (units[i].seconds == limit->seconds)
            letter = units[i].letter;
    if (limit->count == 0)
        snprintf(out, RATE_LIMIT_TEXT_SIZE, "off");
    else
        snprintf(out, RATE_LIMIT_TEXT_SIZE, "%" PRIu64 "/%c", limit->count, letter);
    return out;
}

/* ---- rates ----
 *
 * A token has `seconds` · 10^9 parts, and every nanosecond gives `count` of them. The largest debt is
 * max(count, seconds) · 10^9 ≤ 10^18: it fits, and so does one token more. */

static uint64_t token(const struct rate_limit *rate)
{
    return (uint64_t)rate->seconds * NS_PER_S;
}

static uint64_t bucket_size(const struct rate_limit *rate)
{
    uint64_t second = rate->count * NS_PER_S;
    return second > token(rate) ? second : token(rate);
}

static uint64_t debt_at(const struct rate_limit_bucket *bucket, const struct rate_limit *rate,
                        uint64_t now_ns)
{
    uint64_t passed = now_ns > bucket->at_ns ? now_ns - bucket->at_ns : 0;
    return passed > bucket->debt / rate->count ? 0 : bucket->debt - passed * rate->count;
}

bool rate_limit_bucket_check(const struct rate_limit_bucket *bucket, const struct rate_limit *rate,
                             uint64_t now_ns)
{
    return rate->count == 0 || debt_at(bucket, rate, now_ns) + token(rate) <= bucket_size(rate);
}

bool rate_limit_bucket_full(const struct rate_limit_bucket *bucket, const struct rate_limit *rate,
                            uint64_t now_ns)
{
    return rate->count == 0 || debt_at(bucket, rate, now_ns) == 0;
}

void rate_limit_bucket_take(struct rate_limit_bucket *bucket, const struct rate_limit *rate, uint64_t now_ns)
{
    if (rate->count == 0)
        return;
    bucket->debt = debt_at(bucket, rate, now_ns) + token(rate);
    if (now_ns > bucket->at_ns)
        bucket->at_ns = now_ns;
}

void rate_limit_bucket_restore(struct rate_limit_bucket *bucket, const struct rate_limit *rate,
                               uint64_t then_ns, uint64_t count)
{
    if (rate->count == 0)
        return;
    uint64_t debt = debt_at(bucket, rate, then_ns), left = bucket_size(rate) - debt;
    bucket->debt = count <= left / token(rate) ? debt + count * token(rate) : bucket_size(rate);
    if (then_ns > bucket->at_ns)
        bucket->at_ns = then_ns;
}

uint64_t rate_limit_bucket_missing(const struct rate_limit_bucket *bucket, const struct rate_limit *rate,
                                   uint64_t now_ns)
{
    if (rate->count == 0)
        return 0;
    uint64_t debt = debt_at(bucket, rate, now_ns);
    return debt / token(rate) + (debt % token(rate) != 0);
}

/* ---- quotas ---- */

int64_t rate_limit_window_start(const struct rate_limit *quota, int64_t unix_s)
{
    int64_t into = unix_s % quota->seconds;
    return unix_s - (into < 0 ? into + quota->seconds : into);
}

/* Whether what was counted still counts at UNIX_S. */
static bool goes_on(const struct rate_limit_window *window, const struct rate_limit *quota, int64_t unix_s)
{
    return rate_limit_window_start(quota, unix_s) <= window->start;
}

uint64_t rate_limit_window_used(const struct rate_limit_window *window, const struct rate_limit *quota,
                                int64_t unix_s)
{
    return quota->count != 0 && goes_on(window, quota, unix_s) ? window->used : 0;
}

bool rate_limit_window_check(const struct rate_limit_window *window, const struct rate_limit *quota,
                             int64_t unix_s)
{
    return quota->count == 0 || rate_limit_window_used(window, quota, unix_s) < quota->count;
}

void rate_limit_window_take(struct rate_limit_window *window, const struct rate_limit *quota, int64_t unix_s)
{
    rate_limit_window_restore(window, quota, unix_s, 1);
}

void rate_limit_window_restore(struct rate_limit_window *window, const struct rate_limit *quota,
                               int64_t unix_s, uint64_t count)
{
    if (quota->count == 0)
        return;
    if (!goes_on(window, quota, unix_s))
        *window = (struct rate_limit_window){.start = rate_limit_window_start(quota, unix_s)};
    window->used = count < UINT64_MAX - window->used ? window->used + count : UINT64_MAX;
}
