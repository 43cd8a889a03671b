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
#include "tests/lib/random_below.h"

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
    handover_init(&first, -1, before, false); /* sequence number 1 */
    handover_leave_epoch(&first, 700, 5);
    handover_leave_epoch(&first, 800, 6); /* 3, in the place of 1 */
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

enum { MOST = 3000, SLOT = 256 };

static struct handover_count found[MOST];
static size_t found_count;

static struct handover_count make_count(size_t place, uint64_t used)
{
    struct handover_count count;
    memset(&count, 0, sizeof count);
    snprintf(count.edge, sizeof count.edge, "%zu", place);
    count.used = used;
    count.start_s = 3 * used;
    count.missing = 5 * used;
    return count;
}

static void keep(const struct handover_count *count, void *user)
{
    size_t place = strtoul(count->edge, NULL, 10);
    (void)user;
    assert_true(place < MOST);
    assert_int_equal(found[place].used, 0);
    found[place] = *count;
    found_count++;
}

/* Of those that BEFORE holds; what they say stands in `found`. */
static size_t read_counts(void)
{
    struct handover reader;
    memset(found, 0, sizeof found);
    found_count = 0;
    handover_init(&reader, before, own, false);
    (void)handover_each_count(&reader, 0, SIZE_MAX, keep, NULL);
    return found_count;
}

static void counts_are_found_as_they_were_left_last(void **state)
{
    static uint64_t used[MOST];
    struct handover first;
    size_t there = 0;
    (void)state;
    memset(used, 0, sizeof used);
    handover_init(&first, -1, before, false);
    assert_int_equal(read_counts(), 0);
    for (uint64_t i = 1; i <= 4 * MOST; i++) {
        size_t place = random_below(i < MOST ? 100 : MOST);
        struct handover_count count = make_count(place, i);
        there += used[place] == 0;
        used[place] = i;
        assert_int_equal(handover_leave_count(&first, place, &count), 0);
        if (i % 1000 == 0)
            handover_leave_epoch(&first, i, i); /* beside it */
        if (i % 1000 > 1)
            continue;
        assert_int_equal(read_counts(), there);
        for (size_t j = 0; j < MOST; j++) {
            count = make_count(j, used[j]);
            if (used[j] != 0)
                assert_memory_equal(&found[j], &count, sizeof count);
        }
    }
    assert_true(lseek(before, 0, SEEK_END) <= (off_t)(2 * PAGE + MOST * SLOT));
}

/* Of the first COUNT, none is less than it was when it was read before. */
static void assert_counts_whole(const struct handover_count *last, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct handover_count whole = make_count(i, found[i].used);
        if (found[i].used != 0)
            assert_memory_equal(&found[i], &whole, sizeof whole);
        assert_true(found[i].used >= last[i].used);
    }
}

/* In parts of any size, as somebody reads who has other things to do. */
static void counts_are_found_in_parts(void **state)
{
    enum { SOME = 100 };
    struct handover first, reader;
    (void)state;
    handover_init(&first, -1, before, false);
    for (size_t i = 0; i < SOME; i++) {
        const struct handover_count count = make_count(i, i + 1);
        assert_int_equal(handover_leave_count(&first, i, &count), 0);
    }
    handover_init(&reader, before, own, false);
    for (size_t most = 1; most <= SOME + 20; most++) {
        size_t at = 0, looked = most;
        memset(found, 0, sizeof found);
        found_count = 0;
        for (; looked == most; at += looked) {
            looked = handover_each_count(&reader, at, most, keep, NULL);
            assert_true(looked <= most && at <= SOME);
        }
        assert_int_equal(at, SOME);
        assert_int_equal(found_count, SOME);
    }
}

/* Whoever reads while another writes sees each count whole, and never an older one; and whoever comes after a
 * writer was killed sees all that it has left. */
