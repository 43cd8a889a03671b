/* A walk over a packed message before anything is unpacked: counts, lengths and nesting within their limits,
 * every field once, and how much memory unpacking can need at most.
 *
 * Not a parser: it keeps no values. Driven by the generated descriptors. Pure; any thread. */
#ifndef PROTO_MSG_SCAN_H
#define PROTO_MSG_SCAN_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define MSG_UNKNOWN_FIELDS_MAX 8 /* in one message or sub-message */

struct msg_scan {
    size_t requests;
    size_t answers;
    size_t keys;         /* in all answers together */
    size_t messages;     /* bytes of handshake messages in all requests together */
    size_t unpacked_max; /* bytes protobuf-c can ask for, each piece rounded up to MSG_SCAN_ALIGN */
};

#define MSG_SCAN_ALIGN 16

/* ERR_FORMAT for what is not well-formed, has a field twice or with another wire type than ours, or too many
 * unknown ones; ERR_LENGTH above a count of msg.h. */
int msg_scan(struct msg_scan *out, const uint8_t *bytes, size_t length) MUST_USE;

#endif
