/* Listening at an address: ports that are shared or claimed, both families, unix sockets and what they
 * replace. */
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

static int try_connect(const struct address *to)
{
    int fd = socket(to->u.any.sa_family, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    int result = connect(fd, &to->u.any, to->length);
    close(fd);
    return result;
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
        cmocka_unit_test(port_zero_becomes_a_real_port_one_can_connect_to),
        cmocka_unit_test(a_star_takes_ipv4_too),
        cmocka_unit_test(a_port_is_shared_only_when_asked_for),
        cmocka_unit_test(an_address_is_claimed_before_it_is_shared),
        cmocka_unit_test(unix_sockets_replace_stale_ones_only),
        cmocka_unit_test(of_many_that_start_at_once_one_has_the_unix_socket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