static void counts_are_whole_whenever_the_writer_is_killed(void **state)
{
    enum { SOME = 40 };
    static struct handover_count last[MOST];
    (void)state;
    for (unsigned life = 0; life < 20; life++) {
        assert_int_equal(ftruncate(before, 0), 0);
        memset(last, 0, sizeof last);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            struct handover writer;
            handover_init(&writer, -1, before, false);
            for (uint64_t turn = 1;; turn++)
                for (size_t i = 0; i < SOME; i++) {
                    const struct handover_count count = make_count(i, turn);
                    if (handover_leave_count(&writer, i, &count) != 0)
                        _exit(1);
                }
        }
        for (unsigned read = 0; read < 50;) {
            read += read_counts() == SOME;
            assert_counts_whole(last, SOME);
            memcpy(last, found, sizeof last);
        }
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_int_equal(read_counts(), SOME);
        assert_counts_whole(last, SOME);
        for (size_t i = 1; i < SOME; i++) /* in order: all of this one, or of the one before */
            assert_in_range(found[0].used - found[i].used, 0, 1);
    }
}

/* Beyond a limit of a file's size nothing is left, and what was left before stays. */
static void counts_beyond_the_limit_of_a_file_are_not_left(void **state)
{
    enum { SOME = 20 };
    struct handover first;
    struct rlimit limit, small;
    int results[SOME + 5];
    (void)state;
    handover_init(&first, -1, before, false);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    small = limit;
    small.rlim_cur = 2 * PAGE + SOME * SLOT + SLOT / 2;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (size_t i = 0; i < SOME + 5; i++) {
        const struct handover_count count = make_count(i, i + 1);
        results[i] = handover_leave_count(&first, i, &count);
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    for (size_t i = 0; i < SOME + 5; i++)
        assert_int_equal(results[i], i < SOME ? 0 : ERR_SYSTEM);
    assert_int_equal(read_counts(), SOME);
    for (size_t i = 0; i < SOME; i++)
        assert_int_equal(found[i].used, i + 1);
}

/* Whatever stands in the file, of whatever length it is: what was left there is found, and nothing else. */
static void what_is_no_count_is_not_taken(void **state)
{
    struct handover first;
    struct handover_count count = make_count(1, 1);
    uint8_t byte;
    (void)state;
    handover_init(&first, -1, before, false);
    for (size_t i = 1; i <= 3; i++) {
        count = make_count(i, i);
        assert_int_equal(handover_leave_count(&first, i, &count), 0);
    }
    for (off_t at = 2 * PAGE + 2 * SLOT; at < 2 * PAGE + 2 * SLOT + (off_t)sizeof count; at += 7) {
        assert_int_equal(pread(before, &byte, 1, at), 1);
        byte ^= 1;
        assert_int_equal(pwrite(before, &byte, 1, at), 1);
        assert_int_equal(read_counts(), 2);
        assert_int_equal(found[1].used, 1);
        assert_int_equal(found[3].used, 3);
        byte ^= 1;
        assert_int_equal(pwrite(before, &byte, 1, at), 1);
    }
    for (off_t size = 2 * PAGE + 4 * SLOT; size >= 0; size -= 100) {
        assert_int_equal(ftruncate(before, size), 0);
        off_t whole = size < 2 * PAGE ? 0 : (size - 2 * PAGE) / SLOT;
        assert_int_equal(read_counts(), whole > 1 ? whole - 1 : 0);
    }
}

static void note_lengths(const struct handover_count *count, void *user)
{
    *(size_t *)user += strlen(count->edge) + strlen(count->key);
}

static void names_of_counts_have_an_end(void **state)
{
    struct handover first, reader;
    struct handover_count count;
    size_t length = 0;
    (void)state;
    handover_init(&first, -1, before, false);
    memset(&count, 'x', sizeof count);
    assert_int_equal(handover_leave_count(&first, 0, &count), 0);
    handover_init(&reader, before, own, false);
    assert_int_equal(handover_each_count(&reader, 0, SIZE_MAX, note_lengths, &length), 1);
    assert_int_equal(length, sizeof count.edge + sizeof count.key - 2);
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
        TEST(counts_are_found_in_parts),
        TEST(counts_are_whole_whenever_the_writer_is_killed),
        TEST(counts_beyond_the_limit_of_a_file_are_not_left),
        TEST(what_is_no_count_is_not_taken),
        TEST(names_of_counts_have_an_end),
    };
    if (secret_init() != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
