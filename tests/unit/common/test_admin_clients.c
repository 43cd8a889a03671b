/* Clients of the admin endpoint that are large, slow, silent or many. */
#include "tests/unit/common/admin_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/admin.h"
#include "common/admin_http.h"
#include "common/secret.h"

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

/* Sends REQUEST on all of CLIENTS, HELD of them, and leaves them so; however many hold a place, and whatever
 * they wait for, who asks is answered. */
static void hold_and_ask(const struct endpoint *e, int *clients, int held, const char *request)
{
    for (int i = 0; i < held; i++) {
        clients[i] = open_client(e);
        if (request[0] != 0)
            assert_int_equal(send(clients[i], request, strlen(request), MSG_NOSIGNAL), strlen(request));
    }
    for (int i = 0; i < 20; i++)
        assert_status(e, "GET / HTTP/1.1\r\n\r\n", "200");
}

static void who_holds_a_place_keeps_nobody_out(void **state)
{
    static const char *const held[] = {"", "GET /", "GET / HTTP/1.1\r\n\r\n", "GET /big HTTP/1.1\r\n\r\n"};
    (void)state;
    struct endpoint e;
    int clients[48];
    big_size = 8 << 20; /* more than a socket holds */
    start(&e, "127.0.0.1:0");
    for (size_t i = 0; i < sizeof held / sizeof held[0]; i++) {
        hold_and_ask(&e, clients, 48, held[i]);
        for (int k = 0; k < 48; k++)
            close(clients[k]);
    }
    stop(&e);
}

static void the_oldest_that_has_not_asked_makes_room(void **state)
{
    (void)state;
    struct endpoint e;
    char answer[256];
    int clients[17];
    start(&e, "127.0.0.1:0");
    for (int i = 0; i < 17; i++)
        clients[i] = open_client(&e);
    assert_int_equal(drain(clients[0], answer, sizeof answer), 0);
    for (int i = 1; i < 17; i++) {
        assert_int_equal(send(clients[i], "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL), 18);
        assert_true(drain(clients[i], answer, sizeof answer) > 0);
    }
    for (int i = 0; i < 17; i++)
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_of_4096_bytes_passes_and_one_more_does_not),
        cmocka_unit_test(requests_may_come_in_pieces),
        cmocka_unit_test(who_holds_a_place_keeps_nobody_out),
        cmocka_unit_test(the_oldest_that_has_not_asked_makes_room),
        cmocka_unit_test(a_silent_client_is_closed_after_the_deadline),
        cmocka_unit_test(a_client_that_ends_its_side_gets_its_answer),
        cmocka_unit_test(closing_ends_open_clients),
    };
    return secret_init() != 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
