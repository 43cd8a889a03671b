/* Bound mode: TLS 1.2 RSA key exchange (RFC 5246, 7.4.7.1) in which the pre-master secret never comes into
 * this process. Instead, the key server derives the master secret, with the extended master secret of RFC
 * 7627, from the handshake messages ClientHello … ClientKeyExchange, and does so only for a handshake that
 * shows an epoch of this edge: its mark is in ServerHello.session_id (proto/session_id.h). Who takes this
 * edge over later cannot have recorded sessions decrypted, because their epochs are over
 * (docs/security/bound-mode.md).
 *
 * A client without the extended master secret, a handshake without an epoch, and one whose messages exceed a
 * request are *plain*: the key server is asked for the pre-master secret, and refuses unless the key's owner
 * allows it.
 *
 * One `struct bound_exchange` is embedded in each session. In the order of a handshake:
 *
 *  1. Session: bound_start(), before the first byte. Who steps the handshake (edge/tls/async.c) calls
 *     bound_enter() before each step and bound_leave() after it.
 *  2. ClientHello callback (edge/tls/tls_hello.c): bound_note_hello(), bound_fits() and
 *     bound_stay_plain() around the decision whether the client is offered RSA key exchange.
 *  3. OpenSSL shows each message (bound_messages.c): ClientHello … ServerHelloDone are kept.
 *  4. OpenSSL has chosen an RSA suite and begins ServerHello (bound_session_id.c): the session id gets
 *     its mark. When no epoch is at hand and one is due, await_epoch() is called first.
 *  5. ClientKeyExchange has come, and OpenSSL wants the pre-master secret: the provider calls
 *     bound_deferral.defer (bound_secret.c). The message is added, and OpenSSL gets a token.
 *  6. OpenSSL derives the master secret from the token: the provider calls bound_deferral.find and
 *     resolve, performs the rsa_master (or rsa_premaster) that comes of it, and calls forget.
 *  7. Session: bound_mode() and bound_is_late() say what became of it, for log and metrics;
 *     bound_clear() when the session ends.
 *
 * Without an epoch, and when the messages are too long, none are left at step 5: the pre-master secret is
 * asked for at once. This room performs no operation; the provider does. It knows neither jobs nor sockets.
 * One thread. */
#ifndef EDGE_BOUND_BOUND_H
#define EDGE_BOUND_BOUND_H

#include <openssl/ssl.h>

#include "common/bytes.h"
#include "edge/bound/rsa_mode.h"
#include "edge/keyclient/client.h"
#include "edge/provider/provider.h"

/* Most bytes of ClientHello … ServerHelloDone: one request less the longest ClientKeyExchange (header 4,
 * length 2, ciphertext). */
#define BOUND_MESSAGES_MAX (HANDSHAKE_MAX - (4 + 2 + RSA_MODULUS_MAX))

/* What a decryption leaves for the derivation of the master secret. */
struct bound_deferred {
    bool held; /* there is one; the rest is valid */
    uint8_t token[TLS_PREMASTER_SIZE];
    uint8_t key_id[KEY_ID_SIZE];
    uint16_t client_version;    /* ClientHello.legacy_version */
    uint16_t ciphertext_length; /* bytes; the last ones of the messages */
};

/* Private to edge/bound; zeroed before bound_start. */
struct bound_exchange {
    const struct client *client; /* borrowed; chooses the epoch */
    int (*await_epoch)(void);
    uint64_t epoch;                 /* client_epoch.id of the session id; 0 = the session id has no mark */
    bool late;                      /* it has none because the time to wait for an epoch was over */
    bool no_ems;                    /* the client does not know the extended master secret */
    bool too_long;                  /* the messages could not be kept */
    bool plain;                     /* plain even where an epoch is at hand */
    enum operation_kind asked;      /* what the key server was asked for; 0 = nothing so far */
    struct buffer messages;         /* owned; ClientHello … ServerHelloDone, later with ClientKeyExchange */
    struct bound_deferred deferred; /* wiped with the messages */
};

/* What a handshake is given by its owner. */
struct bound_setup {
    const struct client *client; /* borrowed; outlives the exchange */
    /* Returns 0 when there is news of an epoch or the time for it is over. Negative: waiting is not possible
     * here, or the session was given up. */
    int (*await_epoch)(void);
};

/* Follows the handshake of SSL, from before its first message on. EXCHANGE, which is zeroed, outlives SSL;
 * SSL's application data and message callback are used for it. Sessions of RSA key exchange get no tickets,
 * which would carry their master secrets out of this process, but session ids. */
void bound_start(struct bound_exchange *exchange, SSL *ssl, const struct bound_setup *setup);
/* That of SSL, borrowed; NULL without bound_start. */
struct bound_exchange *bound_find(const SSL *ssl);
/* Wipes and frees what was kept; what bound_mode() and bound_is_late() say stays. */
void bound_clear(struct bound_exchange *exchange);

/* The provider's calls concern EXCHANGE (borrowed; NULL for a handshake that is not followed) from now on,
 * until bound_leave(). */
void bound_enter(struct bound_exchange *exchange);
void bound_leave(void);
/* For the provider's transport. Until bound_enter() nothing is deferred. */
extern const struct provider_deferral bound_deferral;

/* Within SSL_CTX_set_client_hello_cb: notes whether the client of SSL knows the extended master secret. */
void bound_note_hello(struct bound_exchange *exchange, SSL *ssl);
/* What bound_note_hello() has noted. */
bool bound_has_ems(const struct bound_exchange *exchange);
/* True when the messages, with REST bytes after the ClientHello, fit one request. */
bool bound_fits(const struct bound_exchange *exchange, size_t rest);
/* The key servers grant this edge plain mode only: an epoch is neither waited for nor used. */
void bound_stay_plain(struct bound_exchange *exchange);

/* client_epoch.id of the session id, for the request of the master secret; 0 = it has no mark. */
uint64_t bound_epoch(const struct bound_exchange *exchange);
/* What became of it: valid once the handshake has asked for its secret, RSA_MODE_NONE until then. */
enum rsa_mode bound_mode(const struct bound_exchange *exchange);
/* True when it is plain because no epoch came in time. */
bool bound_is_late(const struct bound_exchange *exchange);

#endif
