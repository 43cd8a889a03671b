/* What vaults leave of uses that have no record, in whatever order they end: the next one has it, and it
 * counts once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <unistd.h>

#include "common/secret.h"
#include "tests/unit/keyserver/gap_rig.h"

static void without_a_file_nothing_is_shared(void **state)
{
    struct gap_slots slots;
    struct gap_number number = {.since_ms = 5, .unrecorded = 1};
    (void)state;
    gap_slots_init(&slots, -1);
    gap_slots_leave(&slots, &number);
    gap_slots_gather(&slots, &number);
    assert_number(number, 5, 1, 0);
}

static void what_a_vault_left_is_the_next_one_s_however_it_ended(void **state)
{
    (void)state;
    for (int how = 0; how <= SIGKILL; how += SIGKILL) {
        struct gap_vault vault = gap_vault_start();
        assert_number(gap_vault_gather(&vault), 0, 0, 0);
        gap_vault_add(&vault, 70, 3, 2);
        gap_vault_add(&vault, 80, 4, 0);
        gap_vault_end(&vault, how);
        assert_number(gap_left(), 70, 7, 2);
        assert_number(gap_left(), 70, 7, 2);
        assert_int_equal(ftruncate(gap_fd, 0), 0);
    }
}

/* The first is busy, the second comes and goes, the third has it all once the first ends. */
static void vaults_end_in_any_order(void **state)
{
    struct gap_vault first = gap_vault_start(), second, third;
    (void)state;
    gap_vault_add(&first, 70, 600, 0);
    second = gap_vault_start();
    gap_vault_add(&second, 80, 2, 0);
    third = gap_vault_start();
    assert_number(gap_vault_gather(&third), 0, 0, 0);
    gap_vault_end(&second, 0);
    assert_number(gap_vault_gather(&third), 80, 2, 0);
    gap_vault_add(&first, 70, 2, 5);
    assert_number(gap_vault_gather(&third), 80, 2, 0);
    gap_vault_end(&first, SIGKILL);
    assert_number(gap_vault_gather(&third), 70, 604, 5);
    assert_number(gap_vault_gather(&third), 70, 604, 5);
    gap_vault_end(&third, SIGKILL);
    assert_number(gap_left(), 70, 604, 5);
}

/* It serves on, and the new vault dies before anything was written. */
static void a_vault_that_comes_and_dies_takes_nothing_with_it(void **state)
{
    struct gap_vault first = gap_vault_start(), second;
    (void)state;
    gap_vault_add(&first, 70, 6, 0);
    second = gap_vault_start();
    gap_vault_end(&first, 0);
    assert_number(gap_vault_gather(&second), 70, 6, 0);
    gap_vault_end(&second, SIGKILL);
    second = gap_vault_start();
    gap_vault_end(&second, SIGKILL);
    assert_number(gap_left(), 70, 6, 0);
}

static void what_is_recorded_is_left_to_nobody(void **state)
{
    struct gap_slots slots;
    struct gap_number number = {.since_ms = 0};
    struct gap_vault first = gap_vault_start(), other = gap_vault_start();
    (void)state;
    gap_vault_add(&first, 70, 6, 0);
    gap_vault_end(&first, 0);
    gap_slots_init(&slots, gap_fd);
    gap_slots_gather(&slots, &number);
    assert_number(number, 70, 6, 0);
    number = (struct gap_number){.since_ms = 0};
    gap_slots_leave(&slots, &number);
    assert_number(gap_vault_gather(&other), 0, 0, 0);
    gap_vault_end(&other, 0);
    assert_number(gap_left(), 0, 0, 0);
}

/* A vault's own lock keeps it from others, also among as many as there are slots, and of one more nothing is
 * taken. */
static void every_vault_has_a_slot_of_its_own(void **state)
{
    struct gap_vault vaults[GAP_SLOTS + 1];
    (void)state;
    for (unsigned i = 0; i < GAP_SLOTS + 1; i++) {
        vaults[i] = gap_vault_start();
        gap_vault_add(&vaults[i], 100 + i, 1u << i, 0);
    }
    for (unsigned i = 0; i < GAP_SLOTS + 1; i++)
        assert_number(gap_vault_gather(&vaults[i]), 100 + i, 1u << i, 0);
    gap_vault_end(&vaults[0], SIGKILL);
    assert_number(gap_vault_gather(&vaults[GAP_SLOTS]), 100, (1u << GAP_SLOTS) + 1, 0);
    for (unsigned i = 1; i < GAP_SLOTS + 1; i++)
        gap_vault_end(&vaults[i], i % 2 != 0 ? SIGKILL : 0);
    assert_number(gap_left(), 100, (2u << GAP_SLOTS) - 1, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_a_file_nothing_is_shared),
        TEST(what_a_vault_left_is_the_next_one_s_however_it_ended),
        TEST(vaults_end_in_any_order),
        TEST(a_vault_that_comes_and_dies_takes_nothing_with_it),
        TEST(what_is_recorded_is_left_to_nobody),
        TEST(every_vault_has_a_slot_of_its_own),
    };
    signal(SIGPIPE, SIG_IGN);
    if (secret_init() != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
