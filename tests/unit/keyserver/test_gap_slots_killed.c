/* What vaults leave of uses that have no record, when one is killed or stopped in any write, or two take over
 * at a time: none of it is lost, and none counts twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/secret.h"
#include "tests/lib/random_below.h"
#include "tests/unit/keyserver/gap_rig.h"

enum { DEAD = 3, EACH = 5 };

/* Some vaults that lived at a time, have left something, and are gone. */
static void leave_dead(void)
{
    struct gap_vault vaults[DEAD];
    for (unsigned i = 0; i < DEAD; i++) {
        vaults[i] = gap_vault_start();
        gap_vault_add(&vaults[i], 70 + i, EACH, 1);
    }
    for (unsigned i = 0; i < DEAD; i++)
        gap_vault_end(&vaults[i], SIGKILL);
}

/* In each write of a takeover: before, in the midst, and after it. */
static void who_dies_taking_over_neither_loses_nor_doubles(void **state)
{
    bool died = true;
    (void)state;
    for (unsigned at = 1; died; at++) {
        died = false;
        for (unsigned when = 0; when < WHENS; when++) {
            struct gap_number number;
            assert_int_equal(ftruncate(gap_fd, 0), 0);
            leave_dead();
            struct gap_vault taker = gap_vault_start();
            gap_vault_tell(
                &taker, &(struct gap_order){.what = GATHER, .trap = {.at = at, .when = (enum gap_when)when}});
            bool whole = gap_vault_hear(&taker, &number);
            assert_true(!whole || number.unrecorded == DEAD * EACH);
            died = died || !whole;
            gap_vault_end(&taker, whole ? SIGKILL : 0);
            assert_number(gap_left(), 70, DEAD * EACH, DEAD);
        }
        assert_true(at < 100);
        assert_true(died || at > 2 * (DEAD - 1));
    }
}

/* The same of who comes after it, again and again: each dies one write later. */
static void who_dies_mending_neither_loses_nor_doubles(void **state)
{
    (void)state;
    for (unsigned when = 0; when < WHENS; when++)
        for (unsigned first = 1; first <= 2 * DEAD; first++)
            for (unsigned second = 1; second <= 2 * DEAD; second++) {
                const unsigned at[] = {first, second, 1};
                assert_int_equal(ftruncate(gap_fd, 0), 0);
                leave_dead();
                for (unsigned i = 0; i < 3; i++) {
                    struct gap_number number;
                    struct gap_vault taker = gap_vault_start();
                    gap_vault_tell(&taker,
                                   &(struct gap_order){.what = GATHER,
                                                       .trap = {.at = at[i], .when = (enum gap_when)when}});
                    (void)gap_vault_hear(&taker, &number);
                    gap_vault_end(&taker, SIGKILL);
                }
                assert_number(gap_left(), 70, DEAD * EACH, DEAD);
            }
}

/* What stands there is the number of before or the new one. */
static void who_dies_adding_leaves_one_whole_number(void **state)
{
    (void)state;
    for (unsigned when = 0; when < WHENS; when++)
        for (unsigned before = 0; before < 4; before++) {
            struct gap_order order = {
                .what = ADD, .number = {.unrecorded = 1}, .trap = {.at = 1, .when = (enum gap_when)when}};
            struct gap_number number;
            struct gap_vault vault = gap_vault_start();
            assert_int_equal(ftruncate(gap_fd, 0), 0);
            for (unsigned i = 0; i < before; i++)
                gap_vault_add(&vault, 0, 1, 0);
            gap_vault_tell(&vault, &order);
            assert_false(gap_vault_hear(&vault, &number));
            gap_vault_end(&vault, 0);
            assert_number(gap_left(), 0, before + (when == AFTER), 0);
        }
}

/* Two look at the same time: each number is one's, and no other's. */
static void two_at_once_share_what_is_left(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 30; round++) {
        struct gap_vault takers[2] = {gap_vault_start(), gap_vault_start()};
        struct gap_number numbers[2];
        uint64_t sum = 0;
        assert_int_equal(ftruncate(gap_fd, 0), 0);
        leave_dead();
        for (unsigned tries = 0; sum < DEAD * EACH && tries < 1000; tries++) {
            sum = 0;
            for (unsigned i = 0; i < 2; i++)
                gap_vault_tell(&takers[i], &(struct gap_order){.what = GATHER});
            for (unsigned i = 0; i < 2; i++) {
                assert_true(gap_vault_hear(&takers[i], &numbers[i]));
                sum += numbers[i].unrecorded;
            }
        }
        assert_int_equal(sum, DEAD * EACH);
        for (unsigned i = 0; i < 2; i++)
            gap_vault_end(&takers[i], SIGKILL);
        assert_number(gap_left(), 70, DEAD * EACH, DEAD);
    }
}

/* While one is in the midst of it, another takes nothing, and does not wait. */
static void one_at_a_time_takes_over(void **state)
{
    (void)state;
    for (unsigned at = 1; at <= 2 * (DEAD - 1); at++)
        for (unsigned when = 0; when < WHENS; when++) {
            const struct gap_order order = {.what = GATHER,
                                            .trap = {.at = at, .when = (enum gap_when)when, .stops = true}};
            struct gap_vault slow, other;
            struct gap_number number;
            int status;
            assert_int_equal(ftruncate(gap_fd, 0), 0);
            leave_dead();
            slow = gap_vault_start();
            other = gap_vault_start();
            gap_vault_tell(&slow, &order);
            assert_int_equal(waitpid(slow.pid, &status, WUNTRACED), slow.pid);
            assert_true(WIFSTOPPED(status));
            assert_number(gap_vault_gather(&other), 0, 0, 0);
            assert_int_equal(kill(slow.pid, SIGCONT), 0);
            assert_true(gap_vault_hear(&slow, &number));
            assert_number(number, 70, DEAD * EACH, DEAD);
            assert_number(gap_vault_gather(&other), 0, 0, 0);
            gap_vault_end(&slow, SIGKILL);
            assert_number(gap_vault_gather(&other), 70, DEAD * EACH, DEAD);
            gap_vault_end(&other, SIGKILL);
        }
}

/* Takers that are killed at any time, of which one may be taking over while another is killed. */
static void whoever_is_killed_whenever_the_number_stays(void **state)
{
    struct gap_vault takers[3];
    (void)state;
    leave_dead();
    for (unsigned i = 0; i < 3; i++)
        takers[i] = gap_vault_start();
    for (unsigned round = 0; round < 200; round++) {
        struct gap_vault *taker = &takers[random_below(3)];
        for (unsigned i = 0; i < 3; i++)
            gap_vault_tell(&takers[i], &(struct gap_order){.what = GATHER});
        nanosleep(&(struct timespec){.tv_nsec = (long)random_below(60000)}, NULL);
        gap_vault_end(taker, SIGKILL);
        *taker = gap_vault_start();
    }
    for (unsigned i = 0; i < 3; i++)
        gap_vault_end(&takers[i], SIGKILL);
    assert_number(gap_left(), 70, DEAD * EACH, DEAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_dies_taking_over_neither_loses_nor_doubles),
        TEST(who_dies_mending_neither_loses_nor_doubles),
        TEST(who_dies_adding_leaves_one_whole_number),
        TEST(two_at_once_share_what_is_left),
        TEST(one_at_a_time_takes_over),
        TEST(whoever_is_killed_whenever_the_number_stays),
    };
    signal(SIGPIPE, SIG_IGN);
    if (secret_init() != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
