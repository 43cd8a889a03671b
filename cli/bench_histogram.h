/* Latencies counted in slots that grow with them: every value is known to better than one part in 256,
 * however many there are, and memory is fixed.
 *
 * Not common/metrics.h's histogram, whose few buckets are for dashboards. Pure; one thread. */
#ifndef CLI_BENCH_HISTOGRAM_H
#define CLI_BENCH_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#define BENCH_HISTOGRAM_BITS  8  /* a power of two is divided into 2^BITS slots */
#define BENCH_HISTOGRAM_WIDTH 40 /* bits of the largest value that is told apart: 18 minutes in ns */
#define BENCH_HISTOGRAM_SLOTS                                                                                \
    ((size_t)(BENCH_HISTOGRAM_WIDTH - BENCH_HISTOGRAM_BITS + 1) << BENCH_HISTOGRAM_BITS)

/* Zero-initialised is empty. */
struct bench_histogram {
    uint64_t count;
    uint64_t sum;
    uint64_t max;
    uint64_t slots[BENCH_HISTOGRAM_SLOTS];
};

/* What is beyond the width is counted in the last slot; sum and max are exact. */
void bench_histogram_add(struct bench_histogram *h, uint64_t value);
/* The least value that PER_100000 of 100,000 values do not exceed (50,000: the median; 99,900: p99.9;
 * 100,000: the maximum), at most 1/256 too large; 0 when empty. */
uint64_t bench_histogram_at(const struct bench_histogram *h, unsigned per_100000);
/* 0 when empty. */
double bench_histogram_mean(const struct bench_histogram *h);

#endif
