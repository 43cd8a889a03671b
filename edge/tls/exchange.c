#include "edge/tls/exchange.h"

#include "common/secret.h"
#include "edge/tls/async.h"
#include "edge/tls/tls_socket.h"

/* HandshakeType (RFC 5246, 7.4), the first byte of a message. */
enum { SERVER_HELLO = 2, CLIENT_KEY_EXCHANGE = 16 };

static const char *const mode_names[EXCHANGE_MODES] = {
    [EXCHANGE_NONE] = "none",
    [EXCHANGE_BOUND] = "bound",
    [EXCHANGE_NO_EPOCH] = "no_epoch",
    [EXCHANGE_TOO_LONG] = "too_long",
    [EXCHANGE_NO_EMS] = "no_extended_master_secret",
};

const char *exchange_mode_name(enum exchange_mode mode)
{
    return (unsigned)mode < EXCHANGE_MODES ? mode_names[mode] : mode_names[EXCHANGE_NONE];
}

enum exchange_mode exchange_mode(const struct exchange *exchange)
{
    if (exchange->held.asked == OP_RSA_MASTER)
        return EXCHANGE_BOUND;
    if (exchange->held.asked != OP_RSA_PREMASTER)
        return EXCHANGE_NONE;
    if (exchange->epoch == 0 && !exchange->no_ems)
        return EXCHANGE_NO_EPOCH;
    return exchange->lost ? EXCHANGE_TOO_LONG : EXCHANGE_NO_EMS;
}

void exchange_clear(struct exchange *exchange)
{
    provider_exchange_clear(&exchange->held);
}

/* ---- the session id ---- */

/* Waits for what is on its way, but not for a client that cannot be bound anyway. */
static bool choose_epoch(struct exchange *exchange, struct client_epoch *out)
{
    if (exchange->choice.plain)
        return false;
    enum client_outlook outlook = client_choose_epoch(exchange->client, out);
    if (outlook == EPOCH_DUE && !exchange->no_ems && async_await_epoch() == 0) {
        outlook = client_choose_epoch(exchange->client, out);
        exchange->late = outlook == EPOCH_DUE;
    }
    return outlook == EPOCH_CHOSEN;
}

/* The session id of a new session: with the mark of an epoch, or without one a random one. */
static void make_session_id(struct exchange *exchange, uint8_t out[static SESSION_ID_SIZE])
{
    struct client_epoch epoch;

    random_bytes(out, SESSION_ID_SIZE);
    if (!choose_epoch(exchange, &epoch))
        return;
    session_id_make(out, epoch.key, out);
    exchange->epoch = epoch.id;
    wipe(&epoch, sizeof epoch);
}

void exchange_note_hello(struct exchange *exchange, SSL *ssl)
{
    const unsigned char *extension;
    size_t length;

    exchange->no_ems = SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_extended_master_secret, &extension,
                                                 &length) != 1;
}

bool exchange_fits(const struct exchange *exchange, size_t rest)
{
    return !exchange->lost && rest <= HANDSHAKE_MAX &&
           buffer_length(&exchange->held.messages) <= HANDSHAKE_MAX - rest;
}

/* OpenSSL calls this when it has chosen the suite of a new session and not yet written ServerHello. Returns
 * 0: the session may be resumed. */
static int on_new_session(SSL *ssl, int is_forward_secure)
{
    struct exchange *exchange = SSL_get_app_data(ssl);
    const SSL_CIPHER *suite = SSL_get_pending_cipher(ssl);
    uint8_t id[SESSION_ID_SIZE];

    (void)is_forward_secure;
    if (suite == NULL || SSL_CIPHER_get_kx_nid(suite) != NID_kx_rsa)
        return 0;
    SSL_set_options(ssl, SSL_OP_NO_TICKET);
    make_session_id(exchange, id);
    if (SSL_SESSION_set1_id(SSL_get_session(ssl), id, sizeof id) != 1)
        exchange->epoch = 0;
    return 0;
}

/* ---- the messages ---- */

static void give_up(struct exchange *exchange, SSL *ssl)
{
    tls_socket_show_nobody(ssl);
    buffer_clear(&exchange->held.messages);
}

/* OpenSSL shows every whole handshake message, header included, read or written, in the order of the
 * transcript. */
static void on_message(int written, int version, int content_type, const void *bytes, size_t length, SSL *ssl,
                       void *user)
{
    struct exchange *exchange = user;
    struct buffer *messages = &exchange->held.messages;

    (void)written, (void)version;
    if (content_type != SSL3_RT_HANDSHAKE || length == 0)
        return;
    uint8_t type = *(const uint8_t *)bytes;
    if (type == SERVER_HELLO && exchange->epoch == 0) {
        give_up(exchange, ssl); /* TLS 1.3, ephemeral keys, a session that goes on, or no epoch */
        return;
    }
    if (type == CLIENT_KEY_EXCHANGE) {
        tls_socket_show_nobody(ssl); /* the provider writes it, with the ciphertext that it asks for */
        return;
    }
    exchange->lost = length > PROVIDER_MESSAGES_MAX - buffer_length(messages) ||
                     buffer_put(messages, bytes, length) != 0;
    if (exchange->lost)
        give_up(exchange, ssl);
}

void exchange_join(struct exchange *exchange, SSL *ssl, struct client *client)
{
    exchange->client = client;
    SSL_set_app_data(ssl, exchange);
}

struct exchange *exchange_find(const SSL *ssl)
{
    return SSL_get_app_data(ssl);
}

void exchange_follow(struct exchange *exchange, SSL *ssl, struct client *client)
{
    exchange_join(exchange, ssl, client);
    SSL_set_not_resumable_session_callback(ssl, on_new_session);
    SSL_set_msg_callback(ssl, on_message);
    SSL_set_msg_callback_arg(ssl, exchange);
}
