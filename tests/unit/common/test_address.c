/* Addresses as they are read, written, compared. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "common/address.h"

static void addresses_are_read_and_written_back(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint16_t default_port;
        const char *back;
    } rows[] = {
        {"127.0.0.1:2407", 0, "127.0.0.1:2407"},
        {"127.0.0.1", 2407, "127.0.0.1:2407"},
        {"127.0.0.1:0", 2407, "127.0.0.1:0"},
        {"127.0.0.1:65535", 0, "127.0.0.1:65535"},
        {"[::1]:443", 0, "[::1]:443"},
        {"[::1]", 443, "[::1]:443"},
        {"::1", 443, "[::1]:443"},
        {"2001:db8::5", 443, "[2001:db8::5]:443"},
        {"[2001:db8::5]:1", 443, "[2001:db8::5]:1"},
        {"*:443", 0, "[::]:443"},
        {"*", 443, "[::]:443"},
        {"[::ffff:10.1.2.3]:80", 0, "10.1.2.3:80"},
        {"[fe80::1%1]:80", 0, "[fe80::1%1]:80"},
        {"localhost:80", 0, "127.0.0.1:80"},
        {"unix:/run/x.sock", 0, "unix:/run/x.sock"},
        {"unix:x", 9, "unix:x"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct address address;
        struct fault fault = {{0}};
        char text[ADDRESS_TEXT_SIZE];
        if (address_parse(&address, rows[i].text, rows[i].default_port, &fault) != 0)
            fail_msg("%s: %s", rows[i].text, fault.text);
        assert_string_equal(address_text(&address, text), rows[i].back);
    }
}

static void wrong_addresses_are_refused_with_their_mend(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *says;
    } rows[] = {
        {"", "no host"},
        {":443", "write *"},
        {"127.0.0.1", "port is missing"},
        {"127.0.0.1:", "not a port"},
        {"127.0.0.1:65536", "not a port"},
        {"127.0.0.1:-1", "not a port"},
        {"127.0.0.1:+80", "not a port"},
        {"127.0.0.1: 80", "not a port"},
        {"127.0.0.1:80x", "not a port"},
        {"127.0.0.1:99999999999999999999", "not a port"},
        {"2407", "only a port"},
        {"http://127.0.0.1:8080/", "a URL; write host and port only"},
        {"https://www.example.com", "a URL; write host and port only"},
        {"[::1:443", "brackets"},
        {"[::1]443", "brackets"},
        {"1:2:3", "colons"},
        {"[]:443", "no host"},
        {"[::g]:443", "cannot find"},
        {"no-such-host.invalid:1", "cannot find"},
        {"unix:", "no path"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct address address;
        struct fault fault = {{0}};
        assert_int_equal(address_parse(&address, rows[i].text, 0, &fault), ERR_CONFIG);
        if (strstr(fault.text, rows[i].says) == NULL)
            fail_msg("%s: [%s] does not say [%s]", rows[i].text, fault.text, rows[i].says);
    }
}

static void names_and_paths_are_limited_in_length(void **state)
{
    (void)state;
    char text[400] = "unix:/";
    struct address address;
    struct fault fault;
    char back[ADDRESS_TEXT_SIZE];
    memset(text + 6, 'p', 106);
    text[5 + 107] = 0;
    assert_int_equal(address_parse(&address, text, 0, &fault), 0);
    assert_string_equal(address_text(&address, back), text);
    text[5 + 107] = 'p';
    text[5 + 108] = 0;
    assert_int_equal(address_parse(&address, text, 0, &fault), ERR_CONFIG);
    memset(text, 'h', 300);
    text[300] = 0;
    assert_int_equal(address_parse(&address, text, 1, &fault), ERR_CONFIG);
}

static void loopback_and_local_are_recognised(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool loopback;
        bool local;
    } rows[] = {
        {"127.0.0.1:1", true, false},
        {"127.255.0.9:1", true, false},
        {"128.0.0.1:1", false, false},
        {"[::1]:1", true, false},
        {"[::2]:1", false, false},
        {"*:1", false, false},
        {"unix:/x", true, true},
        {"[::ffff:127.0.0.1]:1", true, false},
        {"[::ffff:1.2.3.4]:1", false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct address address;
        assert_int_equal(address_parse(&address, rows[i].text, 0, NULL), 0);
        assert_int_equal(address_is_loopback(&address), rows[i].loopback);
        assert_int_equal(address_is_local(&address), rows[i].local);
    }
}

static void an_address_of_no_known_kind_is_written_as_unknown(void **state)
{
    (void)state;
    struct address address = {.length = 0};
    char text[ADDRESS_TEXT_SIZE];
    assert_string_equal(address_text(&address, text), "unknown");
    assert_false(address_is_loopback(&address));
    address.u.local.sun_family = AF_UNIX; /* a peer without a name */
    address.length = sizeof(sa_family_t);
    assert_string_equal(address_text(&address, text), "unix:");
}

