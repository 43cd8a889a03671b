/* What happens again and again is told once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/episode.h"

static void the_first_time_is_told_whatever_the_clock_says(void **state)
{
    (void)state;
    for (uint64_t now = 0; now < 2 * EPISODE_CALM_MS; now += EPISODE_CALM_MS / 2) {
        struct episode episode = {0};
        assert_true(episode_note(&episode, now));
    }
}

static void what_goes_on_is_told_once_however_long(void **state)
{
    struct episode episode = {0};
    (void)state;
    assert_true(episode_note(&episode, 0));
    for (uint64_t i = 1; i < 100; i++)
        assert_false(episode_note(&episode, i * (EPISODE_CALM_MS - 1)));
}

static void after_a_calm_it_is_told_again(void **state)
{
    struct episode episode = {0};
    (void)state;
    assert_true(episode_note(&episode, 5));
    assert_false(episode_note(&episode, 5 + EPISODE_CALM_MS - 1));
    assert_true(episode_note(&episode, 5 + 2 * EPISODE_CALM_MS - 1));
    assert_false(episode_note(&episode, 5 + 2 * EPISODE_CALM_MS - 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_time_is_told_whatever_the_clock_says),
        cmocka_unit_test(what_goes_on_is_told_once_however_long),
        cmocka_unit_test(after_a_calm_it_is_told_again),
    };
    return cmocka_run_group_tests_name("episode", tests, NULL, NULL);
}
