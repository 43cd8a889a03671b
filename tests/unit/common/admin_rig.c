#include "tests/unit/common/admin_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/admin.h"

size_t big_size;

static int say_ok(struct buffer *body, const char *rest, void *user)
{
    return buffer_printf(body, "ok %s %s", rest, (const char *)user) == 0 ? 200 : 500;
}

static int say_drain(struct buffer *body, const char *rest, void *user)
{
    (void)rest, (void)user;
    return buffer_printf(body, "draining\n") == 0 ? 503 : 500;
}

static int say_nothing(struct buffer *body, const char *rest, void *user)
{
    (void)body, (void)rest, (void)user;
    return 404;
}

static int say_big(struct buffer *body, const char *rest, void *user)
{
    (void)rest, (void)user;
    uint8_t *room = buffer_reserve(body, big_size);
    assert_non_null(room);
    memset(room, 'x', big_size);
    buffer_commit(body, big_size);
    return 200;
}

static const struct admin_route routes[] = {
    {"/", "text/html; charset=utf-8", say_ok}, {"/ready", "text/plain", say_drain},
    {"/trace/", "text/plain", say_ok},         {"/none", "text/plain", say_nothing},
    {"/big", "text/plain", say_big},           {NULL, NULL, NULL},
};

static void on_stop(uv_async_t *stop)
{
    struct endpoint *e = stop->data;
    admin_close(e->admin);
    admin_close(NULL);
    uv_close((uv_handle_t *)stop, NULL);
}

static void *run_loop(void *user)
{
    struct endpoint *e = user;
    uv_run(&e->loop, UV_RUN_DEFAULT);
    return NULL;
}

void start(struct endpoint *e, const char *where)
{
    struct fault fault = {0};
    struct address address;
    assert_int_equal(address_parse(&address, where, 0, &fault), 0);
    int fd = admin_listen(&address, &fault);
    assert_true(fd >= 0);
    assert_int_equal(address_of_socket(fd, &e->address), 0);
    assert_int_equal(uv_loop_init(&e->loop), 0);
    assert_int_equal(uv_async_init(&e->loop, &e->stop, on_stop), 0);
    e->stop.data = e;
    assert_int_equal(admin_start(&e->admin, &e->loop, fd, routes, (void *)(uintptr_t) "user"), 0);
    assert_int_equal(pthread_create(&e->thread, NULL, run_loop, e), 0);
}

void stop(struct endpoint *e)
{
    assert_int_equal(uv_async_send(&e->stop), 0);
    assert_int_equal(pthread_join(e->thread, NULL), 0);
    assert_int_equal(uv_loop_close(&e->loop), 0);
}

int open_client(const struct endpoint *e)
{
    int fd = socket(e->address.u.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval limit = {.tv_sec = 20};
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    assert_int_equal(connect(fd, &e->address.u.any, e->address.length), 0);
    return fd;
}

size_t drain(int fd, char *out, size_t size)
{
    size_t length = 0;
    ssize_t count;
    do {
        count = recv(fd, out + length, size - 1 - length, 0);
        length += count > 0 ? (size_t)count : 0;
    } while (length < size - 1 && (count > 0 || (count < 0 && errno == EINTR)));
    out[length] = 0;
    return length;
}

void ask(const struct endpoint *e, const char *request, char *out, size_t size)
{
    int fd = open_client(e);
    assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
    drain(fd, out, size);
    close(fd);
}

void assert_status(const struct endpoint *e, const char *request, const char *status)
{
    char answer[2048];
    ask(e, request, answer, sizeof answer);
    if (strncmp(answer, "HTTP/1.1 ", 9) != 0 || strncmp(answer + 9, status, 3) != 0)
        fail_msg("'%.60s' gave '%.60s', expected %s", request, answer, status);
}
