#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/admin.h"
#include "common/admin_http.h"
#include "common/secret.h"

static size_t big_size;

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

/* The endpoint on a loop of its own thread, as a daemon has it. */
struct endpoint {
    uv_loop_t loop;
    uv_async_t stop;
    struct admin *admin;
    struct address address;
    pthread_t thread;
};

static void on_stop(uv_async_t *stop)
{
    struct endpoint *e = stop->data;
    admin_close(e->admin);
    admin_close(NULL);
    uv_close((uv_handle_t *)stop, NULL);
}

static void *run(void *user)
{
    struct endpoint *e = user;
    uv_run(&e->loop, UV_RUN_DEFAULT);
    return NULL;
}

static void start(struct endpoint *e, const char *where)
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
    assert_int_equal(pthread_create(&e->thread, NULL, run, e), 0);
}

/* Every handle must be gone: uv_loop_close says so. */
static void stop(struct endpoint *e)
{
    assert_int_equal(uv_async_send(&e->stop), 0);
    assert_int_equal(pthread_join(e->thread, NULL), 0);
    assert_int_equal(uv_loop_close(&e->loop), 0);
}

static int open_client(const struct endpoint *e)
{
    int fd = socket(e->address.u.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval limit = {.tv_sec = 20};
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    assert_int_equal(connect(fd, &e->address.u.any, e->address.length), 0);
    return fd;
}

/* Everything that comes from FD until it ends, as text in OUT. Work that the kernel does for the loop, made
 * by this thread, may interrupt it. */
static size_t drain(int fd, char *out, size_t size)
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

static void ask(const struct endpoint *e, const char *request, char *out, size_t size)
{
    int fd = open_client(e);
    assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
    drain(fd, out, size);
    close(fd);
}

static void assert_status(const struct endpoint *e, const char *request, const char *status)
{
    char answer[2048];
    ask(e, request, answer, sizeof answer);
    if (strncmp(answer, "HTTP/1.1 ", 9) != 0 || strncmp(answer + 9, status, 3) != 0)
        fail_msg("'%.60s' gave '%.60s', expected %s", request, answer, status);
}

static void get_gives_status_and_content(void **state)
{
    (void)state;
    struct endpoint e;
    struct buffer body;
    buffer_init(&body);
    start(&e, "127.0.0.1:0");
    assert_int_equal(admin_get(&e.address, "/", 5000, &body), 200);
    assert_int_equal(buffer_length(&body), 8);
    assert_memory_equal(buffer_bytes(&body), "ok  user", 8);
    buffer_clear(&body);
    assert_int_equal(admin_get(&e.address, "/trace/abc/d?x=1", 5000, &body), 200);
    assert_memory_equal(buffer_bytes(&body), "ok abc/d user", 13);
    buffer_clear(&body);
    assert_int_equal(admin_get(&e.address, "/ready", 5000, &body), 503);
    assert_memory_equal(buffer_bytes(&body), "draining\n", 9);
    buffer_clear(&body);
    assert_int_equal(admin_get(&e.address, "/none", 5000, &body), 404);
    buffer_clear(&body);
    assert_int_equal(admin_get(&e.address, "/other", 5000, &body), 404);
    buffer_clear(&body);
    assert_int_equal(admin_get(&e.address, "/ready/x", 5000, &body), 404);
    buffer_clear(&body);
    big_size = 3000000;
    assert_int_equal(admin_get(&e.address, "/big", 5000, &body), 200);
    assert_int_equal(buffer_length(&body), 3000000);
    buffer_clear(&body);
    stop(&e);
}

static void unix_socket_serves_any_host(void **state)
{
    (void)state;
    struct endpoint e;
    struct buffer body;
    char path[64];
    snprintf(path, sizeof path, "unix:/tmp/keyless-admin-%d.sock", (int)getpid());
    buffer_init(&body);
    start(&e, path);
    assert_int_equal(admin_get(&e.address, "/", 5000, &body), 200);
    buffer_clear(&body);
    assert_status(&e, "GET / HTTP/1.1\r\nHost: anything\r\n\r\n", "200");
    stop(&e);
    unlink(path + 5);
}

static void answer_carries_the_security_fields(void **state)
{
    (void)state;
    struct endpoint e;
    char answer[2048];
    start(&e, "127.0.0.1:0");
    ask(&e, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", answer, sizeof answer);
    static const char *const expected[] = {"HTTP/1.1 200 OK\r\n",
                                           "\r\nContent-Type: text/html; charset=utf-8\r\n",
                                           "\r\nContent-Length: 8\r\n",
                                           "\r\nConnection: close\r\n",
                                           "\r\nCache-Control: no-store\r\n",
                                           "\r\nX-Content-Type-Options: nosniff\r\n",
                                           "\r\nContent-Security-Policy: default-src 'none'"};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        if (strstr(answer, expected[i]) == NULL)
            fail_msg("no '%s' in '%s'", expected[i], answer);
    assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\nok  user");
    ask(&e, "POST / HTTP/1.1\r\n\r\n", answer, sizeof answer);
    assert_non_null(strstr(answer, "\r\nAllow: GET\r\n"));
    stop(&e);
}

static void malformed_requests_are_refused(void **state)
{
    (void)state;
    struct endpoint e;
    start(&e, "127.0.0.1:0");
    assert_status(&e, "\r\n\r\n", "400");
    assert_status(&e, "GET /\r\n\r\n", "400");
    assert_status(&e, "GET / HTTP/2.0\r\n\r\n", "400");
    assert_status(&e, "GET x HTTP/1.1\r\n\r\n", "400");
    assert_status(&e, "GET http://localhost/ HTTP/1.1\r\n\r\n", "400");
    assert_status(&e, "GET /\001 HTTP/1.1\r\n\r\n", "400");
    assert_status(&e, "GET / HTTP/1.1 x\r\n\r\n", "400");
    assert_status(&e, "GET / HTTP/1.1\r\nno colon\r\n\r\n", "400");
    assert_status(&e, "GET / HTTP/1.1\r\nA : b\r\n\r\n", "400");
    assert_status(&e, "GET / HTTP/1.1\r\n folded: b\r\n\r\n", "400");
    assert_status(&e, "GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", "400");
    assert_status(&e, "HEAD / HTTP/1.1\r\n\r\n", "405");
    assert_status(&e, "DELETE / HTTP/1.1\r\nHost: localhost\r\n\r\n", "405");
    assert_status(&e, "GET / HTTP/1.0\n\n", "200");
    stop(&e);
}

static void foreign_hosts_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        const char *status;
    } cases[] = {
        {"localhost", "200"},      {"LOCALHOST:2405", "200"},
        {"127.0.0.1", "200"},      {"127.0.0.1:2405", "200"},
        {"127.3.2.1", "200"},      {"[::1]", "200"},
        {"[::1]:80", "200"},       {"", "200"},
        {"evil.example", "403"},   {"localhost.evil", "403"},
        {"127.0.0.1.evil", "403"}, {"192.0.2.1", "403"},
        {"[::2]", "403"},          {"localhost:x", "403"},
        {"[::1]x", "403"},         {"128.0.0.1", "403"},
    };
    struct endpoint e;
    start(&e, "127.0.0.1:0");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char request[128];
        snprintf(request, sizeof request, "GET / HTTP/1.1\r\nHost: %s \r\n\r\n", cases[i].host);
        assert_status(&e, request, cases[i].status);
    }
    stop(&e);
}

