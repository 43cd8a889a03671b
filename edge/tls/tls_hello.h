/* The ClientHello: which certificates a client is shown and which suites it is offered, decided before
 * OpenSSL decides anything, by the name it asks for and by what the key servers grant (choice.h). */
#ifndef EDGE_TLS_TLS_HELLO_H
#define EDGE_TLS_TLS_HELLO_H

#include <openssl/ssl.h>

#include "edge/certs/certs.h"
#include "edge/keyclient/client.h"
#include "edge/tls/choice.h"

#define TLS_HELLO_NAME_MAX 255 /* bytes of a name this server looks up */

/* What is known of a session's ClientHello, what was decided by it, and how its handshake was refused. The
 * random is the client's choice and may be any 32 bytes, zeros included: READ says whether there is one. */
struct tls_hello {
    const struct client *client; /* borrowed; knows what is granted; NULL: everything. Set by the owner */
    bool read;
    uint8_t random[TLS_RANDOM_SIZE]; /* valid when READ */
    uint8_t alert;                   /* the last one that was sent (RFC 8446, 6); 0 = none, or close_notify */
    struct choice choice;            /* what the client may be offered */
    bool turned_away;                /* it has offered RSA key exchange, which was withheld */
};

/* From now on SSL fills in HELLO (may be NULL), which is zeroed but for its client, and outlives SSL.
 * ERR_MEMORY. */
int tls_hello_attach(SSL *ssl, struct tls_hello *hello) MUST_USE;
/* SSL, attached or not, has sent the alert ALERT. */
void tls_hello_note_alert(const SSL *ssl, uint8_t alert);

/* ---- within the ClientHello callback ---- */

/* Notes the random of the client of SSL. */
void tls_hello_note(SSL *ssl);
/* ERR_LENGTH when a list that OpenSSL keeps is too long. */
int tls_hello_check(SSL *ssl) MUST_USE;
/* The host name that the ClientHello of SSL asks for, NUL-terminated in NAME; "" when it asks for none.
 * ERR_FORMAT for an extension that does not parse (RFC 6066, 3). */
int tls_hello_name(SSL *ssl, char name[static TLS_HELLO_NAME_MAX + 1]) MUST_USE;
/* Takes away from SSL, which has the context of SET already, what the client cannot be served with. Keeps in
 * the session's tls_hello what was decided. RSA_KEY_EXCHANGE: the configuration offers it. ERR_MEMORY. */
int tls_hello_limit(SSL *ssl, const struct cert_set *set, bool rsa_key_exchange) MUST_USE;

#endif
