/* Control messages between the supervisor and the net process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <unistd.h>

#include "common/fd_message.h"
#include "keyserver/net/control.h"

static void control_messages_carry_a_descriptor(void **state)
{
    struct control_message message;
    int ends[2], pipe_ends[2], passed;
    char byte = 0;

    (void)state;
    assert_int_equal(control_pair(ends), 0);
    assert_int_equal(pipe2(pipe_ends, O_CLOEXEC), 0);
    assert_int_equal(control_receive(ends[1], &message, &passed), ERR_BUSY);
    assert_int_equal(control_send(ends[0], CONTROL_WALL, CONTROL_WALL_RELOAD, pipe_ends[1]), 0);
    assert_int_equal(control_send(ends[0], CONTROL_DRAIN, 0, -1), 0);
    assert_int_equal(control_receive(ends[1], &message, &passed), 0);
    assert_int_equal(message.kind, CONTROL_WALL);
    assert_int_equal(message.value, CONTROL_WALL_RELOAD);
    assert_int_equal(write(passed, "x", 1), 1);
    assert_int_equal(read(pipe_ends[0], &byte, 1), 1);
    assert_int_equal(byte, 'x');
    close(passed);
    assert_int_equal(control_receive(ends[1], &message, &passed), 0);
    assert_int_equal(message.kind, CONTROL_DRAIN);
    assert_int_equal(passed, -1);
    assert_int_equal(write(ends[0], "junk", 4), 4);
    assert_int_equal(control_receive(ends[1], &message, &passed), ERR_FORMAT);
    close(ends[0]);
    assert_int_equal(control_receive(ends[1], &message, &passed), ERR_CUT);
    assert_int_equal(control_send(ends[1], CONTROL_DRAIN, 0, -1), ERR_CUT);
    close(ends[1]);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

/* What a side has no business to pass is closed by the kernel: however much comes, no descriptor is left. */
static void a_hostile_side_leaves_no_descriptor_open(void **state)
{
    static const struct control_message message = {.kind = CONTROL_STARTED};
    const int both[] = {STDERR_FILENO, STDERR_FILENO, STDERR_FILENO};
    struct control_message got;
    int ends[2], passed, free_before, free_after;

    (void)state;
    assert_int_equal(control_pair(ends), 0);
    free_before = dup(STDERR_FILENO);
    close(free_before);
    for (size_t count = 1; count <= sizeof both / sizeof both[0]; count++) {
        assert_int_equal(fd_message_send(ends[0], &message, sizeof message, both, count), 0);
        assert_int_equal(control_receive_bare(ends[1], &got), ERR_FORMAT);
        if (count > 1) {
            assert_int_equal(fd_message_send(ends[0], &message, sizeof message, both, count), 0);
            assert_int_equal(control_receive(ends[1], &got, &passed), ERR_FORMAT);
            assert_int_equal(passed, -1);
        }
        assert_int_equal(fd_message_send(ends[0], "longer than a message", 21, both, count), 0);
        assert_int_equal(control_receive(ends[1], &got, &passed), ERR_FORMAT);
        assert_int_equal(passed, -1);
        assert_int_equal(fd_message_send(ends[0], "", 0, both, count), 0); /* as if it had ended */
        assert_int_equal(control_receive(ends[1], &got, &passed), ERR_CUT);
    }
    free_after = dup(STDERR_FILENO);
    close(free_after);
    assert_int_equal(free_after, free_before);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_messages_carry_a_descriptor),
        cmocka_unit_test(a_hostile_side_leaves_no_descriptor_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