/* A request of LENGTH bytes, padded by a field. */
static void pad_request(char *out, size_t length)
{
    static const char start_text[] = "GET / HTTP/1.1\r\nX: ";
    memset(out, 'x', length);
    memcpy(out, start_text, sizeof start_text - 1);
    memcpy(out + length - 4, "\r\n\r\n", 4);
    out[length] = 0;
}

static void a_request_of_4096_bytes_passes_and_one_more_does_not(void **state)
{
    (void)state;
    struct endpoint e;
    char request[4098];
    start(&e, "127.0.0.1:0");
    pad_request(request, 4096);
    assert_status(&e, request, "200");
    pad_request(request, 4097);
    assert_status(&e, request, "431");
    stop(&e);
}

static void requests_may_come_in_pieces(void **state)
{
    (void)state;
    static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    const char *path = NULL;
    char text[sizeof request];
    for (size_t length = 0; length < sizeof request; length++) {
        memcpy(text, request, length);
        assert_int_equal(admin_http_parse(text, length, false, &path),
                         length == sizeof request - 1 ? 200 : 0);
    }
    assert_string_equal(path, "/");
}

static void the_seventeenth_client_is_closed_at_once(void **state)
{
    (void)state;
    struct endpoint e;
    char answer[256];
    int clients[16];
    start(&e, "127.0.0.1:0");
    for (int i = 0; i < 16; i++)
        clients[i] = open_client(&e);
    for (int i = 0; i < 20; i++) {
        int fd = open_client(&e);
        assert_int_equal(drain(fd, answer, sizeof answer), 0);
        close(fd);
    }
    assert_int_equal(send(clients[3], "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL), 18);
    assert_true(drain(clients[3], answer, sizeof answer) > 0);
    for (int i = 0; i < 16; i++)
        close(clients[i]);
    stop(&e);
}

static void a_silent_client_is_closed_after_the_deadline(void **state)
{
    (void)state;
    struct endpoint e;
    char answer[64];
    start(&e, "127.0.0.1:0");
    int fd = open_client(&e);
    uint64_t begun = uv_hrtime();
    assert_int_equal(send(fd, "GET /", 5, MSG_NOSIGNAL), 5);
    assert_int_equal(drain(fd, answer, sizeof answer), 0);
    assert_true(uv_hrtime() - begun > 4000000000u);
    close(fd);
    stop(&e);
}

static void a_client_that_ends_its_side_gets_its_answer(void **state)
{
    (void)state;
    struct endpoint e;
    char answer[2048];
    start(&e, "127.0.0.1:0");
    int fd = open_client(&e);
    assert_int_equal(send(fd, "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL), 18);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    assert_true(drain(fd, answer, sizeof answer) > 0);
    assert_non_null(strstr(answer, "ok  user"));
    close(fd);
    stop(&e);
}

static void closing_ends_open_clients(void **state)
{
    (void)state;
    struct endpoint e;
    char answer[64];
    start(&e, "127.0.0.1:0");
    int fd = open_client(&e);
    assert_int_equal(send(fd, "GET", 3, MSG_NOSIGNAL), 3);
    assert_status(&e, "GET / HTTP/1.1\r\n\r\n", "200"); /* the first client has been accepted before */
    stop(&e);
    assert_int_equal(drain(fd, answer, sizeof answer), 0);
    close(fd);
}

static void only_loopback_is_listened_on(void **state)
{
    (void)state;
    struct fault fault = {0};
    struct address address;
    assert_int_equal(address_parse(&address, "0.0.0.0:0", 0, &fault), 0);
    assert_int_equal(admin_listen(&address, &fault), ERR_CONFIG);
    assert_non_null(strstr(fault.text, "not a loopback address"));
}

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
        cmocka_unit_test(get_gives_status_and_content),
        cmocka_unit_test(unix_socket_serves_any_host),
        cmocka_unit_test(answer_carries_the_security_fields),
        cmocka_unit_test(malformed_requests_are_refused),
        cmocka_unit_test(foreign_hosts_are_refused),
        cmocka_unit_test(a_request_of_4096_bytes_passes_and_one_more_does_not),
        cmocka_unit_test(requests_may_come_in_pieces),
        cmocka_unit_test(the_seventeenth_client_is_closed_at_once),
        cmocka_unit_test(a_silent_client_is_closed_after_the_deadline),
        cmocka_unit_test(a_client_that_ends_its_side_gets_its_answer),
        cmocka_unit_test(closing_ends_open_clients),
        cmocka_unit_test(only_loopback_is_listened_on),
        cmocka_unit_test(get_refuses_what_is_no_answer),
    };
    return secret_init() != 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
