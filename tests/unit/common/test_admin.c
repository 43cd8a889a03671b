/* What the admin endpoint answers, and whom. */
#include "tests/unit/common/admin_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/admin.h"
#include "common/secret.h"

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

static void only_loopback_is_listened_on(void **state)
{
    (void)state;
    struct fault fault = {0};
    struct address address;
    assert_int_equal(address_parse(&address, "0.0.0.0:0", 0, &fault), 0);
    assert_int_equal(admin_listen(&address, &fault), ERR_CONFIG);
    assert_non_null(strstr(fault.text, "not a loopback address"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(get_gives_status_and_content),
        cmocka_unit_test(unix_socket_serves_any_host),
        cmocka_unit_test(answer_carries_the_security_fields),
        cmocka_unit_test(malformed_requests_are_refused),
        cmocka_unit_test(foreign_hosts_are_refused),
        cmocka_unit_test(only_loopback_is_listened_on),
    };
    return secret_init() != 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
