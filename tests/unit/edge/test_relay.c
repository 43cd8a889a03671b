/* The relay between two scripted ends: order, back-pressure, half-close, cuts, fairness, memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edge/relay/relay.h"

/* An end of which a test says what it gives and takes. Bytes are a counter's, so that order shows. */
struct fake {
    size_t give; /* bytes it will still say */
    int after;   /* what reading returns when they are said */
    size_t take; /* bytes it will take before it returns `then` */
    int then;
    size_t chunk;     /* at most so many bytes a call; 0 = any */
    bool dries;       /* says it is dry after each read */
    uint8_t next_out; /* next byte it says */
    uint8_t next_in;  /* next byte it expects */
    size_t taken;
    int finish;   /* what finish returns */
    int finished; /* times it was asked */
    int reads;
};

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static int fake_read(void *user, uint8_t *into, size_t size, bool *dry)
{
    struct fake *fake = user;
    size_t n = least(least(size, fake->give), fake->chunk ? fake->chunk : size);

    fake->reads++;
    if (n == 0)
        return fake->after;
    for (size_t i = 0; i < n; i++)
        into[i] = fake->next_out++;
    fake->give -= n;
    *dry = fake->dries;
    return (int)n;
}

static int fake_write(void *user, const uint8_t *bytes, size_t length)
{
    struct fake *fake = user;
    size_t n = least(least(length, fake->take), fake->chunk ? fake->chunk : length);

    if (n == 0)
        return fake->then;
    for (size_t i = 0; i < n; i++)
        assert_int_equal(bytes[i], fake->next_in++);
    fake->take -= n;
    fake->taken += n;
    return (int)n;
}

static int fake_finish(void *user)
{
    struct fake *fake = user;

    fake->finished++;
    return fake->finish;
}

static const struct relay_end_type fake_type = {fake_read, fake_write, fake_finish};

struct bench {
    struct fake client, origin;
    struct relay relay;
    struct relay_scratch scratch;
    struct relay_step step;
};

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    struct fake idle = {.after = RELAY_WANT_READ, .take = SIZE_MAX, .then = RELAY_WANT_WRITE, .finish = 1};

    bench->client = bench->origin = idle;
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;

    relay_clear(&bench->relay);
    relay_scratch_clear(&bench->scratch);
    free(bench);
    return 0;
}

static struct relay_step *run_bench(struct bench *bench)
{
    const struct relay_end client = {&fake_type, &bench->client};
    const struct relay_end origin = {&fake_type, &bench->origin};

    relay_run(&bench->relay, &client, &origin, &bench->scratch, &bench->step);
    return &bench->step;
}

static void nothing_to_do_waits_for_both(void **state)
{
    struct bench *bench = *state;
    struct relay_step *step = run_bench(bench);

    assert_int_equal(step->client_events, RELAY_READABLE);
    assert_int_equal(step->origin_events, RELAY_READABLE);
    assert_false(step->again || step->done || step->client_cut || step->origin_cut);
    assert_null(bench->relay.flow[RELAY_TO_ORIGIN].bytes);
    assert_null(bench->relay.flow[RELAY_TO_CLIENT].bytes);
}

static void bytes_pass_both_ways_and_leave_no_buffer(void **state)
{
    struct bench *bench = *state;

    bench->client.give = 1000;
    bench->origin.give = 70000;
    struct relay_step *step = run_bench(bench);
    assert_int_equal(step->moved[RELAY_TO_ORIGIN], 1000);
    assert_int_equal(step->moved[RELAY_TO_CLIENT], 70000);
    assert_int_equal(bench->origin.taken, 1000);
    assert_int_equal(bench->client.taken, 70000);
    assert_null(bench->relay.flow[RELAY_TO_ORIGIN].bytes);
    assert_null(bench->relay.flow[RELAY_TO_CLIENT].bytes);
    assert_false(relay_pending(&bench->relay));
}

static void a_dry_source_is_not_asked_again(void **state)
{
    struct bench *bench = *state;

    bench->client.give = 10;
    bench->client.dries = true;
    struct relay_step *step = run_bench(bench);
    assert_int_equal(bench->client.reads, 1);
    assert_int_equal(step->moved[RELAY_TO_ORIGIN], 10);
    assert_int_equal(step->client_events, RELAY_READABLE);
}

static void a_full_sink_stops_the_reading(void **state)
{
    struct bench *bench = *state;

    bench->origin.give = 10 * RELAY_BUFFER_SIZE;
    bench->client.take = 100;
    struct relay_step *step = run_bench(bench);
    assert_int_equal(step->moved[RELAY_TO_CLIENT], 100);
    assert_int_equal(step->origin_events, 0);
    assert_int_equal(step->client_events, RELAY_READABLE | RELAY_WRITABLE);
    assert_int_equal(bench->origin.give, 9 * RELAY_BUFFER_SIZE);
    assert_true(relay_pending(&bench->relay));

    int reads = bench->origin.reads;
    run_bench(bench);
    assert_int_equal(bench->origin.reads, reads);
    bench->client.take = SIZE_MAX;
    while (run_bench(bench)->again)
        continue;
    assert_int_equal(bench->client.taken, 10 * RELAY_BUFFER_SIZE);
}

