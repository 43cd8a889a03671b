/* Limits: how often something may be done. A rate is a token bucket that holds one second's worth, at least
 * one; a quota is an exact count in fixed windows of UTC, an hour or a day.
 *
 * Times are arguments; nothing here knows what is limited. All arithmetic is in whole numbers: nothing
 * drifts, and within the bounds below nothing overflows. Pure; an object belongs to one thread at a time. */
#ifndef KEYSERVER_RULES_RATE_LIMIT_H
#define KEYSERVER_RULES_RATE_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

#define RATE_LIMIT_RATE_MAX  1000000000u
#define RATE_LIMIT_QUOTA_MAX 1000000000000u
#define RATE_LIMIT_TEXT_SIZE 24

/* Zero-initialised is no limit. */
struct rate_limit {
    uint64_t count;   /* so many; 0 = no limit */
    uint32_t seconds; /* in so much time */
};

/* "100/s", "5000/m", "1000000/h", at most RATE_LIMIT_RATE_MAX; "off" for no limit. ERR_FORMAT. */
int rate_limit_parse_rate(struct rate_limit *out, const char *text) MUST_USE;
/* "1000/h", "100000/d", at most RATE_LIMIT_QUOTA_MAX; "off" for no limit. ERR_FORMAT. */
int rate_limit_parse_quota(struct rate_limit *out, const char *text) MUST_USE;
/* What would be right where one of them failed: "not a rate; write …". */
extern const char rate_limit_rate_form[], rate_limit_quota_form[];
/* As it is parsed; returns OUT. */
char *rate_limit_text(char out[static RATE_LIMIT_TEXT_SIZE], const struct rate_limit *limit);

/* The bucket of a rate. Zero-initialised is full. */
struct rate_limit_bucket {
    uint64_t debt; /* what is missing, in parts of a token: a second's worth of parts are `count` · 10^9 */
    uint64_t at_ns;
};

/* True when one more may be done at NOW_NS, of a clock that is never set. */
bool rate_limit_bucket_check(const struct rate_limit_bucket *bucket, const struct rate_limit *rate,
                             uint64_t now_ns);
/* True when nothing is missing at NOW_NS: the bucket is as good as new. */
bool rate_limit_bucket_full(const struct rate_limit_bucket *bucket, const struct rate_limit *rate,
                            uint64_t now_ns);
/* Counts one that was checked. */
void rate_limit_bucket_take(struct rate_limit_bucket *bucket, const struct rate_limit *rate, uint64_t now_ns);
/* Counts COUNT that were done at THEN_NS, by an earlier process maybe, whether or not the rate lets them
 * pass: they take at most all that the bucket holds. */
void rate_limit_bucket_restore(struct rate_limit_bucket *bucket, const struct rate_limit *rate,
                               uint64_t then_ns, uint64_t count);
/* How many are missing at NOW_NS, the last one perhaps in part only. */
uint64_t rate_limit_bucket_missing(const struct rate_limit_bucket *bucket, const struct rate_limit *rate,
                                   uint64_t now_ns);

/* The newest window of a quota in which something was counted. Zero-initialised has counted nothing.
 *
 * No earlier window is ever opened: what is counted at a time before this one counts in this one, so a time
 * that goes back gives no use back. The window ends when its time is over; so the times should be of a clock
 * that goes on from the latest time it has shown (epoch.h), and not of the wall clock, which may show a wrong
 * year once. */
struct rate_limit_window {
    int64_t start; /* unix time, a multiple of `seconds` */
    uint64_t used;
};

/* When the window that UNIX_S lies in begins. */
int64_t rate_limit_window_start(const struct rate_limit *quota, int64_t unix_s);
/* How many are counted against one more at UNIX_S. */
uint64_t rate_limit_window_used(const struct rate_limit_window *window, const struct rate_limit *quota,
                                int64_t unix_s);
/* True when one more may be done at UNIX_S. */
bool rate_limit_window_check(const struct rate_limit_window *window, const struct rate_limit *quota,
                             int64_t unix_s);
/* Counts one that was checked. */
void rate_limit_window_take(struct rate_limit_window *window, const struct rate_limit *quota, int64_t unix_s);
/* Counts COUNT that were done at UNIX_S, by an earlier process maybe, however many the quota allows. */
void rate_limit_window_restore(struct rate_limit_window *window, const struct rate_limit *quota,
                               int64_t unix_s, uint64_t count);

#endif
