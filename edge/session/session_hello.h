/* Session hello: how many handshakes a thread has at once whose ClientHello is long. OpenSSL keeps room for a
 * whole one from its first bytes until the handshake is done, and those bytes cost a client nothing. Clients
 * send short ones, which this does not concern. Loop thread only. */
#ifndef EDGE_SESSION_SESSION_HELLO_H
#define EDGE_SESSION_SESSION_HELLO_H

#include "edge/session/session.h"

/* Handshakes of one thread with a ClientHello of more than HELLO_LENGTH_COMMON, complete or not. */
#define SESSION_LONG_HELLOS_MAX 64

/* After each step of SESSION's handshake. When there is one such handshake too many, the one that began first
 * fails: an honest one takes a few round trips. One that waits for a key fails in the next turn of the loop,
 * since this may be called while an answer is taken. */
void session_hello_note(struct session *session);
/* Its handshake ends. */
void session_hello_forget(struct session *session);
/* In a turn of SESSION: true when its handshake was to fail for another one's, and has. */
bool session_hello_end_displaced(struct session *session) MUST_USE;

#endif
