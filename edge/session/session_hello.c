#include "edge/session/session_hello.h"

#include "edge/session/session_handshake.h"

static bool shakes_hands(const struct session *session)
{
    return session_state_timeout(session->state) == TIMEOUT_HANDSHAKE;
}

void session_hello_forget(struct session *session)
{
    struct session_host *host = session->host;

    if (!session->has_long_hello)
        return;
    session->has_long_hello = false;
    TAILQ_REMOVE(&host->long_hellos, session, in_long_hellos);
    host->long_hello_count--;
}

static void end_handshake(struct session *session)
{
    session_handshake_fail(session, FAILURE_HELLO_DISPLACED, EVENT_TIMEOUT);
}

bool session_hello_end_displaced(struct session *session)
{
    bool ends = session->is_displaced && shakes_hands(session);

    if (ends)
        end_handshake(session);
    return ends;
}

static void displace(struct session *session)
{
    session_hello_forget(session);
    session->is_displaced = true;
    if (session->state == SESSION_WAIT_KEY)
        session_become_ready(session);
    else
        end_handshake(session);
}

void session_hello_note(struct session *session)
{
    struct session_host *host = session->host;

    if (!shakes_hands(session) || session->io.socket.hello.longest <= HELLO_LENGTH_COMMON) {
        session_hello_forget(session);
        return;
    }
    if (session->has_long_hello || session->is_displaced)
        return;
    session->has_long_hello = true;
    TAILQ_INSERT_TAIL(&host->long_hellos, session, in_long_hellos);
    if (++host->long_hello_count > SESSION_LONG_HELLOS_MAX)
        displace(TAILQ_FIRST(&host->long_hellos));
}
