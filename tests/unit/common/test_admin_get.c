/* The other side: what a client of the endpoint makes of answers that are none. */
#include "tests/unit/common/admin_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/admin.h"
#include "common/secret.h"

/* A server that says TEXT to its one client, and holds the line when HOLD. */
struct liar {
    int fd;
    const char *text;
    int hold; /* reading end of a pipe: held until it ends; -1 = not at all */
};

static void *lie(void *user)
{
    const struct liar *liar = user;
    char request[1024];
    int fd = accept(liar->fd, NULL, NULL);
    if (fd >= 0 && recv(fd, request, sizeof request, 0) > 0)
        (void)!send(fd, liar->text, strlen(liar->text), MSG_NOSIGNAL);
    if (liar->hold >= 0)
        (void)!read(liar->hold, request, 1);
    close(fd);
    return NULL;
}

static int get_from_liar(const char *text, int timeout_ms, int hold)
{
    struct fault fault;
    struct address address;
    struct buffer body;
    pthread_t thread;
    int line[2] = {-1, -1};
    buffer_init(&body);
    assert_int_equal(address_parse(&address, "127.0.0.1:0", 0, &fault), 0);
    struct liar liar = {.fd = address_listen(&address, false, 1, &fault), .text = text, .hold = -1};
    assert_true(liar.fd >= 0);
    assert_int_equal(pipe(line), 0);
    if (hold)
        liar.hold = line[0];
    assert_int_equal(fcntl(liar.fd, F_SETFL, 0), 0);
    assert_int_equal(address_of_socket(liar.fd, &address), 0);
    assert_int_equal(pthread_create(&thread, NULL, lie, &liar), 0);
    int result = admin_get(&address, "/", timeout_ms, &body);
    close(line[1]);
    pthread_join(thread, NULL);
    close(line[0]);
    close(liar.fd);
    buffer_clear(&body);
    return result;
}

static void get_refuses_what_is_no_answer(void **state)
{
    (void)state;
    struct fault fault;
    struct address address;
    struct buffer body;
    buffer_init(&body);
    assert_int_equal(get_from_liar("HTTP/1.1 404 x\r\nContent-Length: 2\r\n\r\nab", 5000, 0), 404);
    assert_int_equal(get_from_liar("", 5000, 0), ERR_CUT);
    assert_int_equal(get_from_liar("SSH-2.0-OpenSSH_9.2\r\n", 5000, 0), ERR_FORMAT);
    assert_int_equal(get_from_liar("HTTP/1.1 2x0 x\r\nContent-Length: 2\r\n\r\nab", 5000, 0), ERR_FORMAT);
    assert_int_equal(get_from_liar("HTTP/1.1 200 x\r\n\r\nab", 5000, 0), ERR_FORMAT);
    assert_int_equal(get_from_liar("HTTP/1.1 200 x\r\nContent-Length: y\r\n\r\nab", 5000, 0), ERR_FORMAT);
    assert_int_equal(get_from_liar("HTTP/1.1 200 x\r\nContent-Length: 3\r\n\r\nab", 5000, 0), ERR_CUT);
    assert_int_equal(get_from_liar("HTTP/1.1 200 x\r\nContent-", 5000, 0), ERR_CUT);
    assert_int_equal(get_from_liar("HTTP/1.1 200", 200, 1), ERR_TIMEOUT);
    assert_int_equal(address_parse(&address, "127.0.0.1:1", 0, &fault), 0);
    assert_int_equal(admin_get(&address, "/a b", 5000, &body), ERR_FORMAT);
    assert_int_equal(admin_get(&address, "a", 5000, &body), ERR_FORMAT);
    assert_int_equal(address_parse(&address, "unix:/nonexistent/x.sock", 0, &fault), 0);
    assert_int_equal(admin_get(&address, "/", 5000, &body), ERR_SYSTEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(get_refuses_what_is_no_answer),
    };
    return secret_init() != 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
