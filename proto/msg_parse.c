#include <stdlib.h>
#include <string.h>

#include "common/secret.h"
#include "proto/keyless.pb-c.h"
#include "proto/msg.h"
#include "proto/msg_block.h"
#include "proto/msg_scan.h"

#define DEADLINE_MAX_MS  60000
#define ARENA_ON_STACK   2048
#define KNOWN_OPERATIONS ((UINT32_C(1) << OP_KINDS) - 2) /* bit 0 stands for none */
#define TLS13_HASH_SHORT 32

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

/* Where what a request points to is copied: behind the requests. */
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

/* The four below: false when a field is out of its range, and the operation so none we know. */
static bool convert_sign_tls13(struct operation *out, struct room *room, const Keyless__V1__Request *request)
{
    (void)room;
    const Keyless__V1__SignTls13 *fields = request->sign_tls13;
    size_t length = fields->transcript_hash.len;
    if (fields->scheme > UINT16_MAX || (length != TLS13_HASH_SHORT && length != TRANSCRIPT_HASH_MAX))
        return false;
    out->u.sign_tls13.scheme = (uint16_t)fields->scheme;
    out->u.sign_tls13.hash_length = (uint16_t)length;
    memcpy(out->u.sign_tls13.hash, fields->transcript_hash.data, length);
    return true;
}

static bool convert_sign_tls12(struct operation *out, struct room *room, const Keyless__V1__Request *request)
{
    (void)room;
    const Keyless__V1__SignTls12 *fields = request->sign_tls12;
    size_t length = fields->params.len;
    if (fields->scheme > UINT16_MAX || length == 0 || length > KEY_EXCHANGE_PARAMS_MAX ||
        fields->client_random.len != TLS_RANDOM_SIZE || fields->server_random.len != TLS_RANDOM_SIZE)
        return false;
    out->u.sign_tls12.scheme = (uint16_t)fields->scheme;
    out->u.sign_tls12.params_length = (uint16_t)length;
    memcpy(out->u.sign_tls12.client_random, fields->client_random.data, TLS_RANDOM_SIZE);
    memcpy(out->u.sign_tls12.server_random, fields->server_random.data, TLS_RANDOM_SIZE);
    memcpy(out->u.sign_tls12.params, fields->params.data, length);
    return true;
}

static bool convert_rsa_premaster(struct operation *out, struct room *room,
                                  const Keyless__V1__Request *request)
{
    (void)room;
    const Keyless__V1__RsaPremaster *fields = request->rsa_premaster;
    size_t length = fields->ciphertext.len;
    if (fields->client_version > UINT16_MAX || length < RSA_MODULUS_MIN || length > RSA_MODULUS_MAX)
        return false;
    out->u.rsa_premaster.client_version = (uint16_t)fields->client_version;
    out->u.rsa_premaster.ciphertext_length = (uint16_t)length;
    memcpy(out->u.rsa_premaster.ciphertext, fields->ciphertext.data, length);
    return true;
}

static bool convert_rsa_master(struct operation *out, struct room *room, const Keyless__V1__Request *request)
{
    const ProtobufCBinaryData *messages = &request->rsa_master->messages;
    if (messages->len == 0 || messages->len > HANDSHAKE_MAX)
        return false;
    memcpy(room->at, messages->data, messages->len);
    out->u.rsa_master.messages = room->at;
    out->u.rsa_master.length = (uint32_t)messages->len;
    room->at += messages->len;
    return true;
}

static bool convert_nothing(struct operation *out, struct room *room, const Keyless__V1__Request *request)
{
    (void)room;
    (void)request;
    memset(out->key_id, 0, sizeof out->key_id);
    return true;
}

static const struct {
    Keyless__V1__Request__OperationCase field;
    enum operation_kind kind;
    bool (*convert)(struct operation *out, struct room *room, const Keyless__V1__Request *request);
} operations[] = {
    {KEYLESS__V1__REQUEST__OPERATION_SIGN_TLS13, OP_SIGN_TLS13, convert_sign_tls13},
    {KEYLESS__V1__REQUEST__OPERATION_SIGN_TLS12, OP_SIGN_TLS12, convert_sign_tls12},
    {KEYLESS__V1__REQUEST__OPERATION_RSA_PREMASTER, OP_RSA_PREMASTER, convert_rsa_premaster},
    {KEYLESS__V1__REQUEST__OPERATION_RSA_MASTER, OP_RSA_MASTER, convert_rsa_master},
    {KEYLESS__V1__REQUEST__OPERATION_KEYS, OP_KEYS, convert_nothing},
    {KEYLESS__V1__REQUEST__OPERATION_PING, OP_PING, convert_nothing},
};

static int convert_request(struct msg_request *out, struct room *room, const Keyless__V1__Request *request)
{
    if (take_exact(out->operation.key_id, KEY_ID_SIZE, &request->key_id) != 0 ||
        take_exact(out->trace.bytes, TRACE_ID_SIZE, &request->trace_id) != 0)
        return ERR_FORMAT;
    out->no_key_id = request->key_id.len == 0;
    out->no_trace = request->trace_id.len == 0;
    out->id = request->id;
    out->deadline_ms = request->deadline_ms < DEADLINE_MAX_MS ? request->deadline_ms : DEADLINE_MAX_MS;
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++)
        if (request->operation_case == operations[i].field &&
            operations[i].convert(&out->operation, room, request))
            out->operation.kind = operations[i].kind;
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
