#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "common/log_ring.h"

static struct log_ring ring;
static char piece[LOG_PIECE_SIZE];

static int clear(void **state)
{
    (void)state;
    log_ring_clear(&ring);
    return 0;
}

static int put(const char *lines)
{
    return log_ring_put(&ring, lines, strlen(lines));
}

/* A line of LENGTH bytes, line end included, that begins with NUMBER. */
static const char *line_of(int number, size_t length)
{
    static char line[LOG_PIECE_SIZE + 1];
    memset(line, 'x', length);
    int head = snprintf(line, sizeof line, "%d ", number);
    line[head] = 'x';
    line[length - 1] = '\n';
    line[length] = 0;
    return line;
}

static void lines_come_out_in_order_and_together(void **state)
{
    (void)state;
    assert_int_equal(log_ring_take(&ring, piece), 0);
    assert_int_equal(put("one\n"), 0);
    assert_int_equal(put("two\nthree\n"), 0);
    assert_int_equal(log_ring_fill(&ring), 14);
    assert_int_equal(log_ring_take(&ring, piece), 14);
    assert_memory_equal(piece, "one\ntwo\nthree\n", 14);
    assert_int_equal(log_ring_take(&ring, piece), 0);
}

static void a_piece_ends_with_a_line(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(put(line_of(i, 2000)), 0);
    assert_int_equal(log_ring_take(&ring, piece), 4000);
    assert_int_equal(piece[3999], '\n');
    assert_int_equal(log_ring_take(&ring, piece), 2000);
    assert_int_equal(piece[0], '2');
}

static void the_longest_line_passes_and_a_longer_one_does_not(void **state)
{
    (void)state;
    assert_int_equal(put(line_of(1, LOG_PIECE_SIZE)), 0);
    assert_int_equal(log_ring_take(&ring, piece), LOG_PIECE_SIZE);
    assert_int_equal(log_ring_put(&ring, piece, LOG_PIECE_SIZE + 1), ERR_LENGTH);
    assert_int_equal(log_ring_fill(&ring), 0);
}

/* Lengths that fit the ring in no whole number: the seam lies everywhere in a line. */
static void lines_are_whole_across_the_seam(void **state)
{
    (void)state;
    for (int i = 0; i < 20000; i++) {
        size_t length = 20 + (size_t)(i * 7919) % (LOG_PIECE_SIZE - 20);
        const char *line = line_of(i, length);
        assert_int_equal(put(line), 0);
        assert_int_equal(log_ring_take(&ring, piece), length);
        assert_memory_equal(piece, line, length);
    }
}

static void a_full_ring_takes_nothing_until_a_quarter_is_free(void **state)
{
    (void)state;
    size_t taken = 0, count = 0;
    while (put(line_of((int)count, 1000)) == 0)
        count++;
    assert_in_range(LOG_RING_SIZE - log_ring_fill(&ring), 0, LOG_PIECE_SIZE - 1);
    assert_false(log_ring_has_room(&ring));
    while (LOG_RING_SIZE - log_ring_fill(&ring) < LOG_RING_SIZE / 4) {
        assert_int_equal(put("late\n"), ERR_BUSY);
        taken += log_ring_take(&ring, piece);
    }
    assert_true(log_ring_has_room(&ring));
    assert_int_equal(put("again\n"), 0);
    assert_int_equal(put("and again\n"), 0);
    size_t length;
    while ((length = log_ring_take(&ring, piece)) > 0)
        taken += length;
    assert_int_equal(taken, count * 1000 + 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(lines_come_out_in_order_and_together, clear),
        cmocka_unit_test_setup(a_piece_ends_with_a_line, clear),
        cmocka_unit_test_setup(the_longest_line_passes_and_a_longer_one_does_not, clear),
        cmocka_unit_test_setup(lines_are_whole_across_the_seam, clear),
        cmocka_unit_test_setup(a_full_ring_takes_nothing_until_a_quarter_is_free, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
