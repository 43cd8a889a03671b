/* The time of epochs never goes back from one vault to the next, with the log and without. */
#include "tests/unit/keyserver/vault_audit_rig.h"

#include "keyserver/vault/audit/audit.h"

/* The epoch of an edge now. */
static uint64_t epoch_number(void)
{
    struct wall_request request = {.kind = WALL_EPOCH_WANTED};
    rig_edge_key(request.edge_key, EDGE_ALL);
    rig_send(&rig, &request, 1);
    const struct wall_answer *answer = rig_next(&rig, PATIENCE_MS);
    assert_non_null(answer);
    assert_int_equal(answer->kind, WALL_EPOCH);
    return answer->u.epoch.number;
}

/* As if the clock had been an hour ahead, and was set right between two vaults. */
static void put_log_ahead(void)
{
    struct fault fault = {.text = ""};
    struct audit *audit;
    static const uint8_t policy[AUDIT_KEY_SIZE];
    struct audit_time ahead = {.mono_ms = clock_ms(), .unix_ms = clock_unix_ms()};
    ahead.epoch_ms = ahead.unix_ms + 3600000;
    struct authorized *edges;
    struct keystore *keys;
    const uint8_t secret[32] = {1};
    log_init("test", LOG_ERROR, LOG_LOGFMT);
    assert_int_equal(authorized_load(&edges, rig.edges_file, &fault), 0);
    assert_int_equal(keystore_load(&keys, NULL, rig.keys, secret, NULL, NULL, &fault), 0);
    assert_int_equal(audit_open(&audit, &rig.config.audit, NULL, NULL, NULL, &ahead, &fault), 0);
    assert_int_equal(audit_start(audit, edges, keys, policy, &ahead), 0);
    audit_close(audit);
    keystore_free(keys);
    authorized_free(edges);
}

static void epochs_never_go_back_behind_the_log(void **state)
{
    uint64_t before = epoch_number();
    (void)state;
    assert_int_equal(rig_end(&rig), 0);
    put_log_ahead();
    assert_true(rig_start(&rig));
    assert_in_range(epoch_number(), before + 120, before + 125);
    assert_true(rig.stats_heard > 0); /* figures come with an epoch, before its key */
    assert_in_range(rig.stats.epoch_ahead_ms, 3590000, 3601000);
}

#define LIVED 10 /* epochs: many more than pass while a vault starts */

/* A vault with short epochs that is ahead of the clock and records nothing dies; returns the epoch it was in.
 */
static uint64_t live_ahead_and_die(void)
{
    assert_int_equal(rig_end(&rig), 0);
    put_log_ahead();
    rig.config.epoch = 100;
    assert_true(rig_start(&rig));
    uint64_t first = epoch_number(), last = first, end = clock_ms() + PATIENCE_MS;
    while (last < first + LIVED && clock_ms() < end)
        last = epoch_number();
    assert_true(last >= first + LIVED);
    kill(rig.pid, SIGKILL);
    assert_int_equal(rig_end(&rig), 128 + SIGKILL);
    return last;
}

static void epochs_of_an_idle_vault_are_on_the_disk(void **state)
{
    uint64_t last = live_ahead_and_die();
    (void)state;
    assert_true(rig_start(&rig));
    assert_in_range(epoch_number(), last, last + 600);
}

/* Nothing is on the disk any more. */
static void epochs_are_handed_to_the_next_vault(void **state)
{
    (void)state;
    rig.hands_over = true;
    uint64_t last = live_ahead_and_die();
    keys_remove_folder(rig.audit);
    assert_int_equal(mkdir(rig.audit, 0700), 0);
    assert_true(rig_start(&rig));
    assert_in_range(epoch_number(), last, last + 600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(epochs_never_go_back_behind_the_log),
        TEST(epochs_of_an_idle_vault_are_on_the_disk),
        TEST(epochs_are_handed_to_the_next_vault),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
