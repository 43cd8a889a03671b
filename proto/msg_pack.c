#include <stdlib.h>
#include <string.h>

#include "proto/keyless.pb-c.h"
#include "proto/msg.h"

/* What packed requests take at most: an rsa_master beside its handshake messages, and any other. */
#define RSA_MASTER_MAX   112
#define REQUEST_MAX      704
#define MESSAGE_OVERHEAD 16
_Static_assert(MSG_BATCH_MAX *REQUEST_MAX + MESSAGE_OVERHEAD <= MSG_SIZE_MAX,
               "a batch of anything else fits one message");
_Static_assert(RSA_MASTER_MAX + HANDSHAKE_MAX + MESSAGE_OVERHEAD <= MSG_SIZE_MAX, "so does one handshake");

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

/* A request being packed: protobuf-c's structs, next to each other. */
struct request_parts {
    Keyless__V1__Request request;
    union {
        Keyless__V1__SignTls13 sign_tls13;
        Keyless__V1__SignTls12 sign_tls12;
        Keyless__V1__RsaPremaster rsa_premaster;
        Keyless__V1__Keys keys;
        Keyless__V1__Ping ping;
        Keyless__V1__RsaMaster rsa_master;
    } u;
};

static int fill_sign_tls13(struct request_parts *parts, const struct operation *operation)
{
    if (operation->u.sign_tls13.hash_length > TRANSCRIPT_HASH_MAX)
        return ERR_LENGTH;
    keyless__v1__sign_tls13__init(&parts->u.sign_tls13);
    parts->u.sign_tls13.scheme = operation->u.sign_tls13.scheme;
    parts->u.sign_tls13.transcript_hash = borrow(operation->u.sign_tls13.hash,
                                                 operation->u.sign_tls13.hash_length);
    parts->request.sign_tls13 = &parts->u.sign_tls13;
    return 0;
}

static int fill_sign_tls12(struct request_parts *parts, const struct operation *operation)
{
    if (operation->u.sign_tls12.params_length > KEY_EXCHANGE_PARAMS_MAX)
        return ERR_LENGTH;
    keyless__v1__sign_tls12__init(&parts->u.sign_tls12);
    parts->u.sign_tls12.scheme = operation->u.sign_tls12.scheme;
    parts->u.sign_tls12.client_random = borrow(operation->u.sign_tls12.client_random, TLS_RANDOM_SIZE);
    parts->u.sign_tls12.server_random = borrow(operation->u.sign_tls12.server_random, TLS_RANDOM_SIZE);
    parts->u.sign_tls12.params = borrow(operation->u.sign_tls12.params,
                                        operation->u.sign_tls12.params_length);
    parts->request.sign_tls12 = &parts->u.sign_tls12;
    return 0;
}

static int fill_rsa_premaster(struct request_parts *parts, const struct operation *operation)
{
    if (operation->u.rsa_premaster.ciphertext_length > RSA_MODULUS_MAX)
        return ERR_LENGTH;
    keyless__v1__rsa_premaster__init(&parts->u.rsa_premaster);
    parts->u.rsa_premaster.client_version = operation->u.rsa_premaster.client_version;
    parts->u.rsa_premaster.ciphertext = borrow(operation->u.rsa_premaster.ciphertext,
                                               operation->u.rsa_premaster.ciphertext_length);
    parts->request.rsa_premaster = &parts->u.rsa_premaster;
    return 0;
}

static int fill_rsa_master(struct request_parts *parts, const struct operation *operation)
{
    if (operation->u.rsa_master.length > HANDSHAKE_MAX)
        return ERR_LENGTH;
    keyless__v1__rsa_master__init(&parts->u.rsa_master);
    parts->u.rsa_master.messages = borrow(operation->u.rsa_master.messages, operation->u.rsa_master.length);
    parts->request.rsa_master = &parts->u.rsa_master;
    return 0;
}

static int fill_keys(struct request_parts *parts, const struct operation *operation)
{
    (void)operation;
    keyless__v1__keys__init(&parts->u.keys);
    parts->request.keys = &parts->u.keys;
    return 0;
}

static int fill_ping(struct request_parts *parts, const struct operation *operation)
{
    (void)operation;
    keyless__v1__ping__init(&parts->u.ping);
    parts->request.ping = &parts->u.ping;
    return 0;
}

static const struct {
    Keyless__V1__Request__OperationCase field;
    bool has_key;
    int (*fill)(struct request_parts *parts, const struct operation *operation);
} operations[OP_KINDS] = {
    [OP_PING] = {KEYLESS__V1__REQUEST__OPERATION_PING, false, fill_ping},
    [OP_KEYS] = {KEYLESS__V1__REQUEST__OPERATION_KEYS, false, fill_keys},
    [OP_SIGN_TLS13] = {KEYLESS__V1__REQUEST__OPERATION_SIGN_TLS13, true, fill_sign_tls13},
    [OP_SIGN_TLS12] = {KEYLESS__V1__REQUEST__OPERATION_SIGN_TLS12, true, fill_sign_tls12},
    [OP_RSA_PREMASTER] = {KEYLESS__V1__REQUEST__OPERATION_RSA_PREMASTER, true, fill_rsa_premaster},
    [OP_RSA_MASTER] = {KEYLESS__V1__REQUEST__OPERATION_RSA_MASTER, true, fill_rsa_master},
};

static int fill_request(struct request_parts *parts, const struct msg_request *request)
{
    unsigned kind = (unsigned)request->operation.kind;
    if (kind >= OP_KINDS || operations[kind].fill == NULL)
        return ERR_UNSUPPORTED;
    keyless__v1__request__init(&parts->request);
    parts->request.id = request->id;
    parts->request.deadline_ms = request->deadline_ms;
    parts->request.trace_id = borrow(request->trace.bytes, TRACE_ID_SIZE);
    if (operations[kind].has_key)
        parts->request.key_id = borrow(request->operation.key_id, KEY_ID_SIZE);
    parts->request.operation_case = operations[kind].field;
    return operations[kind].fill(parts, &request->operation);
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
        size += operation->kind == OP_RSA_MASTER ? RSA_MASTER_MAX + operation->u.rsa_master.length
                                                 : REQUEST_MAX;
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
