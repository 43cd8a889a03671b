/* What vaults leave of uses that have no record: none of it ends with a vault, and none of it counts twice.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/secret.h"
#include "keyserver/rules/order.h"
#include "keyserver/vault/audit/gap_slots.h"
#include "tests/lib/random_below.h"

static int fd;

static int set_up(void **state)
{
    (void)state;
    fd = order_memory();
    return fd < 0;
}

static int tear_down(void **state)
{
    (void)state;
    close(fd);
    return 0;
}

/* ---- a process that ends or stops in a write ---- */

enum when { BEFORE, WITHIN, AFTER, WHENS };

struct trap {
    unsigned at; /* in this write, counted from 1; 0: in none */
    enum when when;
    bool stops; /* until it is told to go on; otherwise it ends */
};

static struct trap trap;

static void fall(enum when when)
{
    if (trap.at != 1 || trap.when != when)
        return;
    if (!trap.stops)
        _exit(7);
    (void)raise(SIGSTOP);
}

/* In the place of the C library's, for this program. */
ssize_t pwrite(int to, const void *bytes, size_t length, off_t at)
{
    ssize_t n = 0;
    fall(BEFORE);
    if (trap.at == 1 && trap.when == WITHIN)
        (void)!syscall(SYS_pwrite64, to, bytes, length / 2, at);
    fall(WITHIN);
    n = syscall(SYS_pwrite64, to, bytes, length, at);
    fall(AFTER);
    trap.at -= trap.at > 0;
    return n;
}

/* ---- vaults ---- */

/* A vault in a process of its own, which does what it is told. */
struct vault {
    pid_t pid;
    int to, from; /* the ends of its pipes */
};

struct order {
    enum { GATHER, ADD, END } what;
    struct gap_number number; /* to add */
    struct trap trap;
};

static _Noreturn void live(int in, int out)
{
    struct gap_slots slots;
    struct gap_number number = {.since_ms = 0};
    struct order order;
    gap_slots_init(&slots, fd);
    while (read(in, &order, sizeof order) == (ssize_t)sizeof order && order.what != END) {
        trap = order.trap;
        if (order.what == ADD) {
            if (gap_number_is_empty(&number))
                number.since_ms = order.number.since_ms;
            number.unrecorded += order.number.unrecorded;
            number.withheld += order.number.withheld;
            gap_slots_leave(&slots, &number);
        } else
            gap_slots_gather(&slots, &number);
        if (write(out, &number, sizeof number) != (ssize_t)sizeof number)
            break;
    }
    _exit(0);
}

static struct vault start(void)
{
    int to[2], from[2];
    assert_int_equal(pipe2(to, O_CLOEXEC), 0);
    assert_int_equal(pipe2(from, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(to[1]);
        close(from[0]);
        live(to[0], from[1]);
    }
    close(to[0]);
    close(from[1]);
    return (struct vault){.pid = pid, .to = to[1], .from = from[0]};
}

static void tell(const struct vault *vault, const struct order *order)
{
    assert_int_equal(write(vault->to, order, sizeof *order), sizeof *order);
}

/* False: it has died of the order. */
static bool hear(const struct vault *vault, struct gap_number *out)
{
    ssize_t n = read(vault->from, out, sizeof *out);
    assert_true(n == 0 || n == (ssize_t)sizeof *out);
    return n > 0;
}

static struct gap_number gather(const struct vault *vault)
{
    struct gap_number number;
    tell(vault, &(struct order){.what = GATHER});
    assert_true(hear(vault, &number));
    return number;
}

static void add(const struct vault *vault, uint64_t since_ms, uint64_t unrecorded, uint64_t withheld)
{
    struct order order = {.what = ADD,
                          .number = {.since_ms = since_ms, .unrecorded = unrecorded, .withheld = withheld}};
    struct gap_number number;
    tell(vault, &order);
    assert_true(hear(vault, &number));
}

static void end(struct vault *vault, int how)
{
    const struct order last = {.what = END};
    if (how != 0)
        assert_int_equal(kill(vault->pid, how), 0);
    else
        (void)!write(vault->to, &last, sizeof last); /* it may have died */
    close(vault->to);
    assert_int_equal(waitpid(vault->pid, NULL, 0), vault->pid);
    close(vault->from);
}

static void assert_number(struct gap_number number, uint64_t since_ms, uint64_t unrecorded, uint64_t withheld)
{
    assert_int_equal(number.unrecorded, unrecorded);
    assert_int_equal(number.withheld, withheld);
    assert_int_equal(number.since_ms, since_ms);
}

/* All that is left, once no vault lives: a new one takes it over, and is ended without having it recorded. */
static struct gap_number left(void)
{
    struct vault last = start();
    struct gap_number number = gather(&last);
    end(&last, SIGKILL);
    return number;
}

/* ---- tests ---- */

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
        struct vault vault = start();
        assert_number(gather(&vault), 0, 0, 0);
        add(&vault, 70, 3, 2);
        add(&vault, 80, 4, 0);
        end(&vault, how);
        assert_number(left(), 70, 7, 2);
        assert_number(left(), 70, 7, 2);
        assert_int_equal(ftruncate(fd, 0), 0);
    }
}

