/* Control messages between the supervisor and the net process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <unistd.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_messages_carry_a_descriptor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
