/* The time as text, of any time that a clock may be set to. */
#include "common/clock.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* The bytes behind OUT stay as they are. */
static void assert_text(int64_t second, unsigned ms, const char *wanted)
{
    struct {
        char out[CLOCK_RFC3339_SIZE], behind[8];
    } room;
    memset(&room, '#', sizeof room);
    assert_string_equal(text_of(room.out, second, ms), wanted);
    assert_memory_equal(room.behind, "########", sizeof room.behind);
}

static void times_have_the_form_of_rfc_3339(void **state)
{
    (void)state;
    assert_text(0, 0, "1970-01-01T00:00:00.000Z");
    assert_text(0, 7, "1970-01-01T00:00:00.007Z"); /* of the same second */
    assert_text(1769860800, 123, "2026-01-31T12:00:00.123Z");
    assert_text(-1, 999, "1969-12-31T23:59:59.999Z");
    assert_text(LAST_SECOND, 999, "9999-12-31T23:59:59.999Z");
}

static void a_time_that_the_form_cannot_say_is_cut_to_its_last(void **state)
{
    (void)state;
    assert_text(LAST_SECOND + 1, 1, "9999-12-31T23:59:59.001Z");
    assert_text(INT64_MAX, 999, "9999-12-31T23:59:59.999Z");
    char out[CLOCK_RFC3339_SIZE];
    assert_true(strlen(text_of(out, INT64_MIN, 0)) < sizeof out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_have_the_form_of_rfc_3339),
        cmocka_unit_test(a_time_that_the_form_cannot_say_is_cut_to_its_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
