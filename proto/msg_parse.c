#include <stdlib.h>
#include <string.h>

#include "common/secret.h"
#include "proto/keyless.pb-c.h"
#include "proto/msg.h"
#include "proto/msg_block.h"
#include "proto/msg_scan.h"
#include "proto/operation_fields.h"

#define DEADLINE_MAX_MS  60000
#define ARENA_ON_STACK   2048
#define KNOWN_OPERATIONS ((UINT32_C(1) << OP_KINDS) - 2) /* bit 0 stands for none */

/* The memory that protobuf-c unpacks into: pieces are taken from the front, none is freed, all is wiped
 * together. */
struct arena {
    uint8_t *bytes;
    size_t size;
    size_t used;
    bool refused; /* more was asked for than msg_scan() allowed */
};

static void *arena_alloc(void *data, size_t size)
{
    struct arena *arena = data;
    size_t whole = (size + MSG_SCAN_ALIGN - 1) & ~(size_t)(MSG_SCAN_ALIGN - 1);
    if (whole < size || whole > arena->size - arena->used) {
        arena->refused = true;
        return NULL;
    }
    void *piece = arena->bytes + arena->used;
    arena->used += whole;
    return piece;
}

static void arena_free(void *data, void *piece)
{
    (void)data;
    (void)piece;
}

/* Room behind the requests, for what they point to. */
struct room {
    uint8_t *at;
};

/* Copies a field that must be exactly SIZE bytes or absent, which leaves zeros. */
static int take_exact(uint8_t *out, size_t size, const ProtobufCBinaryData *field)
{
    if (field->len == 0)
        return 0;
    if (field->len != size)
        return ERR_FORMAT;
    memcpy(out, field->data, size);
    return 0;
}

static int convert_hello(struct msg_hello *out, const Keyless__V1__Hello *hello)
{
    size_t length = strlen(hello->software);
    if (hello->version_min == 0 || hello->version_min > hello->version_max || length >= MSG_SOFTWARE_MAX)
        return ERR_FORMAT;
    out->version_min = hello->version_min;
    out->version_max = hello->version_max;
    out->in_flight_max = hello->in_flight_max;
    for (size_t i = 0; i < length; i++) {
        char c = hello->software[i];
        out->software[i] = c >= ' ' && c <= '~' ? c : '?';
    }
    return 0;
}

static uint32_t number_at(const uint8_t *place)
{
    uint32_t number;
    memcpy(&number, place, sizeof number);
    return number;
}

static ProtobufCBinaryData bytes_at(const uint8_t *place)
{
    ProtobufCBinaryData bytes;
    memcpy(&bytes, place, sizeof bytes);
    return bytes;
}

/* True when each field of MESSAGE, an operation's, is within its range. */
static bool fields_are_good(const struct operation_info *info, const ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;
    if (type->n_fields != info->field_count)
        return false;
    for (size_t i = 0; i < info->field_count; i++) {
        const uint8_t *place = (const uint8_t *)message + type->fields[i].offset;
        if (info->fields[i].form == FIELD_NUMBER
                ? number_at(place) > UINT16_MAX
                : !operation_field_takes(&info->fields[i], bytes_at(place).len))
            return false;
    }
    return true;
}

/* What an operation borrows is copied to ROOM, for MESSAGE goes. */
static void take_field(struct operation *out, const struct operation_field *field, struct room *room,
                       const uint8_t *place)
{
    if (field->form == FIELD_NUMBER) {
        operation_field_set_number(out, field, (uint16_t)number_at(place));
        return;
    }
    ProtobufCBinaryData from = bytes_at(place);
    const uint8_t *bytes = from.data;
    if (field->form == FIELD_BORROWED) {
        memcpy(room->at, from.data, from.len);
        bytes = room->at;
        room->at += from.len;
    }
    operation_field_set_bytes(out, field, bytes, from.len);
}