/* The trap of a source that says "want read" after it filled part of the buffer: it must not be polled while
 * nobody will read it. */
static void a_blocked_sink_silences_a_source_that_went_dry(void **state)
{
    struct bench *bench = *state;

    bench->client.give = 100;
    bench->origin.take = 10;
    struct relay_step *step = run_bench(bench);
    assert_int_equal(step->client_events, 0);
    assert_int_equal(step->origin_events, RELAY_READABLE | RELAY_WRITABLE);
}

static void small_pieces_arrive_whole(void **state)
{
    struct bench *bench = *state;

    bench->client.give = 5000;
    bench->client.chunk = 7;
    bench->origin.chunk = 3;
    while (bench->origin.taken < 5000)
        run_bench(bench);
    assert_int_equal(bench->origin.taken, 5000);
}

static void one_run_moves_no_more_than_its_share(void **state)
{
    struct bench *bench = *state;

    bench->origin.give = SIZE_MAX / 2;
    struct relay_step *step = run_bench(bench);
    assert_true(step->again);
    assert_int_equal(step->moved[RELAY_TO_CLIENT], RELAY_ROUNDS * RELAY_BUFFER_SIZE);
    assert_null(bench->relay.flow[RELAY_TO_CLIENT].bytes);
}

static void small_pieces_do_not_hold_a_run_for_long(void **state)
{
    struct bench *bench = *state;

    bench->client.give = SIZE_MAX / 2;
    bench->client.chunk = 1;
    struct relay_step *step = run_bench(bench);
    assert_true(step->again);
    assert_int_equal(bench->client.reads, RELAY_ROUNDS * RELAY_READS);
    assert_int_equal(step->moved[RELAY_TO_ORIGIN], RELAY_ROUNDS * RELAY_READS);
    assert_null(bench->relay.flow[RELAY_TO_ORIGIN].bytes);
}

static void client_ends_and_the_origin_goes_on(void **state)
{
    struct bench *bench = *state;

    bench->client.give = 10;
    bench->client.after = RELAY_ENDED;
    struct relay_step *step = run_bench(bench);
    assert_true(step->client_ended);
    assert_false(step->done);
    assert_int_equal(bench->origin.finished, 1);
    assert_int_equal(bench->origin.taken, 10);
    assert_int_equal(step->client_events, 0);

    bench->origin.give = 20;
    bench->origin.after = RELAY_ENDED;
    step = run_bench(bench);
    assert_int_equal(bench->client.taken, 20);
    assert_int_equal(bench->client.finished, 1);
    assert_int_equal(bench->origin.finished, 1);
    assert_true(step->done);
}

static void the_end_is_passed_on_after_the_bytes(void **state)
{
    struct bench *bench = *state;

    bench->origin.give = 100;
    bench->origin.after = RELAY_ENDED;
    bench->client.take = 60;
    run_bench(bench);
    assert_int_equal(bench->client.finished, 0);
    bench->client.take = 40;
    run_bench(bench);
    assert_int_equal(bench->client.finished, 1);
}

static void an_end_that_cannot_leave_yet_is_tried_again(void **state)
{
    struct bench *bench = *state;

    bench->origin.after = RELAY_ENDED;
    bench->client.finish = RELAY_WANT_WRITE;
    struct relay_step *step = run_bench(bench);
    assert_true(step->client_events & RELAY_WRITABLE);
    assert_false(bench->relay.flow[RELAY_TO_CLIENT].finished);
    bench->client.finish = 1;
    run_bench(bench);
    assert_true(bench->relay.flow[RELAY_TO_CLIENT].finished);
}

static void a_cut_client_is_reported_at_once(void **state)
{
    struct bench *bench = *state;

    bench->client.after = RELAY_CUT;
    assert_true(run_bench(bench)->client_cut);
    assert_int_equal(bench->origin.finished, 0);
}

static void a_client_that_takes_nothing_more_is_cut(void **state)
{
    struct bench *bench = *state;

    bench->origin.give = 10;
    bench->client.take = 0;
    bench->client.then = RELAY_CUT;
    assert_true(run_bench(bench)->client_cut);
}

static void a_cut_origin_is_reported_after_its_last_bytes(void **state)
{
    struct bench *bench = *state;

    bench->origin.give = 100;
    bench->origin.after = RELAY_CUT;
    bench->client.take = 50;
    assert_false(run_bench(bench)->origin_cut);
    bench->client.take = 50;
    assert_true(run_bench(bench)->origin_cut);
    assert_int_equal(bench->client.finished, 0);
}

/* An origin that answers early and takes no more: its answer still arrives, the rest of the upload does not
 * pile up. */
