/* The handshake messages ClientHello … ServerHelloDone, kept as they were sent. */
#include "edge/bound/bound_internal.h"
#include "proto/handshake_type.h"

/* The callback stays registered without an argument: others may replace it later, and OpenSSL from 3.2 on
 * calls none that was not set when a record layer was made. */
static void stop_keeping(SSL *ssl)
{
    SSL_set_msg_callback_arg(ssl, NULL);
}

static void drop_messages(struct bound_exchange *exchange, SSL *ssl)
{
    stop_keeping(ssl);
    buffer_clear(&exchange->messages);
}

static void keep_message(struct bound_exchange *exchange, SSL *ssl, const void *bytes, size_t length)
{
    struct buffer *messages = &exchange->messages;

    exchange->too_long = length > BOUND_MESSAGES_MAX - buffer_length(messages) ||
                         buffer_put(messages, bytes, length) != 0;
    if (exchange->too_long)
        drop_messages(exchange, ssl);
}

void bound_messages_on(int written, int version, int content_type, const void *bytes, size_t length, SSL *ssl,
                       void *user)
{
    struct bound_exchange *exchange = user;

    (void)written, (void)version;
    if (exchange == NULL || content_type != SSL3_RT_HANDSHAKE || length == 0)
        return;
    uint8_t type = *(const uint8_t *)bytes;
    if (type == SERVER_HELLO && exchange->epoch == 0)
        drop_messages(exchange, ssl); /* TLS 1.3, ephemeral keys, a resumed session, or no epoch */
    else if (type == CLIENT_KEY_EXCHANGE)
        stop_keeping(ssl); /* bound_secret.c adds the ClientKeyExchange */
    else
        keep_message(exchange, ssl, bytes, length);
}
