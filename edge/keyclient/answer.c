#include "edge/keyclient/answer.h"

/* Bytes of a good answer to each operation. */
static const struct {
    uint16_t min, max;
} lengths[OP_KINDS] = {
    [OP_PING] = {0, 0},
    [OP_KEYS] = {0, 0},
    [OP_SIGN_TLS13] = {1, RESULT_MAX},
    [OP_SIGN_TLS12] = {1, RESULT_MAX},
    [OP_RSA_PREMASTER] = {TLS_PREMASTER_SIZE, TLS_PREMASTER_SIZE},
    [OP_RSA_MASTER] = {TLS_MASTER_SIZE, TLS_MASTER_SIZE},
};

int answer_check(enum operation_kind asked, const struct msg_answer *answer)
{
    const struct outcome *outcome = &answer->outcome;
    bool list = answer->more || answer->key_count > 0;

    if ((unsigned)asked >= OP_KINDS || (unsigned)outcome->status >= STATUS_KINDS)
        return ERR_FORMAT;
    if (outcome->status != STATUS_OK)
        return outcome->length == 0 && !list ? 0 : ERR_FORMAT;
    if (list && asked != OP_KEYS)
        return ERR_FORMAT;
    if (outcome->length < lengths[asked].min || outcome->length > lengths[asked].max)
        return ERR_FORMAT;
    return 0;
}
