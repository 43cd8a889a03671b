#include "edge/session/session_relay.h"

#include <errno.h>
#include <string.h>

#include "common/clock.h"
#include "edge/relay/origin.h"
#include "edge/session/session_log.h"

static enum session_result break_result(const struct session *session)
{
    static const enum session_result results[] = {
        [BREAK_NONE] = RESULT_CLIENT_RESET,
        [BREAK_CUT] = RESULT_CLIENT_CUT,
        [BREAK_RESET] = RESULT_CLIENT_RESET,
        [BREAK_TLS] = RESULT_CLIENT_ERROR,
    };
    /* Once the answer and our close_notify have left, nothing more is expected. */
    return session->io.notified && session->state == SESSION_CLOSING ? RESULT_OK : results[session->io.why];
}

static void watch_client(struct session *session, unsigned events)
{
    if (watch_set(&session->client, events) == 0)
        return;
    session_conclude(session, RESULT_MEMORY);
    session_happen(session, EVENT_CLIENT_GONE);
}

/* ---- before there is an origin ---- */

void session_relay_hear(struct session *session)
{
    switch (session_io_peek(&session->io)) {
    case RELAY_WANT_READ:
        watch_client(session, WATCH_READABLE);
        break;
    case RELAY_WANT_WRITE:
        watch_client(session, WATCH_WRITABLE);
        break;
    case RELAY_ENDED:
        session_happen(session, EVENT_CLIENT_ENDED);
        break;
    case RELAY_CUT:
        session_conclude(session, break_result(session));
        session_happen(session, EVENT_CLIENT_GONE);
        break;
    default:
        session_happen(session, EVENT_CLIENT_SPEAKS);
        break;
    }
}

/* The first bytes may have come together with the end of the handshake. */
void session_relay_listen(struct session *session)
{
    if (SSL_has_pending(session->io.ssl))
        session_relay_hear(session);
    else
        watch_client(session, WATCH_READABLE);
}

/* ---- the origin ---- */

static void failed(struct session *session, const char *why)
{
    counter_add(&session->host->stats.origin_failed[session->route->number], 1);
    timeouts_clear(&session->host->timeouts, &session->retry);
    session_log_origin_failed(session, why);
    session_conclude(session, RESULT_ORIGIN_FAILED);
    session_happen(session, EVENT_ORIGIN_FAILED);
}

static void connected(struct session *session)
{
    struct name_answer answer UNINITIALIZED;

    timeouts_clear(&session->host->timeouts, &session->retry);
    if (session->origins_tried > 1) { /* the addresses before this one do not work */
        endpoint_get(&session->route->endpoint, &answer);
        if (session->origins_tried <= answer.count)
            endpoint_prefer(&session->route->endpoint, &answer.addresses[session->origins_tried - 1]);
    }
    session_happen(session, EVENT_CONNECTED);
}

static void on_origin(void *user, unsigned events)
{
    struct session *session = user;

    (void)events;
    if (session->state != SESSION_CONNECT) {
        if (!session->is_ready)
            session_relay_run(session);
    } else if (origin_check(session->origin.fd) != 0) {
        session->origin_why = errno;
        session_relay_connect_next(session);
    } else {
        connected(session);
    }
}

/* FD is being connected to the origin, and replaces a connection that is given up. */
static void take_origin(struct session *session, int fd, bool at_once, bool more)
{
    struct session_host *host = session->host;

    if (session->origin.open) {
        watch_replace(&session->origin, fd);
    } else {
        watch_open(&session->origin, &host->watches, fd, on_origin, session_on_watch_closed, session);
        session->handles++;
    }
    if (at_once) {
        connected(session);
        return;
    }
    if (watch_set(&session->origin, WATCH_WRITABLE) != 0)
        failed(session, strerror(ENOMEM));
    else if (more)
        timeouts_set(&host->timeouts, &session->retry, TIMEOUT_ATTEMPT, uv_now(host->loop));
}

