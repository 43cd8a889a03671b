#include "cli/status_print.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

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
    char *text = NULL;
    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (length < 0)
        return;
    for (char *at = text; *at != 0; at++)
        if (((unsigned char)*at < ' ' && *at != '\n') || *at == 0x7f)
            *at = '?';
    fputs(text, out);
    free(text);
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

/* ---- the edge ---- */

static void put_key_server(FILE *out, const json_t *server)
{
    put(out, "    %s %s: %s", text_of(server, "name"), text_of(server, "address"), text_of(server, "state"));
    if (number_of(server, "rtt_ns") > 0)
        put(out, ", rtt %.2f ms", number_of(server, "rtt_ns") / 1e6);
    put(out, ", %lld in flight, %lld answered", count_of(server, "in_flight"),
        count_of(server, "answers_ok"));
    if (count_of(server, "answers_other") > 0)
        put(out, ", %lld refused", count_of(server, "answers_other"));
    if (count_of(server, "timeouts") > 0)
        put(out, ", %lld timed out", count_of(server, "timeouts"));
    if (count_of(server, "connects_failed") + count_of(server, "channels_lost") > 0)
        put(out, ", channels: %lld failed, %lld lost", count_of(server, "connects_failed"),
            count_of(server, "channels_lost"));
    if (json_is_string(json_object_get(server, "last_error")))
        put(out, ", last error: %s", text_of(server, "last_error"));
    put(out, "\n");
}

static void put_certificate(FILE *out, const json_t *cert)
{
    put(out, "    ");
    put_texts(out, json_object_get(cert, "names"));
    put(out, ": %s, %lld days left (%s)\n", text_of(cert, "key_type"), count_of(cert, "days_left"),
        text_of(cert, "file"));
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

static void put_edge(FILE *out, const json_t *status)
{
    const json_t *connections = json_object_get(status, "connections");
    const json_t *servers = json_object_get(status, "key_servers");
    const json_t *certs = json_object_get(status, "certificates");
    size_t index;
    json_t *item;
    put(out, "  %-12s %s\n", "origin", text_of(status, "origin"));
    put_origins(out, json_object_get(status, "origins"));
    put(out, "  %-12s %lld open, %lld accepted\n", "connections", count_of(connections, "active"),
        count_of(connections, "accepted"));
    put(out, "  %-12s %lld done, %lld failed, %lld waiting for a key\n", "handshakes",
        count_of(connections, "handshakes"), count_of(connections, "handshakes_failed"),
        count_of(connections, "waiting_for_key"));
    put(out, "  key servers\n");
    json_array_foreach(servers, index, item) put_key_server(out, item);
    put(out, "  certificates");
    if (count_of(status, "certificates_skipped") > 0)
        put(out, " (%lld skipped; `keyless check` says why)", count_of(status, "certificates_skipped"));
    put(out, "\n");
    json_array_foreach(certs, index, item) put_certificate(out, item);
}

/* ---- the key server ---- */

static void put_peer(FILE *out, const json_t *edge)
{
    put(out, "    %s %s: connected for ", text_of(edge, "name"), text_of(edge, "address"));
    put_duration(out, number_of(edge, "connected_seconds"));
    put(out, ", %lld in flight, %lld requests", count_of(edge, "in_flight"), count_of(edge, "requests"));
    if (number_of(edge, "rtt_seconds") > 0)
        put(out, ", rtt %.2f ms", number_of(edge, "rtt_seconds") * 1e3);
    put(out, ", %s\n", text_of(edge, "software"));
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

static void put_server(FILE *out, const json_t *status)
{
    const json_t *vault = json_object_get(status, "vault");
    const json_t *edges = json_object_get(status, "edges");
    size_t index;
    json_t *item;
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
    put(out, "  edges%s\n", json_array_size(edges) == 0 ? "        none connected" : "");
    json_array_foreach(edges, index, item) put_peer(out, item);
}

void status_print(FILE *out, const json_t *status, const char *address, const char *why)
{
    put(out, "%s %s at %s: %s%s, up ", text_of(status, "program"), text_of(status, "version"), address,
        why == NULL ? "ready" : "not ready: ", why == NULL ? "" : why);
    put_duration(out, number_of(status, "uptime_seconds"));
    put(out, "\n");
    put_listeners(out, status);
    if (strcmp(text_of(status, "program"), "keyless-edge") == 0)
        put_edge(out, status);
    else
        put_server(out, status);
}
