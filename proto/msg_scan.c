#include "proto/msg_scan.h"

#include <stdbool.h>
#include <string.h>

#include "proto/keyless.pb-c.h"
#include "proto/msg.h"
#include "proto/operation_fields.h"

enum wire_type { WIRE_VARINT = 0, WIRE_64BIT = 1, WIRE_LENGTH = 2, WIRE_32BIT = 5 };

/* protobuf-c notes 16 fields of a message on its stack and the rest in blocks that double; this bounds what
 * the blocks take per field, twice over. */
#define FIELDS_ON_STACK 16
#define FIELD_NOTE_SIZE 96

struct cursor {
    const uint8_t *at;
    const uint8_t *end;
};

/* One field as it stands on the wire. */
struct wire_field {
    uint32_t number;
    enum wire_type type;
    uint64_t value;      /* varint: its value. length-delimited: its length */
    const uint8_t *data; /* length-delimited: borrowed bytes */
};

static int read_varint(struct cursor *c, size_t bytes_max, uint64_t *out)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes_max && c->at < c->end; i++) {
        uint8_t byte = *c->at++;
        if (i == 9 && byte > 1)
            return ERR_FORMAT;
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            *out = value;
            return 0;
        }
    }
    return ERR_FORMAT;
}

static int skip(struct cursor *c, uint64_t length)
{
    if (length > (uint64_t)(c->end - c->at))
        return ERR_FORMAT;
    c->at += length;
    return 0;
}

static int read_field(struct cursor *c, struct wire_field *field)
{
    uint64_t tag;
    *field = (struct wire_field){0};
    if (read_varint(c, 5, &tag) != 0 || tag > UINT32_MAX || tag >> 3 == 0)
        return ERR_FORMAT;
    field->number = (uint32_t)(tag >> 3);
    field->type = (enum wire_type)(tag & 7);
    switch (field->type) {
    case WIRE_VARINT:
        return read_varint(c, 10, &field->value);
    case WIRE_64BIT:
        return skip(c, 8);
    case WIRE_32BIT:
        return skip(c, 4);
    case WIRE_LENGTH:
        if (read_varint(c, 5, &field->value) != 0)
            return ERR_FORMAT;
        field->data = c->at;
        return skip(c, field->value);
    default:
        return ERR_FORMAT; /* groups are not of proto3 */
    }
}

static size_t rounded(size_t size)
{
    return (size + MSG_SCAN_ALIGN - 1) & ~(size_t)(MSG_SCAN_ALIGN - 1);
}

/* Counts the element of a repeated field. */
static int count_element(struct msg_scan *out, const ProtobufCFieldDescriptor *known)
{
    const struct {
        const void *element;
        size_t *count;
        size_t max;
    } limits[] = {
        {&keyless__v1__request__descriptor, &out->requests, MSG_BATCH_MAX},
        {&keyless__v1__answer__descriptor, &out->answers, MSG_BATCH_MAX},
        {&keyless__v1__key_info__descriptor, &out->keys, MSG_KEYS_MAX},
    };
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
        if (known->descriptor == limits[i].element)
            return ++*limits[i].count > limits[i].max ? ERR_LENGTH : 0;
    return ERR_LENGTH; /* a repeated field without a limit would be unbounded */
}

static bool has_right_type(const ProtobufCFieldDescriptor *known, const struct wire_field *field)
{
    switch (known->type) {
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return field->type == WIRE_LENGTH;
    case PROTOBUF_C_TYPE_UINT64:
        return field->type == WIRE_VARINT;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_ENUM:
        return field->type == WIRE_VARINT && field->value <= UINT32_MAX;
    case PROTOBUF_C_TYPE_BOOL:
        return field->type == WIRE_VARINT && field->value <= 1;
    default:
        return false; /* the protocol has no other */
    }
}

/* What has been seen of one message. Each message type has at most one oneof. */
struct seen {
    uint32_t fields; /* bit per index in the descriptor */
    bool oneof;
    unsigned unknown;
    size_t count;
};

