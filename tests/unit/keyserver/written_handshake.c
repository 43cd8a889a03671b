#include "tests/unit/keyserver/written_handshake.h"

#include "common/bytes.h"

#define HANDSHAKE_SUITE 0x009c /* TLS_RSA_WITH_AES_128_GCM_SHA256 */

/* ---- messages ---- */

/* Begins something with a length of SIZE bytes in front; returns where it begins. */
static uint8_t *handshake_open(struct writer *w, size_t size)
{
    static const uint8_t zeros[3];
    writer_bytes(w, zeros, size);
    return w->at;
}

static void handshake_close(struct writer *w, uint8_t *start, size_t size)
{
    size_t length = (size_t)(w->at - start);
    for (size_t i = 1; i <= size; i++, length >>= 8)
        start[-(ptrdiff_t)i] = (uint8_t)length;
}

static void handshake_random(struct writer *w)
{
    uint8_t random[TLS_RANDOM_SIZE];
    random_bytes(random, sizeof random);
    writer_bytes(w, random, sizeof random);
}

/* server_name (RFC 6066, 3), unless NAME is NULL, and extended_master_secret. */
static void handshake_extensions(struct writer *w, const char *name)
{
    uint8_t *all = handshake_open(w, 2);
    if (name != NULL) {
        writer_u16(w, 0);
        uint8_t *data = handshake_open(w, 2), *list = handshake_open(w, 2);
        writer_u8(w, 0);
        uint8_t *host = handshake_open(w, 2);
        writer_bytes(w, name, strlen(name));
        handshake_close(w, host, 2);
        handshake_close(w, list, 2);
        handshake_close(w, data, 2);
    }
    writer_u16(w, 23);
    writer_u16(w, 0);
    handshake_close(w, all, 2);
}

static void handshake_hellos(struct writer *w, const char *name,
                             const uint8_t session_id[static SESSION_ID_SIZE])
{
    writer_u8(w, 1);
    uint8_t *client = handshake_open(w, 3);
    writer_u16(w, 0x0303);
    handshake_random(w);
    writer_u8(w, 0); /* session id */
    writer_u16(w, 2);
    writer_u16(w, HANDSHAKE_SUITE);
    writer_u16(w, 0x0100); /* one compression method: none */
    handshake_extensions(w, name);
    handshake_close(w, client, 3);
    writer_u8(w, 2);
    uint8_t *server = handshake_open(w, 3);
    writer_u16(w, 0x0303);
    handshake_random(w);
    writer_u8(w, SESSION_ID_SIZE);
    writer_bytes(w, session_id, SESSION_ID_SIZE);
    writer_u16(w, HANDSHAKE_SUITE);
    writer_u8(w, 0);
    handshake_extensions(w, NULL);
    handshake_close(w, server, 3);
}

/* ---- the whole ---- */

void handshake_session(uint8_t out[static SESSION_ID_SIZE], const uint8_t epoch_secret[static 32],
                       const uint8_t edge_key[static 32], uint64_t number)
{
    uint8_t key[EPOCH_KEY_SIZE], random[SESSION_ID_RANDOM_SIZE];
    epoch_key(key, epoch_secret, edge_key, number);
    random_bytes(random, sizeof random);
    session_id_make(out, key, random);
}

void handshake_make(struct handshake *out, EVP_PKEY *rsa, const char *name,
                    const uint8_t session_id[static SESSION_ID_SIZE],
                    const uint8_t premaster[static TLS_PREMASTER_SIZE])
{
    uint8_t block[RSA_MODULUS_MAX], ciphertext[RSA_MODULUS_MAX];
    size_t k = (size_t)EVP_PKEY_get_size(rsa);
    struct writer w;
    writer_init(&w, out->messages, sizeof out->messages);
    handshake_hellos(&w, name, session_id);
    writer_u8(&w, 11);
    uint8_t *certificate = handshake_open(&w, 3);
    writer_u24(&w, 5); /* a list of one; nobody looks into it */
    writer_u24(&w, 2);
    writer_u16(&w, 0x3000);
    handshake_close(&w, certificate, 3);
    writer_u8(&w, 14);
    writer_u24(&w, 0);
    keys_pad(block, k, premaster);
    keys_encrypt_raw(rsa, block, ciphertext);
    writer_u8(&w, 16);
    uint8_t *exchange = handshake_open(&w, 3);
    writer_u16(&w, (uint16_t)k);
    writer_bytes(&w, ciphertext, k);
    handshake_close(&w, exchange, 3);
    assert_false(w.bad);
    out->length = writer_length(&w);
}

struct operation handshake_operation(const struct handshake *handshake, const EVP_PKEY *rsa)
{
    struct operation operation = {.kind = OP_RSA_MASTER};
    keys_id(rsa, operation.key_id);
    operation.u.rsa_master.messages = handshake->messages;
    operation.u.rsa_master.length = (uint32_t)handshake->length;
    return operation;
}
