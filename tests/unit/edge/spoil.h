/* Answers of a key server that are wrong, each made of a good one. Not a test itself. */
#ifndef TESTS_UNIT_EDGE_SPOIL_H
#define TESTS_UNIT_EDGE_SPOIL_H

#include <string.h>

#include "proto/operation.h"

static inline void spoil_one_byte_more(struct outcome *outcome)
{
    outcome->length++;
}

static inline void spoil_one_byte_less(struct outcome *outcome)
{
    outcome->length--;
}

static inline void spoil_length_zero(struct outcome *outcome)
{
    outcome->length = 0;
}

/* More than any answer has. */
static inline void spoil_too_much(struct outcome *outcome)
{
    outcome->length = RESULT_MAX + 1;
}

static inline void spoil_last_bit(struct outcome *outcome)
{
    outcome->bytes[outcome->length - 1] ^= 1;
}

/* Of the right length. */
static inline void spoil_all_bytes(struct outcome *outcome)
{
    memset(outcome->bytes, 0x5a, outcome->length);
}

static inline void spoil_refused(struct outcome *outcome)
{
    outcome->status = STATUS_REFUSED;
}

static inline void spoil_busy(struct outcome *outcome)
{
    outcome->status = STATUS_BUSY;
}

static inline void spoil_expired(struct outcome *outcome)
{
    outcome->status = STATUS_EXPIRED;
}

#endif
