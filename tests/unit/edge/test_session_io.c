/* How a client is said goodbye to, and how one is answered that does not read, over a TCP connection on
 * loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <linux/sockios.h>
#include <linux/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "edge/session/session_io.h"
#include "tests/unit/edge/tcp_pair.h"

struct rig {
    SSL_CTX *server_context, *client_context;
    struct session_io io;
    SSL *client;
    int peer;
};

static void wait_readable(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    assert_int_equal(poll(&poll_fd, 1, 30000), 1);
}

/* Without certificates, and so that the server has the last word: what it got is acknowledged then. */
static SSL_CTX *make_context(const SSL_METHOD *method)
{
    SSL_CTX *context = SSL_CTX_new(method);

    assert_int_equal(SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION), 1);
    assert_int_equal(SSL_CTX_set_cipher_list(context, "aNULL:@SECLEVEL=0"), 1);
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    return context;
}

static void shake_hands(struct rig *rig)
{
    int client = SSL_connect(rig->client), server = 0;

    while (server != 1) {
        wait_readable(rig->io.socket.fd);
        tls_socket_wake(&rig->io.socket);
        server = SSL_accept(rig->io.ssl);
        assert_true(server == 1 || SSL_get_error(rig->io.ssl, server) == SSL_ERROR_WANT_READ);
        wait_readable(rig->peer);
        client = SSL_connect(rig->client);
    }
    assert_int_equal(client, 1);
}

/* Until the server has acknowledged all that the client sent: no packet of the handshake is still to come. */
static void wait_acknowledged(int peer)
{
    int unacknowledged = 1;

    for (int tries = 0; unacknowledged != 0 && tries < 30000; tries++) {
        assert_int_equal(ioctl(peer, SIOCOUTQ, &unacknowledged), 0);
        if (unacknowledged != 0)
            usleep(1000);
    }
    assert_int_equal(unacknowledged, 0);
}

static void connect_pair(struct rig *rig, SSL_CTX *server, SSL_CTX *client)
{
    *rig = (struct rig){.server_context = server, .client_context = client};
    tcp_pair(&rig->io.socket.fd, &rig->peer);
    assert_int_equal(fcntl(rig->peer, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(setsockopt(rig->io.socket.fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)), 0);
    rig->io.ssl = SSL_new(rig->server_context);
    rig->client = SSL_new(rig->client_context);
    assert_int_equal(tls_socket_attach(rig->io.ssl, &rig->io.socket), 0);
    assert_int_equal(SSL_set_fd(rig->client, rig->peer), 1);
}

static int set_up(void **state)
{
    static struct rig rig;

    connect_pair(&rig, make_context(TLS_server_method()), make_context(TLS_client_method()));
    shake_hands(&rig);
    wait_acknowledged(rig.peer);
    *state = &rig;
    return 0;
}

static unsigned on_client_psk(SSL *ssl, const char *hint, char *identity, unsigned identity_size,
                              unsigned char *psk, unsigned psk_size)
{
    (void)ssl, (void)hint;
    assert_true(identity_size > 1 && psk_size >= 32);
    memcpy(identity, "x", 2);
    memset(psk, 7, 32);
    return 32;
}

static unsigned on_server_psk(SSL *ssl, const char *identity, unsigned char *psk, unsigned psk_size)
{
    (void)ssl, (void)identity;
    assert_true(psk_size >= 32);
    memset(psk, 7, 32);
    return 32;
}

/* Without certificates and tickets. */
static SSL_CTX *make_context13(const SSL_METHOD *method)
{
    SSL_CTX *context = SSL_CTX_new(method);

    assert_int_equal(SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION), 1);
    assert_int_equal(SSL_CTX_set_num_tickets(context, 0), 1);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_psk_client_callback(context, on_client_psk);
    SSL_CTX_set_psk_server_callback(context, on_server_psk);
    return context;
}

static int set_up13(void **state)
{
    static struct rig rig;

    connect_pair(&rig, make_context13(TLS_server_method()), make_context13(TLS_client_method()));
    assert_int_equal(SSL_connect(rig.client), -1);
    wait_readable(rig.io.socket.fd);
    assert_int_equal(SSL_accept(rig.io.ssl), -1);
    wait_readable(rig.peer);
    assert_int_equal(SSL_connect(rig.client), 1);
    wait_readable(rig.io.socket.fd);
    tls_socket_wake(&rig.io.socket);
    assert_int_equal(SSL_accept(rig.io.ssl), 1);
    session_io_begin(&rig.io);
    *state = &rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;

    tls_socket_clear(&rig->io.socket);
    SSL_free(rig->io.ssl);
    SSL_free(rig->client);
    SSL_CTX_free(rig->server_context);
    SSL_CTX_free(rig->client_context);
    close(rig->io.socket.fd); /* it was never taken */
    close(rig->peer);
    return 0;
}

