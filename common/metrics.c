#include "common/metrics.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const type_names[] = {
    [METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_HISTOGRAM] = "histogram"};

/* Upper bounds of all buckets but the last, which has none: how they count and how they are written. */
static const struct {
    uint64_t ns;
    const char *seconds;
} bounds[HISTOGRAM_BUCKETS - 1] = {
    {50000, "5e-05"},    {100000, "0.0001"},  {250000, "0.00025"}, {500000, "0.0005"},  {1000000, "0.001"},
    {2500000, "0.0025"}, {5000000, "0.005"},  {10000000, "0.01"},  {25000000, "0.025"}, {50000000, "0.05"},
    {100000000, "0.1"},  {250000000, "0.25"}, {500000000, "0.5"},  {1000000000, "1"},   {2500000000, "2.5"},
    {5000000000, "5"},   {10000000000, "10"},
};

void metrics_family(struct buffer *out, const char *name, enum metric_type type, const char *help)
{
    buffer_printf(out, "# HELP %s ", name);
    for (const char *at = help; *at != 0; at++) {
        if (*at == '\n')
            buffer_printf(out, "\\n");
        else if (*at == '\\')
            buffer_printf(out, "\\\\");
        else
            buffer_printf(out, "%c", *at);
    }
    buffer_printf(out, "\n# TYPE %s %s\n", name, type_names[type]);
}

/* The shortest text that reads back as VALUE; the infinities and NaN as Prometheus spells them. */
static const char *number_text(double value, char out[static 32])
{
    if (isnan(value))
        return "NaN";
    if (isinf(value))
        return value > 0 ? "+Inf" : "-Inf";
    snprintf(out, 32, "%.15g", value);
    double back = strtod(out, NULL);
    if (back < value || back > value)
        snprintf(out, 32, "%.17g", value);
    return out;
}

void metrics_sample(struct buffer *out, const char *name, const char *labels, double value)
{
    char text[32];
    bool labelled = labels != NULL && labels[0] != 0;
    buffer_printf(out, "%s%s%s%s %s\n", name, labelled ? "{" : "", labelled ? labels : "",
                  labelled ? "}" : "", number_text(value, text));
}

void histogram_add(struct histogram *h, uint64_t ns)
{
    size_t i = 0;
    while (i < HISTOGRAM_BUCKETS - 1 && ns > bounds[i].ns)
        i++;
    counter_add(&h->bucket[i], 1);
    counter_add(&h->sum_ns, ns);
    counter_add(&h->count, 1);
}

void metrics_histogram(struct buffer *out, const char *name, const char *labels, const struct histogram *h)
{
    const char *own = labels == NULL ? "" : labels;
    const char *comma = own[0] != 0 ? "," : "";
    const char *open = own[0] != 0 ? "{" : "";
    const char *close = own[0] != 0 ? "}" : "";
    char sum[32];
    uint64_t total = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        total += counter_get(&h->bucket[i]);
        buffer_printf(out, "%s_bucket{%s%sle=\"%s\"} %llu\n", name, own, comma,
                      i < HISTOGRAM_BUCKETS - 1 ? bounds[i].seconds : "+Inf", (unsigned long long)total);
    }
    number_text((double)counter_get(&h->sum_ns) / 1e9, sum);
    buffer_printf(out, "%s_sum%s%s%s %s\n", name, open, own, close, sum);
    /* What the buckets add up to, not h->count: while other threads add, the two may differ for a moment, and
     * Prometheus takes a count that differs from the +Inf bucket for an error. */
    buffer_printf(out, "%s_count%s%s%s %llu\n", name, open, own, close, (unsigned long long)total);
}
