#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "edge/keyclient/silence.h"

#define MS  UINT64_C(1000000)
#define NOW (1000000 * MS)

/* The judgement of SIGHT at NOW, which must stay the same until the time it gives, and be another one then.
 */
static enum silence judged(struct silence_sight sight, uint64_t *look_ns)
{
    uint64_t later;
    enum silence silence = silence_decide(&sight, NOW, look_ns);

    assert_true(*look_ns > NOW);
    if (*look_ns != UINT64_MAX && *look_ns > NOW + 1) {
        assert_int_equal(silence, SILENCE_NONE);
        assert_int_equal(silence_decide(&sight, *look_ns - 1, &later), SILENCE_NONE);
        assert_int_equal(later, *look_ns);
        assert_int_not_equal(silence_decide(&sight, *look_ns, &later), SILENCE_NONE);
    }
    return silence;
}

static void a_channel_that_owes_nothing_is_never_silent(void **state)
{
    (void)state;
    uint64_t look_ns;
    assert_int_equal(judged((struct silence_sight){0}, &look_ns), SILENCE_NONE);
    assert_int_equal(look_ns, UINT64_MAX);
    assert_int_equal(judged((struct silence_sight){.heard_ns = 1, .rtt_ns = MS}, &look_ns), SILENCE_NONE);
    assert_int_equal(look_ns, UINT64_MAX);
}

static void a_request_alone_never_proves_silence(void **state)
{
    (void)state;
    uint64_t look_ns;
    for (uint64_t waits_ms = 250; waits_ms < 100000; waits_ms += 50)
        assert_int_equal(judged((struct silence_sight){.waits_ns = NOW - waits_ms * MS}, &look_ns),
                         SILENCE_LATE);
    assert_int_equal(judged((struct silence_sight){.waits_ns = NOW - 249 * MS}, &look_ns), SILENCE_NONE);
    assert_int_equal(look_ns, NOW + MS);
}

static void what_is_heard_meanwhile_puts_the_ping_off(void **state)
{
    (void)state;
    struct silence_sight sight = {.waits_ns = NOW - 5000 * MS, .heard_ns = NOW - 10 * MS};
    uint64_t look_ns;
    assert_int_equal(judged(sight, &look_ns), SILENCE_NONE);
    assert_int_equal(look_ns, NOW + 240 * MS);
}

static void a_ping_that_brings_nothing_proves_silence(void **state)
{
    (void)state;
    struct silence_sight sight = {.asked_ns = NOW - 749 * MS};
    uint64_t look_ns;
    assert_int_equal(judged(sight, &look_ns), SILENCE_NONE);
    assert_int_equal(look_ns, NOW + MS);
    sight.asked_ns -= MS;
    assert_int_equal(judged(sight, &look_ns), SILENCE_PROVEN);
    sight.waits_ns = NOW - 5000 * MS; /* no second ping meanwhile */
    assert_int_equal(judged(sight, &look_ns), SILENCE_PROVEN);
}

static void a_server_far_away_has_more_time(void **state)
{
    (void)state;
    struct silence_sight asked = {.asked_ns = NOW - 1799 * MS, .rtt_ns = 600 * MS};
    struct silence_sight waits = {.waits_ns = NOW - 1199 * MS, .rtt_ns = 600 * MS};
    uint64_t look_ns;
    assert_int_equal(judged(asked, &look_ns), SILENCE_NONE);
    assert_int_equal(look_ns, NOW + MS);
    assert_int_equal(judged(waits, &look_ns), SILENCE_NONE);
    assert_int_equal(look_ns, NOW + MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_channel_that_owes_nothing_is_never_silent),
        cmocka_unit_test(a_request_alone_never_proves_silence),
        cmocka_unit_test(what_is_heard_meanwhile_puts_the_ping_off),
        cmocka_unit_test(a_ping_that_brings_nothing_proves_silence),
        cmocka_unit_test(a_server_far_away_has_more_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
