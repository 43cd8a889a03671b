#include "keyserver/vault/audit/ledger.h"

#include <string.h>

#include "common/name_text.h"
#include "keyserver/vault/audit/audit_counts.h"
#include "keyserver/vault/judge/judge.h"

struct entry {
    struct request_identity identity;
    struct now then;
    enum audit_result result;
};

/* ---- lines of the log ---- */

static const char *or_none(const char *text)
{
    return text != NULL && text[0] != 0 ? text : "-";
}

static const char *trace_text(const struct trace_id *trace, bool none, char out[static 2 * TRACE_ID_SIZE + 1])
{
    return none ? "-" : trace_id_text(trace, out);
}

/* What was asked for, of a key that there is not. */
static const char *key_id_text(const struct key_request *request, char out[static 2 * KEY_ID_SIZE + 1])
{
    return request->no_key_id ? "-" : hex_encode(out, request->operation->key_id, KEY_ID_SIZE);
}

/* RESULT is a word. An edge could have lines without end written, at no cost, of requests for which nothing
 * is computed: they are not records. */
static void log_use(const struct request_identity *identity, const char *result, bool computed)
{
    char trace[2 * TRACE_ID_SIZE + 1], name[NAME_TEXT_SIZE(TRANSCRIPT_NAME_SIZE)];
    const struct log_field fields[] = {
        {"edge", identity->edge->name},
        {"op", operation_name(identity->kind)},
        {"key", identity->key->name},
        {"scheme", or_none(scheme_name(identity->scheme))},
        {"sni", name_text(name, sizeof name, identity->server_name)},
        {"result", result},
        {"trace", trace_text(&identity->trace, identity->no_trace, trace)},
    };
    const size_t count = sizeof fields / sizeof fields[0];
    if (computed)
        log_record_fields("request", fields, count);
    else
        log_info_fields("request", fields, count);
}

static void log_refusal(const struct key_request *request, const struct request_identity *identity,
                        enum refusal refusal)
{
    char trace[2 * TRACE_ID_SIZE + 1], id[2 * KEY_ID_SIZE + 1];
    const char *operation = operation_name(request->operation->kind);
    log_event(LOG_WARN, "request_refused", "edge=%s op=%s key=%s reason=%s hint=\"%s\" trace=%s",
              identity->edge != NULL ? identity->edge->name : "unknown",
              operation != NULL ? operation : "unknown",
              identity->key != NULL ? identity->key->name : key_id_text(request, id), refusal_name(refusal),
              refusal_hint(refusal), trace_text(&request->trace, request->no_trace, trace));
}

/* ---- entries ---- */

void ledger_read_on(struct ledger *ledger)
{
    audit_read_on(ledger->audit);
}

bool ledger_is_open(const struct ledger *ledger)
{
    return !audit_is_failing(ledger->audit);
}

static bool is_computed(enum audit_result result)
{
    return result == AUDIT_OK || result == AUDIT_FAULT;
}

static void settle_one(struct ledger *ledger, const struct entry *entry, bool recorded)
{
    if (recorded && entry->result == AUDIT_OK)
        quota_replay_note(ledger->quotas, &entry->identity, &entry->then);
    if (ledger->access_log)
        log_use(&entry->identity, recorded ? audit_result_name(entry->result) : "withheld",
                is_computed(entry->result));
}

void ledger_add(struct ledger *ledger, const struct request_identity *identity, enum audit_result result,
                const struct now *now)
{
    const struct entry entry = {.identity = *identity, .then = *now, .result = result};
    audit_add(ledger->audit, identity, result);
    if (buffer_put(&ledger->entries, &entry, sizeof entry) != 0)
        settle_one(ledger, &entry, true); /* it will most likely be */
}

void ledger_add_refusal(struct ledger *ledger, const struct key_request *request,
                        const struct request_identity *identity, enum refusal refusal)
{
    audit_add_refusal(ledger->audit, identity, request, refusal);
    log_refusal(request, identity, refusal);
}

int ledger_settle(struct ledger *ledger)
{
    int err = audit_commit(ledger->audit);
    while (buffer_length(&ledger->entries) > 0) {
        struct entry entry;
        memcpy(&entry, buffer_bytes(&ledger->entries), sizeof entry);
        settle_one(ledger, &entry, err == 0);
        buffer_consume(&ledger->entries, sizeof entry);
    }
    audit_counts_leave(ledger->audit); /* before the answers leave: what is answered is counted */
    return err;
}

void ledger_clear(struct ledger *ledger)
{
    buffer_clear(&ledger->entries);
}