static unsigned packets_to_peer(const struct rig *rig)
{
    struct tcp_info info;
    socklen_t length = sizeof(info);

    assert_int_equal(getsockopt(rig->peer, IPPROTO_TCP, TCP_INFO, &info, &length), 0);
    return info.tcpi_segs_in;
}

/* What the client reads: 0 for close_notify, an error of SSL_get_error() else; FIN must follow. */
static int heard(struct rig *rig)
{
    char byte;

    wait_readable(rig->peer);
    int n = SSL_read(rig->client, &byte, 1);
    int error = SSL_get_error(rig->client, n);
    wait_readable(rig->peer);
    assert_int_equal(recv(rig->peer, &byte, 1, 0), 0);
    return error == SSL_ERROR_ZERO_RETURN ? 0 : error;
}

static void goodbye_and_fin_are_one_packet(void **state)
{
    struct rig *rig = *state;
    unsigned before = packets_to_peer(rig);

    session_io_farewell(&rig->io);
    assert_true(rig->io.notified);
    assert_int_equal(heard(rig), 0);
    assert_int_equal(packets_to_peer(rig), before + 1);
    session_io_farewell(&rig->io); /* once is enough */
    assert_int_equal(packets_to_peer(rig), before + 1);
}

static void after_a_break_there_is_no_goodbye(void **state)
{
    struct rig *rig = *state;

    rig->io.why = BREAK_TLS;
    session_io_farewell(&rig->io);
    assert_false(rig->io.notified);
    shutdown(rig->io.socket.fd, SHUT_WR);
    assert_int_not_equal(heard(rig), 0);
}

/* Writes until the client, which does not read, has to; how many bytes. Each is as its place says. */
static size_t write_all_that_goes(struct rig *rig)
{
    static uint8_t bytes[65536];
    size_t written = 0;
    int n;

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i % 251);
    do {
        n = session_io_end.write(&rig->io, bytes + written % 251, sizeof(bytes) - 251);
        written += n > 0 ? (size_t)n : 0;
    } while (n > 0);
    assert_int_equal(n, RELAY_WANT_WRITE);
    return written;
}

/* What the client has sent is read, and nothing is wrong with it. */
static void read_byte(struct rig *rig)
{
    uint8_t bytes[16];
    bool dry = false;
    int n;

    do {
        wait_readable(rig->io.socket.fd);
        tls_socket_wake(&rig->io.socket);
        n = session_io_end.read(&rig->io, bytes, sizeof(bytes), &dry);
    } while (n == RELAY_WANT_READ);
    assert_int_equal(n, 1);
    assert_int_equal(session_io_end.read(&rig->io, bytes, sizeof(bytes), &dry), RELAY_WANT_READ);
}

/* Reads all that is there for the client, which was READ before; how many bytes then. */
static size_t client_reads(struct rig *rig, size_t read)
{
    static uint8_t bytes[65536];
    int n;

    while ((n = SSL_read(rig->client, bytes, sizeof(bytes))) > 0)
        for (int i = 0; i < n; i++, read++)
            if (bytes[i] != read % 251)
                fail_msg("byte %zu is another one's", read);
    return read;
}

/* OpenSSL answers a KeyUpdate within the read, and cannot while a record of its own has left only in part. */
static void key_updates_are_answered_to_a_client_that_does_not_read(void **state)
{
    struct rig *rig = *state;
    size_t written = write_all_that_goes(rig), read = 0;
    int finished = RELAY_WANT_WRITE;

    for (int i = 0; i < 100; i++) {
        assert_int_equal(SSL_key_update(rig->client, SSL_KEY_UPDATE_REQUESTED), 1);
        assert_int_equal(SSL_write(rig->client, "x", 1), 1);
        read_byte(rig);
    }
    assert_true(buffer_length(&rig->io.socket.kept) <= 2 * TLS_SOCKET_KEPT_MAX);
    assert_int_equal(rig->io.why, BREAK_NONE);
    while (finished != 1) {
        finished = session_io_end.finish(&rig->io);
        assert_true(finished == 1 || finished == RELAY_WANT_WRITE);
        assert_int_equal(rig->io.notified, finished == 1);
        wait_readable(rig->peer);
        read = client_reads(rig, read);
    }
    while (SSL_get_shutdown(rig->client) == 0) {
        wait_readable(rig->peer);
        read = client_reads(rig, read);
    }
    assert_int_equal(SSL_get_shutdown(rig->client), SSL_RECEIVED_SHUTDOWN);
    assert_int_equal(read, written);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(key_updates_are_answered_to_a_client_that_does_not_read, set_up13,
                                        tear_down),
        cmocka_unit_test_setup_teardown(goodbye_and_fin_are_one_packet, set_up, tear_down),
        cmocka_unit_test_setup_teardown(after_a_break_there_is_no_goodbye, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("session_io", tests, NULL, NULL);
}
