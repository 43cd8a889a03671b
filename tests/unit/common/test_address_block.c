/* Networks: blocks of addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/address.h"

static void networks_have_the_addresses_they_should(void **state)
{
    (void)state;
    static const struct {
        const char *network;
        const char *address;
        bool inside;
    } rows[] = {
        {"10.0.0.0/8", "10.255.1.2:1", true},
        {"10.0.0.0/8", "11.0.0.0:1", false},
        {"192.168.4.0/22", "192.168.7.255:1", true},
        {"192.168.4.0/22", "192.168.8.0:1", false},
        {"192.168.4.1", "192.168.4.1:1", true},
        {"192.168.4.1", "192.168.4.2:1", false},
        {"192.168.4.0/31", "192.168.4.1:1", true},
        {"192.168.4.0/31", "192.168.4.2:1", false},
        {"0.0.0.0/0", "8.8.8.8:1", true},
        {"0.0.0.0/0", "[::ffff:8.8.8.8]:1", true},
        {"0.0.0.0/0", "[2001:db8::1]:1", false},
        {"::/0", "[2001:db8::1]:1", true},
        {"::/0", "8.8.8.8:1", false},
        {"2001:db8::/33", "[2001:db8:7fff::1]:1", true},
        {"2001:db8::/33", "[2001:db8:8000::1]:1", false},
        {"::1", "[::1]:1", true},
        {"::ffff:10.0.0.0/104", "10.5.5.5:1", true},
        {"::ffff:10.0.0.0/104", "11.5.5.5:1", false},
        {"0.0.0.0/0", "unix:/x", false},
        {"::/0", "unix:/x", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct network network;
        struct address address;
        assert_int_equal(network_parse(&network, rows[i].network), 0);
        assert_int_equal(address_parse(&address, rows[i].address, 0, NULL), 0);
        if (network_has(&network, &address) != rows[i].inside)
            fail_msg("%s and %s", rows[i].network, rows[i].address);
    }
}

static void an_unused_network_has_nothing(void **state)
{
    (void)state;
    const struct network unused = {0};
    struct address address;
    assert_int_equal(address_parse(&address, "127.0.0.1:1", 0, NULL), 0);
    assert_false(network_has(&unused, &address));
}

static void wrong_networks_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "/8",
                                        "10.0.0.0/33",
                                        "10.0.0.0/",
                                        "10.0.0.0/-1",
                                        "10.0.0.0/8x",
                                        "10.0.0/8",
                                        "::/129",
                                        "host/8",
                                        "10.0.0.0/8/8",
                                        "[::1]",
                                        "10.0.0.0:80",
                                        "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb/1"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct network network;
        assert_int_equal(network_parse(&network, texts[i]), ERR_FORMAT);
    }
}

/* "10.1.2.3/8" is one address or a network of millions: only who wrote it knows. */
static void an_address_with_a_prefix_is_no_network(void **state)
{
    (void)state;
    static const struct {
        const char *text, *whole;
    } rows[] = {{"10.1.2.3/8", "10.0.0.0/8"},
                {"192.0.2.255/31", "192.0.2.254/31"},
                {"10.128.0.0/8", "10.0.0.0/8"},
                {"1.2.3.4/0", "0.0.0.0/0"},
                {"2001:db8::1/64", "2001:db8::/64"},
                {"2001:db8:0:8::/60", "2001:db8::/60"},
                {"::1/127", "::/127"},
                {"::ffff:10.1.2.3/104", "10.0.0.0/8"}};
    char text[NETWORK_TEXT_SIZE];
    struct network network;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(network_parse(&network, rows[i].text), ERR_CONFIG);
        assert_string_equal(network_write(text, &network), rows[i].whole);
        assert_int_equal(network_parse(&network, text), 0);
        assert_string_equal(network_write(text, &network), rows[i].whole);
    }
    assert_int_equal(network_parse(&network, "1111:2222:3333:4444:5555:6666:7777:8888/128"), 0);
    assert_string_equal(network_write(text, &network), "1111:2222:3333:4444:5555:6666:7777:8888/128");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(networks_have_the_addresses_they_should),
        cmocka_unit_test(an_unused_network_has_nothing),
        cmocka_unit_test(wrong_networks_are_refused),
        cmocka_unit_test(an_address_with_a_prefix_is_no_network),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
