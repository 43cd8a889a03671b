/* The one block of memory in which a parsed message lives, arrays included, so that it can be wiped whole.
 * Shared by msg.c and msg_parse.c only. */
#ifndef PROTO_MSG_BLOCK_H
#define PROTO_MSG_BLOCK_H

#include "proto/msg.h"

struct msg_block {
    size_t size; /* bytes, this struct and all that follows it */
    struct msg msg;
    _Alignas(16) uint8_t rest[]; /* requests and what they point to, or answers and then all their keys */
};

#endif
