/* The time in a log, also of a clock that was wrong: what was reached comes back. */
#include "tests/unit/keyserver/audit_log_rig.h"

#define HOUR_MS 3600000u
#define HOURS   5

struct hours {
    uint64_t first;
    unsigned used[HOURS];
    bool back;
    uint64_t reached_ms;
};

static void count_hour(void *context, const struct audit_record *record, uint64_t reached_ms)
{
    struct hours *hours = context;
    uint64_t hour = reached_ms / HOUR_MS - hours->first;
    assert_true(reached_ms >= record->time_ms && hour < HOURS);
    hours->back |= reached_ms < hours->reached_ms;
    hours->reached_ms = reached_ms;
    hours->used[hour]++;
}

/* The clock was years ahead and is back: the times of the records are of one hour, but what is restored is
 * what was counted in each hour that passed. */
static void each_use_is_restored_in_the_hour_in_which_it_was_counted(void **state)
{
    struct hours hours = {.first = (RIG_START_MS + UINT64_C(87600) * HOUR_MS) / HOUR_MS};
    const struct audit_quotas quotas = {.context = &hours, .on_record = count_hour};
    unsigned number = 0;
    (void)state;
    rig.config.checkpoint = 100 * HOUR_MS; /* none comes by itself */
    rig.now.epoch_ms = hours.first * HOUR_MS;
    rig_open(&rig);
    for (unsigned hour = 0; hour < HOURS; hour++, rig.now.epoch_ms += HOUR_MS) {
        audit_tick(rig.audit, &rig.now);
        for (unsigned i = 0; i < 10 * hour; i++)
            assert_int_equal(rig_use(&rig, number++), 0);
    }
    rig_close(&rig);
    assert_int_equal(rig_try_open(&rig, &quotas), 0);
    for (unsigned hour = 0; hour < HOURS; hour++)
        assert_int_equal(hours.used[hour], 10 * hour);
    assert_false(hours.back);
    rig_close(&rig);
    assert_true(rig_count(&rig, AUDIT_CHECKPOINT) <= HOURS + 2);
    rig_assert_whole(&rig, false);
}

/* Before a vault signs: what was recorded says how far the time went. */
static void the_time_of_a_record_was_reached(void **state)
{
    struct audit *other;
    (void)state;
    rig_open(&rig);
    rig.now.unix_ms = rig.now.epoch_ms = RIG_START_MS + UINT64_C(1000) * HOUR_MS;
    audit_tick(rig.audit, &rig.now);
    assert_int_equal(rig_use(&rig, 0), 0);
    other = rig.audit; /* another vault's from here on, or one that stands still */
    rig.now.unix_ms = rig.now.epoch_ms = RIG_START_MS;
    rig_open(&rig);
    assert_int_equal(audit_epoch(rig.audit), RIG_START_MS + UINT64_C(1000) * HOUR_MS);
    audit_close(other);
}

static void the_time_of_epochs_comes_back(void **state)
{
    (void)state;
    rig.now.epoch_ms = RIG_START_MS + 5000000; /* ahead of the clock */
    rig_open(&rig);
    rig_use_many(&rig, 0, 3);
    rig_pass(&rig, 1000);
    uint64_t reached = rig.now.epoch_ms;
    rig_close(&rig);
    rig.now.epoch_ms = RIG_START_MS;
    rig_open(&rig);
    assert_int_equal(audit_epoch(rig.audit), reached);
    rig_close(&rig);
    /* Also from the head alone of a file that was just begun. */
    rig.config.rotate_size = 1;
    rig_open(&rig);
    rig_use_many(&rig, 3, 20);
    rig_close(&rig);
    rig_open(&rig);
    assert_int_equal(audit_epoch(rig.audit), reached);
    rig_close(&rig);
    rig_assert_whole(&rig, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_use_is_restored_in_the_hour_in_which_it_was_counted),
        TEST(the_time_of_a_record_was_reached),
        TEST(the_time_of_epochs_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