/* The first is busy, the second comes and goes, the third has it all once the first ends. */
static void vaults_end_in_any_order(void **state)
{
    struct vault first = start(), second, third;
    (void)state;
    add(&first, 70, 600, 0);
    second = start();
    add(&second, 80, 2, 0);
    third = start();
    assert_number(gather(&third), 0, 0, 0);
    end(&second, 0);
    assert_number(gather(&third), 80, 2, 0);
    add(&first, 70, 2, 5);
    assert_number(gather(&third), 80, 2, 0);
    end(&first, SIGKILL);
    assert_number(gather(&third), 70, 604, 5);
    assert_number(gather(&third), 70, 604, 5);
    end(&third, SIGKILL);
    assert_number(left(), 70, 604, 5);
}

/* It serves on, and the new vault dies before anything was written. */
static void a_vault_that_comes_and_dies_takes_nothing_with_it(void **state)
{
    struct vault first = start(), second;
    (void)state;
    add(&first, 70, 6, 0);
    second = start();
    end(&first, 0);
    assert_number(gather(&second), 70, 6, 0);
    end(&second, SIGKILL);
    second = start();
    end(&second, SIGKILL);
    assert_number(left(), 70, 6, 0);
}

static void what_is_recorded_is_left_to_nobody(void **state)
{
    struct gap_slots slots;
    struct gap_number number = {.since_ms = 0};
    struct vault first = start(), other = start();
    (void)state;
    add(&first, 70, 6, 0);
    end(&first, 0);
    gap_slots_init(&slots, fd);
    gap_slots_gather(&slots, &number);
    assert_number(number, 70, 6, 0);
    number = (struct gap_number){.since_ms = 0};
    gap_slots_leave(&slots, &number);
    assert_number(gather(&other), 0, 0, 0);
    end(&other, 0);
    assert_number(left(), 0, 0, 0);
}

/* A vault's own lock keeps it from others, also among as many as there are slots, and of one more nothing is
 * taken. */
static void every_vault_has_a_slot_of_its_own(void **state)
{
    struct vault vaults[GAP_SLOTS + 1];
    (void)state;
    for (unsigned i = 0; i < GAP_SLOTS + 1; i++) {
        vaults[i] = start();
        add(&vaults[i], 100 + i, 1u << i, 0);
    }
    for (unsigned i = 0; i < GAP_SLOTS + 1; i++)
        assert_number(gather(&vaults[i]), 100 + i, 1u << i, 0);
    end(&vaults[0], SIGKILL);
    assert_number(gather(&vaults[GAP_SLOTS]), 100, (1u << GAP_SLOTS) + 1, 0);
    for (unsigned i = 1; i < GAP_SLOTS + 1; i++)
        end(&vaults[i], i % 2 != 0 ? SIGKILL : 0);
    assert_number(left(), 100, (2u << GAP_SLOTS) - 1, 0);
}

enum { DEAD = 3, EACH = 5 };

/* Some vaults that lived at a time, have left something, and are gone. */
static void leave_dead(void)
{
    struct vault vaults[DEAD];
    for (unsigned i = 0; i < DEAD; i++) {
        vaults[i] = start();
        add(&vaults[i], 70 + i, EACH, 1);
    }
    for (unsigned i = 0; i < DEAD; i++)
        end(&vaults[i], SIGKILL);
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
            assert_int_equal(ftruncate(fd, 0), 0);
            leave_dead();
            struct vault taker = start();
            tell(&taker, &(struct order){.what = GATHER, .trap = {.at = at, .when = (enum when)when}});
            bool whole = hear(&taker, &number);
            assert_true(!whole || number.unrecorded == DEAD * EACH);
            died = died || !whole;
            end(&taker, whole ? SIGKILL : 0);
            assert_number(left(), 70, DEAD * EACH, DEAD);
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
                assert_int_equal(ftruncate(fd, 0), 0);
                leave_dead();
                for (unsigned i = 0; i < 3; i++) {
                    struct gap_number number;
                    struct vault taker = start();
                    tell(&taker,
                         &(struct order){.what = GATHER, .trap = {.at = at[i], .when = (enum when)when}});
                    (void)hear(&taker, &number);
                    end(&taker, SIGKILL);
                }
                assert_number(left(), 70, DEAD * EACH, DEAD);
            }
}

