#include "edge/session/session_handshake.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/proverr.h>
#include <string.h>

#include "common/clock.h"
#include "edge/provider/openssl_error.h"
#include "edge/session/session_hello.h"
#include "edge/session/session_log.h"
#include "proto/operation_fields.h"

#define ERROR_SIZE 256

static enum session_failure key_failure(const struct session *session)
{
    const struct key_wait *key = &session->key;

    switch (key->last_status) {
    case STATUS_REFUSED:
        /* an epoch in time might have had it granted */
        return bound_is_late(&session->bound) ? FAILURE_KEY_TIMEOUT : FAILURE_KEY_REFUSED;
    case STATUS_BUSY:
        return FAILURE_KEY_BUSY;
    case STATUS_EXPIRED:
        return FAILURE_KEY_TIMEOUT;
    default:
        if (key->request.gone)
            return FAILURE_KEY_SERVERS_GONE;
        return key->request.sent_ns && clock_ns() >= key->request.deadline_ns ? FAILURE_KEY_TIMEOUT
                                                                              : FAILURE_KEY_UNAVAILABLE;
    }
}

static void count_exchange(struct session *session)
{
    enum rsa_mode mode = bound_mode(&session->bound);

    if (mode != RSA_MODE_NONE)
        counter_add(&session->host->stats.exchanges[mode], 1);
}

/* Notes that the handshake has paused. */
static void note_pause(struct session *session)
{
    trace_mark(&session->trace, session->key.for_epoch ? TRACE_EPOCH_BEGUN : TRACE_KEY_BEGUN, clock_ns());
    if (session->key.for_epoch)
        counter_add(&session->host->stats.epoch_waits, 1);
}

/* Notes that what it paused for has come, or is not needed any more. */
static void note_waited(struct session *session, uint64_t now)
{
    const uint64_t *at = session->trace.at;

    if (session->key.for_epoch)
        trace_mark(&session->trace, TRACE_EPOCH_ENDED, now);
    session->key_ns += now - session->trace.accepted_ns -
                       at[session->key.for_epoch ? TRACE_EPOCH_BEGUN : TRACE_KEY_BEGUN];
}

#define PROXIED                                                                                              \
    "the client begins with a PROXY protocol header, which is not supported: take send-proxy or "            \
    "proxy_protocol out of the load balancer's configuration for this edge"

void session_handshake_fail(struct session *session, enum session_failure failure, enum session_event event)
{
    char error[ERROR_SIZE];

    if (session->state == SESSION_WAIT_KEY)
        note_waited(session, clock_ns());
    session_hello_forget(session);
    session->failure = failure;
    count_exchange(session);
    counter_add(&session->host->stats.failures[failure], 1);
    bool explained = failure == FAILURE_TLS || failure == FAILURE_INTERNAL || failure == FAILURE_KEY_INVALID;
    if (failure == FAILURE_TLS && session->io.socket.proxied)
        session_log_handshake_failed(session, PROXIED);
    else
        session_log_handshake_failed(session, explained ? openssl_error(error, sizeof(error)) : NULL);
    ERR_clear_error();
    session_conclude(session, RESULT_HANDSHAKE_FAILED);
    session_happen(session, event);
}

/* True when the provider rejected an answer: then the first error in the queue is the provider's. */
static bool answer_rejected(const struct key_wait *key)
{
    unsigned long code = ERR_peek_error();

    return key->operations && ERR_GET_LIB(code) == ERR_LIB_PROV &&
           ERR_GET_REASON(code) == PROV_R_FAILED_TO_SIGN;
}

/* True when OpenSSL found no shared suite and one that the client offered was withheld. */
static bool is_withheld(const struct session *session)
{
    unsigned long code = ERR_peek_error();

    return session->hello.turned_away && ERR_GET_LIB(code) == ERR_LIB_SSL &&
           ERR_GET_REASON(code) == SSL_R_NO_SHARED_CIPHER;
}

static void fail_withheld(struct session *session)
{
    counter_add(&session->host->stats.withheld[session->hello.choice.withheld], 1);
    session_handshake_fail(session, FAILURE_RSA_WITHHELD, EVENT_HANDSHAKE_FAILED);
}

static void broke(struct session *session)
{
    const struct key_wait *key = &session->key;

    if (key->operations && key->last_status != STATUS_OK)
        session_handshake_fail(session, key_failure(session), EVENT_HANDSHAKE_FAILED);
    else if (answer_rejected(key))
        session_handshake_fail(session, FAILURE_KEY_INVALID, EVENT_HANDSHAKE_FAILED);
    else if (is_withheld(session))
        fail_withheld(session);
    else if (session->io.socket.too_long)
        session_handshake_fail(session, FAILURE_HELLO_TOO_LONG, EVENT_HANDSHAKE_FAILED);
    else if (session->hello.alert == SSL_AD_INTERNAL_ERROR && !openssl_error_is_of_peer())
        session_handshake_fail(session, FAILURE_INTERNAL, EVENT_HANDSHAKE_FAILED);
    else if (session_io_handshake_break() == BREAK_TLS)
        session_handshake_fail(session, FAILURE_TLS, EVENT_HANDSHAKE_FAILED);
    else
        session_handshake_fail(session, FAILURE_CLIENT_GONE, EVENT_HANDSHAKE_FAILED);
}

