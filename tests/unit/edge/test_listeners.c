/* Where a thread of the edge takes connections from, when one of its sockets does not listen any more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/address.h"
#include "edge/daemon/listeners.h"

static unsigned sessions; /* begun */

/* The module itself; its sessions end at once. */
static int begin_session(struct session_host *host, int fd, const struct address *from)
{
    (void)host, (void)from;
    sessions++;
    return close(fd);
}

#define session_start begin_session
#include "edge/daemon/listeners.c"

static struct session_host host; /* large */

static int listen_on_loopback(struct address *at)
{
    struct fault fault;
    assert_int_equal(address_parse(at, "127.0.0.1:0", 0, &fault), 0);
    int fd = address_listen(at, false, 16, &fault);
    assert_true(fd >= 0);
    assert_int_equal(address_of_socket(fd, at), 0);
    return fd;
}

static void connect_to(const struct address *at)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, &at->u.any, at->length), 0);
    close(fd);
}

static void run_until_serves(uv_loop_t *loop, unsigned count)
{
    while (sessions < count)
        uv_run(loop, UV_RUN_ONCE);
}

static void a_socket_that_is_shut_down_is_given_up_alone(void **state)
{
    struct listeners listeners;
    struct address at[2];
    uv_loop_t loop;
    int fds[2] = {listen_on_loopback(&at[0]), listen_on_loopback(&at[1])};
    (void)state;
    log_init("test", LOG_ERROR, LOG_LOGFMT);
    assert_int_equal(uv_loop_init(&loop), 0);
    host.loop = &loop;
    assert_int_equal(listeners_init(&listeners, &host, fds, 2, 100, 0), 0);
    listeners_resume(&listeners);
    assert_int_equal(shutdown(fds[0], SHUT_RDWR), 0);
    while (counter_get(&host.stats.listeners_broken) == 0)
        uv_run(&loop, UV_RUN_ONCE);
    connect_to(&at[1]);
    run_until_serves(&loop, 1);
    for (int i = 0; i < 3; i++) { /* a pause and its end wake only what listens */
        pause_accepting(&listeners);
        listeners_resume(&listeners);
        assert_false(uv_is_active((uv_handle_t *)&listeners.item[0].poll));
        connect_to(&at[1]);
        run_until_serves(&loop, (unsigned)i + 2);
    }
    assert_int_equal(counter_get(&host.stats.listeners_broken), 1);
    assert_int_equal(counter_get(&host.stats.paused_descriptors), 0);
    listeners_close(&listeners, true);
    uv_run(&loop, UV_RUN_DEFAULT);
    listeners_clear(&listeners);
    assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_socket_that_is_shut_down_is_given_up_alone)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
