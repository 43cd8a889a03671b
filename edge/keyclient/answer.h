/* Answer: whether what a server answered can be an answer to what it was asked. Length and form only: that a
 * signature holds is for those to check who have the public key. Pure; any thread. */
#ifndef EDGE_KEYCLIENT_ANSWER_H
#define EDGE_KEYCLIENT_ANSWER_H

#include "proto/msg.h"

/* 0, or ERR_FORMAT: a status that does not exist, a pre-master that is not 48 bytes, an empty or oversized
 * signature, bytes without success, a list of keys or "more" that nobody asked for. */
int answer_check(enum operation_kind asked, const struct msg_answer *answer) MUST_USE;

#endif
