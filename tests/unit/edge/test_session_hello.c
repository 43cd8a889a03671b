/* A thread has a bounded number of handshakes with long ClientHellos, and the others go on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "edge/session/session.h"
#include "edge/session/session_handshake.h"
#include "edge/session/session_hello.h"

#define CLIENTS (3 * SESSION_LONG_HELLOS_MAX)

static uv_loop_t loop;
static struct edge_config config;
static struct session_host host;
static SSL_CTX *context;
static struct session *sessions[CLIENTS]; /* freed by themselves when they have ended */
static int clients[CLIENTS];

static void on_gone(struct session_host *of)
{
    assert_ptr_equal(of, &host);
}

static void on_io(void *user, unsigned events)
{
    (void)user, (void)events;
}

static int set_up(void **state)
{
    const uint64_t waits[TIMEOUT_CLASSES] = {[TIMEOUT_RETRY] = 10, [TIMEOUT_HANDSHAKE] = 1000};

    (void)state;
    host = (struct session_host){.loop = &loop, .config = &config, .on_gone = on_gone};
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(watches_init(&host.watches, &loop), 0);
    TAILQ_INIT(&host.all);
    TAILQ_INIT(&host.ready);
    TAILQ_INIT(&host.long_hellos);
    timeouts_init(&host.timeouts, waits);
    assert_int_equal(async_thread_start(CLIENTS, NULL), 0);
    context = SSL_CTX_new(TLS_server_method());
    assert_non_null(context);
    return 0;
}

static void turn(void)
{
    for (int i = 0; i < 10; i++)
        uv_run(&loop, UV_RUN_NOWAIT);
}

static int tear_down(void **state)
{
    (void)state;
    while (!TAILQ_EMPTY(&host.all))
        session_stop(TAILQ_FIRST(&host.all));
    turn();
    assert_int_equal(host.count, 0);
    assert_int_equal(host.long_hello_count, 0);
    assert_true(TAILQ_EMPTY(&host.long_hellos));
    assert_int_equal(counter_get(&host.stats.impossible), 0);
    watches_close(&host.watches);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    async_thread_stop();
    SSL_CTX_free(context);
    return 0;
}

/* As session_start() makes it. */
static void start_session(size_t number)
{
    struct session *session = calloc(1, sizeof *session);
    int pair[2];

    assert_non_null(session);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    clients[number] = pair[1];
    sessions[number] = session;
    session->host = &host;
    session->handles = 2;
    session->deadline.user = session->retry.user = session;
    session->io.socket.fd = pair[0];
    session->io.ssl = SSL_new(context);
    assert_non_null(session->io.ssl);
    assert_int_equal(tls_socket_attach(session->io.ssl, &session->io.socket), 0);
    SSL_set_accept_state(session->io.ssl);
    watch_open(&session->client, &host.watches, pair[0], on_io, session_on_watch_closed, session);
    TAILQ_INSERT_TAIL(&host.all, session, in_all);
    host.count++;
    counter_add(&host.stats.active, 1);
}

/* The client of session NUMBER begins a ClientHello of LENGTH bytes. */
static void say_begin(size_t number, size_t length)
{
    size_t body = length - HELLO_MESSAGE_HEADER;
    uint8_t bytes[64] = {22, 3, 1, 0, sizeof bytes - HELLO_RECORD_HEADER, 1};

    bytes[6] = (uint8_t)(body >> 16);
    bytes[7] = (uint8_t)(body >> 8);
    bytes[8] = (uint8_t)body;
    assert_int_equal(send(clients[number], bytes, sizeof bytes, 0), sizeof bytes);
    tls_socket_wake(&sessions[number]->io.socket);
    session_handshake_step(sessions[number]);
}

static void close_clients(size_t count)
{
    for (size_t i = 0; i < count; i++)
        close(clients[i]);
}

static uint64_t failures(enum session_failure failure)
{
    return counter_get(&host.stats.failures[failure]);
}

