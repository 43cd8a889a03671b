/* A session whose job does not end, on a loop of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <openssl/async.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "edge/session/session.h"
#include "edge/session/session_handshake.h"

#define RETRY_MS 10

static uv_loop_t loop;
static struct edge_config config;
static struct session_host host;
static struct session *session; /* its memory stays: that is what is tested */
static SSL_CTX *context;
static int client_fd;
static unsigned gone, stepped;

static void on_gone(struct session_host *of)
{
    assert_ptr_equal(of, &host);
    gone++;
}

/* Pauses whenever it is stepped. */
static _Noreturn int never_end(SSL *ssl, int *alert, void *user)
{
    (void)ssl, (void)alert, (void)user;
    for (;;) {
        stepped++;
        ASYNC_pause_job();
    }
}

static void on_io(void *user, unsigned events)
{
    (void)user, (void)events;
}

static void make_host(void)
{
    const uint64_t waits[TIMEOUT_CLASSES] = {[TIMEOUT_RETRY] = RETRY_MS, [TIMEOUT_HANDSHAKE] = 1000};

    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(watches_init(&host.watches, &loop), 0);
    host.loop = &loop;
    host.config = &config;
    host.on_gone = on_gone;
    TAILQ_INIT(&host.all);
    TAILQ_INIT(&host.ready);
    TAILQ_INIT(&host.long_hellos);
    timeouts_init(&host.timeouts, waits);
    assert_int_equal(async_thread_start(8, NULL), 0);
}

static void send_hello(int fd)
{
    SSL *client = SSL_new(context);
    assert_non_null(client);
    SSL_set_fd(client, fd);
    SSL_set_connect_state(client);
    assert_int_not_equal(SSL_do_handshake(client), 1);
    SSL_free(client);
}

static int fail_inside(SSL *ssl, int *alert, void *user)
{
    (void)ssl, (void)user;
    *alert = SSL_AD_INTERNAL_ERROR;
    session->hello.alert = SSL_AD_INTERNAL_ERROR; /* tls.c notes it when it has left */
    return SSL_CLIENT_HELLO_ERROR;
}

/* As session_start() makes it, with the ClientHello waiting, which ON_HELLO gets. */
static void make_session(SSL_client_hello_cb_fn on_hello)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    client_fd = pair[1];
    context = SSL_CTX_new(TLS_method());
    session = calloc(1, sizeof *session);
    assert_non_null(context);
    assert_non_null(session);
    send_hello(pair[1]);
    SSL_CTX_set_client_hello_cb(context, on_hello, NULL);
    session->host = &host;
    session->handles = 2;
    session->state = SESSION_HANDSHAKE;
    session->deadline.user = session->retry.user = session;
    session->io.socket.fd = pair[0];
    session->io.ssl = SSL_new(context);
    SSL_set_fd(session->io.ssl, pair[0]);
    SSL_set_accept_state(session->io.ssl);
    watch_open(&session->client, &host.watches, pair[0], on_io, session_on_watch_closed, session);
    TAILQ_INSERT_TAIL(&host.all, session, in_all);
    host.count++;
    counter_add(&host.stats.active, 1);
}

static void end_host(void)
{
    watches_close(&host.watches);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    async_thread_stop();
    close(client_fd);
    SSL_CTX_free(context);
}

/* The client is not the cause, and is not counted among those that are. */
static void what_fails_inside_has_a_reason_of_its_own(void **state)
{
    (void)state;
    make_host();
    make_session(fail_inside);
    session_handshake_step(session);
    assert_int_equal(counter_get(&host.stats.failures[FAILURE_INTERNAL]), 1);
    assert_int_equal(counter_get(&host.stats.failures[FAILURE_TLS]), 0);
    gone = 0;
    for (int turn = 0; turn < 10 && gone == 0; turn++)
        uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(gone, 1);
    end_host();
    gone = 0;
}

static void a_job_that_never_ends_is_given_up_and_nothing_spins(void **state)
{
    enum timeout_class class;
    unsigned retries = 0;

    (void)state;
    make_host();
    make_session(never_end);
    (void)async_handshake(session->io.ssl, &session->key);
    assert_true(async_job_waits(session->io.ssl, &session->key));
    int fd = session->io.socket.fd;
    session_happen(session, EVENT_CLIENT_GONE);
    assert_int_equal(session->state, SESSION_DRAIN_KEY);
    for (uint64_t due; (due = timeouts_next(&host.timeouts)) != TIMEOUTS_NEVER; retries++) {
        assert_true(retries < SESSION_TRIES_MAX);
        assert_ptr_equal(timeouts_pop(&host.timeouts, due, &class), &session->retry);
        session_timeout(session, class);
    }
    assert_int_equal(retries, SESSION_TRIES_MAX - 1);
    assert_int_equal(session->state, SESSION_STUCK);
    assert_int_equal(counter_get(&host.stats.jobs_stuck), 1);
    assert_int_equal(counter_get(&host.stats.impossible), 0);
    unsigned before = stepped;
    for (int turn = 0; turn < 10 && gone == 0; turn++)
        uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(gone, 1); /* the thread may end */
    assert_int_equal(host.count, 0);
    assert_int_equal(counter_get(&host.stats.active), 0);
    assert_true(TAILQ_EMPTY(&host.all));
    assert_int_equal(fcntl(fd, F_GETFD), -1); /* the client's connection is closed */
    assert_int_equal(stepped, before);
    assert_true(async_job_waits(session->io.ssl, &session->key)); /* so nothing of it was freed */
    watches_close(&host.watches);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    close(client_fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_fails_inside_has_a_reason_of_its_own),
        cmocka_unit_test(a_job_that_never_ends_is_given_up_and_nothing_spins),
    };
    log_init("test", LOG_ERROR, LOG_LOGFMT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
