#include "keyserver/vault/judge/judge_steps.h"

#include "keyserver/vault/judge/epoch.h"
#include "keyserver/vault/judge/gate.h"

static uint32_t bit(const struct judge_context *context)
{
    return OPERATION_BIT(context->operation->kind);
}

/* ---- who asks, from where, when ---- */

static enum refusal ask_edge(struct judge_context *context)
{
    return context->edge != NULL ? REFUSAL_NONE : REFUSAL_UNKNOWN_EDGE;
}

static enum refusal ask_edge_from(struct judge_context *context)
{
    return authorized_from(context->edge, context->from) ? REFUSAL_NONE : REFUSAL_FROM;
}

static enum refusal ask_key_from(struct judge_context *context)
{
    return context->rule == NULL || policy_rule_from(context->rule, context->from) ? REFUSAL_NONE
                                                                                   : REFUSAL_FROM;
}

static enum refusal ask_edge_valid(struct judge_context *context)
{
    return date_span_has(&context->edge->valid, context->now->unix_s) ? REFUSAL_NONE : REFUSAL_VALIDITY;
}

/* ---- for what ---- */

static enum refusal ask_operation(struct judge_context *context)
{
    return context->operation->kind == OP_KEYS || judge_about_key(context) ? REFUSAL_NONE
                                                                           : REFUSAL_UNKNOWN_OPERATION;
}

static enum refusal ask_key(struct judge_context *context)
{
    return context->key != NULL ? REFUSAL_NONE : REFUSAL_UNKNOWN_KEY;
}

static enum refusal ask_key_valid(struct judge_context *context)
{
    return date_span_has(&context->rule->valid, context->now->unix_s) ? REFUSAL_NONE : REFUSAL_VALIDITY;
}

static enum refusal ask_keys(struct judge_context *context)
{
    return authorized_for_key(context->edge, context->key->id, context->key->name) ? REFUSAL_NONE
                                                                                   : REFUSAL_KEY_NOT_GRANTED;
}

static enum refusal ask_ops(struct judge_context *context)
{
    return (context->edge->operations & bit(context)) != 0 ? REFUSAL_NONE : REFUSAL_OPERATION_NOT_GRANTED;
}

static enum refusal ask_operations(struct judge_context *context)
{
    return (context->rule->operations & bit(context)) != 0 ? REFUSAL_NONE : REFUSAL_OPERATION_NOT_GRANTED;
}

static enum refusal ask_mode(struct judge_context *context)
{
    return policy_rule_mode(context->rule, context->operation->kind) ? REFUSAL_NONE : REFUSAL_MODE;
}

static enum refusal ask_type(struct judge_context *context)
{
    return (operations_of_key(context->key->type) & bit(context)) != 0 ? REFUSAL_NONE : REFUSAL_SCHEME;
}

/* ---- is it what it should be? ---- */

static enum refusal ask_form(struct judge_context *context)
{
    return gate_pass(context->operation, context->key, context->input, &context->seen);
}

static enum refusal ask_session(struct judge_context *context)
{
    return operation_mode(context->operation->kind) != MODE_BOUND ||
                   epoch_accepts(context->seen.session_id, context->judge->epoch_secret, context->edge->key,
                                 context->now->epoch)
               ? REFUSAL_NONE
               : REFUSAL_SESSION_ID;
}

static enum refusal ask_name(struct judge_context *context)
{
    return operation_mode(context->operation->kind) != MODE_BOUND ||
                   policy_rule_name(context->rule, context->seen.server_name)
               ? REFUSAL_NONE
               : REFUSAL_NAME;
}

/* ---- and not too often ---- */

/* What cannot be counted does not pass. */
static enum refusal ask_rate(struct judge_context *context)
{
    return usage_open(context->judge->usage, &context->use, context->edge, context->key, context->now) == 0 &&
                   usage_check_rate(&context->use, context->now)
               ? REFUSAL_NONE
               : REFUSAL_RATE;
}

static enum refusal ask_quota(struct judge_context *context)
{
    return usage_check_quota(&context->use, context->now) ? REFUSAL_NONE : REFUSAL_QUOTA;
}

const struct judge_step judge_steps[STEPS] = {
    [STEP_EDGE] = {"edge", STEP_OF_ALL, ask_edge},
    [STEP_EDGE_FROM] = {"edge_from", STEP_OF_ALL | STEP_WHERE, ask_edge_from},
    [STEP_KEY_FROM] = {"key_from", STEP_WHERE, ask_key_from},
    [STEP_EDGE_VALID] = {"edge_valid", STEP_OF_ALL | STEP_WHEN, ask_edge_valid},
    [STEP_OPERATION] = {"operation", STEP_OF_ALL, ask_operation},
    [STEP_KEY] = {"key", 0, ask_key},
    [STEP_KEY_VALID] = {"key_valid", STEP_WHEN, ask_key_valid},
    [STEP_KEYS] = {"keys", 0, ask_keys},
    [STEP_OPS] = {"ops", 0, ask_ops},
    [STEP_OPERATIONS] = {"operations", 0, ask_operations},
    [STEP_MODE] = {"mode", 0, ask_mode},
    [STEP_TYPE] = {"type", 0, ask_type},
    [STEP_FORM] = {"form", STEP_CONTENT, ask_form},
    [STEP_SESSION] = {"session", STEP_CONTENT, ask_session},
    [STEP_NAME] = {"name", STEP_CONTENT, ask_name},
    [STEP_RATE] = {"rate", STEP_COUNT, ask_rate},
    [STEP_QUOTA] = {"quota", STEP_COUNT, ask_quota},
};

bool judge_about_key(const struct judge_context *context)
{
    return operation_uses_key(context->operation->kind);
}

void judge_open(struct judge_context *context, const struct judge *judge, const struct authorized_edge *edge,
                const struct operation *operation, const struct address *from, const struct now *now)
{
    *context = (struct judge_context){
        .judge = judge, .now = now, .operation = operation, .from = from, .edge = edge};
    if (edge == NULL || !judge_about_key(context))
        return;
    context->key = keystore_find(judge->keys, operation->key_id);
    if (context->key != NULL)
        context->rule = policy_rule_of(judge->policy, context->key->id, context->key->name);
}
