/* A TCP connection on loopback, for tests of what only TCP has: packets, and "more follows". Not a test
 * program by itself. */
#ifndef TESTS_UNIT_EDGE_TCP_PAIR_H
#define TESTS_UNIT_EDGE_TCP_PAIR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

/* OURS, which is non-blocking, as an edge's are, and THEIRS. */
static inline void tcp_pair(int *ours, int *theirs)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(at);
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(listener, (struct sockaddr *)&at, length), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &length), 0);
    *theirs = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(*theirs, (struct sockaddr *)&at, length), 0);
    *ours = accept(listener, NULL, NULL);
    assert_true(*ours >= 0);
    close(listener);
    assert_int_equal(fcntl(*ours, F_SETFL, O_NONBLOCK), 0);
}

#endif
