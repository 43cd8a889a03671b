#include <stdlib.h>
#include <string.h>

#include "proto/keyless.pb-c.h"
#include "proto/msg.h"
#include "proto/operation_fields.h"

/* What packed requests take at most: one that borrows bytes beside these, and any other. */
#define BORROWER_MAX     112
#define REQUEST_MAX      704
#define MESSAGE_OVERHEAD 16
_Static_assert(MSG_BATCH_MAX *REQUEST_MAX + MESSAGE_OVERHEAD <= MSG_SIZE_MAX,
               "a batch of anything else fits one message");
_Static_assert(BORROWER_MAX + HANDSHAKE_MAX + MESSAGE_OVERHEAD <= MSG_SIZE_MAX, "so does one handshake");

/* protobuf-c's structs have pointers without const, though packing only reads through them. */
static ProtobufCBinaryData borrow(const void *bytes, size_t length)
{
    union {
        const void *from;
        uint8_t *to;
    } pointer = {.from = bytes};
    return (ProtobufCBinaryData){.len = length, .data = pointer.to};
}

static int append(struct buffer *out, const Keyless__V1__Message *message)
{
    size_t length = keyless__v1__message__get_packed_size(message);
    if (length > MSG_SIZE_MAX)
        return ERR_LENGTH;
    uint8_t *room = buffer_reserve(out, length);
    if (room == NULL)
        return ERR_MEMORY;
    buffer_commit(out, keyless__v1__message__pack(message, room));
    return 0;
}

int msg_pack_hello(struct buffer *out, const struct msg_hello *hello)
{
    char software[MSG_SOFTWARE_MAX];
    size_t length = strnlen(hello->software, sizeof software - 1);
    memcpy(software, hello->software, length);
    software[length] = 0;
    Keyless__V1__Hello body;
    keyless__v1__hello__init(&body);
    body.version_min = hello->version_min;
    body.version_max = hello->version_max;
    body.in_flight_max = hello->in_flight_max;
    body.software = software;
    Keyless__V1__Message message = KEYLESS__V1__MESSAGE__INIT;
    message.body_case = KEYLESS__V1__MESSAGE__BODY_HELLO;
    message.hello = &body;
    return append(out, &message);
}

/* What the message of one operation takes, as protobuf-c has it. */
#define FIELDS_MAX 128

/* A request being packed: protobuf-c's structs, next to each other. */
struct request_parts {
    Keyless__V1__Request request;
    union {
        ProtobufCMessage base;
        uint8_t room[FIELDS_MAX];
    } fields;
};

static void fill_field(uint8_t *place, const struct operation *operation, const struct operation_field *field)
{
    if (field->form == FIELD_NUMBER) {
        uint32_t number = operation_field_number(operation, field);
        memcpy(place, &number, sizeof number);
        return;
    }
    ProtobufCBinaryData bytes = borrow(operation_field_bytes(operation, field),
                                       operation_field_length(operation, field));
    memcpy(place, &bytes, sizeof bytes);
}

/* The operation's message, in the oneof of PARTS's request. The fields of both tables stand in one order. */
static int fill_operation(struct request_parts *parts, const struct operation *operation,
                          const struct operation_info *info)
{
    const ProtobufCFieldDescriptor *member = protobuf_c_message_descriptor_get_field(
        &keyless__v1__request__descriptor, info->wire);
    const ProtobufCMessageDescriptor *type = member != NULL ? member->descriptor : NULL;
    ProtobufCMessage *message = &parts->fields.base;
    if (type == NULL || type->sizeof_message > sizeof parts->fields || type->n_fields != info->field_count)
        return ERR_UNSUPPORTED;
    protobuf_c_message_init(type, message);
    for (size_t i = 0; i < info->field_count; i++)
        fill_field(parts->fields.room + type->fields[i].offset, operation, &info->fields[i]);
    parts->request.operation_case = (Keyless__V1__Request__OperationCase)info->wire;
    memcpy((uint8_t *)&parts->request + member->offset, &message, sizeof message);
    return 0;
}

static int fill_request(struct request_parts *parts, const struct msg_request *request)
{
    const struct operation_info *info = operation_find(request->operation.kind);
    if (info == NULL)
        return ERR_UNSUPPORTED;
    int err = operation_check_lengths(&request->operation);
    if (err != 0)
        return err;
    keyless__v1__request__init(&parts->request);
    parts->request.id = request->id;
    parts->request.deadline_ms = request->deadline_ms;
    parts->request.trace_id = borrow(request->trace.bytes, TRACE_ID_SIZE);
    if (info->uses_key)
        parts->request.key_id = borrow(request->operation.key_id, KEY_ID_SIZE);
    return fill_operation(parts, &request->operation, info);
}

int msg_pack_requests(struct buffer *out, const struct msg_request *requests, size_t count)
{
    struct request_parts parts[MSG_BATCH_MAX];
    Keyless__V1__Request *pointers[MSG_BATCH_MAX];
    if (count == 0 || count > MSG_BATCH_MAX)
        return ERR_LENGTH;
    for (size_t i = 0; i < count; i++) {
        int err = fill_request(&parts[i], &requests[i]);
        if (err != 0)
            return err;
        pointers[i] = &parts[i].request;
    }
    Keyless__V1__Requests body = KEYLESS__V1__REQUESTS__INIT;
    body.n_request = count;
    body.request = pointers;
    Keyless__V1__Message message = KEYLESS__V1__MESSAGE__INIT;
    message.body_case = KEYLESS__V1__MESSAGE__BODY_REQUESTS;
    message.requests = &body;
    return append(out, &message);
}

