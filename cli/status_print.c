#include "cli/status_print.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/printable.h"
#include "cli/status_certs.h"
#include "cli/table.h"
#include "common/bytes.h"

#define MINUTE 60u
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

/* ---- members ---- */

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "?";
}

static double number_of(const json_t *object, const char *name)
{
    return json_number_value(json_object_get(object, name));
}

static long long count_of(const json_t *object, const char *name)
{
    return (long long)json_integer_value(json_object_get(object, name));
}

/* ---- words ---- */

/* Everything a daemon reports passes here on its way to the terminal. */
static void put(FILE *out, const char *format, ...) PRINTF_LIKE(2, 3);
static void put(FILE *out, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printable_write(out, PRINTABLE_LINES, format, arguments);
    va_end(arguments);
}

static void put_duration(FILE *out, double seconds)
{
    unsigned long long s = seconds > 0 ? (unsigned long long)seconds : 0;
    if (s >= DAY)
        put(out, "%llud %02lluh", s / DAY, s % DAY / HOUR);
    else if (s >= HOUR)
        put(out, "%lluh %02llum", s / HOUR, s % HOUR / MINUTE);
    else if (s >= MINUTE)
        put(out, "%llum %02llus", s / MINUTE, s % MINUTE);
    else
        put(out, "%llus", s);
}

static void put_texts(FILE *out, const json_t *array)
{
    size_t index;
    json_t *item;
    json_array_foreach(array, index, item)
    {
        if (json_is_string(item))
            put(out, "%s%s", index > 0 ? ", " : "", json_string_value(item));
    }
}

/* "  refused      key_not_granted 3, unknown_key 1", only what is not zero; nothing when all is. */
static void put_counts(FILE *out, const char *label, const json_t *counts)
{
    const char *name, *between = "";
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)counts, name, value)
    {
        if (json_integer_value(value) == 0)
            continue;
        if (between[0] == 0)
            put(out, "  %-12s ", label);
        put(out, "%s%s %lld", between, name, (long long)json_integer_value(value));
        between = ", ";
    }
    if (between[0] != 0)
        put(out, "\n");
}

static void put_listeners(FILE *out, const json_t *status)
{
    put(out, "  %-12s ", "listening");
    put_texts(out, json_object_get(status, "listeners"));
    put(out, "\n");
}

/* "  sandbox      net: system calls, files; vault: …"; what a process is not kept from is said as well. */
static void put_sandbox(FILE *out, json_t *processes)
{
    const char *process, *layer, *before = "";
    json_t *layers, *held;

    if (json_object_size(processes) == 0)
        return;
    put(out, "  %-12s ", "sandbox");
    json_object_foreach(processes, process, layers)
    {
        put(out, "%s%s:", before, process);
        before = " ";
        json_object_foreach(layers, layer, held)
        {
            put(out, "%s%s%s", before, json_is_true(held) ? "" : "NO ",
                strcmp(layer, "system_calls") == 0 ? "system calls" : layer);
            before = ", ";
        }
        before = "; ";
    }
    put(out, "\n");
}

/* ---- cells ---- */

static void put_ms(struct table *table, double ms)
{
    if (ms > 0)
        table_put(table, "%.2f", ms);
    else
        table_put(table, "-");
}

/* COUNT in SECONDS, on an average. */
static void put_rate(struct table *table, double count, double seconds)
{
    table_put(table, "%.1f", seconds >= 1 ? count / seconds : count);
}

/* ---- the edge ---- */

static bool has_error(const json_t *server)
{
    return json_is_string(json_object_get(server, "last_error"));
}

