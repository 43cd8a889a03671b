/* The origin's end of a relay, on real sockets: connecting, words and bytes, orderly end, reset. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "edge/relay/origin.h"

/* A listening TCP socket on loopback and its address. */
static int listen_tcp(struct address *at)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    *at = (struct address){.length = sizeof(at->u.v4)};
    at->u.v4.sin_family = AF_INET;
    at->u.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, &at->u.any, at->length), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, &at->u.any, &at->length), 0);
    return fd;
}

static void wait_for(int fd, short events)
{
    struct pollfd poll_fd = {.fd = fd, .events = events};

    assert_int_equal(poll(&poll_fd, 1, 30000), 1);
}

/* Both ends of a connection: ours as the edge has it, and the origin's. */
static void connect_pair(int *ours, int *theirs)
{
    struct address at;
    bool connected;
    int listener = listen_tcp(&at);

    *ours = origin_open(&at, &connected);
    assert_true(*ours >= 0);
    wait_for(*ours, POLLOUT);
    assert_int_equal(origin_check(*ours), 0);
    *theirs = accept(listener, NULL, NULL);
    assert_true(*theirs >= 0);
    close(listener);
}

static void a_closed_port_is_told(void **state)
{
    struct address at;
    bool connected;

    (void)state;
    close(listen_tcp(&at));
    int fd = origin_open(&at, &connected);
    if (fd >= 0) {
        wait_for(fd, POLLOUT);
        assert_int_equal(origin_check(fd), ERR_SYSTEM);
        close(fd);
    }
    assert_int_equal(errno, ECONNREFUSED);
}

static void a_missing_unix_socket_is_told(void **state)
{
    struct address at = {.length = sizeof(at.u.local)};
    bool connected;

    (void)state;
    at.u.local.sun_family = AF_UNIX;
    snprintf(at.u.local.sun_path, sizeof(at.u.local.sun_path), "/nowhere/at/all.sock");
    assert_int_equal(origin_open(&at, &connected), ERR_SYSTEM);
    assert_int_equal(errno, ENOENT);
}

/* A unix socket whose queue is full says so at once; that is no failure of the origin. */
static void a_full_unix_queue_is_busy(void **state)
{
    struct address at = {.length = sizeof(at.u.local)};
    char folder[] = "/tmp/test_origin.XXXXXX";
    int fds[64], count = 0, result = 0;
    bool connected;

    (void)state;
    assert_non_null(mkdtemp(folder));
    at.u.local.sun_family = AF_UNIX;
    snprintf(at.u.local.sun_path, sizeof(at.u.local.sun_path), "%s/s", folder);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, &at.u.any, at.length), 0);
    assert_int_equal(listen(listener, 1), 0);
    while (count < 64 && (result = origin_open(&at, &connected)) >= 0) {
        assert_true(connected);
        fds[count++] = result;
    }
    assert_int_equal(result, ERR_BUSY);
    while (count > 0)
        close(fds[--count]);
    close(listener);
    unlink(at.u.local.sun_path);
    rmdir(folder);
}

static void bytes_pass_and_nothing_means_wait(void **state)
{
    int ours, theirs;
    uint8_t bytes[16];
    bool dry = false;

    (void)state;
    connect_pair(&ours, &theirs);
    assert_int_equal(origin_end.read(&ours, bytes, sizeof(bytes), &dry), RELAY_WANT_READ);
    assert_int_equal(write(theirs, "hello", 5), 5);
    wait_for(ours, POLLIN);
    assert_int_equal(origin_end.read(&ours, bytes, sizeof(bytes), &dry), 5);
    assert_memory_equal(bytes, "hello", 5);
    assert_true(dry);
    assert_int_equal(origin_end.write(&ours, (const uint8_t *)"world", 5), 5);
    assert_int_equal(read(theirs, bytes, sizeof(bytes)), 5);
    close(ours);
    close(theirs);
}

static void a_full_pipe_means_wait(void **state)
{
    static const uint8_t bytes[65536];
    int ours, theirs, result;

    (void)state;
    connect_pair(&ours, &theirs);
    while ((result = origin_end.write(&ours, bytes, sizeof(bytes))) > 0)
        ;
    assert_int_equal(result, RELAY_WANT_WRITE);
    close(ours);
    close(theirs);
}

static void finishing_ends_one_direction_only(void **state)
{
    int ours, theirs;
    uint8_t bytes[16];
    bool dry;

    (void)state;
    connect_pair(&ours, &theirs);
    assert_true(origin_end.finish(&ours) > 0);
    assert_int_equal(read(theirs, bytes, sizeof(bytes)), 0);
    assert_int_equal(write(theirs, "late", 4), 4);
    wait_for(ours, POLLIN);
    assert_int_equal(origin_end.read(&ours, bytes, sizeof(bytes), &dry), 4);
    close(theirs);
    wait_for(ours, POLLIN);
    assert_int_equal(origin_end.read(&ours, bytes, sizeof(bytes), &dry), RELAY_ENDED);
    close(ours);
}

static void a_reset_of_theirs_is_a_cut(void **state)
{
    int ours, theirs;
    uint8_t bytes[16];
    bool dry;

    (void)state;
    connect_pair(&ours, &theirs);
    origin_reset(theirs);
    close(theirs);
    wait_for(ours, POLLIN);
    assert_int_equal(origin_end.read(&ours, bytes, sizeof(bytes), &dry), RELAY_CUT);
    assert_int_equal(origin_end.write(&ours, bytes, sizeof(bytes)), RELAY_CUT);
    close(ours);
}

static void a_reset_of_ours_reaches_them(void **state)
{
    int ours, theirs;
    uint8_t bytes[16];

    (void)state;
    connect_pair(&ours, &theirs);
    origin_reset(ours);
    close(ours);
    assert_int_equal(read(theirs, bytes, sizeof(bytes)), -1);
    assert_int_equal(errno, ECONNRESET);
    close(theirs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_closed_port_is_told),      cmocka_unit_test(a_missing_unix_socket_is_told),
        cmocka_unit_test(a_full_unix_queue_is_busy),  cmocka_unit_test(bytes_pass_and_nothing_means_wait),
        cmocka_unit_test(a_full_pipe_means_wait),     cmocka_unit_test(finishing_ends_one_direction_only),
        cmocka_unit_test(a_reset_of_theirs_is_a_cut), cmocka_unit_test(a_reset_of_ours_reaches_them),
    };
    return cmocka_run_group_tests_name("origin", tests, NULL, NULL);
}
