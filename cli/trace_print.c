#include "cli/trace_print.h"

#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

enum direction { TO_SERVER, FROM_SERVER, BOTH, THROUGH };

/* Who does it, with an edge in the middle and in the local comparison. */
static const char *const who[][4] = {
    {"client → edge", "edge → client", "both", "client ↔ edge ↔ origin"},
    {"client → server", "server → client", "both", "client ↔ server"},
};

static const struct {
    const char *name; /* in JSON */
    const char *text;
    enum direction direction;
} steps[STEP_COUNT] = {
    [STEP_CLIENT_HELLO] = {"client_hello", "ClientHello", TO_SERVER},
    [STEP_SERVER_HELLO] = {"server_hello", "ServerHello", FROM_SERVER},
    [STEP_CERTIFICATE] = {"certificate", "Certificate", FROM_SERVER},
    [STEP_SERVER_HELLO_DONE] = {"server_hello_done", "ServerHelloDone", FROM_SERVER},
    [STEP_CLIENT_KEY_EXCHANGE] = {"client_key_exchange", "ClientKeyExchange", TO_SERVER},
    [STEP_CLIENT_CCS] = {"client_change_cipher_spec", "ChangeCipherSpec", TO_SERVER},
    [STEP_CLIENT_FINISHED] = {"client_finished", "Finished", TO_SERVER},
    [STEP_SERVER_CCS] = {"server_change_cipher_spec", "ChangeCipherSpec", FROM_SERVER},
    [STEP_SERVER_FINISHED] = {"server_finished", "Finished", FROM_SERVER},
    [STEP_ESTABLISHED] = {"established", "connection established", BOTH},
    [STEP_HTTP] = {"http", "HTTP", THROUGH},
    [STEP_CLOSED] = {"closed", "close_notify, TCP FIN", BOTH},
};

static uint64_t number_of(const json_t *object, const char *group, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(json_object_get(object, group), name));
}

static const char *text_of(const json_t *object, const char *group, const char *name)
{
    const char *text = json_string_value(json_object_get(json_object_get(object, group), name));
    return text == NULL ? "?" : text;
}

/* How long the key operation took as the edge saw it, in ns; 0 = not known. */
static uint64_t detour_ns(const json_t *edge)
{
    uint64_t sent = number_of(edge, "ns", "key_sent"), answered = number_of(edge, "ns", "key_answered");
    return answered > sent ? answered - sent : 0;
}

/* The handshake of bound mode that came before any key server had announced an epoch. */
static void print_epoch_wait(const json_t *edge, const char *on, const char *off)
{
    uint64_t begun = number_of(edge, "ns", "epoch_begun"), ended = number_of(edge, "ns", "epoch_ended");
    if (ended > begun)
        printf("%s      ┌─ edge: the handshake pauses; no key server has announced an epoch yet\n"
               "      └─ edge: the handshake goes on, %.3f ms later%s\n",
               on, (double)(ended - begun) / 1e6, off);
}

/* What the bytes of an answer are, where it is not plain to see. */
static const char *answer_text(const char *operation)
{
    if (strcmp(operation, "rsa_master") == 0)
        return " (the master secret; the pre-master secret stays there)";
    return strcmp(operation, "rsa_premaster") == 0 ? " (the pre-master secret)" : "";
}

static void print_detour(const json_t *edge, const char *on, const char *off)
{
    if (edge == NULL || json_is_null(json_object_get(edge, "key"))) {
        printf("%s      ┌─ edge → key server → edge: nothing known of it; is --admin right, and is this a "
               "keyless-edge?%s\n",
               on, off);
        return;
    }
    uint64_t waited = number_of(edge, "ns", "key_sent") - number_of(edge, "ns", "key_begun");
    printf("%s      ┌─ edge: the handshake pauses; the key is not here\n", on);
    printf("      │  edge → key server '%s'   %s, %u bytes of fields, after %.3f ms in the batch\n",
           text_of(edge, "key", "server"), text_of(edge, "key", "operation"),
           (unsigned)number_of(edge, "key", "sent_bytes"), (double)waited / 1e6);
    printf(
        "      │  key server → edge   %s, %u bytes%s, %.3f ms later (the wire's share: %.3f ms by the last "
        "ping)\n",
        text_of(edge, "key", "status"), (unsigned)number_of(edge, "key", "received_bytes"),
        answer_text(text_of(edge, "key", "operation")), (double)detour_ns(edge) / 1e6,
        (double)number_of(edge, "key", "server_rtt_ns") / 1e6);
    printf("      └─ edge: the handshake goes on%s\n", off);
}

static void print_local(const struct trace_local *local, const char *on, const char *off)
{
    printf("%s      ┌─ server: private-key operation with the key in its own memory, %.3f ms\n      └─%s\n",
           on, (double)local->key_ns / 1e6, off);
}

void trace_print_steps(const struct trace_run *run, const json_t *edge, const struct trace_local *local)
{
    const char *on = cli_colour() ? "\033[36m" : "", *off = cli_colour() ? "\033[0m" : "";
    printf("      TCP connected in %.3f ms; times count from there\n", (double)run->connect_ns / 1e6);
    for (size_t i = 0; i < STEP_COUNT; i++) {
        const struct trace_note *note = &run->step[i];
        if (!note->seen)
            continue;
        printf("%2zu. %9.3f ms  %-22s %-24s", i + 1, (double)note->ns / 1e6, steps[i].text,
               who[local != NULL][steps[i].direction]);
        if (note->bytes > 0)
            printf(" %zu bytes", note->bytes);
        printf("%s%s\n", note->detail[0] ? "  " : "", note->detail);
        if (i == STEP_CLIENT_HELLO && local == NULL)
            print_epoch_wait(edge, on, off);
        else if (i == STEP_CLIENT_KEY_EXCHANGE && local != NULL)
            print_local(local, on, off);
        else if (i == STEP_CLIENT_KEY_EXCHANGE)
            print_detour(edge, on, off);
    }
}

json_t *trace_print_json(const struct trace_run *run, const json_t *edge, const struct trace_local *local)
{
    json_t *list = json_array();
    for (size_t i = 0; i < STEP_COUNT; i++) {
        const struct trace_note *note = &run->step[i];
        if (note->seen)
            json_array_append_new(
                list, json_pack("{s:i, s:s, s:s, s:I, s:I, s:s}", "step", (int)i + 1, "name", steps[i].name,
                                "who", who[local != NULL][steps[i].direction], "ns", (json_int_t)note->ns,
                                "bytes", (json_int_t)note->bytes, "detail", note->detail));
    }
    json_t *all = json_pack("{s:I, s:i, s:o}", "connect_ns", (json_int_t)run->connect_ns, "http_status",
                            run->http_status, "steps", list);
    if (local != NULL)
        json_object_set_new(all, "local_key_ns", json_integer((json_int_t)local->key_ns));
    else
        json_object_set_new(all, "edge", edge != NULL ? json_deep_copy(edge) : json_null());
    return all;
}
