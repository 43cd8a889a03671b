/* Session relay: connects a session to its origin and moves its bytes. Called by session.c, which knows what
 * comes before and after. Loop thread only. */
#ifndef EDGE_SESSION_SESSION_RELAY_H
#define EDGE_SESSION_SESSION_RELAY_H

#include "edge/session/session.h"

/* Waits for the client's first bytes. A client that leaves before it sends any, such as a health check,
 * causes no connection to the origin. */
void session_relay_listen(struct session *session);
/* The first bytes of the client have come. */
void session_relay_hear(struct session *session);
/* Begins connecting to the origin. */
void session_relay_connect(struct session *session);
/* The attempt at one address has timed out: tries the next one, if there is one. */
void session_relay_connect_next(struct session *session);
/* Moves what can be moved and reports the result to the state table. */
void session_relay_run(struct session *session);
/* Takes the origin as ended: what waits for the client is flushed, then close_notify. */
void session_relay_drop_origin(struct session *session);

#endif
