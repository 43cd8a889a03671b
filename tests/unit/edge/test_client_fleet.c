/* Several key servers: one dies, stalls or is busy, and no request fails. */
#include "tests/unit/edge/client_rig.h"

static void both_servers_share_the_work(void **state)
{
    (void)state;
    struct rig *rig = rig_connected(2);
    rig->peers[0].habit = rig->peers[1].habit = HOLDS;
    struct ask *asks = ask_many(rig, 1000, LONG_MS);
    RIG_WAIT(rig, rig->peers[0].held_count + rig->peers[1].held_count == 1000);
    assert_int_equal(rig->peers[0].held_count, 500);
    peer_release(&rig->peers[0]);
    peer_release(&rig->peers[1]);
    RIG_WAIT(rig, answered(asks, 1000) == 1000);
    for (size_t i = 0; i < 1000; i++)
        assert_answered(&asks[i]);
    free(asks);
    rig_free(rig);
}

static void a_server_that_dies_with_1000_open_loses_none(void **state)
{
    (void)state;
    for (int cut = 0; cut < 2; cut++) {
        struct rig *rig = rig_connected(2);
        rig->peers[0].habit = rig->peers[1].habit = HOLDS;
        struct ask *asks = ask_many(rig, 1000, LONG_MS);
        RIG_WAIT(rig, rig->peers[0].held_count + rig->peers[1].held_count == 1000);
        size_t theirs = rig->peers[0].held_count;
        rig->peers[1].habit = ANSWERS;
        peer_release(&rig->peers[1]);
        peer_stop(&rig->peers[0], cut);
        RIG_WAIT(rig, answered(asks, 1000) == 1000);
        for (size_t i = 0; i < 1000; i++) {
            assert_answered(&asks[i]);
            assert_from(&asks[i], "two");
        }
        assert_int_equal(rig->usable, 1);
        assert_int_equal(count_of(&rig->stats[0].lost), 1);
        assert_int_equal(count_of(&rig->stats[0].retried), theirs);
        assert_int_equal(count_of(&rig->stats[0].in_flight), 0);
        free(asks);
        rig_free(rig);
    }
}

/* The channel is there, requests go in, nothing comes out. */
static void a_server_that_stalls_fails_no_request(void **state)
{
    (void)state;
    struct rig *rig = rig_connected(2);
    rig->peers[0].habit = HOLDS;
    struct ask *asks = ask_many(rig, 400, 6000); /* asked elsewhere at the half */
    RIG_WAIT(rig, answered(asks, 400) == 400);
    for (size_t i = 0; i < 400; i++)
        assert_answered(&asks[i]);
    assert_true(count_of(&rig->stats[0].retried) > 100);
    size_t before = rig->peers[0].requests; /* from now on it is avoided */
    struct ask *more = ask_many(rig, 400, LONG_MS);
    RIG_WAIT(rig, answered(more, 400) == 400);
    assert_int_equal(rig->peers[0].requests, before);
    peer_release(&rig->peers[0]); /* far too late: nobody's any more */
    RIG_WAIT(rig, count_of(&rig->stats[0].stray) == before);
    for (size_t i = 0; i < 400; i++)
        assert_answered(&more[i]);
    free(asks);
    free(more);
    rig_free(rig);
}

static void a_stalled_server_is_tried_again_and_taken_back(void **state)
{
    (void)state;
    struct rig *rig = rig_new(2);
    struct ask first, ask;
    rig->settings.ping_interval_ms = 100; /* the interval of the tries, too */
    rig->client = client_new(&rig->loop, &rig->settings);
    RIG_WAIT(rig, rig->client->pool.usable == 2);
    rig->peers[0].habit = HOLDS;
    do { /* until one was given to the silent server and saved by the other */
        ask_start(&first, rig, 3000);
        RIG_WAIT(rig, first.answers);
        assert_answered(&first);
    } while (first.request.tries == 1);
    rig->peers[0].habit = ANSWERS;
    do { /* a try is due before long */
        ask_start(&ask, rig, LONG_MS);
        RIG_WAIT(rig, ask.answers);
        assert_answered(&ask);
    } while (ask.request.server != 0);
    rig_free(rig);
}

/* As a stopped process: the kernel takes what comes, and nobody reads. */
static void freeze(uv_handle_t *handle, void *user)
{
    const struct peer *peer = user;
    struct address at = {.length = sizeof at.u};

    for (size_t i = 0; handle->type == UV_TCP && i < peer->channel_count; i++)
        if (uv_tcp_getpeername((uv_tcp_t *)handle, &at.u.any, (int *)&at.length) == 0 &&
            at.u.v4.sin_port == channel_address(peer->channels[i])->u.v4.sin_port)
            uv_read_stop((uv_stream_t *)handle);
}