static void who_is_connected_to_has_a_port(void **state)
{
    static const char *const bad[] = {"127.0.0.1:0", "[::1]:0", "keys.example.com:0"};
    static const char *const good[] = {"127.0.0.1", "[::1]:1", "keys.example.com", "unix:/run/x.sock"};
    char host[ADDRESS_HOST_SIZE];
    struct address address;
    struct fault fault = {0};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(address_parse_endpoint(&address, host, bad[i], 2407, &fault), 0);
        assert_int_equal(address_parse_target(&address, host, bad[i], 2407, &fault), ERR_CONFIG);
        assert_non_null(strstr(fault.text, "nobody listens at port 0"));
    }
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_int_equal(address_parse_target(&address, host, good[i], 2407, &fault), 0);
}

static void what_a_socket_covers(void **state)
{
    static const struct {
        const char *haver, *other;
        bool covers;
    } cases[] = {
        {"127.0.0.1:1", "127.0.0.1:1", true},  {"127.0.0.1:1", "127.0.0.2:1", false},
        {"127.0.0.1:1", "127.0.0.1:2", false}, {"127.0.0.1:0", "127.0.0.1:0", false},
        {"0.0.0.0:1", "127.0.0.1:1", true},    {"127.0.0.1:1", "0.0.0.0:1", false},
        {"0.0.0.0:1", "[::1]:1", false},       {"[::]:1", "127.0.0.1:1", true},
        {"[::]:1", "0.0.0.0:1", true},         {"[::]:1", "[::1]:1", true},
        {"[::1]:1", "[::]:1", false},          {"[::1]:1", "[::1]:1", true},
        {"[::1]:1", "[::2]:1", false},         {"[::1]:1", "127.0.0.1:1", false},
        {"unix:/a", "unix:/a", false},         {"0.0.0.0:1", "unix:/a", false},
    };
    struct address haver, other;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(address_parse(&haver, cases[i].haver, 9, NULL), 0);
        assert_int_equal(address_parse(&other, cases[i].other, 9, NULL), 0);
        if (address_covers(&haver, &other) != cases[i].covers)
            fail_msg("%s and %s", cases[i].haver, cases[i].other);
    }
    assert_int_equal(address_parse(&haver, "[::]:1", 0, NULL), 0);
    assert_int_equal(address_parse(&other, "127.0.0.1:1", 0, NULL), 0);
    haver.v6_only = true;
    assert_false(address_covers(&haver, &other));
}

static void a_foreign_address_is_explained(void **state)
{
    (void)state;
    struct address address;
    struct fault fault = {{0}};
    assert_int_equal(address_parse(&address, "192.0.2.1:0", 0, NULL), 0);
    assert_int_equal(address_listen(&address, false, 16, &fault), ERR_SYSTEM);
    assert_non_null(strstr(fault.text, "not an address of this machine"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read_and_written_back),
        cmocka_unit_test(wrong_addresses_are_refused_with_their_mend),
        cmocka_unit_test(names_and_paths_are_limited_in_length),
        cmocka_unit_test(loopback_and_local_are_recognised),
        cmocka_unit_test(an_address_of_no_known_kind_is_written_as_unknown),
        cmocka_unit_test(who_is_connected_to_has_a_port),
        cmocka_unit_test(what_a_socket_covers),
        cmocka_unit_test(a_foreign_address_is_explained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
