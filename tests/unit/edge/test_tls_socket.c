/* How OpenSSL reads and writes a client's socket: never in vain, never with a signal, whole flights. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "edge/tls/tls_socket.h"
#include "tests/unit/edge/tcp_pair.h"

struct rig {
    SSL_CTX *context;
    SSL *ssl;
    BIO *bio; /* borrowed from ssl */
    struct tls_socket socket;
    int peer;
};

static int set_up(void **state)
{
    static struct rig rig;

    rig = (struct rig){.context = SSL_CTX_new(TLS_server_method())};
    rig.ssl = SSL_new(rig.context);
    tcp_pair(&rig.socket.fd, &rig.peer);
    assert_int_equal(tls_socket_attach(rig.ssl, &rig.socket), 0);
    rig.bio = SSL_get_rbio(rig.ssl);
    assert_ptr_equal(rig.bio, SSL_get_wbio(rig.ssl));
    *state = &rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;

    SSL_free(rig->ssl);
    SSL_CTX_free(rig->context);
    close(rig->socket.fd); /* it was never taken */
    if (rig->peer >= 0)
        close(rig->peer);
    return 0;
}

static void wait_readable(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    assert_int_equal(poll(&poll_fd, 1, 30000), 1);
}

static void say(struct rig *rig, const char *text)
{
    assert_int_equal(send(rig->peer, text, strlen(text), 0), strlen(text));
    wait_readable(rig->socket.fd);
}

static void after_a_short_read_nobody_asks_before_the_loop_does(void **state)
{
    struct rig *rig = *state;
    char bytes[8];

    say(rig, "abc");
    assert_int_equal(BIO_read(rig->bio, bytes, sizeof(bytes)), 3);
    assert_true(rig->socket.dry);
    say(rig, "def");
    assert_int_equal(BIO_read(rig->bio, bytes, sizeof(bytes)), -1);
    assert_true(BIO_should_read(rig->bio) && BIO_should_retry(rig->bio));
    tls_socket_wake(&rig->socket);
    assert_int_equal(BIO_read(rig->bio, bytes, sizeof(bytes)), 3);
    assert_memory_equal(bytes, "def", 3);
}

/* However little the library asks for at first: OpenSSL 3.5 begins with the five bytes of a record's header.
 */
static void a_header_of_the_proxy_protocol_is_seen(void **state)
{
    static const char *const begins[] = {"PROXY TCP4 ", "\r\n\r\n", "PROXIES are none", "GET / HTTP/1.1"};
    struct rig *rig = *state;
    char bytes[5];

    for (size_t i = 0; i < sizeof begins / sizeof begins[0]; i++) {
        rig->socket.begun = rig->socket.proxied = false;
        if (i == 1)
            assert_int_equal(send(rig->peer, "\r\n\r\n\0\r\nQUIT\n!", 13, 0), 13);
        else
            say(rig, begins[i]);
        wait_readable(rig->socket.fd);
        tls_socket_wake(&rig->socket);
        assert_int_equal(BIO_read(rig->bio, bytes, sizeof bytes), sizeof bytes);
        assert_int_equal(rig->socket.proxied, i < 2);
        char rest[64];
        assert_true(recv(rig->socket.fd, rest, sizeof rest, 0) > 0);
    }
}

static void after_a_full_read_there_may_be_more(void **state)
{
    struct rig *rig = *state;
    char bytes[4];

    say(rig, "abcdef");
    assert_int_equal(BIO_read(rig->bio, bytes, sizeof(bytes)), 4);
    assert_false(rig->socket.dry);
    assert_int_equal(BIO_read(rig->bio, bytes, sizeof(bytes)), 2);
}

static void after_some_reads_it_is_the_turn_of_others(void **state)
{
    struct rig *rig = *state;
    char byte;

    say(rig, "0123456789abcdef0123456789");
    for (int turn = 0; turn < 3; turn++) {
        for (int i = 0; i < TLS_SOCKET_READS; i++)
            assert_int_equal(BIO_read(rig->bio, &byte, 1), 1);
        assert_int_equal(BIO_read(rig->bio, &byte, 1), -1);
        assert_true(BIO_should_read(rig->bio) && BIO_should_retry(rig->bio));
        wait_readable(rig->socket.fd); /* the loop tells at once */
        tls_socket_wake(&rig->socket);
    }
    assert_int_equal(byte, "0123456789abcdef0123456789"[3 * TLS_SOCKET_READS - 1]);
}

static void nothing_there_is_no_end(void **state)
{
    struct rig *rig = *state;
    char bytes[4];

    assert_int_equal(BIO_read(rig->bio, bytes, sizeof(bytes)), -1);
    assert_true(BIO_should_read(rig->bio));
    assert_true(rig->socket.dry);
    assert_false(BIO_eof(rig->bio));
}

static void an_end_is_told_and_not_retried(void **state)
{
    struct rig *rig = *state;
    char bytes[4];

    close(rig->peer);
    rig->peer = -1;
    wait_readable(rig->socket.fd);
    assert_int_equal(BIO_read(rig->bio, bytes, sizeof(bytes)), 0);
    assert_false(BIO_should_retry(rig->bio));
    assert_true(BIO_eof(rig->bio));
}

static void a_reset_is_an_error_without_a_signal(void **state)
{
    struct rig *rig = *state;
    const struct linger now = {.l_onoff = 1};
    char bytes[4];

    assert_int_equal(setsockopt(rig->peer, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
    close(rig->peer);
    rig->peer = -1;
    wait_readable(rig->socket.fd);
    assert_int_equal(BIO_read(rig->bio, bytes, sizeof(bytes)), -1);
    assert_false(BIO_should_retry(rig->bio) || BIO_eof(rig->bio));
    assert_int_equal(BIO_write(rig->bio, "x", 1), -1); /* EPIPE: a signal would have ended this program */
    assert_false(BIO_should_retry(rig->bio));
}

static void a_full_socket_is_retried(void **state)
{
    static const char block[65536];
    struct rig *rig = *state;
    int n;

    while ((n = BIO_write(rig->bio, block, sizeof(block))) > 0)
        continue;
    assert_int_equal(n, -1);
    assert_true(BIO_should_write(rig->bio) && BIO_should_retry(rig->bio));
}

static void what_is_followed_by_more_leaves_with_it(void **state)
{
    struct rig *rig = *state;
    char bytes[8];

    rig->socket.more = true;
    assert_int_equal(BIO_write(rig->bio, "abc", 3), 3);
    assert_int_equal(recv(rig->peer, bytes, sizeof(bytes), MSG_DONTWAIT), -1);
    rig->socket.more = false;
    assert_int_equal(BIO_write(rig->bio, "def", 3), 3);
    wait_readable(rig->peer);
    assert_int_equal(recv(rig->peer, bytes, sizeof(bytes), 0), 6);
    assert_memory_equal(bytes, "abcdef", 6);
    assert_int_equal(BIO_flush(rig->bio), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(after_a_short_read_nobody_asks_before_the_loop_does),
        TEST(a_header_of_the_proxy_protocol_is_seen),
        TEST(after_a_full_read_there_may_be_more),
        TEST(after_some_reads_it_is_the_turn_of_others),
        TEST(nothing_there_is_no_end),
        TEST(an_end_is_told_and_not_retried),
        TEST(a_reset_is_an_error_without_a_signal),
        TEST(a_full_socket_is_retried),
        TEST(what_is_followed_by_more_leaves_with_it),
    };
    return cmocka_run_group_tests_name("tls_socket", tests, NULL, NULL);
}
