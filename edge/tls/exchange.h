/* Exchange: what one session does for bound mode (TLS 1.2 RSA key exchange with forward secrecy against the
 * edge): marks ServerHello with the epoch, waiting for one when none is at hand, and collects the handshake
 * messages, so that the key server can derive the master secret itself.
 *
 * Asks nothing of a key server: that is the provider's, which finds here what it needs. Embedded in the
 * session; its memory is used only while the handshake may need it. Loop thread only. */
#ifndef EDGE_TLS_EXCHANGE_H
#define EDGE_TLS_EXCHANGE_H

#include <openssl/ssl.h>

#include "edge/keyclient/client.h"
#include "edge/provider/provider.h"
#include "edge/tls/choice.h"

/* How the session's RSA key exchange is done, and if not bound, why. */
enum exchange_mode {
    EXCHANGE_NONE,     /* it has none, or nothing was asked for yet */
    EXCHANGE_BOUND,    /* */
    EXCHANGE_NO_EPOCH, /* plain: the key servers have none for this edge, or none came in time */
    EXCHANGE_TOO_LONG, /* plain: its messages exceed PROVIDER_MESSAGES_MAX (or there was no memory) */
    EXCHANGE_NO_EMS,   /* plain: the client does not know the extended master secret (RFC 7627) */
    EXCHANGE_MODES
};

struct exchange {
    struct provider_exchange held; /* the messages */
    struct client *client;         /* borrowed */
    uint64_t epoch;                /* client_epoch.id of the session id; 0 = not marked */
    bool late;                     /* not marked because the time to wait for an epoch was over */
    bool no_ems;                   /* the client does not know the extended master secret */
    bool lost;                     /* the messages could not be kept */
    struct choice choice;          /* what the client may be offered */
    bool turned_away;              /* it has offered RSA key exchange, which is no choice */
};

/* EXCHANGE, which is zeroed and outlives SSL, is the one of SSL; what may be used is asked of CLIENT. SSL's
 * application data is used for it. */
void exchange_join(struct exchange *exchange, SSL *ssl, struct client *client);
/* The one of SSL, or NULL. */
struct exchange *exchange_find(const SSL *ssl);

/* Joins, and follows the handshake of SSL from its first message on; epochs are CLIENT's. Sessions of RSA key
 * exchange get no tickets, which would carry their master secrets out of this process, but session ids. */
void exchange_follow(struct exchange *exchange, SSL *ssl, struct client *client);
/* Within SSL_CTX_set_client_hello_cb: notes what of the hello of SSL matters here. */
void exchange_note_hello(struct exchange *exchange, SSL *ssl);
/* True when the messages of the handshake, with REST bytes after the ClientHello, fit one request. */
bool exchange_fits(const struct exchange *exchange, size_t rest);
/* Wipes and frees what it has collected; what exchange_mode() says stays. */
void exchange_clear(struct exchange *exchange);

/* What became of it, once the handshake has asked for the secret. */
enum exchange_mode exchange_mode(const struct exchange *exchange);
/* "bound", "no_epoch", …; for metrics. */
const char *exchange_mode_name(enum exchange_mode mode);

#endif