static void put_key_server(struct table *table, const json_t *server, double uptime, bool errors)
{
    const char *state = text_of(server, "state");

    table_put(table, "%s", text_of(server, "name"));
    table_put(table, "%s", text_of(server, "address"));
    table_put(table, "%s", state);
    put_ms(table, number_of(server, "rtt_ns") / 1e6);
    table_put(table, "%lld", count_of(server, "in_flight"));
    table_put(table, "%lld", count_of(server, "answers_ok"));
    put_rate(table, number_of(server, "answers_ok"), uptime);
    table_put(table, "%lld", count_of(server, "answers_other"));
    table_put(table, "%lld", count_of(server, "timeouts"));
    table_put(table, "%lld", count_of(server, "connects_failed"));
    table_put(table, "%lld", count_of(server, "channels_lost"));
    if (errors)
        table_put(table, "%s", has_error(server) ? text_of(server, "last_error") : "");
    if (strcmp(state, "connected") != 0)
        table_set_colour(table, TABLE_RED);
    else if (count_of(server, "answers_other") + count_of(server, "timeouts") > 0)
        table_set_colour(table, TABLE_YELLOW);
}

static void put_key_servers(FILE *out, const json_t *status, const struct status_view *view)
{
    static const struct table_column columns[] = {
        {"KEY SERVER", false}, {"ADDRESS", false}, {"STATE", false}, {"RTT ms", true},
        {"IN FLIGHT", true},   {"ANSWERED", true}, {"PER s", true},  {"REFUSED", true},
        {"TIMED OUT", true},   {"FAILED", true},   {"LOST", true},   {"LAST ERROR", false},
    };
    const json_t *servers = json_object_get(status, "key_servers");
    double uptime = number_of(status, "uptime_seconds");
    struct table table;
    size_t index;
    json_t *server;
    bool errors = false;

    json_array_foreach(servers, index, server) errors |= has_error(server);
    table_init(&table, columns, sizeof columns / sizeof columns[0] - (errors ? 0 : 1));
    json_array_foreach(servers, index, server) put_key_server(&table, server, uptime, errors);
    table_print(&table, out, 2, view->colour);
    table_clear(&table);
}

/* Those of protocols that have one of their own. */
static void put_origins(FILE *out, json_t *origins)
{
    const char *protocol;
    json_t *address;

    json_object_foreach(origins, protocol, address)
    {
        if (strcmp(protocol, "default") != 0 && json_is_string(address))
            put(out, "  %-12s %s, for %s\n", "", json_string_value(address), protocol);
    }
}

static void put_edge(FILE *out, const json_t *status, const struct status_view *view)
{
    const json_t *connections = json_object_get(status, "connections");
    put(out, "  %-12s %s\n", "origin", text_of(status, "origin"));
    put_origins(out, json_object_get(status, "origins"));
    put(out, "  %-12s %lld open, %lld accepted\n", "connections", count_of(connections, "active"),
        count_of(connections, "accepted"));
    put(out, "  %-12s %lld done, %lld failed, %lld waiting for a key\n", "handshakes",
        count_of(connections, "handshakes"), count_of(connections, "handshakes_failed"),
        count_of(connections, "waiting_for_key"));
    put_key_servers(out, status, view);
    status_print_certificates(out, status, view);
}

/* ---- the key server ---- */

/* Those that are refused most come first, then those that ask most. */
static int compare_edges(const void *a, const void *b)
{
    static const char *const members[] = {"refused", "requests"};
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        long long x = count_of(*(json_t *const *)a, members[i]),
                  y = count_of(*(json_t *const *)b, members[i]);
        if (x != y)
            return x < y ? 1 : -1;
    }
    return 0;
}

static void put_peer(struct table *table, const json_t *edge)
{
    double seconds = number_of(edge, "connected_seconds");
    char *text = NULL;
    size_t length = 0;
    FILE *duration = open_memstream(&text, &length);
    if (duration != NULL) {
        put_duration(duration, seconds);
        fclose(duration);
    }
    table_put(table, "%s", text_of(edge, "name"));
    table_put(table, "%s", text_of(edge, "address"));
    table_put(table, "%s", text != NULL ? text : "?");
    put_ms(table, number_of(edge, "rtt_seconds") * 1e3);
    table_put(table, "%lld", count_of(edge, "in_flight"));
    table_put(table, "%lld", count_of(edge, "requests"));
    put_rate(table, number_of(edge, "requests"), seconds);
    table_put(table, "%lld", count_of(edge, "refused"));
    table_put(table, "%s", text_of(edge, "software"));
    if (count_of(edge, "refused") > 0)
        table_set_colour(table, TABLE_YELLOW);
    free(text);
}

