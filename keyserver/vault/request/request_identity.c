#include "keyserver/vault/request/request_identity.h"

#include <string.h>

#include "common/bytes.h"
#include "proto/operation_fields.h"

/* The fields of an operation take no more than struct operation has for them. */
#define HEAD_MAX (1 + sizeof(struct operation))

static void put_field(struct writer *w, const struct operation *operation,
                      const struct operation_field *field)
{
    if (field->form == FIELD_NUMBER)
        writer_u16(w, operation_field_number(operation, field));
    else if (field->form == FIELD_BYTES)
        writer_bytes(w, operation_field_bytes(operation, field), operation_field_length(operation, field));
}

void request_digest(const struct hasher *hasher, uint8_t out[static REQUEST_DIGEST_SIZE],
                    const struct operation *operation)
{
    const struct operation_info *info = operation_find(operation->kind);
    const struct operation_field *borrowed = operation_borrowed(operation->kind);
    uint8_t head[HEAD_MAX], hash[HASH_MAX];
    struct writer w;
    writer_init(&w, head, sizeof head);
    writer_u8(&w, (uint8_t)operation->kind);
    writer_bytes(&w, operation->key_id, KEY_ID_SIZE);
    for (size_t i = 0; info != NULL && i < info->field_count; i++)
        put_field(&w, operation, &info->fields[i]);
    if (hasher_hash(hasher, hash, 256, head, writer_length(&w),
                    borrowed != NULL ? operation_field_bytes(operation, borrowed) : NULL,
                    borrowed != NULL ? operation_field_length(operation, borrowed) : 0) != 0)
        memset(hash, 0, sizeof hash);
    memcpy(out, hash, REQUEST_DIGEST_SIZE);
}