static void the_oldest_long_one_ends_for_a_new_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < CLIENTS; i++) {
        start_session(i);
        say_begin(i, i % 3 == 0 ? 500 : HELLO_LENGTH_MAX);
    }
    size_t longs = CLIENTS / 3 * 2;
    assert_int_equal(host.long_hello_count, SESSION_LONG_HELLOS_MAX);
    assert_int_equal(failures(FAILURE_HELLO_DISPLACED), longs - SESSION_LONG_HELLOS_MAX);
    for (size_t i = 0, seen = 0; i < CLIENTS; i++) {
        bool is_old = i % 3 != 0 && seen++ < longs - SESSION_LONG_HELLOS_MAX;
        assert_int_equal(sessions[i]->state, is_old ? SESSION_CLOSED : SESSION_HELLO);
    }
    say_begin(CLIENTS - 1, 500); /* more of the same message: it is counted once */
    assert_int_equal(host.long_hello_count, SESSION_LONG_HELLOS_MAX);
    turn();
    assert_int_equal(host.count, CLIENTS - (longs - SESSION_LONG_HELLOS_MAX));
    close_clients(CLIENTS);
}

/* Answers of key servers may be taken at this moment, and one of them may be its own. */
static void one_that_waits_for_a_key_ends_in_the_next_turn(void **state)
{
    (void)state;
    start_session(0);
    say_begin(0, HELLO_LENGTH_MAX);
    session_happen(sessions[0], EVENT_HELLO_READ);
    session_happen(sessions[0], EVENT_KEY_WANTED);
    for (size_t i = 1; i <= SESSION_LONG_HELLOS_MAX; i++) {
        start_session(i);
        say_begin(i, HELLO_LENGTH_MAX);
    }
    assert_int_equal(host.long_hello_count, SESSION_LONG_HELLOS_MAX);
    assert_int_equal(failures(FAILURE_HELLO_DISPLACED), 0);
    assert_int_equal(sessions[0]->state, SESSION_WAIT_KEY);
    assert_ptr_equal(TAILQ_FIRST(&host.ready), sessions[0]);
    session_run(sessions[0]);
    assert_int_equal(failures(FAILURE_HELLO_DISPLACED), 1);
    assert_int_equal(counter_get(&host.stats.waiting_key), 0);
    assert_int_equal(sessions[0]->state, SESSION_CLOSED);
    close_clients(SESSION_LONG_HELLOS_MAX + 1);
}

static void one_that_ends_makes_room(void **state)
{
    static uint8_t rest[HELLO_LENGTH_COMMON];

    (void)state;
    start_session(0);
    say_begin(0, HELLO_LENGTH_COMMON + 1);
    assert_int_equal(host.long_hello_count, 1);
    size_t length = HELLO_LENGTH_COMMON + 1 - (64 - HELLO_RECORD_HEADER);
    const uint8_t header[] = {22, 3, 1, (uint8_t)(length >> 8), (uint8_t)length};
    assert_int_equal(send(clients[0], header, sizeof header, 0), sizeof header);
    assert_int_equal(send(clients[0], rest, length, 0), length);
    tls_socket_wake(&sessions[0]->io.socket);
    session_handshake_step(sessions[0]);
    assert_int_equal(host.long_hello_count, 0);
    assert_int_equal(failures(FAILURE_TLS), 1); /* it was rubbish */
    close_clients(1);
}

static void one_that_is_too_long_ends_at_once_with_an_alert(void **state)
{
    static const uint8_t illegal_parameter[] = {21, 3, 3, 0, 2, 2, 47};
    uint8_t answer[64];

    (void)state;
    start_session(0);
    say_begin(0, HELLO_LENGTH_MAX + 1);
    assert_int_equal(failures(FAILURE_HELLO_TOO_LONG), 1);
    assert_int_equal(sessions[0]->state, SESSION_CLOSED);
    assert_int_equal(recv(clients[0], answer, sizeof answer, 0), sizeof illegal_parameter);
    assert_memory_equal(answer, illegal_parameter, sizeof illegal_parameter);
    assert_int_equal(host.long_hello_count, 0);
    close_clients(1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_oldest_long_one_ends_for_a_new_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_waits_for_a_key_ends_in_the_next_turn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_ends_makes_room, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_is_too_long_ends_at_once_with_an_alert, set_up, tear_down),
    };
    log_init("test", LOG_ERROR, LOG_LOGFMT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
