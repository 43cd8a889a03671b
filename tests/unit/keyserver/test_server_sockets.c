/* Listening sockets are those of every net process, one after another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/address.h"
#include "keyserver/net/server_sockets.h"

static int try_connect(const struct address *to)
{
    int fd = socket(to->u.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int result = connect(fd, &to->u.any, to->length);
    close(fd);
    return result;
}

/* Listens at a port that it names, as a configuration does: one that the kernel has just chosen. */
static int listen_at_a_named_port(struct address *at)
{
    struct fault fault = {.text = ""};
    int fd = -1;

    for (int i = 0; i < 100 && fd < 0; i++) {
        assert_int_equal(address_parse(at, "127.0.0.1:0", 1, &fault), 0);
        int chosen = address_listen(at, false, 1, &fault);
        assert_true(chosen >= 0);
        assert_int_equal(address_of_socket(chosen, at), 0);
        close(chosen);
        fd = address_listen(at, false, 1, &fault);
    }
    assert_true(fd >= 0);
    return fd;
}

static void a_socket_that_was_shut_down_listens_again_at_its_address(void **state)
{
    struct address at;
    struct server_sockets sockets = {.listener_count = 1, .admin_fd = -1};

    (void)state;
    sockets.listeners[0] = listen_at_a_named_port(&at);
    assert_int_equal(try_connect(&at), 0);
    assert_int_equal(shutdown(sockets.listeners[0], SHUT_RDWR), 0);
    assert_int_equal(try_connect(&at), -1);
    server_sockets_listen(&sockets);
    assert_int_equal(try_connect(&at), 0);
    server_sockets_listen(&sockets); /* one that listens loses nobody */
    int fd = accept(sockets.listeners[0], NULL, NULL);
    assert_true(fd >= 0);
    close(fd);
    server_sockets_close(&sockets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_socket_that_was_shut_down_listens_again_at_its_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
