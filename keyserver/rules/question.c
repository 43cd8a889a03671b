#include "keyserver/rules/question.h"

#include <arpa/inet.h>
#include <string.h>

#include "common/date.h"

int question_take_operation(struct question *question, const char *text, struct fault *fault)
{
    char list[OPERATION_LIST_SIZE];
    if (operation_parse(text, &question->operation) == 0 && operation_uses_key(question->operation))
        return 0;
    return fault_set(fault, ERR_CONFIG, "'%s' is no operation on a key; there are %s", text,
                     operation_key_list(list, " and "));
}

int question_take_from(struct question *question, const char *text, struct fault *fault)
{
    struct address *from = &question->from;
    memset(from, 0, sizeof *from);
    if (inet_pton(AF_INET, text, &from->u.v4.sin_addr) == 1) {
        from->u.v4.sin_family = AF_INET;
        from->length = sizeof from->u.v4;
    } else if (inet_pton(AF_INET6, text, &from->u.v6.sin6_addr) == 1) {
        from->u.v6.sin6_family = AF_INET6;
        from->length = sizeof from->u.v6;
    } else if (strcmp(text, "unix") == 0) {
        from->u.local.sun_family = AF_UNIX;
        from->length = sizeof(sa_family_t);
    } else {
        return fault_set(fault, ERR_CONFIG,
                         "'%s' is no address; write one without port, like 192.0.2.7 or 2001:db8::1, or unix",
                         text);
    }
    question->from_text = text;
    return 0;
}

int question_take_at(struct question *question, const char *text, struct fault *fault)
{
    if (date_parse(&question->at, text) == 0)
        return 0;
    return fault_set(fault, ERR_CONFIG,
                     "'%s' is no date; write 2026-12-31 (00:00:00 UTC) or 2026-12-31T12:00:00Z", text);
}
