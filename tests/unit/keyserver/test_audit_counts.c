/* What is used of quotas is left for the next vault, however many counters there are, without keeping anybody
 * waiting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "keyserver/rules/order.h"
#include "keyserver/vault/audit/audit_counts.h"
#include "tests/unit/keyserver/audit_rig.h"

#define COUNTERS 5000

static struct rig rig;

/* A counter that waits stands in the queue. */
static struct {
    uint64_t used[COUNTERS];
    size_t queue[COUNTERS], waiting;
    size_t asked; /* for so many at most, in one turn */
} counters;

static size_t changed(const void *context)
{
    (void)context;
    return counters.waiting;
}

static void each_changed(void *context, const struct now *now, size_t most, audit_leave *leave, void *user)
{
    size_t count = counters.waiting < most ? counters.waiting : most;
    (void)context;
    assert_int_equal(now->reached_s, rig.now.epoch_ms / 1000);
    counters.asked += most;
    for (size_t i = 0; i < count; i++) {
        const struct handover_count left = {.used = counters.used[counters.queue[i]]};
        assert_true(leave(counters.queue[i], &left, user));
    }
    counters.waiting -= count;
    memmove(counters.queue, counters.queue + count, counters.waiting * sizeof counters.queue[0]);
}

static const struct audit_quotas quotas = {.changed = changed, .each_changed = each_changed};

static void use_all(void)
{
    for (size_t i = 0; i < COUNTERS; i++) {
        counters.used[i]++;
        counters.queue[i] = i;
    }
    counters.waiting = COUNTERS;
}

static void add_used(const struct handover_count *count, void *sum)
{
    *(uint64_t *)sum += count->used;
}

/* Of all counters, as the next vault would read it. */
static uint64_t used_in(int fd)
{
    struct handover reader;
    uint64_t sum = 0;
    handover_init(&reader, fd, -1, false);
    (void)handover_each_count(&reader, 0, SIZE_MAX, add_used, &sum);
    return sum;
}

static int set_up(void **state)
{
    (void)state;
    rig_set_up(&rig);
    memset(&counters, 0, sizeof counters);
    rig.handover = calloc(1, sizeof *rig.handover);
    if (rig.handover == NULL)
        return -1;
    handover_init(rig.handover, -1, order_memory(), false);
    return rig.handover->fd < 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_tear_down(&rig);
    close(rig.handover->fd);
    free(rig.handover);
    return 0;
}

/* Time passes until the log wants to be looked after; in milliseconds. */
static uint64_t pass_until_due(void)
{
    uint64_t due = audit_due(rig.audit);
    uint64_t ms = due > rig.now.mono_ms ? due - rig.now.mono_ms : 0;
    rig_pass(&rig, ms);
    return ms;
}

static void counts_are_left_in_parts_and_soon(void **state)
{
    uint64_t ms = 0;
    size_t turns = 0;
    (void)state;
    assert_int_equal(rig_try_open(&rig, &quotas), 0);
    rig_pass(&rig, 2000);
    use_all();
    for (; counters.waiting > 0; turns++) {
        size_t waiting = counters.waiting;
        counters.asked = 0;
        ms += pass_until_due();
        assert_true(waiting - counters.waiting <= 256 && counters.asked <= 256);
        assert_int_equal(used_in(rig.handover->fd), COUNTERS - counters.waiting);
        assert_true(turns < COUNTERS);
    }
    assert_in_range(ms, turns - 1, 10 * turns); /* between the parts others are served, but not for long */
    counters.asked = 0;
    rig_pass(&rig, 100);
    assert_int_equal(counters.asked, 0); /* nothing is done for those that did not change */
}

static void one_count_is_left_at_once(void **state)
{
    (void)state;
    assert_int_equal(rig_try_open(&rig, &quotas), 0);
    rig_pass(&rig, 2000);
    counters = (typeof(counters)){.used = {[7] = 5}, .queue = {7}, .waiting = 1};
    assert_true(audit_counts_due(rig.audit) <= rig.now.mono_ms);
    audit_counts_leave(rig.audit);
    assert_int_equal(used_in(rig.handover->fd), 5);
    counters = (typeof(counters)){.used = {[7] = 6}, .queue = {7}, .waiting = 1};
    audit_counts_leave(rig.audit); /* too soon: uses that come close together are left together */
    assert_int_equal(used_in(rig.handover->fd), 5);
    (void)pass_until_due();
    assert_int_equal(used_in(rig.handover->fd), 6);
}

/* A vault that begins has nobody waiting yet, and one that ends has nobody waiting any more. */
static void all_counts_are_left_at_the_start_and_at_the_end(void **state)
{
    (void)state;
    use_all();
    assert_int_equal(rig_try_open(&rig, &quotas), 0);
    assert_int_equal(used_in(rig.handover->fd), COUNTERS);
    use_all();
    rig_close(&rig);
    assert_int_equal(used_in(rig.handover->fd), 2 * COUNTERS);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(counts_are_left_in_parts_and_soon),
        TEST(one_count_is_left_at_once),
        TEST(all_counts_are_left_at_the_start_and_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
