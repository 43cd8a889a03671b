/* How much a client asks of a key server at a time: full batches, the limit that the server names, what a
 * channel takes.
 */
#include "tests/unit/edge/client_rig.h"

static void what_one_turn_submits_leaves_in_full_batches(void **state)
{
    (void)state;
    struct rig *rig = rig_connected(1);
    struct ask *asks = ask_many(rig, 2 * MSG_BATCH_MAX + 1, LONG_MS);
    RIG_WAIT(rig, answered(asks, 2 * MSG_BATCH_MAX + 1) == 2 * MSG_BATCH_MAX + 1);
    assert_int_equal(rig->peers[0].messages, 3);
    assert_int_equal(rig->peers[0].batch_top, MSG_BATCH_MAX);
    for (size_t i = 0; i < 2 * MSG_BATCH_MAX + 1; i++)
        assert_answered(&asks[i]);
    free(asks);
    rig_free(rig);
}

/* LIMIT is the server's, of which SHARE is for one of so many SHARERS. */
static void keep_limit(uint32_t limit, unsigned sharers, size_t share)
{
    const size_t all = 10 * share;
    struct rig *rig = rig_new(1);
    rig->peers[0].hello.in_flight_max = limit;
    rig->peers[0].habit = HOLDS;
    rig->settings.sharers = sharers;
    rig->client = client_new(&rig->loop, &rig->settings);
    struct ask *asks = ask_many(rig, all, LONG_MS);
    for (size_t done = 0; done < all;) {
        RIG_WAIT(rig, rig->peers[0].held_count == share);
        peer_release(&rig->peers[0]);
        done += share;
        RIG_WAIT(rig, answered(asks, all) == done);
    }
    assert_int_equal(rig->peers[0].held_top, share);
    for (size_t i = 0; i < all; i++)
        assert_answered(&asks[i]);
    free(asks);
    rig_free(rig);
}

static void the_servers_limit_is_kept(void **state)
{
    (void)state;
    keep_limit(10, 0, 10);
}

/* A server counts over all channels of an edge, which has one for each thread. */
static void the_servers_limit_is_shared_by_the_threads(void **state)
{
    (void)state;
    keep_limit(10, 5, 2);
    keep_limit(3, 5, 1);
}

static void more_than_the_channel_takes_waits_until_it_drains(void **state)
{
    (void)state;
    struct rig *rig = rig_connected(1);
    const size_t count = 6000; /* more than 1 MiB of pre-master requests, beyond the server's window */
    struct ask *asks = calloc(count, sizeof *asks);
    for (size_t i = 0; i < count; i++) {
        ask_init(&asks[i], rig, OP_RSA_PREMASTER, LONG_MS);
        assert_int_equal(client_submit(rig->client, &asks[i].request), 0);
    }
    RIG_WAIT(rig, answered(asks, count) == count);
    for (size_t i = 0; i < count; i++)
        assert_memory_equal(asks[i].request.outcome.bytes,
                            asks[i].request.operation.u.rsa_premaster.ciphertext, 48);
    assert_int_equal(rig->peers[0].requests, count);
    free(asks);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_one_turn_submits_leaves_in_full_batches),
        cmocka_unit_test(the_servers_limit_is_kept),
        cmocka_unit_test(the_servers_limit_is_shared_by_the_threads),
        cmocka_unit_test(more_than_the_channel_takes_waits_until_it_drains),
    };
    return cmocka_run_group_tests(tests, rig_setup, NULL);
}
