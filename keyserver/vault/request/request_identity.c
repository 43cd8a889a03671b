#include "keyserver/vault/request/request_identity.h"

#include <string.h>

#include "common/bytes.h"

#define HEAD_MAX (1 + KEY_ID_SIZE + 2 + RSA_MODULUS_MAX) /* a ciphertext is the longest */

static void put_fields(struct writer *w, const struct operation *operation)
{
    switch (operation->kind) {
    case OP_SIGN_TLS13:
        writer_u16(w, operation->u.sign_tls13.scheme);
        writer_bytes(w, operation->u.sign_tls13.hash, operation->u.sign_tls13.hash_length);
        break;
    case OP_SIGN_TLS12:
        writer_u16(w, operation->u.sign_tls12.scheme);
        writer_bytes(w, operation->u.sign_tls12.client_random, TLS_RANDOM_SIZE);
        writer_bytes(w, operation->u.sign_tls12.server_random, TLS_RANDOM_SIZE);
        writer_bytes(w, operation->u.sign_tls12.params, operation->u.sign_tls12.params_length);
        break;
    case OP_RSA_PREMASTER:
        writer_u16(w, operation->u.rsa_premaster.client_version);
        writer_bytes(w, operation->u.rsa_premaster.ciphertext, operation->u.rsa_premaster.ciphertext_length);
        break;
    default:
        break;
    }
}

void request_digest(const struct hasher *hasher, uint8_t out[static REQUEST_DIGEST_SIZE],
                    const struct operation *operation)
{
    bool has_messages = operation->kind == OP_RSA_MASTER;
    uint8_t head[HEAD_MAX], hash[HASH_MAX];
    struct writer w;
    writer_init(&w, head, sizeof head);
    writer_u8(&w, (uint8_t)operation->kind);
    writer_bytes(&w, operation->key_id, KEY_ID_SIZE);
    put_fields(&w, operation);
    if (hasher_hash(hasher, hash, 256, head, writer_length(&w),
                    has_messages ? operation->u.rsa_master.messages : NULL,
                    has_messages ? operation->u.rsa_master.length : 0) != 0)
        memset(hash, 0, sizeof hash);
    memcpy(out, hash, REQUEST_DIGEST_SIZE);
}