static int check_once(struct seen *seen, const ProtobufCMessageDescriptor *type,
                      const ProtobufCFieldDescriptor *known)
{
    if (known->label == PROTOBUF_C_LABEL_REPEATED)
        return 0;
    uint32_t bit = UINT32_C(1) << (known - type->fields);
    bool in_oneof = (known->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
    if ((seen->fields & bit) != 0 || (in_oneof && seen->oneof))
        return ERR_FORMAT;
    seen->fields |= bit;
    seen->oneof = seen->oneof || in_oneof;
    return 0;
}

/* One field of a message of TYPE; a sub-message in it is left to the caller. */
static int check_field(struct msg_scan *out, struct seen *seen, const ProtobufCMessageDescriptor *type,
                       const ProtobufCFieldDescriptor *known, const struct wire_field *field)
{
    if (known == NULL) {
        if (++seen->unknown > MSG_UNKNOWN_FIELDS_MAX)
            return ERR_FORMAT;
        out->unpacked_max += rounded(sizeof(ProtobufCMessageUnknownField)) + MSG_SCAN_ALIGN;
        out->unpacked_max += rounded(field->type == WIRE_LENGTH ? (size_t)field->value + 8 : 16);
        return 0;
    }
    if (!has_right_type(known, field) || check_once(seen, type, known) != 0)
        return ERR_FORMAT;
    if (known->label == PROTOBUF_C_LABEL_REPEATED) {
        out->unpacked_max += MSG_SCAN_ALIGN; /* its place in the array of pointers, which is rounded up */
        return count_element(out, known);
    }
    if (field->type == WIRE_LENGTH && known->type != PROTOBUF_C_TYPE_MESSAGE)
        out->unpacked_max += rounded((size_t)field->value + 1);
    return 0;
}

/* What the operation in FIELD of a request borrows is no longer than its message. */
static size_t borrowed_max(const struct wire_field *field)
{
    return operation_borrowed(operation_of_wire(field->number)) != NULL ? (size_t)field->value : 0;
}

/* The field of TYPE with NUMBER, or NULL. Ours are numbered from 1 on, mostly without gaps. */
static const ProtobufCFieldDescriptor *find_field(const ProtobufCMessageDescriptor *type, uint32_t number)
{
    if (number - 1 < type->n_fields && type->fields[number - 1].id == number)
        return &type->fields[number - 1];
    return protobuf_c_message_descriptor_get_field(type, number);
}

/* The depth of the recursion is that of the message types, of which none contains itself. */
static int scan_message(struct msg_scan *out, const ProtobufCMessageDescriptor *type, const uint8_t *bytes,
                        size_t length)
{
    struct cursor cursor = {bytes, length > 0 ? bytes + length : bytes};
    struct seen seen = {0};
    out->unpacked_max += rounded(type->sizeof_message);
    while (cursor.at < cursor.end) {
        struct wire_field field;
        int err = read_field(&cursor, &field);
        if (err != 0)
            return err;
        if (++seen.count > FIELDS_ON_STACK)
            out->unpacked_max += FIELD_NOTE_SIZE;
        const ProtobufCFieldDescriptor *known = find_field(type, field.number);
        err = check_field(out, &seen, type, known, &field);
        if (err == 0 && known != NULL && known->type == PROTOBUF_C_TYPE_MESSAGE)
            err = scan_message(out, known->descriptor, field.data, (size_t)field.value);
        if (err == 0 && type == &keyless__v1__request__descriptor)
            out->messages += borrowed_max(&field);
        if (err != 0)
            return err;
    }
    if (seen.count > FIELDS_ON_STACK)
        out->unpacked_max += FIELDS_ON_STACK * FIELD_NOTE_SIZE;
    return 0;
}

int msg_scan(struct msg_scan *out, const uint8_t *bytes, size_t length)
{
    *out = (struct msg_scan){0};
    return scan_message(out, &keyless__v1__message__descriptor, bytes, length);
}