/* The addresses of a name are tried in order, each for a moment while another is left. */
void session_relay_connect_next(struct session *session)
{
    struct name_answer answer UNINITIALIZED;
    bool at_once;

    if (session->state != SESSION_CONNECT)
        return;
    endpoint_get(&session->route->endpoint, &answer);
    while (session->origins_tried < answer.count) {
        const struct address *to = &answer.addresses[session->origins_tried++];
        int fd = origin_open(to, &at_once);
        if (fd == ERR_BUSY) {
            session->origins_tried--;
            session_retry_later(session);
            return;
        }
        if (fd >= 0) {
            take_origin(session, fd, at_once, session->origins_tried < answer.count);
            return;
        }
        session->origin_why = errno;
    }
    failed(session, answer.count == 0          ? answer.why
                    : session->origin_why != 0 ? strerror(session->origin_why)
                                               : "timed out");
}

void session_relay_connect(struct session *session)
{
    watch_sleep(&session->client); /* what it sends waits in the kernel */
    session_relay_connect_next(session);
}

/* ---- relay ---- */

static void account(struct session *session, const struct relay_step *step)
{
    struct session_host *host = session->host;

    session->moved[RELAY_TO_ORIGIN] += step->moved[RELAY_TO_ORIGIN];
    session->moved[RELAY_TO_CLIENT] += step->moved[RELAY_TO_CLIENT];
    if (step->moved[RELAY_TO_ORIGIN])
        counter_add(&host->stats.bytes_to_origin, step->moved[RELAY_TO_ORIGIN]);
    if (step->moved[RELAY_TO_CLIENT]) {
        counter_add(&host->stats.bytes_to_client, step->moved[RELAY_TO_CLIENT]);
        if (!session->trace.at[TRACE_FIRST_BYTE]) {
            trace_mark(&session->trace, TRACE_FIRST_BYTE, clock_ns());
            trace_put(host->traces, &session->trace);
        }
    }
    if (step->moved[RELAY_TO_ORIGIN] || step->moved[RELAY_TO_CLIENT])
        timeouts_set(&host->timeouts, &session->deadline, session_state_timeout(session->state),
                     uv_now(host->loop));
}

/* Reports the step's result to the state table. True when the session goes on. */
static bool relay_events(struct session *session, const struct relay_step *step)
{
    if (step->client_cut) {
        session_conclude(session, break_result(session));
        session_happen(session, EVENT_CLIENT_GONE);
    } else if (step->origin_cut) {
        session_conclude(session, RESULT_ORIGIN_CUT);
        session_happen(session, EVENT_ORIGIN_GONE);
    } else if (step->no_memory) {
        session_conclude(session, RESULT_MEMORY);
        session_happen(session, EVENT_CLIENT_GONE);
    } else if (step->done) {
        session_happen(session, EVENT_BOTH_ENDED);
    } else {
        if (step->client_ended)
            session_happen(session, EVENT_CLIENT_ENDED);
        if (step->origin_ended)
            session_happen(session, EVENT_ORIGIN_ENDED);
    }
    return session->state != SESSION_CLOSED;
}

static unsigned watch_events(unsigned events)
{
    return (events & RELAY_READABLE ? WATCH_READABLE : 0) | (events & RELAY_WRITABLE ? WATCH_WRITABLE : 0);
}

void session_relay_run(struct session *session)
{
    const struct relay_end client = {.type = &session_io_end, .user = &session->io};
    const struct relay_end origin = {.type = &origin_end, .user = &session->origin.fd};
    struct relay_step step;

    if (!session->trace.at[TRACE_ORIGIN_CONNECTED] && session->origin.open) {
        trace_mark(&session->trace, TRACE_ORIGIN_CONNECTED, clock_ns());
        counter_add(&session->host->stats.origin_connected[session->route->number], 1);
    }
    (void)session_io_flush(&session->io); /* a break shows when it is read or written */
    relay_run(&session->relay, &client, &origin, &session->host->scratch, &step);
    if (tls_socket_is_behind(&session->io.socket))
        step.client_events |= RELAY_WRITABLE;
    account(session, &step);
    if (!relay_events(session, &step))
        return;
    if (step.again) {
        session_become_ready(session);
    } else if (watch_set(&session->client, watch_events(step.client_events)) != 0 ||
               watch_set(&session->origin, watch_events(step.origin_events)) != 0) {
        session_conclude(session, RESULT_MEMORY);
        session_happen(session, EVENT_CLIENT_GONE);
    }
}

void session_relay_drop_origin(struct session *session)
{
    relay_drop_origin(&session->relay);
    watch_close(&session->origin);
    session_relay_run(session);
}