static void a_server_that_misses_its_pings_is_left(void **state)
{
    (void)state;
    struct rig *rig = rig_new(2);
    rig->settings.ping_interval_ms = 60;
    rig->client = client_new(&rig->loop, &rig->settings);
    RIG_WAIT(rig, rig->client->pool.usable == 2);
    RIG_WAIT(rig, count_of(&rig->stats[0].rtt_ns) > 0); /* quiet channels are pinged */
    uv_walk(&rig->loop, freeze, &rig->peers[0]);
    uint64_t start = clock_ns();
    struct ask *asks = ask_many(rig, 100, 19000);
    RIG_WAIT(rig, answered(asks, 100) == 100);
    assert_true(clock_ns() - start < 8000 * (uint64_t)MS); /* long before half of the deadline */
    for (size_t i = 0; i < 100; i++)
        assert_answered(&asks[i]);
    assert_int_equal(count_of(&rig->stats[0].lost), 1);
    assert_true(count_of(&rig->stats[0].retried) >= 40);
    free(asks);
    rig_free(rig);
}

static void when_all_stall_the_deadline_holds(void **state)
{
    (void)state;
    struct rig *rig = rig_connected(2);
    rig->peers[0].habit = rig->peers[1].habit = HOLDS;
    uint64_t start = clock_ns();
    struct ask *asks = ask_many(rig, 300, 1000);
    RIG_WAIT(rig, answered(asks, 300) == 300);
    assert_in_range((clock_ns() - start) / MS, 1000, 5000); /* generous to a loaded machine */
    for (size_t i = 0; i < 300; i++)
        assert_failed(&asks[i], STATUS_UNAVAILABLE);
    /* A fleet that answers nothing is not asked everything twice: 10, a fifth, and the few by which it is
     * found out. */
    assert_in_range(rig->peers[0].requests + rig->peers[1].requests, 300, 300 + 10 + 60 + 5);
    free(asks);
    rig_free(rig);
}

static void busy_and_unavailable_are_tried_once_elsewhere(void **state)
{
    (void)state;
    static const enum operation_status statuses[] = {STATUS_BUSY, STATUS_UNAVAILABLE};
    for (size_t s = 0; s < 2; s++) {
        struct rig *rig = rig_connected(2);
        rig->peers[0].habit = SAYS_STATUS;
        rig->peers[0].status = statuses[s];
        for (int i = 0; i < 8; i++) {
            struct ask ask;
            ask_start(&ask, rig, LONG_MS);
            RIG_WAIT(rig, ask.answers);
            assert_answered(&ask);
            assert_from(&ask, "two");
        }
        rig->peers[1].habit = SAYS_STATUS;
        rig->peers[1].status = statuses[s];
        struct ask ask;
        size_t before = rig->peers[0].requests + rig->peers[1].requests;
        /* Who can do nothing is asked until the deadline. */
        ask_start(&ask, rig, statuses[s] == STATUS_BUSY ? LONG_MS : 3000);
        RIG_WAIT(rig, ask.answers);
        assert_failed(&ask, statuses[s]);
        size_t asked = rig->peers[0].requests + rig->peers[1].requests - before;
        if (statuses[s] == STATUS_BUSY)
            assert_int_equal(asked, 2);
        else
            assert_in_range(asked, 3, 40); /* who can do nothing now may be able later */
        rig_free(rig);
    }
}

/* As while its vault restarts: every one of its quick answers would draw the next request, and no budget
 * would do. */
static void a_server_that_can_do_nothing_fails_no_request_and_is_left_alone(void **state)
{
    (void)state;
    struct rig *rig = rig_connected(2);
    rig->peers[0].habit = SAYS_STATUS;
    rig->peers[0].status = STATUS_UNAVAILABLE;
    struct ask *asks = ask_many(rig, 1000, LONG_MS);
    RIG_WAIT(rig, answered(asks, 1000) == 1000);
    for (size_t i = 0; i < 1000; i++) {
        assert_answered(&asks[i]);
        assert_from(&asks[i], "two");
    }
    free(asks);
    rig->peers[0].habit = ANSWERS;
    struct ask ask;
    do { /* a moment later it is taken back */
        ask_start(&ask, rig, LONG_MS);
        RIG_WAIT(rig, ask.answers);
        assert_answered(&ask);
    } while (ask.request.server != 0);
    rig_free(rig);
}

