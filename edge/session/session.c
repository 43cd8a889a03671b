#include "edge/session/session.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "edge/relay/origin.h"
#include "edge/session/session_handshake.h"
#include "edge/session/session_hello.h"
#include "edge/session/session_log.h"
#include "edge/session/session_relay.h"

static void act_on(struct session *session, enum session_action action);

/* A fault of this program, not of the client: it is logged and counted, and only this connection ends. */
static void note_impossible(struct session *session, enum session_event event)
{
    counter_add(&session->host->stats.impossible, 1);
    session_log_impossible(session, event);
    session_conclude(session, RESULT_INTERNAL);
}

void session_happen(struct session *session, enum session_event event)
{
    struct session_host *host = session->host;
    bool job_waits = async_job_waits(session->io.ssl, &session->key);
    struct session_transition to = session_state_next(session->state, event, job_waits);
    enum timeout_class before = session_state_timeout(session->state);
    enum timeout_class after = session_state_timeout(to.next);

    if (to.impossible)
        note_impossible(session, event);
    if (session->state == SESSION_WAIT_KEY && to.next != SESSION_WAIT_KEY)
        counter_add(&host->stats.waiting_key, (uint64_t)-1);
    if (session->state != SESSION_WAIT_KEY && to.next == SESSION_WAIT_KEY)
        counter_add(&host->stats.waiting_key, 1);
    session->state = to.next;
    if (before != after)
        timeouts_set(&host->timeouts, &session->deadline, after, uv_now(host->loop));
    act_on(session, to.action);
}

void session_conclude(struct session *session, enum session_result result)
{
    if (session->result == RESULT_NONE)
        session->result = result;
}

void session_retry_later(struct session *session)
{
    timeouts_set(&session->host->timeouts, &session->retry, TIMEOUT_RETRY, uv_now(session->host->loop));
}

void session_become_ready(struct session *session)
{
    if (session->is_ready)
        return;
    session->is_ready = true;
    TAILQ_INSERT_TAIL(&session->host->ready, session, in_ready);
    session->host->ready_count++;
}

static void leave_ready(struct session *session)
{
    if (!session->is_ready)
        return;
    session->is_ready = false;
    TAILQ_REMOVE(&session->host->ready, session, in_ready);
    session->host->ready_count--;
}

/* ---- end ---- */

/* A session whose job is stuck keeps its memory and so one handle. */
static void drop_handle(struct session *session)
{
    struct session_host *host = session->host;
    bool stuck = session->state == SESSION_STUCK;

    if (--session->handles != (stuck ? 1 : 0))
        return;
    assert(!session->key.request.open && !session->key.epoch.open);
    host->count--;
    counter_add(&host->stats.active, (uint64_t)-1);
    if (!stuck)
        free(session);
    host->on_gone(host);
}

void session_on_watch_closed(void *user)
{
    drop_handle(user);
}

/* Writes trace, counters and log line of the session, while its SSL exists. */
static void end_session(struct session *session)
{
    struct session_host *host = session->host;

    session_conclude(session, RESULT_OK);
    trace_mark(&session->trace, TRACE_CLOSED, clock_ns());
    session->trace.result = session_stats_result_name(session->result);
    if (session->trace.at[TRACE_CLIENT_HELLO])
        trace_put(host->traces, &session->trace);
    counter_add(&host->stats.results[session->result], 1);
    if (host->config->access_log)
        session_log_connection(session);
}

/* After this, only the close callbacks of its watches come. */
static void leave_host(struct session *session)
{
    struct session_host *host = session->host;

    timeouts_clear(&host->timeouts, &session->deadline);
    timeouts_clear(&host->timeouts, &session->retry);
    leave_ready(session);
    session_hello_forget(session);
    TAILQ_REMOVE(&host->all, session, in_all);
    relay_clear(&session->relay);
}

static void act_release(struct session *session)
{
    assert(!async_job_waits(session->io.ssl, &session->key));
    end_session(session);
    leave_host(session);
    if (session->result != RESULT_OK && session->io.why != BREAK_CUT && session->io.why != BREAK_RESET)
        session_io_discard(session->io.socket.fd);
    SSL_free(session->io.ssl);
    session->io.ssl = NULL;
    tls_socket_clear(&session->io.socket);
    bound_clear(&session->bound);
    watch_close(&session->client);
    watch_close(&session->origin);
    drop_handle(session);
}

static void act_give_up(struct session *session)
{
    counter_add(&session->host->stats.jobs_stuck, 1);
    session_log_stuck(session);
    session_conclude(session, RESULT_INTERNAL);
    end_session(session);
    leave_host(session);
    watch_close(&session->client);
    watch_close(&session->origin);
}

static void act_farewell(struct session *session)
{
    if (!relay_pending(&session->relay))
        session_io_farewell(&session->io);
    act_release(session);
}

static void act_reset_origin(struct session *session)
{
    if (session->origin.open && session->result != RESULT_OK)
        origin_reset(session->origin.fd);
    act_release(session);
}

static void act_on(struct session *session, enum session_action action)
{
    static void (*const actions[SESSION_ACTIONS])(struct session *) = {
        [ACTION_STEP] = session_handshake_step,
        [ACTION_WATCH_GONE] = session_handshake_pause,
        [ACTION_LISTEN] = session_relay_listen,
        [ACTION_CONNECT] = session_relay_connect,
        [ACTION_RELAY] = session_relay_run,
        [ACTION_CLOSE_NOTIFY] = session_relay_drop_origin,
        [ACTION_ABANDON] = session_handshake_abandon,
        [ACTION_FAREWELL] = act_farewell,
        [ACTION_RESET_ORIGIN] = act_reset_origin,
        [ACTION_GIVE_UP] = act_give_up,
        [ACTION_RELEASE] = act_release,
    };
    assert(action < SESSION_ACTIONS);
    if (actions[action])
        actions[action](session);
}

