#include <sys/socket.h>

#include "keyserver/wall/wall.h"
#include "proto/operation_fields.h"

/* A kind that is none is judged as unknown, not malformed: no field of it is looked at. */
static int check_operation(const struct operation *operation)
{
    const struct operation_field *borrowed = operation_borrowed(operation->kind);
    if (operation_check_lengths(operation) != 0)
        return ERR_FORMAT;
    return borrowed == NULL || (operation_field_bytes(operation, borrowed) != NULL &&
                                operation_field_length(operation, borrowed) > 0)
               ? 0
               : ERR_FORMAT;
}

const struct operation_field *wall_request_borrowed(const struct wall_request *slot)
{
    return slot->kind == WALL_OPERATION ? operation_borrowed(slot->operation.kind) : NULL;
}

int wall_request_check(const struct wall_request *slot)
{
    if (slot->token == 0 && slot->kind != WALL_EPOCH_WANTED)
        return ERR_FORMAT;
    if (slot->from_family != 0 && slot->from_family != AF_INET && slot->from_family != AF_INET6)
        return ERR_FORMAT;
    if (slot->kind == WALL_CANCEL || slot->kind == WALL_EPOCH_WANTED)
        return 0;
    return slot->kind == WALL_OPERATION ? check_operation(&slot->operation) : ERR_FORMAT;
}

static int check_outcome(const struct outcome *outcome)
{
    if (outcome->status < 0 || outcome->status >= STATUS_KINDS || outcome->length > RESULT_MAX)
        return ERR_FORMAT;
    return outcome->status != STATUS_OK && outcome->length != 0 ? ERR_FORMAT : 0;
}

int wall_answer_check(const struct wall_answer *slot)
{
    switch (slot->kind) {
    case WALL_OUTCOME:
        return slot->token == 0 ? ERR_FORMAT : check_outcome(&slot->u.outcome);
    case WALL_KEYS:
        return slot->token == 0 || slot->u.keys.count > WALL_KEYS_MAX || slot->more > 1 ? ERR_FORMAT : 0;
    case WALL_STATS:
    case WALL_EPOCH:
        return 0;
    default:
        return ERR_FORMAT;
    }
}
