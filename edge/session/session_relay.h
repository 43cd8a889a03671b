/* Session relay: connects a session to its origin and moves its bytes. Called by session.c, which knows what
 * comes before and after. Loop thread only. */
#ifndef EDGE_SESSION_SESSION_RELAY_H
#define EDGE_SESSION_SESSION_RELAY_H

#include "edge/session/session.h"

/* Waits for the client's first words: whoever leaves without any, as who only looks whether a name is served
 * does, costs the origin nothing. */
void session_relay_listen(struct session *session);
/* Something has come from a client that has not said a word so far. */
void session_relay_hear(struct session *session);
/* Begins connecting to the origin. */
void session_relay_connect(struct session *session);
/* The address that is tried has had its time: the next one, if there is one. */
void session_relay_connect_next(struct session *session);
/* Moves what can be moved and tells the table what came of it. */
void session_relay_run(struct session *session);
/* Takes the origin as ended: what waits for the client is flushed, then close_notify. */
void session_relay_drop_origin(struct session *session);

#endif