/* ---- called from below ---- */

static void client_left(struct session *session)
{
    if (session_state_timeout(session->state) == TIMEOUT_HANDSHAKE)
        session_handshake_fail(session, FAILURE_CLIENT_GONE, EVENT_CLIENT_GONE);
    else
        watch_sleep(&session->client); /* one notice is enough */
}

void session_run(struct session *session)
{
    leave_ready(session);
    if (session_hello_end_displaced(session))
        return;
    switch (session->state) {
    case SESSION_HELLO:
    case SESSION_HANDSHAKE:
        session_handshake_step(session);
        break;
    case SESSION_SILENT:
        session_relay_hear(session);
        break;
    case SESSION_RELAY:
    case SESSION_HALF_CLOSED:
    case SESSION_CLOSING:
        session_relay_run(session);
        break;
    default:
        watch_sleep(&session->client); /* in this state nothing is read from the client */
        break;
    }
}

static void on_client(void *user, unsigned events)
{
    struct session *session = user;

    if (events & (WATCH_READABLE | WATCH_GONE))
        tls_socket_wake(&session->io.socket);
    if (session->is_ready)
        return;
    if (session->state == SESSION_WAIT_KEY || (events & WATCH_GONE))
        client_left(session);
    else
        session_run(session);
}

static void on_retry(struct session *session)
{
    if (session->state == SESSION_DRAIN_KEY)
        session_handshake_abandon(session);
    else if (session->state == SESSION_HANDSHAKE || session->state == SESSION_HELLO)
        session_handshake_step(session);
    else if (session->state == SESSION_CONNECT && !session->origin.open)
        session_relay_connect(session);
}

void session_timeout(struct session *session, enum timeout_class class)
{
    if (class == TIMEOUT_RETRY) {
        on_retry(session);
        return;
    }
    if (class == TIMEOUT_ATTEMPT) {
        session_relay_connect_next(session);
        return;
    }
    if (class == TIMEOUT_SILENCE) {
        session_happen(session, EVENT_TIMEOUT);
        return;
    }
    counter_add(&session->host->stats.timeouts[class], 1);
    switch (class) {
    case TIMEOUT_HANDSHAKE:
        /* While it waits for a key the timeout is not the client's fault. */
        session_handshake_fail(session,
                               session->state == SESSION_WAIT_KEY ? FAILURE_KEY_TIMEOUT : FAILURE_TIMEOUT,
                               EVENT_TIMEOUT);
        return;
    case TIMEOUT_CONNECT:
        counter_add(&session->host->stats.origin_failed[session->route->number], 1);
        session_log_origin_failed(session, "timed out");
        session_conclude(session, RESULT_ORIGIN_FAILED);
        break;
    case TIMEOUT_IDLE:
        session_conclude(session, RESULT_TIMEOUT_IDLE);
        break;
    case TIMEOUT_HALF_CLOSED:
        session_conclude(session, RESULT_TIMEOUT_HALF_CLOSED);
        break;
    default:
        session_conclude(session, session->io.notified ? RESULT_OK : RESULT_TIMEOUT_CLOSE);
        break;
    }
    session_happen(session, EVENT_TIMEOUT);
}

void session_stop(struct session *session)
{
    if (session_state_timeout(session->state) == TIMEOUT_HANDSHAKE) {
        session_handshake_fail(session, FAILURE_STOPPED, EVENT_STOP);
        return;
    }
    session_conclude(session, RESULT_STOPPED);
    session_happen(session, EVENT_STOP);
}

/* ---- start ---- */

static void prepare(struct session *session, const struct address *from)
{
    struct session_host *host = session->host;

    session->handles = 2; /* the client's watch and the session itself */
    session->from = *from;
    session->deadline.user = session->retry.user = session;
    session->trace.accepted_ns = clock_ns();
    trace_id_new(&session->trace.id);
    session->key = (struct key_wait){
        .timeout_ms = host->config->timeout.key,
        .trace = session->trace.id,
        .on_ready = session_handshake_on_key,
        .user = session,
    };
    session->hello.client = host->client;
    if (host->config->tls.rsa_key_exchange) {
        const struct bound_setup setup = {.client = host->client, .await_epoch = async_await_epoch};
        session->key.bound = &session->bound;
        bound_start(&session->bound, session->io.ssl, &setup);
    }
    TAILQ_INSERT_TAIL(&host->all, session, in_all);
    host->count++;
    counter_add(&host->stats.active, 1);
    counter_add(&host->stats.accepted, 1);
    timeouts_set(&host->timeouts, &session->deadline, TIMEOUT_HANDSHAKE, uv_now(host->loop));
}

static int open_tls(struct session *session, struct tls *tls, int fd)
{
    struct session_io *io = &session->io;

    io->socket.fd = fd;
    io->ssl = tls_accept(tls, &session->hello);
    if (io->ssl && tls_socket_attach(io->ssl, &io->socket) == 0)
        return 0;
    SSL_free(io->ssl);
    return ERR_MEMORY;
}

int session_start(struct session_host *host, int fd, const struct address *from)
{
    struct session *session = calloc(1, sizeof(*session));

    if (!session || open_tls(session, host->tls, fd) != 0) {
        free(session);
        close(fd);
        return ERR_MEMORY;
    }
    session->host = host;
    watch_open(&session->client, &host->watches, fd, on_client, session_on_watch_closed, session);
    prepare(session, from);
    /* The kernel keeps a connection to itself until there is something to read (edge_bind.c). */
    session_handshake_step(session);
    return 0;
}
