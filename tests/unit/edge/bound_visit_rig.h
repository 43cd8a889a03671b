/* For tests of bound mode, beside tls_rig.h: visits that exchange keys with RSA, and what such a session
 * leaves. Not a test itself. */
#ifndef TESTS_UNIT_EDGE_BOUND_VISIT_RIG_H
#define TESTS_UNIT_EDGE_BOUND_VISIT_RIG_H

#include "tests/unit/edge/tls_rig.h"

static const struct visit rsa_visit = {
    .name = "rsa.example", .version = TLS1_2_VERSION, .ciphers = "AES128-GCM-SHA256"};

/* Nothing of the exchange is in memory any more. */
static inline void assert_forgotten(const struct bound_exchange *exchange)
{
    const struct bound_deferred nothing = {.held = false};
    assert_null(exchange->messages.bytes);
    assert_memory_equal(&exchange->deferred, &nothing, sizeof nothing);
}

static inline enum tls_kind kind_of(const struct talk *talk)
{
    return tls_session_kind(talk->server, bound_mode(&talk->bound) == RSA_MODE_BOUND);
}

/* Steps the server until it has written ServerHello, no further. */
static inline void step_to_server_hello(struct talk *talk)
{
    bound_enter(&talk->bound);
    (void)SSL_do_handshake(talk->client);
    (void)SSL_do_handshake(talk->server);
    bound_leave();
    assert_false(SSL_is_init_finished(talk->server));
}

#endif
