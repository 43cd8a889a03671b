#include "cli/bench_work.h"

#include <string.h>

#include "common/bytes.h"
#include "common/secret.h"
#include "proto/handshake_type.h"
#include "proto/operation_fields.h"

#define TLS12        0x0303
#define SUITE        0x009c /* TLS_RSA_WITH_AES_128_GCM_SHA256 */
#define NAMED_CURVE  3      /* ECCurveType (RFC 8422, 5.4) */
#define X25519       0x001d
#define X25519_SIZE  32
#define CERTIFICATES 2 /* bytes of the one in the list; the key server only hashes it */

/* ExtensionType */
enum { SERVER_NAME = 0, EXTENDED_MASTER_SECRET = 23 };

/* ---- handshake messages ---- */

/* Begins something with a length of SIZE bytes in front; returns where it begins. */
static uint8_t *open_part(struct writer *w, size_t size)
{
    static const uint8_t zeros[3];
    writer_bytes(w, zeros, size);
    return w->at;
}

static void close_part(struct writer *w, uint8_t *start, size_t size)
{
    size_t length = (size_t)(w->at - start);
    for (size_t i = 1; i <= size && !w->bad; i++, length >>= 8)
        start[-(ptrdiff_t)i] = (uint8_t)length;
}

static void put_random(struct writer *w, size_t length)
{
    uint8_t random[RSA_MODULUS_MAX];
    random_bytes(random, length);
    writer_bytes(w, random, length);
}

/* server_name (RFC 6066, 3) unless NAME is NULL, and extended_master_secret (RFC 7627, 5.1). */
static void put_extensions(struct writer *w, const char *name)
{
    uint8_t *all = open_part(w, 2);
    if (name != NULL) {
        writer_u16(w, SERVER_NAME);
        uint8_t *data = open_part(w, 2), *list = open_part(w, 2);
        writer_u8(w, 0); /* host_name */
        uint8_t *host = open_part(w, 2);
        writer_bytes(w, name, strlen(name));
        close_part(w, host, 2);
        close_part(w, list, 2);
        close_part(w, data, 2);
    }
    writer_u16(w, EXTENDED_MASTER_SECRET);
    writer_u16(w, 0);
    close_part(w, all, 2);
}

static void put_client_hello(struct writer *w, const char *name)
{
    writer_u8(w, CLIENT_HELLO);
    uint8_t *hello = open_part(w, 3);
    writer_u16(w, TLS12);
    put_random(w, TLS_RANDOM_SIZE);
    writer_u8(w, 0); /* no session id */
    writer_u16(w, 2);
    writer_u16(w, SUITE);
    writer_u16(w, 0x0100); /* one compression method: none */
    put_extensions(w, name);
    close_part(w, hello, 3);
}

static void put_server_hello(struct writer *w, const uint8_t epoch_key[static EPOCH_KEY_SIZE])
{
    uint8_t random[SESSION_ID_RANDOM_SIZE], session_id[SESSION_ID_SIZE];
    random_bytes(random, sizeof random);
    session_id_make(session_id, epoch_key, random);
    writer_u8(w, SERVER_HELLO);
    uint8_t *hello = open_part(w, 3);
    writer_u16(w, TLS12);
    put_random(w, TLS_RANDOM_SIZE);
    writer_u8(w, sizeof session_id);
    writer_bytes(w, session_id, sizeof session_id);
    writer_u16(w, SUITE);
    writer_u8(w, 0);
    put_extensions(w, NULL);
    close_part(w, hello, 3);
}

/* Random bytes as a number below a modulus of MODULUS bytes, whose highest bit is set. */
static void put_ciphertext(struct writer *w, size_t modulus)
{
    writer_u8(w, 0);
    put_random(w, modulus - 1);
}

/* What the fields of an operation are made of. */
struct work {
    const struct key_info *key;
    size_t modulus; /* bytes; of an RSA key */
    const char *name;
    const uint8_t *epoch_key;
    struct bench_messages *messages;
};

