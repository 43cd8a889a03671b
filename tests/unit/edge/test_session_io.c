/* How a client is said goodbye to, over a TCP connection on loopback. */
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

#include "edge/session_io.h"
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

static int set_up(void **state)
{
    static struct rig rig;

    rig = (struct rig){.server_context = make_context(TLS_server_method()),
                       .client_context = make_context(TLS_client_method())};
    tcp_pair(&rig.io.socket.fd, &rig.peer);
    assert_int_equal(fcntl(rig.peer, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(setsockopt(rig.io.socket.fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)), 0);
    rig.io.ssl = SSL_new(rig.server_context);
    rig.client = SSL_new(rig.client_context);
    assert_int_equal(tls_socket_attach(rig.io.ssl, &rig.io.socket), 0);
    assert_int_equal(SSL_set_fd(rig.client, rig.peer), 1);
    shake_hands(&rig);
    wait_acknowledged(rig.peer);
    *state = &rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(goodbye_and_fin_are_one_packet, set_up, tear_down),
        cmocka_unit_test_setup_teardown(after_a_break_there_is_no_goodbye, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("session_io", tests, NULL, NULL);
}
