/* Prometheus text exposition (format 0.0.4), written into a buffer. Counters live where they are counted, as
 * `_Atomic uint64_t`; this module only writes them out. Names must pass `promtool check metrics`. Pure. */
#ifndef COMMON_METRICS_H
#define COMMON_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

#include "common/bytes.h"

typedef _Atomic uint64_t counter;
static inline void counter_add(counter *c, uint64_t n)
{
    atomic_fetch_add_explicit(c, n, memory_order_relaxed);
}
static inline uint64_t counter_get(const counter *c)
{
    return atomic_load_explicit(c, memory_order_relaxed);
}

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/* HELP and TYPE lines; once per family, before its samples. */
void metrics_family(struct buffer *out, const char *name, enum metric_type type, const char *help);
/* One sample. LABELS is NULL or ready text such as `op="sign_tls13"`, from a fixed set, never from a client.
 */
void metrics_sample(struct buffer *out, const char *name, const char *labels, double value);

/* A latency histogram in seconds with fixed buckets from 50 µs to 10 s. Zero-initialised is empty. */
#define HISTOGRAM_BUCKETS 18
struct histogram {
    counter bucket[HISTOGRAM_BUCKETS]; /* not cumulative; the last one is +Inf */
    counter count;
    counter sum_ns;
};
void histogram_add(struct histogram *h, uint64_t ns);
/* All _bucket, _sum and _count samples of NAME. */
void metrics_histogram(struct buffer *out, const char *name, const char *labels, const struct histogram *h);

#endif
