/* Session log: the lines and records a session leaves behind. Whatever a client chose is escaped. */
#ifndef EDGE_SESSION_SESSION_LOG_H
#define EDGE_SESSION_SESSION_LOG_H

#include "edge/session/session.h"

/* event=handshake_failed with the session's failure; TEXT explains it where it was a matter of TLS (else
 * NULL). */
void session_log_handshake_failed(const struct session *session, const char *text);
/* event=session_impossible: EVENT came in a state that does not know it. */
void session_log_impossible(const struct session *session, enum session_event event);
/* event=session_stuck: its job does not run out. */
void session_log_stuck(const struct session *session);
/* event=origin_failed; WHY says why. */
void session_log_origin_failed(const struct session *session, const char *why);
/* The access line, event=connection; before the SSL is freed. */
void session_log_connection(const struct session *session);

#endif
