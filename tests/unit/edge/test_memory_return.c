/* When memory goes back: once after each wave, and in no calm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "edge/daemon/memory_return.h"

static void once_after_a_wave(void **state)
{
    struct memory_return memory = {.peak = 0};

    (void)state;
    for (int wave = 0; wave < 3; wave++) {
        assert_false(memory_return_is_due(&memory, 300));
        assert_false(memory_return_is_due(&memory, 20000));
        assert_false(memory_return_is_due(&memory, 10001));
        assert_false(memory_return_is_due(&memory, 10000)); /* it may come back at once */
        assert_true(memory_return_is_due(&memory, 500));
        assert_false(memory_return_is_due(&memory, 400));
        assert_false(memory_return_is_due(&memory, 0));
    }
}

static void not_when_the_wave_comes_back(void **state)
{
    struct memory_return memory = {.peak = 0};

    (void)state;
    for (int i = 0; i < 100; i++) {
        assert_false(memory_return_is_due(&memory, 5000));
        assert_false(memory_return_is_due(&memory, 10));
    }
    assert_true(memory_return_is_due(&memory, 10));
}

static void not_for_a_few(void **state)
{
    struct memory_return memory = {.peak = 0};

    (void)state;
    assert_false(memory_return_is_due(&memory, MEMORY_RETURN_LEAST - 1));
    for (int i = 0; i < 10; i++)
        assert_false(memory_return_is_due(&memory, 0));
}

/* A wave that ebbs slowly is followed down. */
static void step_by_step(void **state)
{
    struct memory_return memory = {.peak = 0};
    unsigned times = 0;

    (void)state;
    for (uint64_t connections = 16384; connections > 0; connections -= connections > 64 ? 64 : connections)
        times += memory_return_is_due(&memory, connections);
    assert_in_range(times, 3, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(once_after_a_wave),
        cmocka_unit_test(not_when_the_wave_comes_back),
        cmocka_unit_test(not_for_a_few),
        cmocka_unit_test(step_by_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
