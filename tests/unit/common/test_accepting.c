#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/accepting.h"
#include "tests/unit/common/channel_pair.h"

static void errors_mean_what_the_manual_says(void **state)
{
    (void)state;
    assert_int_equal(accept_failure_of(-1, EAGAIN), ACCEPT_NOBODY);
    assert_int_equal(accept_failure_of(-1, ECONNABORTED), ACCEPT_PASSING);
    assert_int_equal(accept_failure_of(-1, EHOSTUNREACH), ACCEPT_PASSING);
    assert_int_equal(accept_failure_of(-1, EMFILE), ACCEPT_SHORT);
    assert_int_equal(accept_failure_of(-1, ENOMEM), ACCEPT_SHORT);
    assert_int_equal(accept_failure_of(-1, EINVAL), ACCEPT_BROKEN);
    assert_int_equal(accept_failure_of(-1, EIO), ACCEPT_LATER);
}

/* ---- a channel's listener whose socket somebody shuts down ---- */

struct watched {
    unsigned broken;
    char at[ADDRESS_TEXT_SIZE];
};

static int on_lookup(const uint8_t key[static NOISE_KEY_SIZE], const struct address *from,
                     struct channel_verdict *verdict, void *user)
{
    (void)key, (void)from, (void)verdict, (void)user;
    return ERR_NOT_FOUND;
}

static void on_drop(enum channel_drop why, const uint8_t *key, const struct address *from, void *user)
{
    (void)why, (void)key, (void)from, (void)user;
}

static void on_exhausted(int error, void *user)
{
    (void)error, (void)user;
    fail();
}

static void on_broken(const struct address *at, void *user)
{
    struct watched *watched = user;
    watched->broken++;
    address_text(at, watched->at);
}

/* Starts p->listener at TEXT; returns another descriptor of its socket. */
static int listen_watched(struct pair *p, const char *text, struct watched *watched)
{
    static const struct channel_listener_handlers handlers = {
        .on_lookup = on_lookup, .on_drop = on_drop, .on_exhausted = on_exhausted, .on_broken = on_broken};
    struct fault fault;
    pair_init(p);
    assert_int_equal(address_parse(&p->address, text, 0, &fault), 0);
    int fd = address_listen(&p->address, false, 16, &fault);
    assert_true(fd >= 0);
    assert_int_equal(address_of_socket(fd, &p->address), 0);
    int other = dup(fd);
    assert_int_equal(channel_listener_start(&p->listener, &p->loop, fd, &p->server_id, &p->listener_settings,
                                            &handlers, watched),
                     0);
    return other;
}

/* It is told once, and costs no more than a look ten times a second. */
static void shut_down(struct pair *p, int socket, const struct watched *watched)
{
    unsigned turns = 0;
    uint64_t until;
    char at[ADDRESS_TEXT_SIZE];
    assert_false(channel_listener_is_broken(p->listener));
    assert_int_equal(shutdown(socket, SHUT_RDWR), 0);
    RUN_UNTIL(p, watched->broken > 0);
    assert_true(channel_listener_is_broken(p->listener));
    assert_string_equal(watched->at, address_text(&p->address, at));
    for (until = uv_now(&p->loop) + 500; uv_now(&p->loop) < until; turns++)
        uv_run(&p->loop, UV_RUN_ONCE);
    assert_in_range(turns, 1, 100);
    assert_int_equal(watched->broken, 1);
    assert_true(channel_listener_is_broken(p->listener));
}

static void a_socket_that_is_shut_down_is_told_once_and_may_listen_again(void **state)
{
    struct pair p;
    struct watched watched = {.broken = 0};
    int socket = listen_watched(&p, "127.0.0.1:0", &watched);
    (void)state;
    shut_down(&p, socket, &watched);
    assert_int_equal(listen(socket, 16), 0);
    RUN_UNTIL(&p, !channel_listener_is_broken(p.listener) || watched.broken > 1);
    assert_int_equal(watched.broken, 1);
    close(socket);
    pair_clear(&p);
}

static void a_unix_socket_that_is_shut_down_is_told(void **state)
{
    struct pair p;
    struct watched watched = {.broken = 0};
    char path[64], text[80];
    (void)state;
    snprintf(path, sizeof path, "/tmp/keyless-accepting-%d", (int)getpid());
    snprintf(text, sizeof text, "unix:%s", path);
    int socket = listen_watched(&p, text, &watched);
    shut_down(&p, socket, &watched);
    close(socket);
    pair_clear(&p);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_mean_what_the_manual_says),
        cmocka_unit_test(a_socket_that_is_shut_down_is_told_once_and_may_listen_again),
        cmocka_unit_test(a_unix_socket_that_is_shut_down_is_told),
    };
    return cmocka_run_group_tests(tests, pair_start_library, NULL);
}
