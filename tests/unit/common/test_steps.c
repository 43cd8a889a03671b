/* A start ends at the first step that fails; a dry run tells of all that do not hang on one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "common/steps.h"

static char trace[64], said[256];

struct items {
    size_t count, bad; /* the item BAD fails */
};

static int note(char letter, int err, struct fault *fault)
{
    size_t length = strlen(trace);
    trace[length] = letter;
    return err != 0 ? fault_set(fault, err, "fault of %c", letter) : 0;
}

static int good(void *subject, struct fault *fault)
{
    (void)subject;
    return note('g', 0, fault);
}

static int bad(void *subject, struct fault *fault)
{
    (void)subject;
    return note('b', ERR_CONFIG, fault);
}

static int worse(void *subject, struct fault *fault)
{
    (void)subject;
    return note('w', ERR_MEMORY, fault);
}

static int one(void *subject, size_t item, struct fault *fault)
{
    const struct items *items = subject;
    return note((char)('0' + item), item == items->bad ? ERR_FORMAT : 0, fault);
}

static size_t count(const void *subject)
{
    const struct items *items = subject;
    return items->count;
}

static void say(const char *fault)
{
    size_t length = strlen(said);
    snprintf(said + length, sizeof said - length, "%s;", fault);
}

static int clear(void **state)
{
    (void)state;
    memset(trace, 0, sizeof trace);
    memset(said, 0, sizeof said);
    return 0;
}

static void a_start_ends_at_the_first_fault(void **state)
{
    const struct step steps[] = {{.once = good}, {.each = one, .count = count}, {.once = bad}};
    struct items items = {.count = 3, .bad = 1};
    struct fault fault = {.text = ""};
    (void)state;
    assert_int_equal(steps_start(steps, 3, &items, &fault), ERR_FORMAT);
    assert_string_equal(trace, "g01");
    assert_string_equal(fault.text, "fault of 1");
}

static void a_dry_run_tells_of_every_item(void **state)
{
    const struct step steps[] = {{.each = one, .count = count}, {.once = bad}, {.once = good}};
    struct items items = {.count = 3, .bad = 1};
    (void)state;
    assert_int_equal(steps_dry_run(steps, 3, &items, say), ERR_FORMAT); /* the first */
    assert_string_equal(trace, "012bg");
    assert_string_equal(said, "fault of 1;fault of b;");
}

static void what_needs_a_step_that_failed_is_left_out_and_so_is_what_needs_that(void **state)
{
    const struct step steps[] = {{.once = bad},
                                 {.once = worse, .needs = 1u << 0},
                                 {.once = worse, .needs = 1u << 1},
                                 {.once = good},
                                 {.once = good, .needs = 1u << 3}};
    (void)state;
    assert_int_equal(steps_dry_run(steps, 5, NULL, say), ERR_CONFIG);
    assert_string_equal(trace, "bgg");
    assert_string_equal(said, "fault of b;");
}

static void some_steps_are_of_one_kind_of_run_only(void **state)
{
    const struct step steps[] = {{.once = worse, .in = STEPS_DRY_RUN},
                                 {.once = bad, .in = STEPS_START},
                                 {.once = good, .needs = 1u << 1}};
    struct fault fault = {.text = ""};
    (void)state;
    assert_int_equal(steps_start(steps, 3, NULL, &fault), ERR_CONFIG);
    assert_string_equal(trace, "b");
    clear(NULL);
    assert_int_equal(steps_dry_run(steps, 3, NULL, say), ERR_MEMORY);
    assert_string_equal(trace, "wg");
}

static void when_all_is_good_nothing_is_said(void **state)
{
    const struct step steps[] = {{.once = good}, {.each = one, .count = count}};
    struct items items = {.count = 0, .bad = 9};
    struct fault fault = {.text = ""};
    (void)state;
    assert_int_equal(steps_dry_run(steps, 2, &items, say), 0);
    assert_int_equal(steps_start(steps, 2, &items, &fault), 0);
    assert_string_equal(trace, "gg");
    assert_string_equal(said, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_start_ends_at_the_first_fault, clear),
        cmocka_unit_test_setup(a_dry_run_tells_of_every_item, clear),
        cmocka_unit_test_setup(what_needs_a_step_that_failed_is_left_out_and_so_is_what_needs_that, clear),
        cmocka_unit_test_setup(some_steps_are_of_one_kind_of_run_only, clear),
        cmocka_unit_test_setup(when_all_is_good_nothing_is_said, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
