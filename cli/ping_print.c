#include "cli/ping_print.h"

#include <stdlib.h>

uint64_t ping_percentile(const uint64_t *sorted, size_t count, unsigned percent)
{
    size_t rank = (count * percent + 99) / 100;
    return count == 0 ? 0 : sorted[rank > 0 ? rank - 1 : 0];
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

void ping_result_take(struct ping_result *result, uint64_t *ns, size_t count)
{
    if (count > 0)
        qsort(ns, count, sizeof *ns, compare);
    result->answered = count;
    result->min_ns = count > 0 ? ns[0] : 0;
    result->median_ns = ping_percentile(ns, count, 50);
    result->p99_ns = ping_percentile(ns, count, 99);
    result->max_ns = ping_percentile(ns, count, 100);
}

static double in_ms(uint64_t ns)
{
    return (double)ns / 1e6;
}

void ping_print(FILE *out, const struct ping_result *result)
{
    fprintf(out, "%s %s: %zu sent, %zu answered", result->server, result->address, result->sent,
            result->answered);
    if (result->answered > 0)
        fprintf(out, ", min %.3f, median %.3f, p99 %.3f, max %.3f ms", in_ms(result->min_ns),
                in_ms(result->median_ns), in_ms(result->p99_ns), in_ms(result->max_ns));
    if (result->error[0] != 0)
        fprintf(out, "%s %s%s%s", result->answered > 0 ? "; then" : ":", result->error,
                result->hint[0] != 0 ? ": " : "", result->hint);
    fputc('\n', out);
}

static json_t *ms_json(const struct ping_result *result, uint64_t ns)
{
    return result->answered > 0 ? json_real(in_ms(ns)) : json_null();
}

json_t *ping_json(const struct ping_result *result)
{
    json_t *error = result->error[0] != 0 ? json_string(result->error) : json_null();
    json_t *hint = result->hint[0] != 0 ? json_string(result->hint) : json_null();
    return json_pack("{s:s, s:s, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "server", result->server,
                     "address", result->address, "sent", (json_int_t)result->sent, "answered",
                     (json_int_t)result->answered, "min_ms", ms_json(result, result->min_ns), "median_ms",
                     ms_json(result, result->median_ns), "p99_ms", ms_json(result, result->p99_ns), "max_ms",
                     ms_json(result, result->max_ns), "error", error, "hint", hint);
}