size_t msg_requests_fit(const struct msg_request *requests, size_t count)
{
    size_t fit = 0, size = MESSAGE_OVERHEAD;
    for (; fit < count && fit < MSG_BATCH_MAX; fit++) {
        const struct operation *operation = &requests[fit].operation;
        const struct operation_field *borrowed = operation_borrowed(operation->kind);
        size += borrowed != NULL ? BORROWER_MAX + operation_field_length(operation, borrowed) : REQUEST_MAX;
        if (size > MSG_SIZE_MAX && fit > 0)
            break;
    }
    return fit;
}

int msg_pack_epoch(struct buffer *out, const struct msg_epoch *epoch)
{
    Keyless__V1__Epoch body;
    keyless__v1__epoch__init(&body);
    if (epoch->number != 0) {
        body.number = epoch->number;
        body.key = borrow(epoch->key, EPOCH_KEY_SIZE);
        body.left_ms = epoch->left_ms;
    }
    Keyless__V1__Message message = KEYLESS__V1__MESSAGE__INIT;
    message.body_case = KEYLESS__V1__MESSAGE__BODY_EPOCH;
    message.epoch = &body;
    return append(out, &message);
}

/* An answer being packed. */
struct answer_parts {
    Keyless__V1__Answer answer;
    union {
        Keyless__V1__KeyList keys;
        Keyless__V1__Load load;
    } u;
};

/* Room for the keys of all answers of a message. */
struct key_parts {
    Keyless__V1__KeyInfo *keys;      /* owned */
    Keyless__V1__KeyInfo **pointers; /* owned */
    size_t used;
};

static void fill_keys_result(struct answer_parts *parts, struct key_parts *room,
                             const struct msg_answer *answer)
{
    keyless__v1__key_list__init(&parts->u.keys);
    parts->u.keys.n_key = answer->key_count;
    parts->u.keys.key = room->pointers == NULL ? NULL : room->pointers + room->used;
    parts->u.keys.more = answer->more;
    for (size_t i = 0; i < answer->key_count; i++, room->used++) {
        Keyless__V1__KeyInfo *key = &room->keys[room->used];
        keyless__v1__key_info__init(key);
        key->key_id = borrow(answer->keys[i].key_id, KEY_ID_SIZE);
        key->type = (Keyless__V1__KeyType)answer->keys[i].type;
        key->bits = answer->keys[i].bits;
        key->operations = answer->keys[i].operations;
        room->pointers[room->used] = key;
    }
    parts->answer.result_case = KEYLESS__V1__ANSWER__RESULT_KEYS;
    parts->answer.keys = &parts->u.keys;
}

static int fill_answer(struct answer_parts *parts, struct key_parts *room, const struct msg_answer *answer)
{
    if (answer->outcome.length > RESULT_MAX)
        return ERR_LENGTH;
    keyless__v1__answer__init(&parts->answer);
    parts->answer.id = answer->id;
    parts->answer.status = (Keyless__V1__Status)answer->outcome.status;
    if (answer->outcome.length > 0) {
        parts->answer.result_case = KEYLESS__V1__ANSWER__RESULT_BYTES;
        parts->answer.bytes = borrow(answer->outcome.bytes, answer->outcome.length);
    } else if (answer->key_count > 0 || answer->more) {
        fill_keys_result(parts, room, answer);
    } else if (answer->in_flight > 0 || answer->workers > 0) {
        keyless__v1__load__init(&parts->u.load);
        parts->u.load.in_flight = answer->in_flight;
        parts->u.load.workers = answer->workers;
        parts->answer.result_case = KEYLESS__V1__ANSWER__RESULT_LOAD;
        parts->answer.load = &parts->u.load;
    }
    return 0;
}

static int pack_answers(struct buffer *out, const struct msg_answer *answers, size_t count,
                        struct key_parts *room)
{
    struct answer_parts parts[MSG_BATCH_MAX];
    Keyless__V1__Answer *pointers[MSG_BATCH_MAX];
    for (size_t i = 0; i < count; i++) {
        int err = fill_answer(&parts[i], room, &answers[i]);
        if (err != 0)
            return err;
        pointers[i] = &parts[i].answer;
    }
    Keyless__V1__Answers body = KEYLESS__V1__ANSWERS__INIT;
    body.n_answer = count;
    body.answer = pointers;
    Keyless__V1__Message message = KEYLESS__V1__MESSAGE__INIT;
    message.body_case = KEYLESS__V1__MESSAGE__BODY_ANSWERS;
    message.answers = &body;
    return append(out, &message);
}

int msg_pack_answers(struct buffer *out, const struct msg_answer *answers, size_t count)
{
    struct key_parts room = {0};
    size_t keys = 0;
    int err = ERR_MEMORY;
    if (count == 0 || count > MSG_BATCH_MAX)
        return ERR_LENGTH;
    for (size_t i = 0; i < count; i++) {
        if (answers[i].key_count > MSG_KEYS_MAX - keys)
            return ERR_LENGTH;
        keys += answers[i].key_count;
    }
    if (keys > 0) {
        room.keys = calloc(keys, sizeof *room.keys);
        room.pointers = calloc(keys, sizeof *room.pointers);
    }
    if (keys == 0 || (room.keys != NULL && room.pointers != NULL))
        err = pack_answers(out, answers, count, &room);
    free(room.keys);
    free(room.pointers);
    return err;
}
