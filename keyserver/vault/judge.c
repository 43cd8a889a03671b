#include "keyserver/vault/judge.h"

#include <string.h>

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
    return kind == OP_SIGN_TLS13 || kind == OP_SIGN_TLS12 || kind == OP_RSA_PREMASTER;
}

uint32_t judge_grants(const struct authorized_edge *edge, const struct key *key)
{
    if (!authorized_for_key(edge, key->id, key->name))
        return 0;
    return edge->operations & keystore_operations(key->type);
}

struct judgement judge_request(const struct authorized *edges, const struct keystore *keys,
                               const struct wall_request *request)
{
    struct judgement judgement = {.refusal = REFUSAL_NONE};
    enum operation_kind kind = request->operation.kind;
    struct address from = address_of(request);

    judgement.edge = authorized_find(edges, request->edge_key);
    if (judgement.edge == NULL)
        judgement.refusal = REFUSAL_UNKNOWN_EDGE;
    else if (!authorized_from(judgement.edge, &from))
        judgement.refusal = REFUSAL_FROM;
    else if (kind == OP_KEYS)
        judgement.refusal = REFUSAL_NONE;
    else if (!is_key_operation(kind))
        judgement.refusal = REFUSAL_UNKNOWN_OPERATION;
    else if ((judgement.key = keystore_find(keys, request->operation.key_id)) == NULL)
        judgement.refusal = REFUSAL_UNKNOWN_KEY;
    else if (!authorized_for_key(judgement.edge, judgement.key->id, judgement.key->name))
        judgement.refusal = REFUSAL_KEY_NOT_GRANTED;
    else if ((judgement.edge->operations & 1u << kind) == 0)
        judgement.refusal = REFUSAL_OPERATION_NOT_GRANTED;
    else
        judgement.refusal = gate_check(&request->operation, judgement.key);
    return judgement;
}