static int fill_master(struct operation *operation, const struct work *work)
{
    struct writer w;
    if (work->name != NULL && strlen(work->name) > BENCH_NAME_MAX)
        return ERR_LENGTH;
    writer_init(&w, work->messages->bytes, sizeof work->messages->bytes);
    put_client_hello(&w, work->name);
    put_server_hello(&w, work->epoch_key);
    writer_u8(&w, CERTIFICATE);
    writer_u24(&w, 6 + CERTIFICATES);
    writer_u24(&w, 3 + CERTIFICATES);
    writer_u24(&w, CERTIFICATES);
    put_random(&w, CERTIFICATES);
    writer_u8(&w, SERVER_HELLO_DONE);
    writer_u24(&w, 0);
    writer_u8(&w, CLIENT_KEY_EXCHANGE);
    writer_u24(&w, (uint32_t)work->modulus + 2);
    writer_u16(&w, (uint16_t)work->modulus);
    put_ciphertext(&w, work->modulus);
    operation->u.rsa_master.messages = work->messages->bytes;
    operation->u.rsa_master.length = (uint32_t)writer_length(&w);
    return w.bad ? ERR_LENGTH : 0;
}

/* ---- the other operations ---- */

/* A scheme of the key, and random bytes, of which a field takes as few as it can. */
static int fill_signature(struct operation *operation, const struct work *work)
{
    const struct operation_info *info = operation_find(operation->kind);
    const struct scheme_info *scheme = scheme_find_tls13((enum key_type)work->key->type);
    uint8_t random[RESULT_MAX];
    operation_field_set_number(operation, &info->fields[0], scheme != NULL ? scheme->scheme : 0);
    for (size_t i = 1; i < info->field_count; i++) {
        const struct operation_field *field = &info->fields[i];
        if (field->form != FIELD_BYTES || field->min > sizeof random)
            return ERR_UNSUPPORTED;
        random_bytes(random, field->min);
        operation_field_set_bytes(operation, field, random, field->min);
    }
    return 0;
}

static int fill_tls12(struct operation *operation, const struct work *work)
{
    struct writer w;
    int err = fill_signature(operation, work);
    writer_init(&w, operation->u.sign_tls12.params, sizeof operation->u.sign_tls12.params);
    writer_u8(&w, NAMED_CURVE);
    writer_u16(&w, X25519);
    writer_u8(&w, X25519_SIZE);
    put_random(&w, X25519_SIZE);
    operation->u.sign_tls12.params_length = (uint16_t)writer_length(&w);
    return err;
}

static int fill_premaster(struct operation *operation, const struct work *work)
{
    struct writer w;
    operation->u.rsa_premaster.client_version = TLS12;
    operation->u.rsa_premaster.ciphertext_length = (uint16_t)work->modulus;
    writer_init(&w, operation->u.rsa_premaster.ciphertext, sizeof operation->u.rsa_premaster.ciphertext);
    put_ciphertext(&w, work->modulus);
    return 0;
}

/* Operations whose fields have a form that the key server checks. */
static int (*const fills[OP_KINDS])(struct operation *operation, const struct work *work) = {
    [OP_SIGN_TLS12] = fill_tls12,
    [OP_RSA_PREMASTER] = fill_premaster,
    [OP_RSA_MASTER] = fill_master,
};

int bench_work_fill(struct operation *operation, const struct bench_case *one, const char *name,
                    const uint8_t epoch_key[static EPOCH_KEY_SIZE], struct bench_messages *messages)
{
    const struct work work = {.key = &one->key,
                              .modulus = (size_t)(one->key.bits + 7) / 8,
                              .name = name,
                              .epoch_key = epoch_key,
                              .messages = messages};
    operation->kind = one->kind;
    memcpy(operation->key_id, one->key.key_id, KEY_ID_SIZE);
    if (!operation_signs(one->kind) && (work.modulus < RSA_MODULUS_MIN || work.modulus > RSA_MODULUS_MAX))
        return ERR_LENGTH;
    return fills[one->kind] != NULL ? fills[one->kind](operation, &work) : fill_signature(operation, &work);
}
