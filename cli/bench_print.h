/* How `keyless bench` shows what it does and what it found: a line while it runs, a table or JSON.
 *
 * Measures nothing. One thread. */
#ifndef CLI_BENCH_PRINT_H
#define CLI_BENCH_PRINT_H

#include <jansson.h>
#include <stdio.h>

#include "cli/bench_load.h"

/* What a row is about. */
struct bench_row {
    const struct bench_target *target;
    const struct bench_channels *channels;
    const struct bench_case *one;
    unsigned depth;
    const struct bench_cpu *cpu;
    const struct bench_result *result;
};

#define BENCH_TIME_SIZE 16
/* Nanoseconds as three digits or more with a unit ("71.3 µs", "812 µs", "1.23 ms") into OUT; returns it. */
char *bench_time_text(char out[static BENCH_TIME_SIZE], uint64_t ns);

/* The head of a table, and a row of it. Without CPU times there are no columns for them. */
void bench_print_head(FILE *out, const struct bench_target *target, const struct bench_channels *channels,
                      const struct bench_cpu *cpu);
void bench_print_row(FILE *out, const struct bench_row *row);
/* The row as an object; NULL without memory. */
json_t *bench_row_json(const struct bench_row *row);

/* The line on the terminal while measurement NUMBER of COUNT runs, DONE of 1; bench_progress_clear() takes it
 * away. Only for a terminal. */
void bench_progress_show(FILE *out, const struct bench_case *one, unsigned depth, size_t number, size_t count,
                         double done);
void bench_progress_clear(FILE *out);

#endif
