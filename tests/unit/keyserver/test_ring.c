#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "keyserver/wall/ring.h"

struct sides {
    struct ring *ring;
    struct ring_producer producer;
    struct ring_consumer consumer;
};

/* A ring in which both sides are at POSITION. */
static void begin_at(struct sides *s, uint32_t position)
{
    memset(s->ring, 0, sizeof *s->ring);
    s->ring->put = s->ring->taken = position;
    s->producer = (struct ring_producer){s->ring, position, position, position};
    s->consumer = (struct ring_consumer){
        .ring = s->ring, .at = position, .released = position, .put = position};
}

static int set_up(void **state)
{
    static struct sides sides;
    sides.ring = aligned_alloc(RING_LINE, sizeof *sides.ring);
    assert_non_null(sides.ring);
    begin_at(&sides, 0);
    *state = &sides;
    return 0;
}

static int tear_down(void **state)
{
    struct sides *s = *state;
    free(s->ring);
    return 0;
}

static int put(struct sides *s, uint64_t number)
{
    int done = ring_put(&s->producer, &number, sizeof number, NULL, 0);
    assert_false(ring_publish(&s->producer));
    return done;
}

static uint64_t take_number(struct sides *s)
{
    uint64_t number;
    assert_true(ring_count(&s->consumer) > 0);
    assert_int_equal(ring_take(&s->consumer, &number, sizeof number), 0);
    assert_false(ring_release(&s->consumer));
    return number;
}

static void it_holds_its_slots_and_not_one_more(void **state)
{
    struct sides *s = *state;
    for (uint64_t i = 1; i <= RING_SLOTS; i++)
        assert_int_equal(put(s, i), 1);
    assert_int_equal(put(s, 0), 0);
    assert_int_equal(ring_count(&s->consumer), RING_SLOTS);
    assert_int_equal(take_number(s), 1);
    assert_int_equal(put(s, RING_SLOTS + 1), 1);
    assert_int_equal(put(s, 0), 0);
    for (uint64_t i = 2; i <= RING_SLOTS + 1; i++)
        assert_int_equal(take_number(s), i);
    assert_int_equal(ring_count(&s->consumer), 0);
}

static void positions_wrap(void **state)
{
    struct sides *s = *state;
    begin_at(s, UINT32_MAX - 3 * RING_SLOTS / 2);
    for (uint64_t i = 1; i < 4 * RING_SLOTS; i++) {
        assert_int_equal(put(s, i), 1);
        assert_int_equal(put(s, ~i), 1);
        assert_int_equal(take_number(s), i);
        assert_int_equal(take_number(s), ~i);
    }
}

static void what_is_not_published_is_not_there(void **state)
{
    struct sides *s = *state;
    static const uint8_t content[RING_CONTENT_MAX];
    assert_int_equal(ring_put(&s->producer, content, sizeof content, content, sizeof content), 1);
    assert_int_equal(ring_count(&s->consumer), 0);
    assert_true(ring_sleep_for_slots(&s->consumer));
    assert_true(ring_publish(&s->producer));
    assert_false(ring_publish(&s->producer)); /* nothing new */
    assert_int_equal(ring_count(&s->consumer), 2);
}

static void more_bytes_than_a_slot_go_in_the_next_ones_round_the_end(void **state)
{
    struct sides *s = *state;
    static uint8_t more[40 * RING_SLOT_SIZE], out[sizeof more + 1];
    static const size_t lengths[] = {1, RING_SLOT_SIZE - 1, RING_SLOT_SIZE, RING_SLOT_SIZE + 1, sizeof more};
    for (size_t i = 0; i < sizeof more; i++)
        more[i] = (uint8_t)(i * 7 + i / 256);
    for (uint64_t round = 0; round < 5 * RING_SLOTS; round++) {
        size_t length = lengths[round % 5];
        assert_int_equal(ring_put(&s->producer, &round, sizeof round, more, length), 1);
        assert_false(ring_publish(&s->producer));
        assert_int_equal(take_number(s), round);
        memset(out, 0, sizeof out);
        assert_int_equal(ring_take_more(&s->consumer, out, length), 0);
        assert_false(ring_release(&s->consumer));
        assert_memory_equal(out, more, length);
        assert_int_equal(out[length], 0);
        assert_int_equal(ring_count(&s->consumer), 0);
    }
}

static void more_than_came_is_not_taken(void **state)
{
    struct sides *s = *state;
    static uint8_t out[2 * RING_SLOT_SIZE + 1];
    uint64_t number = 5;
    assert_int_equal(ring_put(&s->producer, &number, sizeof number, out, 2 * RING_SLOT_SIZE), 1);
    assert_false(ring_publish(&s->producer));
    assert_int_equal(take_number(s), 5);
    assert_int_equal(ring_take_more(&s->consumer, out, 2 * RING_SLOT_SIZE + 1), ERR_FORMAT);
    assert_int_equal(ring_count(&s->consumer), 2);
    assert_int_equal(ring_take_more(&s->consumer, out, 2 * RING_SLOT_SIZE), 0);
    assert_int_equal(ring_take_more(&s->consumer, out, 1), ERR_FORMAT);
}

