#include "cli/bench_histogram.h"

#define FINE (UINT64_C(1) << BENCH_HISTOGRAM_BITS)
#define ALL  100000u

/* Values below FINE have a slot each; above, a slot holds 2^shift of them. */
static size_t slot_of(uint64_t value)
{
    if (value < FINE)
        return (size_t)value;
    unsigned width = 64 - (unsigned)__builtin_clzll(value);
    if (width > BENCH_HISTOGRAM_WIDTH)
        return BENCH_HISTOGRAM_SLOTS - 1;
    unsigned shift = width - BENCH_HISTOGRAM_BITS - 1;
    return ((size_t)(shift + 1) << BENCH_HISTOGRAM_BITS) + (size_t)((value >> shift) - FINE);
}

/* The largest value of a slot. */
static uint64_t top_of(size_t slot)
{
    if (slot < FINE)
        return slot;
    unsigned shift = (unsigned)(slot >> BENCH_HISTOGRAM_BITS) - 1;
    return (((slot & (FINE - 1)) + FINE + 1) << shift) - 1;
}

void bench_histogram_add(struct bench_histogram *h, uint64_t value)
{
    h->count++;
    h->sum += value;
    h->max = value > h->max ? value : h->max;
    h->slots[slot_of(value)]++;
}

uint64_t bench_histogram_at(const struct bench_histogram *h, unsigned per_100000)
{
    uint64_t wanted = (uint64_t)(((unsigned __int128)h->count * per_100000 + ALL - 1) / ALL), seen = 0;
    if (h->count == 0)
        return 0;
    for (size_t i = 0; i < BENCH_HISTOGRAM_SLOTS - 1; i++) {
        seen += h->slots[i];
        if (seen >= wanted && seen > 0)
            return top_of(i) < h->max ? top_of(i) : h->max;
    }
    return h->max;
}

double bench_histogram_mean(const struct bench_histogram *h)
{
    return h->count == 0 ? 0 : (double)h->sum / (double)h->count;
}
