/* Session handshake: steps OpenSSL's handshake, waits for the key server in the middle of it, and says why it
 * failed. Called by session.c, which knows what comes before and after. Loop thread only. */
#ifndef EDGE_SESSION_SESSION_HANDSHAKE_H
#define EDGE_SESSION_SESSION_HANDSHAKE_H

#include "edge/session/session.h"

/* Goes on until the client or a key server must move. */
void session_handshake_step(struct session *session);
/* Paused for a key: readable data must not wake a session that cannot use it; only the client's leaving may.
 */
void session_handshake_pause(struct session *session);
/* The session's key_wait calls this when the answer is there. */
void session_handshake_on_key(struct key_wait *wait);
/* The session is over but its job is not: lets it run out, now or at the next retry. */
void session_handshake_abandon(struct session *session);
/* Counts and logs FAILURE, then tells the table EVENT. */
void session_handshake_fail(struct session *session, enum session_failure failure, enum session_event event);

#endif
