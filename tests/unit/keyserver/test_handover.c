/* What a vault leaves to the one that takes its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/secret.h"
#include "keyserver/rules/order.h"
#include "keyserver/vault/audit/handover.h"

#define PAGE 4096

static int before, own;

static int set_up(void **state)
{
    (void)state;
    before = order_memory();
    own = order_memory();
    return before < 0 || own < 0;
}

static int tear_down(void **state)
{
    (void)state;
    close(before);
    close(own);
    return 0;
}

static void with_nobody_before_nothing_is_known(void **state)
{
    struct handover handover, none;
    struct handover_state there;
    (void)state;
    handover_init(&handover, before, own, false);
    assert_int_equal(handover_epoch(&handover, 1000), 0);
    assert_int_equal(handover_read(before, &there), ERR_NOT_FOUND);
    handover_init(&none, -1, -1, false);
    handover_leave_epoch(&none, 5, 5);
    assert_int_equal(handover_epoch(&none, 1000), 0);
}

/* All vaults of a key server have one, and no other key server's have it. */
static void the_id_of_a_key_server_is_that_of_its_first_vault(void **state)
{
    static const uint8_t none[HANDOVER_ID_SIZE];
    struct handover first, second, third, other;
    int last = order_memory();
    (void)state;
    handover_init(&first, -1, before, false);
    handover_init(&second, before, own, false);
    handover_init(&third, own, last, false);
    assert_memory_not_equal(first.own.id, none, sizeof none);
    assert_memory_equal(second.own.id, first.own.id, sizeof none);
    assert_memory_equal(third.own.id, first.own.id, sizeof none);
    handover_init(&other, -1, last, false);
    assert_memory_not_equal(other.own.id, first.own.id, sizeof none);
    close(last);
}

/* Time goes on between two vaults. */
static void the_next_one_goes_on_where_the_last_one_was(void **state)
{
    struct handover first, second, third;
    int last = order_memory();
    (void)state;
    handover_init(&first, -1, before, false);
    for (uint64_t i = 0; i < 10; i++)
        handover_leave_epoch(&first, 700000 + i, 5000 + i);
    handover_init(&second, before, own, false);
    assert_int_equal(handover_epoch(&second, 5009), 700009);
    assert_int_equal(handover_epoch(&second, 6009), 701009);
    assert_int_equal(handover_epoch(&second, 4000), 700009);
    handover_init(&third, own, last, false); /* the second one died before it said anything */
    assert_int_equal(handover_epoch(&third, 6009), 701009);
    close(last);
}

static void a_half_of_a_page_is_not_taken(void **state)
{
    struct handover first, second;
    uint8_t byte;
    (void)state;
    handover_init(&first, -1, before, false); /* turn 1 */
    handover_leave_epoch(&first, 700, 5);
    handover_leave_epoch(&first, 800, 6); /* turn 3, in the place of turn 1 */
    assert_int_equal(pread(before, &byte, 1, PAGE + 8), 1);
    byte ^= 1;
    assert_int_equal(pwrite(before, &byte, 1, PAGE + 8), 1);
    handover_init(&second, before, own, false);
    assert_int_equal(handover_epoch(&second, 5), 700);
}

/* Whoever reads while another writes sees one whole state, and never an older one than before; and so does
 * who comes after a writer was killed. */
static void what_is_read_is_whole(void **state)
{
    (void)state;
    for (unsigned life = 0; life < 20; life++) {
        struct handover_state there, last = {.epoch_ms = 0};
        assert_int_equal(ftruncate(before, 0), 0);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            struct handover writer;
            handover_init(&writer, -1, before, false);
            for (uint64_t i = 1;; i++)
                handover_leave_epoch(&writer, i, 3 * i);
        }
        for (unsigned read = 0; read < 200;) {
            if (handover_read(before, &there) != 0)
                continue;
            assert_int_equal(there.mono_ms, 3 * there.epoch_ms);
            assert_true(there.epoch_ms >= last.epoch_ms);
            last = there;
            read++;
        }
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_int_equal(handover_read(before, &there), 0);
        assert_int_equal(there.mono_ms, 3 * there.epoch_ms);
        assert_true(there.epoch_ms >= last.epoch_ms);
    }
}

/* ---- counts ---- */

static void make_counts(struct handover_count *out, size_t count, uint64_t used)
{
    memset(out, 0, count * sizeof *out);
    for (size_t i = 0; i < count; i++) {
        out[i].used = used + i;
        snprintf(out[i].edge, sizeof out[i].edge, "edge%zu", i);
    }
}

/* Of those that read from BEFORE. */
static void assert_counts(const struct handover_count *expected, size_t count)
{
    struct handover reader;
    struct handover_count *found;
    size_t found_count;
    handover_init(&reader, before, own, false);
    assert_int_equal(handover_read_counts(&reader, &found, &found_count), 0);
    assert_int_equal(found_count, count);
    assert_memory_equal(found, expected, count * sizeof *found);
    free(found);
}

static void counts_are_found_as_they_were_left_last(void **state)
{
    enum { MOST = 3000 };
    static struct handover_count counts[MOST];
    static const size_t sizes[] = {1, 0, 7, MOST, 5, 5, 2000, 2001, 1, MOST, MOST, 0, 1};
    struct handover first;
    size_t sum = 0;
    (void)state;
    handover_init(&first, -1, before, false);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        make_counts(counts, sizes[i], 1000 * i);
        assert_int_equal(handover_leave_counts(&first, counts, sizes[i]), 0);
        assert_counts(counts, sizes[i]);
        sum += sizes[i];
    }
    assert_true(lseek(before, 0, SEEK_END) <= (off_t)(2 * PAGE + 3 * MOST * sizeof counts[0]));
    assert_true(sum > 4 * MOST);
}

/* Under a limit of a file's size that is enough for them; beyond it what was left before stays. */
static void counts_fit_a_small_file(void **state)
{
    enum { SOME = 20 };
    static struct handover_count counts[1000];
    struct handover first;
    struct rlimit limit, small;
    (void)state;
    handover_init(&first, -1, before, false);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    small = limit;
    small.rlim_cur = 2 * PAGE + 3 * SOME * sizeof counts[0];
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    make_counts(counts, SOME, 5);
    int fits = handover_leave_counts(&first, counts, SOME);
    int too_many = handover_leave_counts(&first, counts, 1000);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(fits, 0);
    assert_int_equal(too_many, ERR_SYSTEM);
    assert_counts(counts, SOME);
}

/* A number of counts that cannot be there is not believed. */
static void counts_beyond_the_file_are_none(void **state)
{
    struct handover first, reader;
    struct handover_count *found;
    size_t count;
    (void)state;
    handover_init(&first, -1, before, false);
    for (unsigned shift = 10; shift < 64; shift++) {
        first.own.counts = UINT64_C(1) << shift;
        first.own.counts_at = 2 * PAGE;
        handover_leave_epoch(&first, shift, shift);
        handover_init(&reader, before, own, false);
        assert_int_equal(handover_read_counts(&reader, &found, &count), ERR_NOT_FOUND);
        assert_null(found);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(with_nobody_before_nothing_is_known),
        TEST(the_id_of_a_key_server_is_that_of_its_first_vault),
        TEST(the_next_one_goes_on_where_the_last_one_was),
        TEST(a_half_of_a_page_is_not_taken),
        TEST(what_is_read_is_whole),
        TEST(counts_are_found_as_they_were_left_last),
        TEST(counts_fit_a_small_file),
        TEST(counts_beyond_the_file_are_none),
    };
    if (secret_init() != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
