#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/address.h"
#include "common/process.h"

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

static int try_connect(const struct address *to)
{
    int fd = socket(to->u.any.sa_family, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    int result = connect(fd, &to->u.any, to->length);
    close(fd);
    return result;
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

static void port_zero_becomes_a_real_port_one_can_connect_to(void **state)
{
    (void)state;
    struct address address;
    struct address bound;
    struct fault fault = {{0}};
    assert_int_equal(address_parse(&address, "127.0.0.1:0", 0, NULL), 0);
    int fd = address_listen(&address, false, 16, &fault);
    assert_true(fd >= 0);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    assert_int_equal(address_of_socket(fd, &bound), 0);
    assert_int_not_equal(bound.u.v4.sin_port, 0);
    assert_int_equal(try_connect(&bound), 0);
    close(fd);
    assert_int_equal(address_of_socket(-1, &bound), ERR_SYSTEM);
}

static void a_star_takes_ipv4_too(void **state)
{
    (void)state;
    struct address address;
    struct address bound;
    struct fault fault = {{0}};
    assert_int_equal(address_parse(&address, "*:0", 0, NULL), 0);
    int fd = address_listen(&address, false, 16, &fault);
    assert_true(fd >= 0);
    assert_int_equal(address_of_socket(fd, &bound), 0);
    assert_int_equal(address_parse(&address, "127.0.0.1:1", 0, NULL), 0);
    address.u.v4.sin_port = bound.u.any.sa_family == AF_INET ? bound.u.v4.sin_port : bound.u.v6.sin6_port;
    assert_int_equal(try_connect(&address), 0);
    close(fd);
}

static void a_port_is_shared_only_when_asked_for(void **state)
{
    (void)state;
    struct address address;
    struct fault fault = {{0}};
    assert_int_equal(address_parse(&address, "127.0.0.1:0", 0, NULL), 0);
    int first = address_listen(&address, true, 16, &fault);
    assert_true(first >= 0);
    assert_int_equal(address_of_socket(first, &address), 0);
    int second = address_listen(&address, true, 16, &fault);
    assert_true(second >= 0);
    assert_int_equal(address_listen(&address, false, 16, &fault), ERR_SYSTEM);
    assert_non_null(strstr(fault.text, "in use already"));
    close(first);
    close(second);
}

/* Of two that want an address for sockets of their own, one gets it, whenever the other binds: the first
 * socket is shared only once it listens. */
static void an_address_is_claimed_before_it_is_shared(void **state)
{
    struct address address, all;
    struct fault fault = {{0}};
    (void)state;
    assert_int_equal(address_parse(&address, "127.0.0.1:0", 0, NULL), 0);
    assert_int_equal(address_parse(&all, "0.0.0.0:1", 0, NULL), 0);
    int first = address_listen(&address, false, 16, &fault);
    assert_true(first >= 0);
    assert_int_equal(address_of_socket(first, &address), 0);
    all.u.v4.sin_port = address.u.v4.sin_port;
    assert_int_equal(address_listen(&address, true, 16, &fault), ERR_SYSTEM);
    assert_int_equal(address_share(first), 0);
    int second = address_listen(&address, true, 16, &fault);
    assert_true(second >= 0);
    assert_int_equal(address_listen(&address, false, 16, &fault), ERR_SYSTEM);
    assert_non_null(strstr(fault.text, "ss -ltnp"));
    assert_int_equal(address_listen(&all, false, 16, &fault), ERR_SYSTEM);
    close(first);
    close(second);
    assert_int_equal(address_share(-1), ERR_SYSTEM);
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

static void unix_sockets_replace_stale_ones_only(void **state)
{
    (void)state;
    char folder[] = "/tmp/keyless-test-XXXXXX";
    char text[128];
    struct address address;
    struct address bound;
    struct fault fault = {{0}};
    struct stat info;
    assert_non_null(mkdtemp(folder));
    snprintf(text, sizeof text, "unix:%s/s", folder);
    assert_int_equal(address_parse(&address, text, 0, NULL), 0);
    int fd = address_listen(&address, true, 16, &fault);
    assert_true(fd >= 0);
    assert_int_equal(stat(text + 5, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0660);
    assert_int_equal(address_of_socket(fd, &bound), 0);
    assert_true(address_is_local(&bound));
    assert_int_equal(try_connect(&address), 0);
    assert_int_equal(address_listen(&address, false, 16, &fault), ERR_SYSTEM);
    assert_non_null(strstr(fault.text, "in use"));
    close(fd); /* leaves the file behind: stale */
    fd = address_listen(&address, false, 16, &fault);
    assert_true(fd >= 0);
    close(fd);
    unlink(text + 5);
    fd = open(text + 5, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(address_listen(&address, false, 16, &fault), ERR_CONFIG);
    assert_int_equal(stat(text + 5, &info), 0);
    unlink(text + 5);
    rmdir(folder);
    assert_int_equal(address_listen(&address, false, 16, &fault), ERR_SYSTEM);
}

/* One of many that start at once, when GATE closes: says through RESULT whether it listens, and stays until
 * it is ended. */
static void start_at_once(const struct address *address, const int gate[2], int result)
{
    struct fault fault;
    char byte;

    process_die_with_parent();
    close(gate[1]);
    (void)!read(gate[0], &byte, 1);
    byte = address_listen(address, false, 16, &fault) >= 0;
    (void)!write(result, &byte, 1);
    for (;;)
        pause();
}

/* How many of COUNT processes listen at ADDRESS when they start at once. */
static int winners(const struct address *address, int count)
{
    int gate[2], results[2], sum = 0;
    pid_t pids[32];
    char byte;

    assert_true(count <= 32 && pipe(gate) == 0 && pipe(results) == 0);
    for (int i = 0; i < count; i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0)
            start_at_once(address, gate, results[1]);
    }
    close(gate[0]);
    close(gate[1]);
    for (int i = 0; i < count; i++) {
        assert_int_equal(read(results[0], &byte, 1), 1);
        sum += byte;
    }
    assert_int_equal(try_connect(address), 0); /* its socket is the one that is there */
    for (int i = 0; i < count; i++) {
        kill(pids[i], SIGKILL);
        waitpid(pids[i], NULL, 0);
    }
    close(results[0]);
    close(results[1]);
    return sum;
}

static void of_many_that_start_at_once_one_has_the_unix_socket(void **state)
{
    (void)state;
    char folder[] = "/tmp/keyless-test-XXXXXX", text[128];
    struct address address;
    assert_non_null(mkdtemp(folder));
    snprintf(text, sizeof text, "unix:%s/s", folder);
    assert_int_equal(address_parse(&address, text, 0, NULL), 0);
    for (int round = 0; round < 20; round++) /* from the second on, beside a stale one */
        assert_int_equal(winners(&address, 16), 1);
    unlink(text + 5);
    assert_int_equal(rmdir(folder), 0); /* nothing else is left */
}

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
        {"10.1.2.3/8", "10.9.9.9:1", true},
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

/* As people write it for nginx: both families at one port, each by its own socket. Alone, [::] is for both.
 */
static void both_families_are_listened_at_side_by_side(void **state)
{
    struct address list[3], bound;
    struct fault fault;
    int fds[2], only = -1;
    socklen_t size = sizeof only;
    char text[ADDRESS_TEXT_SIZE];
    (void)state;
    assert_int_equal(address_parse(&list[0], "0.0.0.0:0", 0, &fault), 0);
    fds[0] = address_listen(&list[0], false, 4, &fault);
    assert_true(fds[0] >= 0);
    assert_int_equal(address_of_socket(fds[0], &bound), 0);
    snprintf(text, sizeof text, "[::]:%u", ntohs(bound.u.v4.sin_port));
    list[0] = bound;
    assert_int_equal(address_parse(&list[1], text, 0, &fault), 0);
    assert_int_equal(address_parse(&list[2], "[::]:1", 0, &fault), 0);
    address_split_families(list, 3);
    assert_true(list[1].v6_only);
    assert_false(list[0].v6_only || list[2].v6_only);
    fds[1] = address_listen(&list[1], false, 4, &fault);
    if (fds[1] < 0 && strstr(fault.text, "Address family") != NULL) { /* a machine without IPv6 */
        close(fds[0]);
        skip();
    }
    assert_true(fds[1] >= 0);
    assert_int_equal(getsockopt(fds[1], IPPROTO_IPV6, IPV6_V6ONLY, &only, &size), 0);
    assert_int_equal(only, 1);
    close(fds[1]);
    list[1].v6_only = false;
    assert_true(address_listen(&list[1], false, 4, &fault) <
                0); /* both families: the first has IPv4 already */
    close(fds[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_families_are_listened_at_side_by_side),
        cmocka_unit_test(addresses_are_read_and_written_back),
        cmocka_unit_test(wrong_addresses_are_refused_with_their_mend),
        cmocka_unit_test(names_and_paths_are_limited_in_length),
        cmocka_unit_test(loopback_and_local_are_recognised),
        cmocka_unit_test(an_address_of_no_known_kind_is_written_as_unknown),
        cmocka_unit_test(who_is_connected_to_has_a_port),
        cmocka_unit_test(port_zero_becomes_a_real_port_one_can_connect_to),
        cmocka_unit_test(a_star_takes_ipv4_too),
        cmocka_unit_test(a_port_is_shared_only_when_asked_for),
        cmocka_unit_test(an_address_is_claimed_before_it_is_shared),
        cmocka_unit_test(what_a_socket_covers),
        cmocka_unit_test(a_foreign_address_is_explained),
        cmocka_unit_test(unix_sockets_replace_stale_ones_only),
        cmocka_unit_test(of_many_that_start_at_once_one_has_the_unix_socket),
        cmocka_unit_test(networks_have_the_addresses_they_should),
        cmocka_unit_test(an_unused_network_has_nothing),
        cmocka_unit_test(wrong_networks_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
