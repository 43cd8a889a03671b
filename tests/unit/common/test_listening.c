/* Addresses of one configuration that are to be two. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ifaddrs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/listening.h"

#define PORT       443
#define OTHER_PORT 2405

static char folder[] = "/tmp/keyless-listening-XXXXXX";
static struct fault fault;

/* LISTEN is one address, or two with a blank in between. */
static int check(const char *listen, const char *other, bool is_listened_at)
{
    char copy[256], *rest = NULL, *item[2];
    struct config_strings texts = {.item = item};
    snprintf(copy, sizeof copy, "%s", listen);
    for (char *at = strtok_r(copy, " ", &rest); at != NULL; at = strtok_r(NULL, " ", &rest))
        item[texts.count++] = at;
    const struct listening_own own = {"edge.conf", "listen", "edge.conf:1", &texts, PORT};
    const struct listening_other target = {.option = "origin",
                                           .place = "edge.conf:7",
                                           .text = other,
                                           .default_port = OTHER_PORT,
                                           .is_listened_at = is_listened_at,
                                           .why = "it would loop; mend it"};
    memset(&fault, 0, sizeof fault);
    return listening_check_apart(&own, &target, &fault);
}

static void assert_one(const char *listen, const char *other)
{
    if (check(listen, other, false) != ERR_CONFIG)
        fail_msg("%s and %s are taken for two", listen, other);
}

static void assert_two(const char *listen, const char *other)
{
    if (check(listen, other, false) != 0)
        fail_msg("%s and %s: %s", listen, other, fault.text);
}

