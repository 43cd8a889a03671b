#include "keyserver/vault/audit/audit_use.h"

#include <stdio.h>
#include <string.h>

_Static_assert(AUDIT_EDGE_NAME_SIZE == AUTHORIZED_NAME_MAX && AUDIT_KEY_NAME_SIZE == KEY_NAME_MAX &&
                   AUDIT_TEXT_SIZE == TRANSCRIPT_NAME_SIZE,
               "every name fits");
_Static_assert(AUDIT_KEY_SIZE == IDENTITY_KEY_SIZE && AUDIT_KEY_SIZE == KEY_ID_SIZE &&
                   AUDIT_TRACE_SIZE == TRACE_ID_SIZE && AUDIT_DIGEST_SIZE == REQUEST_DIGEST_SIZE,
               "and so does everything else");

/* SIZE is that of OUT. */
static void copy_text(char *out, const char *text, size_t size)
{
    if (memccpy(out, text, 0, size) == NULL)
        out[size - 1] = 0;
}

static void put_scheme(struct audit_record *out, uint16_t scheme)
{
    const char *name = scheme_name(scheme);
    if (name != NULL)
        copy_text(out->scheme, name, sizeof out->scheme);
    else /* refused for it */
        snprintf(out->scheme, sizeof out->scheme, "0x%04x", scheme);
}

static void put_parties(struct audit_record *out, const struct request_identity *identity,
                        const struct key_request *request)
{
    if (identity->edge != NULL) {
        copy_text(out->edge, identity->edge->name, sizeof out->edge);
    } else if (request != NULL) {
        memcpy(out->edge_key, request->edge_key, sizeof out->edge_key);
        out->has |= AUDIT_HAS_EDGE_KEY;
    }
    if (identity->key != NULL) {
        copy_text(out->key, identity->key->name, sizeof out->key);
    } else if (request != NULL && !request->no_key_id) {
        memcpy(out->key_id, request->operation->key_id, sizeof out->key_id);
        out->has |= AUDIT_HAS_KEY_ID;
    }
}

static void put_names(struct audit_record *out, const struct request_identity *identity)
{
    memcpy(out->channel, identity->channel, sizeof out->channel);
    out->has |= AUDIT_HAS_CHANNEL;
    if (!identity->no_trace) {
        memcpy(out->trace, identity->trace.bytes, sizeof out->trace);
        out->has |= AUDIT_HAS_TRACE;
    }
    if (identity->key != NULL) { /* else none was made */
        memcpy(out->digest, identity->digest, sizeof out->digest);
        out->has |= AUDIT_HAS_DIGEST;
    }
}

void audit_use_describe(struct audit_record *out, const struct request_identity *identity,
                        const struct key_request *request, enum audit_result result, enum refusal refusal)
{
    const char *operation = operation_name(identity->kind);
    memset(out, 0, sizeof *out);
    out->type = AUDIT_USE;
    put_parties(out, identity, request);
    copy_text(out->op, operation != NULL ? operation : "unknown", sizeof out->op);
    copy_text(out->mode, operation_mode_name(operation_mode(identity->kind)), sizeof out->mode);
    if (operation_signs(identity->kind) || identity->scheme != 0)
        put_scheme(out, identity->scheme); /* of a signature it may be 0, too */
    copy_text(out->name, identity->server_name, sizeof out->name);
    put_names(out, identity);
    out->result = result;
    if (result == AUDIT_REFUSED)
        copy_text(out->reason, refusal_name(refusal), sizeof out->reason);
}

void audit_use_explain_edge(struct audit_record *out, const struct authorized_edge *edge)
{
    *out = (struct audit_record){.type = AUDIT_EDGE};
    copy_text(out->edge, edge->name, sizeof out->edge);
    memcpy(out->edge_key, edge->key, sizeof out->edge_key);
}

void audit_use_explain_key(struct audit_record *out, const struct key *key)
{
    *out = (struct audit_record){.type = AUDIT_KEY, .bits = key->bits};
    copy_text(out->key, key->name, sizeof out->key);
    memcpy(out->key_id, key->id, sizeof out->key_id);
    copy_text(out->kind, key_type_name(key->type), sizeof out->kind);
}