static void a_slot_too_long_or_of_another_time_is_none(void **state)
{
    struct sides *s = *state;
    struct ring_slot *slot = s->ring->slot;
    uint64_t number;
    for (uint64_t i = 0; i < 8; i++)
        assert_int_equal(put(s, i), 1);
    assert_int_equal(ring_count(&s->consumer), 8);
    slot[0].length = sizeof number + 1;
    slot[1].length = UINT32_MAX;
    slot[2].sequence++;
    slot[3].sequence = 0;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(ring_take(&s->consumer, &number, sizeof number), ERR_FORMAT);
        assert_int_equal(ring_take(&s->consumer, &number, sizeof number),
                         ERR_FORMAT); /* still the next one */
        ring_skip(&s->consumer);
    }
    assert_int_equal(take_number(s), 4);
    slot[5].length = 0; /* zeros take the place of what is not there */
    assert_int_equal(take_number(s), 0);
    assert_int_equal(take_number(s), 6);
}

static void a_producer_that_jumps_or_goes_back_is_caught(void **state)
{
    struct sides *s = *state;
    static const uint32_t starts[] = {0, 1000, UINT32_MAX - 2};
    static const int32_t wrong[] = {-1, -3, INT32_MIN, INT32_MAX, RING_SLOTS - 4 + 1, RING_SLOTS};
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++)
        for (size_t j = 0; j < sizeof wrong / sizeof wrong[0]; j++) {
            begin_at(s, starts[i]);
            for (uint64_t n = 0; n < 4; n++)
                assert_int_equal(put(s, n), 1);
            assert_int_equal(ring_count(&s->consumer), 4); /* four are taken, none is given back */
            s->consumer.at += 4;
            s->ring->put += (uint32_t)wrong[j];
            assert_int_equal(ring_count(&s->consumer), ERR_FORMAT);
            assert_false(ring_sleep_for_slots(&s->consumer));
        }
}

static void a_consumer_that_jumps_or_goes_back_is_caught(void **state)
{
    struct sides *s = *state;
    static const uint32_t starts[] = {0, 1000, UINT32_MAX - 2};
    static const int32_t wrong[] = {-1, INT32_MIN, INT32_MAX, RING_SLOTS + 1, -RING_SLOTS};
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++)
        for (size_t j = 0; j < sizeof wrong / sizeof wrong[0]; j++) {
            begin_at(s, starts[i]);
            for (uint64_t n = 0; n < RING_SLOTS; n++)
                assert_int_equal(put(s, n), 1);
            s->ring->taken += (uint32_t)wrong[j];
            assert_int_equal(put(s, 0), ERR_FORMAT);
            assert_false(ring_sleep_for_room(&s->producer));
        }
}

/* ---- sleep ---- */

static void a_sleeper_is_named_once(void **state)
{
    struct sides *s = *state;
    uint64_t number = 1;
    assert_true(ring_sleep_for_slots(&s->consumer));
    assert_int_equal(ring_put(&s->producer, &number, sizeof number, NULL, 0), 1);
    assert_true(ring_publish(&s->producer));
    assert_int_equal(put(s, 2), 1); /* asserts that nobody sleeps */
    assert_false(ring_sleep_for_slots(&s->consumer));
    ring_awake(&s->consumer);
    assert_int_equal(put(s, 3), 1);
}

static void an_early_riser_is_not_woken(void **state)
{
    struct sides *s = *state;
    assert_true(ring_sleep_for_slots(&s->consumer));
    ring_awake(&s->consumer);
    assert_int_equal(put(s, 1), 1);
}

static void room_is_half_of_the_ring(void **state)
{
    struct sides *s = *state;
    uint64_t number;
    assert_false(ring_sleep_for_room(&s->producer));
    for (uint64_t i = 0; i <= RING_SLOTS / 2; i++)
        assert_int_equal(put(s, i), 1);
    assert_true(ring_sleep_for_room(&s->producer));
    assert_int_equal(ring_count(&s->consumer), RING_SLOTS / 2 + 1);
    assert_false(ring_release(&s->consumer)); /* nothing is given back */
    assert_int_equal(ring_take(&s->consumer, &number, sizeof number), 0);
    assert_true(ring_release(&s->consumer));
    assert_false(ring_release(&s->consumer));
    assert_false(ring_sleep_for_room(&s->producer));
}

static void a_secret_is_wiped_where_it_lay(void **state)
{
    struct sides *s = *state;
    for (uint64_t i = 0; i < 2; i++)
        assert_int_equal(put(s, UINT64_MAX), 1);
    (void)take_number(s);
    s->consumer.secret = true;
    (void)take_number(s);
    assert_int_equal(s->ring->slot[0].content[7], 0xff);
    assert_int_equal(s->ring->slot[1].content[7], 0);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(it_holds_its_slots_and_not_one_more),
        TEST(positions_wrap),
        TEST(what_is_not_published_is_not_there),
        TEST(more_bytes_than_a_slot_go_in_the_next_ones_round_the_end),
        TEST(more_than_came_is_not_taken),
        TEST(a_slot_too_long_or_of_another_time_is_none),
        TEST(a_producer_that_jumps_or_goes_back_is_caught),
        TEST(a_consumer_that_jumps_or_goes_back_is_caught),
        TEST(a_sleeper_is_named_once),
        TEST(an_early_riser_is_not_woken),
        TEST(room_is_half_of_the_ring),
        TEST(a_secret_is_wiped_where_it_lay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