static void put_peers(FILE *out, const json_t *status, const struct status_view *view)
{
    static const struct table_column columns[] = {
        {"EDGE", false},    {"ADDRESS", false}, {"CONNECTED", true}, {"RTT ms", true},    {"IN FLIGHT", true},
        {"REQUESTS", true}, {"PER s", true},    {"REFUSED", true},   {"SOFTWARE", false},
    };
    struct status_list list = status_list_sorted(json_object_get(status, "edges"), compare_edges, view);
    struct table table;
    if (list.count == 0)
        put(out, "  %-12s none connected\n", "edges");
    table_init(&table, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < list.shown; i++)
        put_peer(&table, list.item[i]);
    table_print(&table, out, 2, view->colour);
    if (list.shown < list.count)
        put(out, "  ... and %zu channels more; --all lists them\n", list.count - list.shown);
    table_clear(&table);
    free(list.item);
}

static void put_audit(FILE *out, const json_t *audit)
{
    put(out, "  %-12s record %lld", "audit", count_of(audit, "sequence"));
    if (json_is_true(json_object_get(audit, "failing")))
        put(out, ", cannot be written (the log says why)");
    if (count_of(audit, "withheld") > 0)
        put(out, ", %lld results withheld", count_of(audit, "withheld"));
    if (count_of(audit, "unrecorded") > 0)
        put(out, ", %lld answers unrecorded", count_of(audit, "unrecorded"));
    put(out, "\n");
}

static void put_server(FILE *out, const json_t *status, const struct status_view *view)
{
    const json_t *vault = json_object_get(status, "vault");
    put(out, "  %-12s %lld keys, %lld workers, %lld queued, %lld working", "vault", count_of(vault, "keys"),
        count_of(vault, "workers"), count_of(vault, "queued"), count_of(vault, "working"));
    if (count_of(vault, "key_files_skipped") > 0)
        put(out, ", %lld key files skipped (`keyless check` says why)", count_of(vault, "key_files_skipped"));
    if (count_of(vault, "faults") > 0)
        put(out, ", %lld faults", count_of(vault, "faults"));
    if (count_of(vault, "restarts") > 0)
        put(out, ", %lld restarts", count_of(vault, "restarts"));
    if (number_of(vault, "epoch_ahead_seconds") >= 1)
        put(out, ", epochs %.0f s ahead of the clock", number_of(vault, "epoch_ahead_seconds"));
    put(out, "\n");
    put_audit(out, json_object_get(vault, "audit"));
    put_counts(out, "requests", json_object_get(status, "requests"));
    put_counts(out, "answers", json_object_get(status, "answers"));
    put_counts(out, "refused", json_object_get(vault, "refusals"));
    put_counts(out, "dropped", json_object_get(status, "dropped"));
    put_peers(out, status, view);
}

void status_print(FILE *out, const json_t *status, const char *address, const char *why,
                  const struct status_view *view)
{
    put(out, "%s %s at %s: ", text_of(status, "program"), text_of(status, "version"), address);
    if (view->colour)
        fputs(why == NULL ? TABLE_GREEN : TABLE_RED, out);
    put(out, "%s%s", why == NULL ? "ready" : "not ready: ", why == NULL ? "" : why);
    fputs(view->colour ? TABLE_END : "", out);
    put(out, ", up ");
    put_duration(out, number_of(status, "uptime_seconds"));
    put(out, "\n");
    put_listeners(out, status);
    put_sandbox(out, json_object_get(status, "sandbox"));
    if (strcmp(text_of(status, "program"), "keyless-edge") == 0)
        put_edge(out, status, view);
    else
        put_server(out, status, view);
}