static void choose_origin(struct session *session)
{
    const unsigned char *protocol = NULL;
    unsigned length = 0;

    SSL_get0_alpn_selected(session->io.ssl, &protocol, &length);
    session->route = origins_find(session->host->origins, protocol, length);
    session->trace.origin = session->route->protocol;
}

static void finish_handshake(struct session *session)
{
    struct session_stats *stats = &session->host->stats;
    uint64_t *at = session->trace.at;

    trace_mark(&session->trace, TRACE_HANDSHAKE_DONE, clock_ns());
    session->kind = tls_session_kind(session->io.ssl, bound_mode(&session->bound) == RSA_MODE_BOUND);
    choose_origin(session);
    session_io_begin(&session->io);
    session->trace.kind = tls_kind_name(session->kind);
    counter_add(&stats->handshakes[session->kind], 1);
    count_exchange(session);
    histogram_add(SSL_session_reused(session->io.ssl) ? &stats->handshake_resumed : &stats->handshake_full,
                  at[TRACE_HANDSHAKE_DONE] - at[TRACE_CLIENT_HELLO]);
    trace_put(session->host->traces, &session->trace);
    session_happen(session, EVENT_HANDSHAKE_DONE);
}

static void notice_hello(struct session *session, uint64_t step_began_ns)
{
    if (session->state != SESSION_HELLO || !session->hello.read)
        return;
    memcpy(session->trace.client_random, session->hello.random, TLS_RANDOM_SIZE);
    trace_mark(&session->trace, TRACE_CLIENT_HELLO, step_began_ns);
    session_happen(session, EVENT_HELLO_READ);
}

static void watch_client(struct session *session, unsigned events)
{
    if (watch_set(&session->client, events) != 0)
        session_handshake_fail(session, FAILURE_MEMORY, EVENT_CLIENT_GONE);
}

void session_handshake_step(struct session *session)
{
    uint64_t now = clock_ns();
    ERR_clear_error();
    errno = 0;
    enum async_result result = async_handshake(session->io.ssl, &session->key);

    notice_hello(session, now);
    switch (result) {
    case ASYNC_DONE:
        finish_handshake(session);
        break;
    case ASYNC_WANT_READ:
        watch_client(session, WATCH_READABLE);
        break;
    case ASYNC_WANT_WRITE:
        watch_client(session, WATCH_WRITABLE);
        break;
    case ASYNC_WAIT_KEY:
        note_pause(session);
        session_happen(session, EVENT_KEY_WANTED);
        break;
    case ASYNC_NO_JOB:
        session_retry_later(session);
        watch_client(session, WATCH_GONE);
        break;
    case ASYNC_FAILED:
        broke(session);
        break;
    }
    session_hello_note(session);
}

/* Readable data must not wake a session that cannot use it; only the end of the connection may. */
void session_handshake_pause(struct session *session)
{
    if (watch_set(&session->client, WATCH_GONE) != 0)
        session_handshake_fail(session, FAILURE_MEMORY, EVENT_CLIENT_GONE);
}

static void note_key(struct session *session)
{
    struct session_host *host = session->host;
    const struct client_request *request = &session->key.request;
    struct trace_record *trace = &session->trace;

    trace->operation = request->operation.kind;
    trace->operations = (unsigned)session->key.operations;
    trace->status = request->outcome.status;
    trace->sent_bytes = operation_bytes(&request->operation);
    trace->received_bytes = request->outcome.length;
    if (request->sent_ns)
        trace_mark(trace, TRACE_KEY_SENT, request->sent_ns);
    trace_mark(trace, TRACE_KEY_ANSWERED, request->answered_ns);
    trace->server = request->answered ? host->servers[request->server].name : NULL;
    if (request->answered)
        trace->server_rtt_ns = counter_get(&host->server_stats[request->server].rtt_ns);
}

void session_handshake_on_key(struct key_wait *wait)
{
    struct session *session = wait->user;

    if (!wait->for_epoch)
        note_key(session);
    note_waited(session, clock_ns());
    session_happen(session, EVENT_KEY_ANSWERED);
}

void session_handshake_abandon(struct session *session)
{
    ERR_clear_error();
    if (async_abandon(session->io.ssl, &session->key)) {
        ERR_clear_error();
        session_happen(session, EVENT_JOB_ENDED);
        return;
    }
    if (session_state_is_stuck(++session->abandon_tries)) {
        session_happen(session, EVENT_JOB_STUCK);
        return;
    }
    watch_sleep(&session->client);
    session_retry_later(session);
}
