#include <sys/socket.h>

#include "keyserver/wall/wall.h"

static int check_operation(const struct operation *operation)
{
    switch (operation->kind) {
    case OP_KEYS:
        return 0;
    case OP_SIGN_TLS13:
        return operation->u.sign_tls13.hash_length <= TRANSCRIPT_HASH_MAX ? 0 : ERR_FORMAT;
    case OP_SIGN_TLS12:
        return operation->u.sign_tls12.params_length <= KEY_EXCHANGE_PARAMS_MAX ? 0 : ERR_FORMAT;
    case OP_RSA_PREMASTER:
        return operation->u.rsa_premaster.ciphertext_length <= RSA_MODULUS_MAX ? 0 : ERR_FORMAT;
    case OP_RSA_MASTER:
        return operation->u.rsa_master.messages != NULL && operation->u.rsa_master.length > 0 &&
                       operation->u.rsa_master.length <= HANDSHAKE_MAX
                   ? 0
                   : ERR_FORMAT;
    default: /* judged as unknown, not malformed: no field of it is looked at */
        return 0;
    }
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

const char *wall_refusal_name(enum wall_refusal refusal)
{
    static const char *const names[REFUSAL_KINDS] = {
        [REFUSAL_NONE] = "none",
        [REFUSAL_MALFORMED_SLOT] = "malformed_slot",
        [REFUSAL_UNKNOWN_EDGE] = "unknown_edge",
        [REFUSAL_FROM] = "from",
        [REFUSAL_VALIDITY] = "not_valid_now",
        [REFUSAL_UNKNOWN_KEY] = "unknown_key",
        [REFUSAL_KEY_NOT_GRANTED] = "key_not_granted",
        [REFUSAL_OPERATION_NOT_GRANTED] = "operation_not_granted",
        [REFUSAL_MODE] = "mode_not_granted",
        [REFUSAL_UNKNOWN_OPERATION] = "unknown_operation",
        [REFUSAL_SCHEME] = "scheme",
        [REFUSAL_STRUCTURE] = "structure",
        [REFUSAL_SESSION_ID] = "session_id_not_live",
        [REFUSAL_NAME] = "name_not_granted",
        [REFUSAL_RATE] = "rate",
        [REFUSAL_QUOTA] = "quota",
        [REFUSAL_AUDIT] = "audit_unavailable",
    };
    return refusal < REFUSAL_KINDS ? names[refusal] : "unknown";
}
