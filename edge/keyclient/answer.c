#include "edge/keyclient/answer.h"

int answer_check(enum operation_kind asked, const struct msg_answer *answer)
{
    const struct operation_info *info = operation_find(asked);
    const struct outcome *outcome = &answer->outcome;
    bool list = answer->more || answer->key_count > 0;

    if (info == NULL || (unsigned)outcome->status >= STATUS_KINDS)
        return ERR_FORMAT;
    if (outcome->status != STATUS_OK)
        return outcome->length == 0 && !list ? 0 : ERR_FORMAT;
    if (list && asked != OP_KEYS)
        return ERR_FORMAT;
    if (outcome->length < info->answer_min || outcome->length > info->answer_max)
        return ERR_FORMAT;
    return 0;
}
