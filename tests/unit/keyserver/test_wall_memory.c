/* The memory of a wall: how it comes to both sides, and what it holds for how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/secret.h"
#include "tests/unit/keyserver/wall_rig.h"

static struct wall net, vault;

static int set_up(void **state)
{
    (void)state;
    return wall_rig_pair(&net, &vault);
}

static int tear_down(void **state)
{
    (void)state;
    wall_close(&net);
    wall_close(&vault);
    return 0;
}

/* The one descriptor beside the first byte of FD. */
static int open_memory(int fd)
{
    char byte;
    int memory = -1;
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    _Alignas(struct cmsghdr) char bytes[CMSG_SPACE(sizeof memory)];
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = bytes, .msg_controllen = sizeof bytes};
    assert_int_equal(recvmsg(fd, &message, 0), 1);
    memcpy(&memory, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof memory);
    return memory;
}

static void pass_memory(int fd, char byte, int memory)
{
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    _Alignas(struct cmsghdr) char bytes[CMSG_SPACE(sizeof memory)] = {0};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = bytes, .msg_controllen = sizeof bytes};
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof memory);
    memcpy(CMSG_DATA(c), &memory, sizeof memory);
    assert_int_equal(sendmsg(fd, &message, 0), 1);
}

/* What of the wall's memory this process has in its core dumps: a line of smaps says. */
static void the_rings_are_in_no_core_dump(void **state)
{
    char line[512];
    bool here = false, dumped = true;
    (void)state;
    FILE *maps = fopen("/proc/self/smaps", "r");
    assert_non_null(maps);
    while (fgets(line, sizeof line, maps) != NULL) {
        if (strstr(line, "-") != NULL && strchr(line, ':') != NULL && strstr(line, "VmFlags") == NULL &&
            strstr(line, " kB") == NULL)
            here = strstr(line, "keyless-wall") != NULL;
        if (here && strncmp(line, "VmFlags:", 8) == 0)
            dumped = strstr(line, " dd") == NULL;
    }
    fclose(maps);
    assert_false(dumped);
}

/* A secret lies in the ring no longer than until it is taken. */
static void a_taken_answer_is_wiped_where_it_lay(void **state)
{
    static struct wall_answer got[WALL_BATCH_MAX];
    static const uint8_t nothing[RING_CONTENT_MAX];
    struct wall_answer answer = {.token = 1, .kind = WALL_OUTCOME, .u.outcome.length = 48};
    const struct ring_slot *slot = &net.in.ring->slot[0];
    (void)state;
    memset(answer.u.outcome.bytes, 0x5a, 48);
    assert_int_equal(wall_send_answers(&vault, &answer, 1), 1);
    assert_memory_not_equal(slot->content, nothing, sizeof nothing);
    assert_int_equal(wall_receive_answers(&net, got, WALL_BATCH_MAX), 1);
    assert_int_equal(got[0].u.outcome.bytes[47], 0x5a);
    assert_memory_equal(slot->content, nothing, sizeof nothing);
}

static void the_size_of_the_memory_stays(void **state)
{
    int ends[2];
    struct wall wall;
    (void)state;
    assert_int_equal(wall_pair(&ends[0], &ends[1]), 0);
    int memory = open_memory(ends[0]);
    assert_true(memory >= 0);
    assert_int_equal(ftruncate(memory, 0), -1);
    assert_int_equal(ftruncate(memory, 1 << 24), -1);
    assert_int_equal(fcntl(memory, F_ADD_SEALS, F_SEAL_WRITE), -1);
    close(memory);
    assert_int_equal(wall_adopt(&wall, ends[0]), ERR_BUSY); /* nothing waits in it any more */
    assert_int_equal(wall_fd(&wall), -1);
    close(ends[1]);
}

/* ---- adopting ---- */

static void what_is_no_end_is_not_adopted(void **state)
{
    struct wall wall;
    int fds[2];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    assert_int_equal(send(fds[1], "n", 1, 0), 1); /* without memory */
    assert_int_equal(wall_adopt(&wall, fds[0]), ERR_FORMAT);
    assert_int_equal(wall_fd(&wall), -1);
    assert_int_equal(fcntl(fds[0], F_GETFD), -1);
    close(fds[1]);
}

static void memory_of_another_size_or_without_seals_is_not_adopted(void **state)
{
    struct wall wall;
    (void)state;
    for (int i = 0; i < 3; i++) {
        int memory = memfd_create("other", MFD_ALLOW_SEALING), fds[2];
        assert_true(memory >= 0);
        assert_int_equal(ftruncate(memory, i == 0 ? 4096 : 2 * (off_t)sizeof(struct ring)), 0);
        if (i != 1)
            assert_int_equal(fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
        pass_memory(fds[1], i == 2 ? 'x' : 'n', memory);
        assert_int_equal(wall_adopt(&wall, fds[0]), ERR_FORMAT);
        close(memory);
        close(fds[1]);
    }
}

int main(void)
{
#define WITH_PAIR(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_PAIR(the_rings_are_in_no_core_dump),
        WITH_PAIR(a_taken_answer_is_wiped_where_it_lay),
        WITH_PAIR(the_size_of_the_memory_stays),
        WITH_PAIR(what_is_no_end_is_not_adopted),
        WITH_PAIR(memory_of_another_size_or_without_seals_is_not_adopted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
