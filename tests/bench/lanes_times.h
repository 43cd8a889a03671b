/* What the benchmarks of lanes share: CPU time, and the median of many. Not a program by itself. */
#ifndef TESTS_BENCH_LANES_TIMES_H
#define TESTS_BENCH_LANES_TIMES_H

#include <stddef.h>
#include <stdlib.h>
#include <time.h>

/* CPU time of this thread, µs. */
static inline double cpu_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static inline int compare_times(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts VALUES. */
static inline double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare_times);
    return values[count / 2];
}

#endif