static void an_origin_that_stops_listening_may_still_answer(void **state)
{
    struct bench *bench = *state;

    bench->client.give = SIZE_MAX / 2;
    bench->origin.take = 10;
    bench->origin.then = RELAY_CUT;
    bench->origin.give = 30;
    struct relay_step *step = run_bench(bench);
    assert_false(step->client_cut || step->origin_cut || step->again);
    assert_int_equal(bench->client.taken, 30);
    assert_int_equal(step->client_events, 0);
    assert_null(bench->relay.flow[RELAY_TO_ORIGIN].bytes);

    bench->origin.after = RELAY_ENDED;
    run_bench(bench);
    assert_int_equal(bench->client.finished, 1);
    bench->client.give = 1000;
    bench->client.after = RELAY_ENDED;
    assert_true(run_bench(bench)->done);
    assert_int_equal(bench->client.give, 0);
    assert_int_equal(bench->origin.taken, 10);
}

static void a_dropped_origin_is_never_touched(void **state)
{
    struct bench *bench = *state;

    bench->client.give = 100;
    bench->origin.give = 100;
    relay_drop_origin(&bench->relay);
    struct relay_step *step = run_bench(bench);
    assert_int_equal(bench->origin.reads, 0);
    assert_int_equal(bench->origin.taken, 0);
    assert_int_equal(bench->origin.finished, 0);
    assert_int_equal(bench->client.finished, 1);
    assert_int_equal(step->client_events, RELAY_READABLE);
    assert_int_equal(step->origin_events, 0);
    bench->client.after = RELAY_ENDED;
    assert_true(run_bench(bench)->done);
}

static void reading_may_want_to_write(void **state)
{
    struct bench *bench = *state;

    bench->client.after = RELAY_WANT_WRITE;
    assert_int_equal(run_bench(bench)->client_events, RELAY_WRITABLE);
}

static void a_waiting_sink_does_not_hide_its_own_talking(void **state)
{
    struct bench *bench = *state;

    bench->origin.give = 100;
    bench->client.take = 0;
    bench->client.give = 10;
    bench->client.dries = true;
    struct relay_step *step = run_bench(bench);
    assert_int_equal(step->client_events, RELAY_READABLE | RELAY_WRITABLE);
    assert_int_equal(bench->origin.taken, 10);
}

static void sessions_lend_each_other_one_buffer(void **state)
{
    struct bench *bench = *state;

    bench->client.give = 10;
    run_bench(bench);
    uint8_t *lent = bench->scratch.bytes;
    assert_non_null(lent);
    bench->client.give = 10;
    run_bench(bench);
    assert_ptr_equal(bench->scratch.bytes, lent);
    bench->client.give = 10;
    bench->origin.take = 0;
    run_bench(bench);
    assert_ptr_equal(bench->scratch.bytes, lent);
    assert_non_null(bench->relay.flow[RELAY_TO_ORIGIN].bytes);
}

/* What waits is moved to memory of its own size, and nothing of it is lost. */
static void who_waits_keeps_what_it_needs(void **state)
{
    struct bench *bench = *state;
    const struct relay_flow *flow = &bench->relay.flow[RELAY_TO_CLIENT];

    bench->origin.give = 1000;
    bench->client.take = 300;
    run_bench(bench);
    assert_non_null(bench->scratch.bytes);
    assert_false(flow->whole);
    assert_int_equal(flow->start, 0);
    assert_int_equal(flow->end, 700);
    bench->client.take = 100;
    run_bench(bench);
    assert_int_equal(flow->start, 100); /* it is small enough already */
    bench->client.take = SIZE_MAX;
    run_bench(bench);
    assert_int_equal(bench->client.taken, 1000);
    assert_null(flow->bytes);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_to_do_waits_for_both),
        TEST(bytes_pass_both_ways_and_leave_no_buffer),
        TEST(a_dry_source_is_not_asked_again),
        TEST(a_full_sink_stops_the_reading),
        TEST(a_blocked_sink_silences_a_source_that_went_dry),
        TEST(small_pieces_arrive_whole),
        TEST(one_run_moves_no_more_than_its_share),
        TEST(small_pieces_do_not_hold_a_run_for_long),
        TEST(client_ends_and_the_origin_goes_on),
        TEST(the_end_is_passed_on_after_the_bytes),
        TEST(an_end_that_cannot_leave_yet_is_tried_again),
        TEST(a_cut_client_is_reported_at_once),
        TEST(a_client_that_takes_nothing_more_is_cut),
        TEST(a_cut_origin_is_reported_after_its_last_bytes),
        TEST(an_origin_that_stops_listening_may_still_answer),
        TEST(a_dropped_origin_is_never_touched),
        TEST(reading_may_want_to_write),
        TEST(a_waiting_sink_does_not_hide_its_own_talking),
        TEST(sessions_lend_each_other_one_buffer),
        TEST(who_waits_keeps_what_it_needs),
    };
    return cmocka_run_group_tests_name("relay", tests, NULL, NULL);
}