/* What stands there is the number of before or the new one. */
static void who_dies_adding_leaves_one_whole_number(void **state)
{
    (void)state;
    for (unsigned when = 0; when < WHENS; when++)
        for (unsigned before = 0; before < 4; before++) {
            struct order order = {
                .what = ADD, .number = {.unrecorded = 1}, .trap = {.at = 1, .when = (enum when)when}};
            struct gap_number number;
            struct vault vault = start();
            assert_int_equal(ftruncate(fd, 0), 0);
            for (unsigned i = 0; i < before; i++)
                add(&vault, 0, 1, 0);
            tell(&vault, &order);
            assert_false(hear(&vault, &number));
            end(&vault, 0);
            assert_number(left(), 0, before + (when == AFTER), 0);
        }
}

/* Two look at the same time: each number is one's, and no other's. */
static void two_at_once_share_what_is_left(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 30; round++) {
        struct vault takers[2] = {start(), start()};
        struct gap_number numbers[2];
        uint64_t sum = 0;
        assert_int_equal(ftruncate(fd, 0), 0);
        leave_dead();
        for (unsigned tries = 0; sum < DEAD * EACH && tries < 1000; tries++) {
            sum = 0;
            for (unsigned i = 0; i < 2; i++)
                tell(&takers[i], &(struct order){.what = GATHER});
            for (unsigned i = 0; i < 2; i++) {
                assert_true(hear(&takers[i], &numbers[i]));
                sum += numbers[i].unrecorded;
            }
        }
        assert_int_equal(sum, DEAD * EACH);
        for (unsigned i = 0; i < 2; i++)
            end(&takers[i], SIGKILL);
        assert_number(left(), 70, DEAD * EACH, DEAD);
    }
}

/* While one is in the midst of it, another takes nothing, and does not wait. */
static void one_at_a_time_takes_over(void **state)
{
    (void)state;
    for (unsigned at = 1; at <= 2 * (DEAD - 1); at++)
        for (unsigned when = 0; when < WHENS; when++) {
            const struct order order = {.what = GATHER,
                                        .trap = {.at = at, .when = (enum when)when, .stops = true}};
            struct vault slow, other;
            struct gap_number number;
            int status;
            assert_int_equal(ftruncate(fd, 0), 0);
            leave_dead();
            slow = start();
            other = start();
            tell(&slow, &order);
            assert_int_equal(waitpid(slow.pid, &status, WUNTRACED), slow.pid);
            assert_true(WIFSTOPPED(status));
            assert_number(gather(&other), 0, 0, 0);
            assert_int_equal(kill(slow.pid, SIGCONT), 0);
            assert_true(hear(&slow, &number));
            assert_number(number, 70, DEAD * EACH, DEAD);
            assert_number(gather(&other), 0, 0, 0);
            end(&slow, SIGKILL);
            assert_number(gather(&other), 70, DEAD * EACH, DEAD);
            end(&other, SIGKILL);
        }
}

/* Takers that are killed at any time, of which one may be taking over while another is killed. */
static void whoever_is_killed_whenever_the_number_stays(void **state)
{
    struct vault takers[3];
    (void)state;
    leave_dead();
    for (unsigned i = 0; i < 3; i++)
        takers[i] = start();
    for (unsigned round = 0; round < 200; round++) {
        struct vault *taker = &takers[random_below(3)];
        for (unsigned i = 0; i < 3; i++)
            tell(&takers[i], &(struct order){.what = GATHER});
        nanosleep(&(struct timespec){.tv_nsec = (long)random_below(60000)}, NULL);
        end(taker, SIGKILL);
        *taker = start();
    }
    for (unsigned i = 0; i < 3; i++)
        end(&takers[i], SIGKILL);
    assert_number(left(), 70, DEAD * EACH, DEAD);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_a_file_nothing_is_shared),
        TEST(what_a_vault_left_is_the_next_one_s_however_it_ended),
        TEST(vaults_end_in_any_order),
        TEST(a_vault_that_comes_and_dies_takes_nothing_with_it),
        TEST(what_is_recorded_is_left_to_nobody),
        TEST(every_vault_has_a_slot_of_its_own),
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