static void an_overloaded_fleet_is_not_asked_twice_for_everything(void **state)
{
    (void)state;
    struct rig *rig = rig_connected(2);
    for (int i = 0; i < 2; i++) {
        rig->peers[i].habit = SAYS_STATUS;
        rig->peers[i].status = STATUS_BUSY;
    }
    struct ask *asks = ask_many(rig, 500, LONG_MS);
    RIG_WAIT(rig, answered(asks, 500) == 500);
    for (size_t i = 0; i < 500; i++)
        assert_failed(&asks[i], STATUS_BUSY);
    assert_int_equal(rig->peers[0].requests + rig->peers[1].requests, 500 + 10 + 100);
    free(asks);
    rig_free(rig);
}

static void the_only_server_is_asked_again_until_it_can(void **state)
{
    (void)state;
    struct rig *rig = rig_connected(1);
    struct ask ask;

    rig->peers[0].habit = SAYS_STATUS;
    rig->peers[0].status = STATUS_UNAVAILABLE;
    ask_start(&ask, rig, LONG_MS);
    RIG_WAIT(rig, rig->peers[0].requests >= 4); /* more often than it may lose its server */
    assert_int_equal(ask.answers, 0);
    rig->peers[0].habit = ANSWERS;
    RIG_WAIT(rig, ask.answers == 1);
    assert_answered(&ask);
    rig_free(rig);
}

static void a_server_that_never_can_is_not_asked_without_end(void **state)
{
    (void)state;
    struct rig *rig = rig_connected(1);
    struct ask ask;

    rig->peers[0].habit = SAYS_STATUS;
    rig->peers[0].status = STATUS_UNAVAILABLE;
    ask_start(&ask, rig, 3000);
    RIG_WAIT(rig, ask.answers == 1);
    assert_failed(&ask, STATUS_UNAVAILABLE);
    assert_in_range(rig->peers[0].requests, 2, 14);
    /* Its last answer ends it, or the deadline, when that comes before a further answer. */
    if (ask.request.answered) {
        assert_from(&ask, "one");
        assert_int_equal(count_of(&rig->stats[0].answers[OP_SIGN_TLS13][STATUS_UNAVAILABLE]),
                         rig->peers[0].requests);
    }
    rig_free(rig);
}

/* However many they are: each is asked at once, and then there are rests. */
static void a_large_fleet_that_can_do_nothing_is_not_asked_in_circles(void **state)
{
    (void)state;
    struct rig *rig = rig_connected(RIG_PEERS);
    struct ask ask;
    size_t requests = 0;

    for (size_t i = 0; i < RIG_PEERS; i++) {
        rig->peers[i].habit = SAYS_STATUS;
        rig->peers[i].status = STATUS_UNAVAILABLE;
    }
    ask_start(&ask, rig, 3000);
    RIG_WAIT(rig, ask.answers == 1);
    assert_failed(&ask, STATUS_UNAVAILABLE);
    for (size_t i = 0; i < RIG_PEERS; i++) {
        assert_true(rig->peers[i].requests > 0);
        requests += rig->peers[i].requests;
    }
    assert_in_range(requests, RIG_PEERS, RIG_PEERS + 8);
    rig_free(rig);
}

static void refused_is_final(void **state)
{
    (void)state;
    struct rig *rig = rig_connected(2);
    for (int i = 0; i < 2; i++) {
        rig->peers[i].habit = SAYS_STATUS;
        rig->peers[i].status = STATUS_REFUSED;
    }
    struct ask ask;
    ask_start(&ask, rig, LONG_MS);
    RIG_WAIT(rig, ask.answers);
    assert_failed(&ask, STATUS_REFUSED);
    assert_int_equal(rig->peers[0].requests + rig->peers[1].requests, 1);
    rig_free(rig);
}

static void a_malformed_answer_is_replaced_by_the_other_servers(void **state)
{
    (void)state;
    struct rig *rig = rig_connected(2);
    rig->peers[0].habit = WRONG_LENGTH;
    for (int i = 0; i < 8; i++) {
        struct ask ask;
        ask_start(&ask, rig, LONG_MS);
        RIG_WAIT(rig, ask.answers);
        assert_answered(&ask);
        assert_from(&ask, "two");
    }
    rig_free(rig);
}

