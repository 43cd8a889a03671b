/* A question to the policy: may this edge ask this of this key? From the words of a command line to fields;
 * answered by vault/explain.h.
 *
 * Knows neither edges nor keys. Pure. */
#ifndef KEYSERVER_RULES_QUESTION_H
#define KEYSERVER_RULES_QUESTION_H

#include "common/address.h"
#include "proto/operation.h"

struct question {
    const char *edge; /* borrowed: its name, or its public key in base64 */
    const char *key;  /* borrowed: its name, or its id in hex */
    enum operation_kind operation;
    const char *from_text; /* borrowed; NULL: where from was not said */
    struct address from;
    const char *name; /* borrowed: the server name that the client asks for, "" for none; NULL: not said */
    int64_t at;       /* unix time */
};

/* Each takes one word; ERR_CONFIG with a fault that says what would be right. */
int question_take_operation(struct question *question, const char *text, struct fault *fault) MUST_USE;
/* An address without port, or "unix". */
int question_take_from(struct question *question, const char *text, struct fault *fault) MUST_USE;
/* A date of date.h. */
int question_take_at(struct question *question, const char *text, struct fault *fault) MUST_USE;

#endif