/* An operation with a field out of its range is none we know: OUT stays of kind 0. */
static void convert_operation(struct operation *out, struct room *room, const Keyless__V1__Request *request)
{
    const enum operation_kind kind = operation_of_wire((uint32_t)request->operation_case);
    const struct operation_info *info = operation_find(kind);
    const ProtobufCMessage *message;
    if (info == NULL)
        return;
    /* the members of a oneof share their place */
    memcpy(&message, &request->ping, sizeof message);
    if (!fields_are_good(info, message))
        return;
    for (size_t i = 0; i < info->field_count; i++)
        take_field(out, &info->fields[i], room,
                   (const uint8_t *)message + message->descriptor->fields[i].offset);
    if (!info->uses_key)
        memset(out->key_id, 0, sizeof out->key_id);
    out->kind = kind;
}

static int convert_request(struct msg_request *out, struct room *room, const Keyless__V1__Request *request)
{
    if (take_exact(out->operation.key_id, KEY_ID_SIZE, &request->key_id) != 0 ||
        take_exact(out->trace.bytes, TRACE_ID_SIZE, &request->trace_id) != 0)
        return ERR_FORMAT;
    out->no_key_id = request->key_id.len == 0;
    out->no_trace = request->trace_id.len == 0;
    out->id = request->id;
    out->deadline_ms = request->deadline_ms < DEADLINE_MAX_MS ? request->deadline_ms : DEADLINE_MAX_MS;
    convert_operation(&out->operation, room, request);
    return 0;
}

static int convert_key(struct key_info *out, const Keyless__V1__KeyInfo *key)
{
    if (key->key_id.len != KEY_ID_SIZE || key->bits > UINT16_MAX)
        return ERR_FORMAT;
    memcpy(out->key_id, key->key_id.data, KEY_ID_SIZE);
    out->type = (uint8_t)key->type;
    out->bits = (uint16_t)key->bits;
    out->operations = key->operations & KNOWN_OPERATIONS;
    return 0;
}

/* Keys of a type that is not known here are left out: nothing could be asked of them. */
static int convert_keys(struct msg_answer *out, struct key_info *room, const Keyless__V1__KeyList *list)
{
    out->keys = room;
    out->more = list->more;
    for (size_t i = 0; i < list->n_key; i++) {
        const Keyless__V1__KeyInfo *key = list->key[i];
        if (convert_key(&room[out->key_count], key) != 0)
            return ERR_FORMAT;
        if (key_type_name((enum key_type)key->type) != NULL)
            out->key_count++;
    }
    return 0;
}

static int convert_answer(struct msg_answer *out, struct key_info *room, const Keyless__V1__Answer *answer)
{
    enum operation_status status = (enum operation_status)answer->status;
    out->id = answer->id;
    out->outcome.status = status_name(status) != NULL ? status : STATUS_UNAVAILABLE;
    switch (answer->result_case) {
    case KEYLESS__V1__ANSWER__RESULT_KEYS:
        return convert_keys(out, room, answer->keys);
    case KEYLESS__V1__ANSWER__RESULT_LOAD:
        out->in_flight = answer->load->in_flight;
        out->workers = answer->load->workers;
        return 0;
    case KEYLESS__V1__ANSWER__RESULT_BYTES:
        if (answer->bytes.len > RESULT_MAX)
            return ERR_FORMAT;
        if (out->outcome.status != STATUS_OK || answer->bytes.len == 0)
            return 0;
        out->outcome.length = (uint16_t)answer->bytes.len;
        memcpy(out->outcome.bytes, answer->bytes.data, answer->bytes.len);
        return 0;
    default:
        return 0;
    }
}

static int convert_requests(struct msg_block *block, const Keyless__V1__Requests *requests)
{
    struct msg *msg = &block->msg;
    msg->kind = MSG_REQUESTS;
    msg->count = requests->n_request;
    msg->requests = (struct msg_request *)(void *)block->rest;
    struct room room = {.at = (uint8_t *)(msg->requests + msg->count)};
    for (size_t i = 0; i < msg->count; i++)
        if (convert_request(&msg->requests[i], &room, requests->request[i]) != 0)
            return ERR_FORMAT;
    return msg->count > 0 ? 0 : ERR_FORMAT;
}

