#include "cli/bench_print.h"

#include <string.h>

#include "common/bytes.h"

#define BAR_WIDTH 20

static const struct {
    const char *title, *name;
    unsigned per_100000;
} percentiles[] = {
    {"p50", "p50", 50000},     {"p90", "p90", 90000},  {"p99", "p99", 99000},
    {"p99.9", "p99_9", 99900}, {"max", "max", 100000},
};
#define PERCENTILES (sizeof percentiles / sizeof percentiles[0])

/* ---- text ---- */

char *bench_time_text(char out[static BENCH_TIME_SIZE], uint64_t ns)
{
    static const struct {
        double ns;
        const char *unit;
    } units[] = {{1e3, "µs"}, {1e6, "ms"}, {1e9, "s"}};
    size_t i = 0;
    while (i < 2 && (double)ns >= 999.5 * units[i].ns)
        i++;
    double value = (double)ns / units[i].ns;
    snprintf(out, BENCH_TIME_SIZE, "%.*f %s",
             value < 9.995   ? 2
             : value < 99.95 ? 1
                             : 0,
             value, units[i].unit);
    return out;
}

/* µ takes two bytes and one column. */
static void put_right(FILE *out, const char *text, int width)
{
    fprintf(out, "%*s", width + (strstr(text, "µ") != NULL), text);
}

static double per_answer_us(const struct bench_row *row, size_t process)
{
    uint64_t answered = row->result->latency.count;
    return answered == 0 ? 0 : (double)row->result->cpu_ns[process] / 1e3 / (double)answered;
}

static double rate(const struct bench_result *result)
{
    return result->seconds > 0 ? (double)result->latency.count / result->seconds : 0;
}

/* All processes of the key server together. */
static double total_us(const struct bench_row *row)
{
    double sum = 0;
    for (size_t i = 0; i < row->cpu->count; i++)
        sum += per_answer_us(row, i);
    return sum;
}

/* What one core would do in a second if it did nothing else; 0 = not known. */
static double per_core(const struct bench_row *row)
{
    double us = row->result->cpu_known ? total_us(row) : 0;
    return us > 0 ? 1e6 / us : 0;
}

static int column(const struct bench_cpu *cpu, size_t process)
{
    int width = (int)strlen(cpu->process[process].name);
    return width > 6 ? width : 6;
}

void bench_print_head(FILE *out, const struct bench_target *target, const struct bench_channels *channels,
                      const struct bench_cpu *cpu)
{
    char address[ADDRESS_TEXT_SIZE];
    fprintf(out, "%s (%s), edges: %zu, channels: %zu%s\n", target->server->name,
            endpoint_text(&target->server->endpoint, address), target->edge_count, channels->count,
            cpu->count > 0 ? "; CPU in µs for one operation" : "");
    fprintf(out, "%-13s %-8s %9s %9s", "operation", "key", "in flight", "rate/s");
    for (size_t i = 0; i < PERCENTILES; i++)
        fprintf(out, " %8s", percentiles[i].title);
    for (size_t i = 0; i < cpu->count; i++)
        fprintf(out, " %*s", column(cpu, i), cpu->process[i].name);
    if (cpu->count > 0)
        fprintf(out, " %7s %12s", "total", "one core");
    fputc('\n', out);
}

void bench_print_row(FILE *out, const struct bench_row *row)
{
    char name[BENCH_KEY_NAME_SIZE], text[BENCH_TIME_SIZE];
    fprintf(out, "%-13s %-8s %9u %9.0f", operation_name(row->one->kind), bench_key_name(name, &row->one->key),
            row->depth, rate(row->result));
    for (size_t i = 0; i < PERCENTILES; i++) {
        fputc(' ', out);
        put_right(out,
                  bench_time_text(text, bench_histogram_at(&row->result->latency, percentiles[i].per_100000)),
                  8);
    }
    for (size_t i = 0; row->result->cpu_known && i < row->cpu->count; i++)
        fprintf(out, " %*.1f", column(row->cpu, i), per_answer_us(row, i));
    if (row->result->cpu_known && row->cpu->count > 0)
        fprintf(out, " %7.1f  ≈ %7.0f/s", total_us(row), per_core(row));
    for (size_t i = 0; i < STATUS_KINDS; i++)
        if (row->result->failed[i] > 0)
            fprintf(out, "  %s: %llu", status_name((enum operation_status)i),
                    (unsigned long long)row->result->failed[i]);
    fputc('\n', out);
    fflush(out);
}

