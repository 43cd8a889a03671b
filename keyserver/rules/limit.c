#include "keyserver/rules/limit.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NS_PER_S 1000000000u

const char limit_rate_form[] = "not a rate; write how many a second, minute or hour, like 100/s, 5000/m or "
                               "1000000/h (at most a billion), or off";
const char limit_quota_form[] =
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
static int parse(struct limit *out, const char *text, const char *letters, uint64_t most)
{
    uint64_t count = 0;
    *out = (struct limit){.count = 0};
    if (strcmp(text, "off") == 0)
        return 0;
    for (; isdigit((unsigned char)*text) && count <= most; text++)
        count = count * 10 + (uint64_t)(*text - '0');
    if (count == 0 || count > most || text[0] != '/' || text[1] == 0 || strchr(letters, text[1]) == NULL ||
        text[2] != 0)
        return ERR_FORMAT;
    *out = (struct limit){.count = count, .seconds = find_unit(text[1])->seconds};
    return 0;
}

int limit_parse_rate(struct limit *out, const char *text)
{
    return parse(out, text, "smh", LIMIT_RATE_MAX);
}

int limit_parse_quota(struct limit *out, const char *text)
{
    return parse(out, text, "hd", LIMIT_QUOTA_MAX);
}

char *limit_text(char out[static LIMIT_TEXT_SIZE], const struct limit *limit)
{
    char letter = '?';
    for (size_t i = 0; i < UNITS; i++)
        if (units[i].seconds == limit->seconds)
            letter = units[i].letter;
    if (limit->count == 0)
        snprintf(out, LIMIT_TEXT_SIZE, "off");
    else
        snprintf(out, LIMIT_TEXT_SIZE, "%" PRIu64 "/%c", limit->count, letter);
    return out;
}

/* ---- rates ----
 *
 * A token has `seconds` · 10^9 parts, and every nanosecond gives `count` of them. The largest debt is
 * max(count, seconds) · 10^9 ≤ 10^18: it fits, and so does one token more. */

static uint64_t token(const struct limit *rate)
{
    return (uint64_t)rate->seconds * NS_PER_S;
}

static uint64_t bucket_size(const struct limit *rate)
{
    uint64_t second = rate->count * NS_PER_S;
    return second > token(rate) ? second : token(rate);
}

static uint64_t debt_at(const struct limit_bucket *bucket, const struct limit *rate, uint64_t now_ns)
{
    uint64_t passed = now_ns > bucket->at_ns ? now_ns - bucket->at_ns : 0;
    return passed > bucket->debt / rate->count ? 0 : bucket->debt - passed * rate->count;
}

bool limit_bucket_check(const struct limit_bucket *bucket, const struct limit *rate, uint64_t now_ns)
{
    return rate->count == 0 || debt_at(bucket, rate, now_ns) + token(rate) <= bucket_size(rate);
}

bool limit_bucket_full(const struct limit_bucket *bucket, const struct limit *rate, uint64_t now_ns)
{
    return rate->count == 0 || debt_at(bucket, rate, now_ns) == 0;
}

void limit_bucket_take(struct limit_bucket *bucket, const struct limit *rate, uint64_t now_ns)
{
    if (rate->count == 0)
        return;
    bucket->debt = debt_at(bucket, rate, now_ns) + token(rate);
    if (now_ns > bucket->at_ns)
        bucket->at_ns = now_ns;
}

void limit_bucket_restore(struct limit_bucket *bucket, const struct limit *rate, uint64_t then_ns,
                          uint64_t count)
{
    if (rate->count == 0)
        return;
    uint64_t debt = debt_at(bucket, rate, then_ns), left = bucket_size(rate) - debt;
    bucket->debt = count <= left / token(rate) ? debt + count * token(rate) : bucket_size(rate);
    if (then_ns > bucket->at_ns)
        bucket->at_ns = then_ns;
}

uint64_t limit_bucket_missing(const struct limit_bucket *bucket, const struct limit *rate, uint64_t now_ns)
{
    if (rate->count == 0)
        return 0;
    uint64_t debt = debt_at(bucket, rate, now_ns);
    return debt / token(rate) + (debt % token(rate) != 0);
}

/* ---- quotas ---- */

int64_t limit_window_start(const struct limit *quota, int64_t unix_s)
{
    int64_t into = unix_s % quota->seconds;
    return unix_s - (into < 0 ? into + quota->seconds : into);
}

/* Whether what was counted still counts at UNIX_S. */
static bool goes_on(const struct limit_window *window, const struct limit *quota, int64_t unix_s)
{
    return limit_window_start(quota, unix_s) <= window->start;
}

uint64_t limit_window_used(const struct limit_window *window, const struct limit *quota, int64_t unix_s)
{
    return quota->count != 0 && goes_on(window, quota, unix_s) ? window->used : 0;
}

bool limit_window_check(const struct limit_window *window, const struct limit *quota, int64_t unix_s)
{
    return quota->count == 0 || limit_window_used(window, quota, unix_s) < quota->count;
}

void limit_window_take(struct limit_window *window, const struct limit *quota, int64_t unix_s)
{
    limit_window_restore(window, quota, unix_s, 1);
}

void limit_window_restore(struct limit_window *window, const struct limit *quota, int64_t unix_s,
                          uint64_t count)
{
    if (quota->count == 0)
        return;
    if (!goes_on(window, quota, unix_s))
        *window = (struct limit_window){.start = limit_window_start(quota, unix_s)};
    window->used = count < UINT64_MAX - window->used ? window->used + count : UINT64_MAX;
}
