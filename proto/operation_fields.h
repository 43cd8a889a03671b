/* The fields of an operation of any kind, read and written by the table of operations. For who moves
 * operations without asking what they mean: messages, the wall, the digest of a request.
 *
 * Pure. KIND is checked: an operation that is none has no fields. */
#ifndef PROTO_OPERATION_FIELDS_H
#define PROTO_OPERATION_FIELDS_H

#include "proto/operation.h"

/* The value of FIELD, one of OPERATION's: a number, or bytes (borrowed) and how many. */
uint16_t operation_field_number(const struct operation *operation, const struct operation_field *field);
const uint8_t *operation_field_bytes(const struct operation *operation, const struct operation_field *field);
size_t operation_field_length(const struct operation *operation, const struct operation_field *field);
/* True when LENGTH bytes may stand in FIELD. */
bool operation_field_takes(const struct operation_field *field, size_t length);

void operation_field_set_number(struct operation *operation, const struct operation_field *field,
                                uint16_t number);
/* LENGTH is one that the field takes. Copies, or borrows BYTES where the field does. */
void operation_field_set_bytes(struct operation *operation, const struct operation_field *field,
                               const uint8_t *bytes, size_t length);

/* ERR_LENGTH when a length is above what its field has room for. */
int operation_check_lengths(const struct operation *operation) MUST_USE;
/* ERR_FORMAT when a length is none that its field takes. */
int operation_check_fields(const struct operation *operation) MUST_USE;
/* The first bytes of OPERATION that say something: what is behind them is room that its lengths do not use.
 * At most sizeof *operation, whatever the lengths. */
size_t operation_used(const struct operation *operation);
/* The sum of the bytes in its fields; numbers are not counted. */
uint32_t operation_bytes(const struct operation *operation);
/* The scheme of a signature; 0 of anything else. */
uint16_t operation_scheme(const struct operation *operation);

/* The field that an operation of KIND borrows, or NULL: a copy of the operation does not hold its bytes. */
const struct operation_field *operation_borrowed(enum operation_kind kind);

#endif