/* What may be moved gets what its kind of address has: no socket file has a port. */
static void the_hint_fits_the_kind_of_address(void **state)
{
    (void)state;
    static const struct {
        const char *address, *hint;
    } cases[] = {{"unix:/run/keyless/a.sock", ": taken; give admin another path"},
                 {"127.0.0.1:2405", ": taken; give admin another port"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[64];
        char *item = text;
        snprintf(text, sizeof text, "%s", cases[i].address);
        const struct config_strings texts = {.item = &item, .count = 1};
        const struct listening_own own = {"edge.conf", "listen", "edge.conf:1", &texts, PORT};
        const struct listening_other admin = {.option = "admin",
                                              .text = cases[i].address,
                                              .is_listened_at = true,
                                              .why = "taken; ",
                                              .movable = "admin"};
        assert_int_equal(listening_check_apart(&own, &admin, &fault), ERR_CONFIG);
        assert_non_null(strstr(fault.text, cases[i].hint));
    }
}

static void the_fault_names_both_places(void **state)
{
    (void)state;
    assert_one("127.0.0.1:443", "127.0.0.1:443");
    assert_string_equal(fault.text,
                        "edge.conf:7: origin 127.0.0.1:443 is an address of listen (edge.conf:1): "
                        "it would loop; mend it");
}

static void one_address_has_many_forms(void **state)
{
    (void)state;
    assert_one("127.0.0.1", "127.0.0.1:443");
    assert_one("127.0.0.1:2405", "127.0.0.1");
    assert_one("[::1]:443", "[0:0::1]:443");
    assert_one("127.0.0.1:443", "[::ffff:127.0.0.1]:443");
    assert_one("localhost:443", "127.0.0.1:443");
    assert_one("192.0.2.7:443", "192.0.2.7:443");
    assert_one("127.0.0.1:443", "0.0.0.0:443"); /* who connects to "any" comes to loopback */
    assert_one("192.0.2.7:80 127.0.0.1:443", "127.0.0.1:443");
}

static void a_wildcard_has_the_addresses_of_this_machine(void **state)
{
    (void)state;
    assert_one("*:443", "127.0.0.1:443");
    assert_one("*:443", "[::1]:443");
    assert_one("*:443", "localhost:443");
    assert_one("*:443", "LocalHost:443");
    assert_one("0.0.0.0:443", "127.0.0.1:443");
    assert_one("0.0.0.0:443", "127.8.8.8:443");
    assert_one("[::]:443", "127.0.0.1:443");
    assert_one("0.0.0.0:443 [::]:443", "127.0.0.1:443");
    assert_two("*:443", "192.0.2.7:443");
    assert_two("*:443", "[2001:db8::7]:443");
}

static void so_it_has_those_of_its_interfaces(void **state)
{
    struct ifaddrs *all;
    (void)state;
    assert_int_equal(getifaddrs(&all), 0);
    for (const struct ifaddrs *at = all; at != NULL; at = at->ifa_next) {
        struct address address = {.length = sizeof address.u.v4};
        char text[ADDRESS_TEXT_SIZE];
        if (at->ifa_addr == NULL || at->ifa_addr->sa_family != AF_INET)
            continue;
        memcpy(&address.u.v4, at->ifa_addr, sizeof address.u.v4);
        address_set_port(&address, PORT);
        assert_one("*:443", address_text(&address, text));
    }
    freeifaddrs(all);
}

static void what_differs_or_cannot_be_told_is_fine(void **state)
{
    (void)state;
    assert_two("127.0.0.1:443", "127.0.0.1:8080");
    assert_two("127.0.0.1:443", "127.0.0.2:443");
    assert_two("127.0.0.1:443", "[::1]:443");
    assert_two("0.0.0.0:443", "[::1]:443");
    assert_two("[::1]:443", "127.0.0.1:443");
    assert_two("127.0.0.1:443", "localhost:443"); /* which may be [::1], where another one listens */
    assert_two("*:443", "www.example.com:443");
    assert_two("www.example.com:443", "www.example.com:443");
    assert_two("127.0.0.1:0", "127.0.0.1:0");
    assert_two("off", "off");
    assert_two("unix:/run/x.sock", "127.0.0.1:443");
    assert_two("*:443", "unix:/run/x.sock");
    assert_two("a:b:c", "a:b:c");
    assert_two("192.0.2.7:443", "0.0.0.0:443");
}

static void who_listens_too_finds_it_in_use(void **state)
{
    (void)state;
    assert_int_equal(check("127.0.0.1:443", "localhost:443", true), ERR_CONFIG);
    assert_int_equal(check("*", "127.0.0.1:443", true), ERR_CONFIG);
    assert_int_equal(check("*", "192.0.2.7:443", true), ERR_CONFIG);
    assert_int_equal(check("[::1]:443", "localhost:443", true), 0);
    assert_int_equal(check("192.0.2.7:2405", "127.0.0.1:2405", true), 0);
}

static void a_socket_has_one_file_by_whatever_path(void **state)
{
    char path[64], other[64], link[64], beside[64];
    (void)state;
    assert_one("unix:/nowhere/x.sock", "unix:/nowhere/x.sock");
    assert_two("unix:/nowhere/x.sock", "unix:/nowhere/y.sock");
    snprintf(link, sizeof link, "%s/link", folder);
    snprintf(path, sizeof path, "unix:%s/x.sock", folder);
    snprintf(other, sizeof other, "unix:%s/link/x.sock", folder);
    assert_int_equal(symlink(".", link), 0);
    assert_one(path, other); /* before it is there */
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(at.sun_path, sizeof at.sun_path, "%s", path + 5);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    snprintf(beside, sizeof beside, "unix:%s/y.sock", folder);
    assert_two(path, beside);
    assert_int_equal(symlink("x.sock", beside + 5), 0);
    assert_one(path, beside);
    close(fd);
    unlink(beside + 5);
    unlink(path + 5);
    unlink(link);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_hint_fits_the_kind_of_address),
        cmocka_unit_test(the_fault_names_both_places),
        cmocka_unit_test(one_address_has_many_forms),
        cmocka_unit_test(a_wildcard_has_the_addresses_of_this_machine),
        cmocka_unit_test(so_it_has_those_of_its_interfaces),
        cmocka_unit_test(what_differs_or_cannot_be_told_is_fine),
        cmocka_unit_test(who_listens_too_finds_it_in_use),
        cmocka_unit_test(a_socket_has_one_file_by_whatever_path),
    };
    if (mkdtemp(folder) == NULL)
        return 1;
    int result = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(folder);
    return result;
}