static void requests_wait_while_no_server_is_there(void **state)
{
    (void)state;
    struct rig *rig = rig_connected(1);
    peer_stop(&rig->peers[0], true);
    RIG_WAIT(rig, rig->usable == 0);
    struct ask *asks = ask_many(rig, 100, LONG_MS);
    RIG_WAIT(rig, count_of(&rig->stats[0].failed) >= 2);
    assert_int_equal(answered(asks, 100), 0);
    peer_start(&rig->peers[0]);
    RIG_WAIT(rig, answered(asks, 100) == 100);
    for (size_t i = 0; i < 100; i++)
        assert_answered(&asks[i]);
    assert_int_equal(rig->usable, 1);
    assert_int_equal(rig->changes, 3);
    free(asks);
    rig_free(rig);
}

static void a_server_that_was_down_at_start_is_found(void **state)
{
    (void)state;
    struct rig *rig = rig_new(2);
    peer_stop(&rig->peers[0], false);
    rig->client = client_new(&rig->loop, &rig->settings);
    RIG_WAIT(rig, count_of(&rig->stats[0].failed) >= 2 && rig->usable == 1);
    peer_start(&rig->peers[0]);
    RIG_WAIT(rig, rig->usable == 2);
    rig_free(rig);
}

static void the_hourly_handshake_leaves_no_gap(void **state)
{
    (void)state;
    struct rig *rig = rig_new(1);
    rig->settings.rehandshake_ms = 20;
    rig->client = client_new(&rig->loop, &rig->settings);
    RIG_WAIT(rig, rig->usable == 1);
    size_t done = 0;
    while (count_of(&rig->stats[0].connects) < 6) {
        struct ask ask;
        rig->peers[0].habit = HOLDS; /* some answers come over the channel that was replaced */
        ask_start(&ask, rig, LONG_MS);
        RIG_WAIT(rig, rig->peers[0].held_count == 1);
        uint64_t connects = count_of(&rig->stats[0].connects);
        if (done % 2 == 0)
            RIG_WAIT(rig, count_of(&rig->stats[0].connects) > connects);
        peer_release(&rig->peers[0]);
        RIG_WAIT(rig, ask.answers);
        assert_answered(&ask);
        assert_int_equal(ask.request.tries, 1);
        done++;
    }
    assert_int_equal(rig->changes, 1);
    assert_int_equal(count_of(&rig->stats[0].lost), 0);
    assert_int_equal(count_of(&rig->stats[0].connected), 1);
    RIG_WAIT(rig, rig->peers[0].channel_count <= 2); /* the replaced ones are closed */
    assert_int_equal(rig->peers[0].closed, ERR_CLOSED);
    rig_free(rig);
}

static void nobody_home_times_out(void **state)
{
    (void)state;
    struct rig *rig = rig_new(1);
    struct address quiet;
    struct fault fault;
    assert_int_equal(address_parse(&quiet, "127.0.0.1:0", 0, &fault), 0);
    int fd = address_listen(&quiet, false, 16, &fault); /* the kernel accepts, nobody reads */
    assert_true(fd >= 0);
    assert_int_equal(address_of_socket(fd, &rig->servers[0].endpoint.address), 0);
    rig->settings.connect_timeout_ms = 30;
    rig->client = client_new(&rig->loop, &rig->settings);
    RIG_WAIT(rig, count_of(&rig->stats[0].failed) == 2);
    close(fd);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_servers_share_the_work),
        cmocka_unit_test(a_server_that_dies_with_1000_open_loses_none),
        cmocka_unit_test(a_server_that_stalls_fails_no_request),
        cmocka_unit_test(a_stalled_server_is_tried_again_and_taken_back),
        cmocka_unit_test(a_server_that_misses_its_pings_is_left),
        cmocka_unit_test(when_all_stall_the_deadline_holds),
        cmocka_unit_test(busy_and_unavailable_are_tried_once_elsewhere),
        cmocka_unit_test(a_server_that_can_do_nothing_fails_no_request_and_is_left_alone),
        cmocka_unit_test(an_overloaded_fleet_is_not_asked_twice_for_everything),
        cmocka_unit_test(the_only_server_is_asked_again_until_it_can),
        cmocka_unit_test(a_server_that_never_can_is_not_asked_without_end),
        cmocka_unit_test(a_large_fleet_that_can_do_nothing_is_not_asked_in_circles),
        cmocka_unit_test(refused_is_final),
        cmocka_unit_test(a_malformed_answer_is_replaced_by_the_other_servers),
        cmocka_unit_test(requests_wait_while_no_server_is_there),
        cmocka_unit_test(a_server_that_was_down_at_start_is_found),
        cmocka_unit_test(the_hourly_handshake_leaves_no_gap),
        cmocka_unit_test(nobody_home_times_out),
    };
    return cmocka_run_group_tests(tests, rig_setup, NULL);
}
