/* The secret of an RSA key exchange: a token takes the place of the pre-master secret until OpenSSL derives
 * the master secret from it, and then the key server is asked for the master secret itself. */
#include <string.h>

#include "common/secret.h"
#include "edge/bound/bound_internal.h"
#include "proto/handshake_type.h"

/* The exchange of the handshake that this thread steps right now; NULL outside of one. */
static _Thread_local struct bound_exchange *current;

void bound_enter(struct bound_exchange *exchange)
{
    current = exchange;
}

void bound_leave(void)
{
    current = NULL;
}

/* ---- the decryption ---- */

/* Adds ClientKeyExchange (RFC 5246, 7.4.7.1) with LENGTH (at most RSA_MODULUS_MAX) bytes of CIPHERTEXT. The
 * message has one encoding only, so it need not be kept. */
static int put_key_exchange(struct buffer *messages, const uint8_t *ciphertext, size_t length)
{
    uint8_t message[4 + 2 + RSA_MODULUS_MAX];
    struct writer w;

    if (buffer_length(messages) > BOUND_MESSAGES_MAX)
        return ERR_LENGTH;
    writer_init(&w, message, sizeof message);
    writer_u8(&w, CLIENT_KEY_EXCHANGE);
    writer_u24(&w, (uint32_t)length + 2);
    writer_u16(&w, (uint16_t)length);
    writer_bytes(&w, ciphertext, length);
    return buffer_put(messages, message, writer_length(&w));
}

/* A secret of this handshake alone, in the form of a pre-master secret (RFC 5246, 7.4.7.1). */
static void make_token(uint8_t token[static TLS_PREMASTER_SIZE], uint16_t client_version)
{
    random_bytes(token, TLS_PREMASTER_SIZE);
    token[0] = (uint8_t)(client_version >> 8);
    token[1] = (uint8_t)client_version;
}

static int defer_premaster(struct bound_exchange *exchange, const struct operation *premaster,
                           uint8_t token[static TLS_PREMASTER_SIZE])
{
    struct bound_deferred *deferred = &exchange->deferred;
    size_t length = premaster->u.rsa_premaster.ciphertext_length;
    int err = put_key_exchange(&exchange->messages, premaster->u.rsa_premaster.ciphertext, length);

    if (err)
        return err;
    deferred->held = true;
    deferred->client_version = premaster->u.rsa_premaster.client_version;
    deferred->ciphertext_length = (uint16_t)length;
    memcpy(deferred->key_id, premaster->key_id, KEY_ID_SIZE);
    make_token(deferred->token, deferred->client_version);
    memcpy(token, deferred->token, TLS_PREMASTER_SIZE);
    return 1;
}

static int on_defer(const struct operation *premaster, uint8_t token[static TLS_PREMASTER_SIZE])
{
    if (current == NULL)
        return 0;
    if (buffer_length(&current->messages) > 0)
        return defer_premaster(current, premaster, token);
    current->asked = OP_RSA_PREMASTER;
    return 0;
}

/* ---- the derivation ---- */

/* True when EXCHANGE is that of this thread's handshake and its secret is deferred. */
static bool is_current(const void *exchange)
{
    return current != NULL && exchange == current && current->deferred.held;
}

static void *on_find(const uint8_t *secret, size_t length)
{
    if (!is_current(current) || length != TLS_PREMASTER_SIZE)
        return NULL;
    return same_bytes(secret, current->deferred.token, TLS_PREMASTER_SIZE) ? current : NULL;
}

/* The request for the master secret, which the key server computes over its own hash of the messages (RFC
 * 7627, 4). */
static void put_master(const struct bound_exchange *exchange, struct operation *out)
{
    out->u.rsa_master.messages = buffer_bytes(&exchange->messages);
    out->u.rsa_master.length = (uint32_t)buffer_length(&exchange->messages);
}

/* The request for the pre-master secret, as if nothing had been deferred. */
static void put_premaster(const struct bound_exchange *exchange, struct operation *out)
{
    const struct buffer *messages = &exchange->messages;
    uint16_t length = exchange->deferred.ciphertext_length;

    out->u.rsa_premaster.client_version = exchange->deferred.client_version;
    out->u.rsa_premaster.ciphertext_length = length;
    memcpy(out->u.rsa_premaster.ciphertext, buffer_bytes(messages) + buffer_length(messages) - length,
           length);
}

static int on_resolve(void *deferred, bool extended, struct operation *out)
{
    if (!is_current(deferred))
        return ERR_REFUSED;
    *out = (struct operation){.kind = extended ? OP_RSA_MASTER : OP_RSA_PREMASTER};
    memcpy(out->key_id, current->deferred.key_id, KEY_ID_SIZE);
    if (extended)
        put_master(current, out);
    else
        put_premaster(current, out);
    current->asked = out->kind;
    return 0;
}

static void on_forget(void *deferred)
{
    if (is_current(deferred))
        bound_clear(current);
}

const struct provider_deferral bound_deferral = {
    .defer = on_defer, .find = on_find, .resolve = on_resolve, .forget = on_forget};
