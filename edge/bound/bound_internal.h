/* The callbacks through which OpenSSL calls into edge/bound; bound_start() registers them. Not for anyone
 * outside. */
#ifndef EDGE_BOUND_BOUND_INTERNAL_H
#define EDGE_BOUND_BOUND_INTERNAL_H

#include "edge/bound/bound.h"

/* The suite of a new session is chosen, and ServerHello not yet written
 * (SSL_set_not_resumable_session_callback). Returns 0: the session may be resumed. */
int bound_session_id_on_new(SSL *ssl, int is_forward_secure);
/* A whole handshake message, header included, was read or WRITTEN (SSL_set_msg_callback); in the order of the
 * transcript. USER is the exchange; NULL: nothing is kept any more. */
void bound_messages_on(int written, int version, int content_type, const void *bytes, size_t length, SSL *ssl,
                       void *user);

#endif
