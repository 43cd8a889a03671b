#include "keyserver/vault/judge.h"

#include <string.h>

#include "keyserver/vault/epoch.h"
#include "keyserver/vault/gate.h"

static struct address address_of(const struct wall_request *request)
{
    struct address address = {.length = 0};
    if (request->from_family == AF_INET) {
        address.u.v4.sin_family = AF_INET;
        memcpy(&address.u.v4.sin_addr, request->from, sizeof address.u.v4.sin_addr);
        address.length = sizeof address.u.v4;
    } else if (request->from_family == AF_INET6) {
        address.u.v6.sin6_family = AF_INET6;
        memcpy(&address.u.v6.sin6_addr, request->from, sizeof address.u.v6.sin6_addr);
        address.length = sizeof address.u.v6;
    } else {
        address.u.local.sun_family = AF_UNIX;
        address.length = sizeof(sa_family_t);
    }
    return address;
}

static bool is_key_operation(enum operation_kind kind)
{
    return kind == OP_SIGN_TLS13 || kind == OP_SIGN_TLS12 || kind == OP_RSA_PREMASTER ||
           kind == OP_RSA_MASTER;
}

uint32_t judge_grants(const struct judge *judge, const struct authorized_edge *edge, const struct key *key)
{
    (void)judge;
    if (!authorized_for_key(edge, key->id, key->name))
        return 0;
    return edge->operations & keystore_operations(key->type);
}

bool judge_grants_epoch(const struct authorized_edge *edge)
{
    return (edge->operations & 1u << OP_RSA_MASTER) != 0;
}

/* Who asks, from where, for what. */
static enum wall_refusal judge_claim(const struct judge *judge, const struct wall_request *request,
                                     struct claim *claim)
{
    struct address from = address_of(request);
    enum operation_kind kind = request->operation.kind;

    claim->edge = authorized_find(judge->edges, request->edge_key);
    if (claim->edge == NULL)
        return REFUSAL_UNKNOWN_EDGE;
    if (!authorized_from(claim->edge, &from))
        return REFUSAL_FROM;
    if (kind == OP_KEYS)
        return REFUSAL_NONE;
    if (!is_key_operation(kind))
        return REFUSAL_UNKNOWN_OPERATION;
    claim->key = keystore_find(judge->keys, request->operation.key_id);
    if (claim->key == NULL)
        return REFUSAL_UNKNOWN_KEY;
    if (!authorized_for_key(claim->edge, claim->key->id, claim->key->name))
        return REFUSAL_KEY_NOT_GRANTED;
    if ((claim->edge->operations & 1u << kind) == 0)
        return REFUSAL_OPERATION_NOT_GRANTED;
    return REFUSAL_NONE;
}

/* Is it what it should be? Bound mode: was the session begun by this very edge, just now? */
static enum wall_refusal judge_content(const struct judge *judge, const struct operation *operation,
                                       const struct moment *now, struct judgement *out)
{
    struct transcript seen = {.server_name = ""};
    enum wall_refusal refusal = gate_pass(operation, out->claim.key, &out->task, &seen);
    if (refusal != REFUSAL_NONE || operation->kind != OP_RSA_MASTER)
        return refusal;
    memcpy(out->claim.server_name, seen.server_name, sizeof out->claim.server_name);
    if (!epoch_accepts(seen.session_id, judge->epoch_secret, out->claim.edge->key, now->epoch))
        return REFUSAL_SESSION_ID;
    return REFUSAL_NONE;
}

static uint16_t scheme_of(const struct operation *operation)
{
    if (operation->kind == OP_SIGN_TLS13)
        return operation->u.sign_tls13.scheme;
    return operation->kind == OP_SIGN_TLS12 ? operation->u.sign_tls12.scheme : 0;
}

void judge_request(const struct judge *judge, const struct wall_request *request, const struct moment *now,
                   struct judgement *out)
{
    *out = (struct judgement){.claim = {.kind = request->operation.kind,
                                        .scheme = scheme_of(&request->operation),
                                        .trace = request->trace}};
    memcpy(out->claim.channel, request->channel, sizeof out->claim.channel);
    out->refusal = judge_claim(judge, request, &out->claim);
    if (out->claim.key != NULL)
        claim_digest(out->claim.digest, &request->operation);
    if (out->refusal == REFUSAL_NONE && out->claim.key != NULL)
        out->refusal = judge_content(judge, &request->operation, now, out);
}
