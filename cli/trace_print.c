#include "cli/trace_print.h"

#include <string.h>

#include "proto/operation.h"

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
    [STEP_ENCRYPTED_EXTENSIONS] = {"encrypted_extensions", "EncryptedExtensions", FROM_SERVER},
    [STEP_CERTIFICATE] = {"certificate", "Certificate", FROM_SERVER},
    [STEP_SERVER_KEY_EXCHANGE] = {"server_key_exchange", "ServerKeyExchange", FROM_SERVER},
    [STEP_CERTIFICATE_VERIFY] = {"certificate_verify", "CertificateVerify", FROM_SERVER},
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
static uint64_t round_trip_ns(const json_t *edge)
{
    uint64_t sent = number_of(edge, "ns", "key_sent"), answered = number_of(edge, "ns", "key_answered");
    return answered > sent ? answered - sent : 0;
}

/* The handshake of bound mode that came before any key server had announced an epoch. */
static void print_epoch_wait(FILE *out, const json_t *edge, const char *on, const char *off)
{
    uint64_t begun = number_of(edge, "ns", "epoch_begun"), ended = number_of(edge, "ns", "epoch_ended");
    if (ended > begun)
        fprintf(out,
                "%s      ┌─ edge: the handshake pauses; no key server has announced an epoch yet\n"
                "      └─ edge: the handshake goes on, %.3f ms later%s\n",
                on, (double)(ended - begun) / 1e6, off);
}

/* What the bytes of an answer to the operation called NAME are; NULL when nobody knows. */
static const char *answer_of(const char *name)
{
    enum operation_kind kind;
    return operation_parse(name, &kind) == 0 ? operation_find(kind)->answer : NULL;
}

static void print_round_trip(FILE *out, const json_t *edge, const char *on, const char *off)
{
    if (edge == NULL || json_is_null(json_object_get(edge, "key"))) {
        fprintf(out,
                "%s      ┌─ edge → key server → edge: nothing known of it; is --admin right, and is this a "
                "keyless-edge?%s\n",
                on, off);
        return;
    }
    const char *answer = answer_of(text_of(edge, "key", "operation"));
    uint64_t waited = number_of(edge, "ns", "key_sent") - number_of(edge, "ns", "key_begun");
    fprintf(out, "%s      ┌─ edge: the handshake pauses; the key is not here\n", on);
    fprintf(out, "      │  edge → key server '%s'   %s, %u bytes of fields, after %.3f ms in the batch\n",
            text_of(edge, "key", "server"), text_of(edge, "key", "operation"),
            (unsigned)number_of(edge, "key", "sent_bytes"), (double)waited / 1e6);
    fprintf(out,
            "      │  key server → edge   %s, %u bytes%s%s%s, %.3f ms later (the wire's share: %.3f ms by "
            "the last "
            "ping)\n",
            text_of(edge, "key", "status"), (unsigned)number_of(edge, "key", "received_bytes"),
            answer != NULL ? " (" : "", answer != NULL ? answer : "", answer != NULL ? ")" : "",
            (double)round_trip_ns(edge) / 1e6, (double)number_of(edge, "key", "server_rtt_ns") / 1e6);
    fprintf(out, "      └─ edge: the handshake goes on%s\n", off);
}

static void print_local(FILE *out, const struct trace_local *local, const char *on, const char *off)
{
    fprintf(out,
            "%s      ┌─ server: private-key operation with the key in its own memory, %.3f ms\n      └─%s\n",
            on, (double)local->key_ns / 1e6, off);
}

/* What the edge or the local server does with the key. */
static void print_use(FILE *out, const json_t *edge, const struct trace_local *local, const char *on,
                      const char *off)
{
    if (local != NULL)
        print_local(out, local, on, off);
    else
        print_round_trip(out, edge, on, off);
}

/* A signature is made for the message that carries it; a ClientKeyExchange is worked off when it is there. */
static bool is_signed(enum trace_step step)
{
    return step == STEP_SERVER_KEY_EXCHANGE || step == STEP_CERTIFICATE_VERIFY;
}

static bool is_encrypted(const struct trace_run *run, enum trace_step step)
{
    return step == STEP_CLIENT_KEY_EXCHANGE && run->exchange == EXCHANGE_RSA;
}

static uint64_t since(const struct trace_run *run, size_t i)
{
    return run->note[i].ns - (i > 0 ? run->note[i - 1].ns : 0);
}

void trace_print_steps(FILE *out, bool colour, const struct trace_run *run, const json_t *edge,
                       const struct trace_local *local)
{
    const char *on = colour ? "\033[36m" : "", *off = colour ? "\033[0m" : "";
    fprintf(out, "      TCP connected in %.3f ms; times count from there, and from the step before\n",
            (double)run->connect_ns / 1e6);
    for (size_t i = 0; i < run->count; i++) {
        const struct trace_note *note = &run->note[i];
        if (is_signed(note->step))
            print_use(out, edge, local, on, off);
        fprintf(out, "%2zu. %9.3f ms %+9.3f  %-22s %-24s", i + 1, (double)note->ns / 1e6,
                (double)since(run, i) / 1e6, steps[note->step].text,
                who[local != NULL][steps[note->step].direction]);
        if (note->bytes > 0)
            fprintf(out, " %zu bytes", note->bytes);
        fprintf(out, "%s%s\n", note->detail[0] ? "  " : "", note->detail);
        if (note->step == STEP_CLIENT_HELLO && local == NULL)
            print_epoch_wait(out, edge, on, off);
        if (is_encrypted(run, note->step))
            print_use(out, edge, local, on, off);
    }
}

static json_t *step_json(const struct trace_run *run, size_t i, const struct trace_local *local)
{
    const struct trace_note *note = &run->note[i];
    return json_pack("{s:i, s:s, s:s, s:I, s:I, s:I, s:s}", "step", (int)i + 1, "name",
                     steps[note->step].name, "who", who[local != NULL][steps[note->step].direction], "ns",
                     (json_int_t)note->ns, "since_ns", (json_int_t)since(run, i), "bytes",
                     (json_int_t)note->bytes, "detail", note->detail);
}

json_t *trace_print_json(const struct trace_run *run, const json_t *edge, const struct trace_local *local)
{
    json_t *list = json_array();
    for (size_t i = 0; i < run->count; i++)
        json_array_append_new(list, step_json(run, i, local));
    json_t *all = json_pack("{s:I, s:s, s:i, s:o}", "connect_ns", (json_int_t)run->connect_ns, "key_exchange",
                            trace_exchange_name(run->exchange), "http_status", run->http_status, "steps",
                            list);
    if (local != NULL)
        json_object_set_new(all, "local_key_ns", json_integer((json_int_t)local->key_ns));
    else
        json_object_set_new(all, "edge", edge != NULL ? json_deep_copy(edge) : json_null());
    return all;
}