/* ---- JSON ---- */

static json_t *latency_json(const struct bench_histogram *latency)
{
    json_t *object = json_pack("{s:f}", "mean", bench_histogram_mean(latency) / 1e3);
    for (size_t i = 0; i < PERCENTILES; i++)
        json_object_set_new(object, percentiles[i].name,
                            json_real((double)bench_histogram_at(latency, percentiles[i].per_100000) / 1e3));
    return object;
}

static json_t *failures_json(const struct bench_result *result)
{
    json_t *object = json_object();
    for (size_t i = 0; i < STATUS_KINDS; i++)
        if (result->failed[i] > 0)
            json_object_set_new(object, status_name((enum operation_status)i),
                                json_integer((json_int_t)result->failed[i]));
    return object;
}

/* Null when it is not known. Several vaults may be there for a while after a reload: what has one name is
 * added up. */
static json_t *cpu_json(const struct bench_row *row)
{
    if (!row->result->cpu_known)
        return json_null();
    json_t *object = json_object();
    for (size_t i = 0; i < row->cpu->count; i++) {
        const char *name = row->cpu->process[i].name;
        double before = json_number_value(json_object_get(object, name)), us = per_answer_us(row, i);
        json_object_set_new(object, name, json_real(before + us));
    }
    json_object_set_new(object, "total", json_real(total_us(row)));
    return object;
}

json_t *bench_row_json(const struct bench_row *row)
{
    char address[ADDRESS_TEXT_SIZE], name[BENCH_KEY_NAME_SIZE], id[2 * KEY_ID_SIZE + 1];
    const struct key_info *key = &row->one->key;
    return json_pack(
        "{s:s, s:s, s:I, s:I, s:s, s:s, s:s, s:i, s:f, s:I, s:I, s:o, s:f, s:o, s:o, s:o}", "server",
        row->target->server->name, "address", endpoint_text(&row->target->server->endpoint, address), "edges",
        (json_int_t)row->target->edge_count, "channels", (json_int_t)row->channels->count, "operation",
        operation_name(row->one->kind), "key", bench_key_name(name, key), "key_id",
        hex_encode(id, key->key_id, sizeof key->key_id), "in_flight", (int)row->depth, "seconds",
        row->result->seconds, "answered", (json_int_t)row->result->latency.count, "failed",
        (json_int_t)bench_result_failed(row->result), "failures", failures_json(row->result), "rate",
        rate(row->result), "latency_us", latency_json(&row->result->latency), "cpu_us", cpu_json(row),
        "rate_per_core", per_core(row) > 0 ? json_real(per_core(row)) : json_null());
}

/* ---- progress ---- */

void bench_progress_show(FILE *out, const struct bench_case *one, unsigned depth, size_t number, size_t count,
                         double done)
{
    char name[BENCH_KEY_NAME_SIZE], bar[BAR_WIDTH + 1];
    int full = (int)(done * BAR_WIDTH);
    for (int i = 0; i < BAR_WIDTH; i++)
        bar[i] = i < full ? '#' : '.';
    bar[BAR_WIDTH] = 0;
    fprintf(out, "\r\033[K%zu of %zu [%s] %s %s, %u in flight", number, count, bar, operation_name(one->kind),
            bench_key_name(name, &one->key), depth);
    fflush(out);
}

void bench_progress_clear(FILE *out)
{
    fputs("\r\033[K", out);
    fflush(out);
}
