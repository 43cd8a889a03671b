#include "keyserver/vault/judge/judge.h"

#include <string.h>

#include "keyserver/vault/judge/judge_steps.h"
#include "proto/operation_fields.h"

/* Asks step by step, but for those that depend on what is LEFT_OUT, until one says no. */
static enum refusal walk(struct judge_context *context, unsigned left_out)
{
    bool about_key = judge_about_key(context);
    for (size_t i = 0; i < STEPS; i++) {
        const struct judge_step *step = &judge_steps[i];
        if ((step->depends & left_out) != 0 || (!about_key && (step->depends & STEP_OF_ALL) == 0))
            continue;
        enum refusal refusal = step->ask(context);
        if (refusal != REFUSAL_NONE)
            return refusal;
    }
    return REFUSAL_NONE;
}

void judge_request(const struct judge *judge, const struct key_request *request, const struct now *now,
                   struct judgement *out)
{
    const struct operation *operation = request->operation;
    struct judge_context context;
    *out = (struct judgement){.identity = {.kind = operation->kind,
                                           .scheme = operation_scheme(operation),
                                           .trace = request->trace,
                                           .no_trace = request->no_trace}};
    memcpy(out->identity.channel, request->channel, sizeof out->identity.channel);
    judge_open(&context, judge, authorized_find(judge->edges, request->edge_key), operation, &request->from,
               now);
    context.input = &out->input;
    out->identity.edge = context.edge;
    out->identity.key = context.key;
    if (context.key != NULL)
        request_digest(judge->hasher, out->identity.digest, operation);
    out->refusal = walk(&context, 0);
    memcpy(out->identity.server_name, context.seen.server_name, sizeof out->identity.server_name);
    if (out->refusal == REFUSAL_NONE && context.key != NULL)
        usage_take(&context.use, now);
}

/* True when EDGE could be granted an operation of KIND on KEY, be it elsewhere or at another time. */
static bool grants(const struct judge *judge, const struct authorized_edge *edge, const struct key *key,
                   enum operation_kind kind)
{
    struct operation operation = {.kind = kind};
    struct judge_context context;
    memcpy(operation.key_id, key->id, KEY_ID_SIZE);
    judge_open(&context, judge, edge, &operation, NULL, NULL);
    return walk(&context, STEP_WHERE | STEP_WHEN | STEP_CONTENT | STEP_COUNT) == REFUSAL_NONE;
}

uint32_t judge_grants(const struct judge *judge, const struct authorized_edge *edge, const struct key *key)
{
    uint32_t granted = 0;
    for (enum operation_kind kind = OP_PING; kind < OP_KINDS; kind++)
        if (operation_uses_key(kind) && grants(judge, edge, key, kind))
            granted |= OPERATION_BIT(kind);
    return granted;
}

bool judge_reaches(const struct judge *judge, const struct key *key, const struct address *from,
                   const struct now *now)
{
    struct judge_context context = {.judge = judge, .now = now, .from = from, .key = key};
    context.rule = policy_rule_of(judge->policy, key->id, key->name);
    for (size_t i = 0; i < STEPS; i++) {
        const struct judge_step *step = &judge_steps[i];
        if ((step->depends & (STEP_WHERE | STEP_WHEN)) != 0 && (step->depends & STEP_OF_ALL) == 0 &&
            step->ask(&context) != REFUSAL_NONE)
            return false;
    }
    return true;
}

bool judge_grants_epoch(const struct judge *judge, const struct authorized_edge *edge, const struct key *key)
{
    return grants(judge, edge, key, OP_RSA_MASTER);
}
