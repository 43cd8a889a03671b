/* The session id of a new session, which proves to the key server that the handshake is this edge's and
 * recent. */
#include "common/secret.h"
#include "edge/bound/bound_internal.h"
#include "proto/session_id.h"

/* True when OUT is an epoch for a session that begins now. Waits for one that is due, but not for a client
 * that cannot be bound anyway. */
static bool choose_epoch(struct bound_exchange *exchange, struct client_epoch *out)
{
    if (exchange->plain)
        return false;
    enum client_outlook outlook = client_choose_epoch(exchange->client, out);
    if (outlook == EPOCH_DUE && !exchange->no_ems && exchange->await_epoch() == 0) {
        outlook = client_choose_epoch(exchange->client, out);
        exchange->late = outlook == EPOCH_DUE;
    }
    return outlook == EPOCH_CHOSEN;
}

/* Makes a session id with the mark of an epoch, or without an epoch a random one. */
static void make_session_id(struct bound_exchange *exchange, uint8_t out[static SESSION_ID_SIZE])
{
    struct client_epoch epoch;

    random_bytes(out, SESSION_ID_SIZE);
    if (!choose_epoch(exchange, &epoch))
        return;
    session_id_make(out, epoch.key, out);
    exchange->epoch = epoch.id;
    wipe(&epoch, sizeof epoch);
}

int bound_session_id_on_new(SSL *ssl, int is_forward_secure)
{
    struct bound_exchange *exchange = bound_find(ssl);
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
