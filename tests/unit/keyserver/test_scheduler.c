#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "keyserver/vault/compute/scheduler.h"
#include "keyserver/vault/keys/keystore.h"

#define EDGES 3
#define JOBS  64

static struct key keys[BATCH_CLASSES];
static const struct authorized_edge edges[EDGES] = {{.index = 0}, {.index = 1}, {.index = 2}};
static struct job jobs[JOBS];
static size_t used;
static struct scheduler scheduler;

static int set_up(void **state)
{
    (void)state;
    used = 0;
    memset(jobs, 0, sizeof jobs);
    for (size_t i = 0; i < BATCH_CLASSES; i++)
        keys[i].class = (enum batch_class)i;
    return scheduler_init(&scheduler, EDGES);
}

static int tear_down(void **state)
{
    (void)state;
    scheduler_clear(&scheduler);
    return 0;
}

static void put(size_t edge, enum batch_class work, uint64_t token)
{
    struct job *job = &jobs[used++];
    job->token = token;
    job->identity.edge = &edges[edge];
    job->identity.key = &keys[work];
    scheduler_put(&scheduler, job);
}

static void put_many(size_t edge, enum batch_class work, uint64_t token, size_t count)
{
    for (size_t i = 0; i < count; i++)
        put(edge, work, token + i);
}

/* Takes, and expects these tokens. */
static void expect(unsigned kinds, const uint64_t *tokens, size_t count)
{
    struct job *out[BATCH_MAX];
    assert_int_equal(scheduler_take(&scheduler, out, kinds), count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(out[i]->token, tokens[i]);
}
#define EXPECT(kinds, ...)                                                                                   \
    expect(kinds, (const uint64_t[]){__VA_ARGS__}, sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

static void nothing_is_taken_where_nothing_waits(void **state)
{
    (void)state;
    expect(BATCH_ALL, NULL, 0);
    expect(BATCH_QUICK, NULL, 0);
    assert_false(scheduler_has(&scheduler, BATCH_ALL));
    put(0, BATCH_RSA_2048, 1);
    assert_true(scheduler_has(&scheduler, BATCH_ALL));
    assert_false(scheduler_has(&scheduler, BATCH_QUICK));
    expect(BATCH_QUICK, NULL, 0);
    EXPECT(BATCH_ALL, 1);
    assert_false(scheduler_has(&scheduler, BATCH_ALL));
}

static void one_kind_is_taken_together_edges_in_turn(void **state)
{
    (void)state;
    scheduler.batch[BATCH_P256] = (struct batch_size){2, 5, 0};
    put_many(0, BATCH_P256, 10, 6);
    put(1, BATCH_P256, 20);
    put(2, BATCH_P384, 30);
    EXPECT(BATCH_ALL, 10, 20, 11, 12, 13);
    EXPECT(BATCH_ALL, 30);
    EXPECT(BATCH_ALL, 14, 15);
}

static void below_the_least_they_are_taken_alone(void **state)
{
    (void)state;
    scheduler.batch[BATCH_RSA_2048] = (struct batch_size){5, 8, 0};
    put_many(0, BATCH_RSA_2048, 1, 9);
    EXPECT(BATCH_ALL, 1, 2, 3, 4, 5, 6, 7, 8);
    put_many(0, BATCH_RSA_2048, 10, 3);
    EXPECT(BATCH_ALL, 9);
    EXPECT(BATCH_ALL, 10);
    put_many(0, BATCH_RSA_2048, 13, 3);
    EXPECT(BATCH_ALL, 11, 12, 13, 14, 15);
}

static void what_is_above_a_step_is_left_for_the_next_batch(void **state)
{
    (void)state;
    scheduler.batch[BATCH_RSA_2048] = (struct batch_size){2, 8, 4};
    put_many(0, BATCH_RSA_2048, 1, 7);
    EXPECT(BATCH_ALL, 1, 2, 3, 4);
    put_many(0, BATCH_RSA_2048, 8, 1);
    EXPECT(BATCH_ALL, 5, 6, 7, 8);
    put_many(0, BATCH_RSA_2048, 9, 11);
    EXPECT(BATCH_ALL, 9, 10, 11, 12, 13, 14, 15, 16);
    EXPECT(BATCH_ALL, 17, 18, 19);
}

static void kinds_take_turns(void **state)
{
    (void)state;
    put_many(0, BATCH_RSA_2048, 1, 2);
    put_many(0, BATCH_RSA_4096, 11, 2);
    put_many(0, BATCH_RSA_SINGLE, 21, 2);
    EXPECT(BATCH_ALL, 1);
    EXPECT(BATCH_ALL, 11);
    EXPECT(BATCH_ALL, 21);
    EXPECT(BATCH_ALL, 2);
    EXPECT(BATCH_ALL, 12);
    EXPECT(BATCH_ALL, 22);
}

static void slow_work_is_due_after_so_much_quick_work(void **state)
{
    (void)state;
    put(0, BATCH_RSA_2048, 1000);
    put_many(0, BATCH_P256, 1, 40);
    for (uint64_t i = 1; i <= SCHEDULER_QUICK_IN_A_ROW; i++)
        EXPECT(BATCH_ALL, i);
    EXPECT(BATCH_ALL, 1000);
    EXPECT(BATCH_ALL, SCHEDULER_QUICK_IN_A_ROW + 1);
}

static void who_takes_quick_work_only_makes_no_slow_work_due(void **state)
{
    (void)state;
    put(0, BATCH_RSA_2048, 1000);
    put_many(0, BATCH_P256, 1, 40);
    for (uint64_t i = 1; i <= 30; i++)
        EXPECT(BATCH_QUICK, i);
    EXPECT(BATCH_ALL, 31);
    EXPECT(BATCH_QUICK, 32);
}

static void who_has_most_makes_place_with_slow_work_first(void **state)
{
    (void)state;
    put_many(0, BATCH_P256, 1, 2);
    put_many(0, BATCH_RSA_2048, 11, 2);
    put_many(1, BATCH_P256, 21, 2);
    assert_null(scheduler_take_from_longest(&scheduler, 0));
    assert_int_equal(scheduler_take_from_longest(&scheduler, 2)->token, 11);
    assert_int_equal(scheduler.length, 5);
    assert_int_equal(scheduler_take_from_longest(&scheduler, 2)->token, 12);
    assert_false(scheduler_has(&scheduler, BATCH_SLOW));
    assert_int_equal(scheduler_take_from_longest(&scheduler, 2)->token, 1);
    assert_int_equal(scheduler.length, 3);
    assert_null(scheduler_take_from_longest(&scheduler, 1));
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_taken_where_nothing_waits),
        TEST(one_kind_is_taken_together_edges_in_turn),
        TEST(below_the_least_they_are_taken_alone),
        TEST(what_is_above_a_step_is_left_for_the_next_batch),
        TEST(kinds_take_turns),
        TEST(slow_work_is_due_after_so_much_quick_work),
        TEST(who_takes_quick_work_only_makes_no_slow_work_due),
        TEST(who_has_most_makes_place_with_slow_work_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
