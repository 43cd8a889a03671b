#include "edge/bound/bound.h"

#include "common/secret.h"
#include "edge/bound/bound_internal.h"

void bound_start(struct bound_exchange *exchange, SSL *ssl, const struct bound_setup *setup)
{
    exchange->client = setup->client;
    exchange->await_epoch = setup->await_epoch;
    SSL_set_app_data(ssl, exchange);
    SSL_set_not_resumable_session_callback(ssl, bound_session_id_on_new);
    SSL_set_msg_callback(ssl, bound_messages_on);
    SSL_set_msg_callback_arg(ssl, exchange);
}

struct bound_exchange *bound_find(const SSL *ssl)
{
    return SSL_get_app_data(ssl);
}

void bound_clear(struct bound_exchange *exchange)
{
    buffer_clear(&exchange->messages);
    wipe(&exchange->deferred, sizeof exchange->deferred);
}

void bound_note_hello(struct bound_exchange *exchange, SSL *ssl)
{
    const unsigned char *extension;
    size_t length;

    exchange->no_ems = SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_extended_master_secret, &extension,
                                                 &length) != 1;
}

bool bound_has_ems(const struct bound_exchange *exchange)
{
    return !exchange->no_ems;
}

bool bound_fits(const struct bound_exchange *exchange, size_t rest)
{
    return !exchange->too_long && rest <= HANDSHAKE_MAX &&
           buffer_length(&exchange->messages) <= HANDSHAKE_MAX - rest;
}

void bound_stay_plain(struct bound_exchange *exchange)
{
    exchange->plain = true;
}

uint64_t bound_epoch(const struct bound_exchange *exchange)
{
    return exchange->epoch;
}

enum rsa_mode bound_mode(const struct bound_exchange *exchange)
{
    if (exchange->asked == OP_RSA_MASTER)
        return RSA_MODE_BOUND;
    if (exchange->asked != OP_RSA_PREMASTER)
        return RSA_MODE_NONE;
    if (exchange->epoch == 0 && !exchange->no_ems)
        return RSA_MODE_NO_EPOCH;
    return exchange->too_long ? RSA_MODE_TOO_LONG : RSA_MODE_NO_EMS;
}

bool bound_is_late(const struct bound_exchange *exchange)
{
    return exchange->late;
}