static int convert_answers(struct msg_block *block, const Keyless__V1__Answers *answers)
{
    struct msg *msg = &block->msg;
    msg->kind = MSG_ANSWERS;
    msg->count = answers->n_answer;
    msg->answers = (struct msg_answer *)(void *)block->rest;
    struct key_info *room = (struct key_info *)(void *)(msg->answers + msg->count);
    for (size_t i = 0; i < msg->count; i++) {
        if (convert_answer(&msg->answers[i], room, answers->answer[i]) != 0)
            return ERR_FORMAT;
        room += msg->answers[i].key_count;
    }
    return msg->count > 0 ? 0 : ERR_FORMAT;
}

static int convert_epoch(struct msg_epoch *out, const Keyless__V1__Epoch *epoch)
{
    if (epoch->number == 0)
        return epoch->key.len == 0 && epoch->left_ms == 0 ? 0 : ERR_FORMAT;
    if (epoch->key.len != EPOCH_KEY_SIZE)
        return ERR_FORMAT;
    out->number = epoch->number;
    memcpy(out->key, epoch->key.data, EPOCH_KEY_SIZE);
    out->left_ms = epoch->left_ms;
    return 0;
}

static int convert(struct msg_block *block, const Keyless__V1__Message *message)
{
    switch (message->body_case) {
    case KEYLESS__V1__MESSAGE__BODY_HELLO:
        block->msg.kind = MSG_HELLO;
        return convert_hello(&block->msg.hello, message->hello);
    case KEYLESS__V1__MESSAGE__BODY_REQUESTS:
        return convert_requests(block, message->requests);
    case KEYLESS__V1__MESSAGE__BODY_ANSWERS:
        return convert_answers(block, message->answers);
    case KEYLESS__V1__MESSAGE__BODY_EPOCH:
        block->msg.kind = MSG_EPOCH;
        return convert_epoch(&block->msg.epoch, message->epoch);
    default:
        return ERR_FORMAT;
    }
}

static int unpack(struct msg **out, const struct msg_scan *scan, struct arena *arena, const uint8_t *bytes,
                  size_t length)
{
    ProtobufCAllocator allocator = {arena_alloc, arena_free, arena};
    size_t size = sizeof(struct msg_block) + scan->requests * sizeof(struct msg_request) + scan->messages +
                  scan->answers * sizeof(struct msg_answer) + scan->keys * sizeof(struct key_info);
    Keyless__V1__Message *message = keyless__v1__message__unpack(&allocator, length, bytes);
    if (message == NULL)
        return arena->refused ? ERR_MEMORY : ERR_FORMAT;
    struct msg_block *block = calloc(1, size);
    if (block == NULL)
        return ERR_MEMORY;
    block->size = size;
    int err = convert(block, message);
    if (err != 0)
        msg_free(&block->msg);
    else
        *out = &block->msg;
    return err;
}

int msg_parse(struct msg **out, const uint8_t *bytes, size_t length)
{
    _Alignas(MSG_SCAN_ALIGN) uint8_t small[ARENA_ON_STACK];
    struct msg_scan scan;
    if (length > MSG_SIZE_MAX)
        return ERR_LENGTH;
    int err = msg_scan(&scan, bytes, length);
    if (err != 0)
        return err;
    bool on_stack = scan.unpacked_max <= sizeof small;
    struct arena arena = {.bytes = on_stack ? small : malloc(scan.unpacked_max), .size = scan.unpacked_max};
    if (arena.bytes == NULL)
        return ERR_MEMORY;
    err = unpack(out, &scan, &arena, bytes, length);
    wipe(arena.bytes, arena.used);
    if (!on_stack)
        free(arena.bytes);
    return err;
}
