/* Epochs of the key servers, and where the requests of marked sessions go. */
#include "tests/unit/edge/client_rig.h"

#define TICK_MS 2

/* ---- announcing ---- */

/* Announces it at server I and waits until it has come. */
static void announce(struct rig *rig, size_t i, uint64_t number, char group, uint32_t left_ms)
{
    const struct msg_epoch epoch = epoch_of(number, group, left_ms);
    const struct epoch *newest = &rig->client->epochs->server[i].kept[0];
    peer_announce(&rig->peers[i], &epoch);
    RIG_WAIT(rig, newest->number == number && same_bytes(newest->key, epoch.key, EPOCH_KEY_SIZE));
}

/* The id of the epoch that a session would get now; 0 = none. */
static uint64_t chosen(struct rig *rig)
{
    struct client_epoch epoch;
    return client_choose_epoch(rig->client, &epoch) == EPOCH_CHOSEN ? epoch.id : 0;
}

static void on_tick(uv_timer_t *timer)
{
    (void)timer;
}

/* Lets the loop turn until all epochs are over. */
static void wait_for_the_end(struct rig *rig)
{
    uv_timer_t tick;
    uv_timer_init(&rig->loop, &tick);
    uv_timer_start(&tick, on_tick, TICK_MS, TICK_MS);
    RIG_WAIT(rig, chosen(rig) == 0);
    uv_run(&rig->loop, UV_RUN_ONCE); /* the last turn wipes */
    uv_close((uv_handle_t *)&tick, NULL);
    uv_run(&rig->loop, UV_RUN_NOWAIT);
}

/* ---- requests of a session with the mark EPOCH ---- */

static void ask_master_init(struct ask *ask, struct rig *rig, uint64_t epoch, const uint8_t *messages,
                            size_t length, uint64_t within_ms)
{
    ask_init(ask, rig, OP_RSA_MASTER, within_ms);
    ask->request.epoch = epoch;
    ask->request.operation.u.rsa_master.messages = messages;
    ask->request.operation.u.rsa_master.length = (uint32_t)length;
}

static void ask_master(struct ask *ask, struct rig *rig, uint64_t epoch, uint64_t within_ms)
{
    static uint8_t messages[500];
    random_bytes(messages, sizeof messages);
    ask_master_init(ask, rig, epoch, messages, sizeof messages, within_ms);
    assert_int_equal(client_submit(rig->client, &ask->request), 0);
}

static void assert_master(const struct ask *ask, const char *server)
{
    assert_int_equal(ask->answers, 1);
    assert_int_equal(ask->request.outcome.status, STATUS_OK);
    assert_int_equal(ask->request.outcome.length, TLS_MASTER_SIZE);
    if (server != NULL)
        assert_from(ask, server);
}

/* ---- epochs come and go ---- */

static void an_announced_epoch_is_chosen(void **state)
{
    struct rig *rig = rig_connected(1);
    struct client_epoch epoch;
    const struct msg_epoch announced = epoch_of(7, 'g', 60000);
    (void)state;
    assert_int_equal(chosen(rig), 0);
    announce(rig, 0, 7, 'g', 60000);
    assert_int_equal(client_choose_epoch(rig->client, &epoch), EPOCH_CHOSEN);
    assert_memory_equal(epoch.key, announced.key, EPOCH_KEY_SIZE);
    assert_int_equal(count_of(&rig->stats[0].epoch), 7);
    uint64_t first = epoch.id;
    announce(rig, 0, 8, 'g', 60000);
    assert_int_not_equal(chosen(rig), first);
    assert_int_equal(count_of(&rig->stats[0].epoch), 8);
    rig_free(rig);
}

static void an_epoch_that_is_over_is_wiped(void **state)
{
    static const struct epoch nothing;
    struct rig *rig = rig_connected(1);
    (void)state;
    announce(rig, 0, 7, 'g', 30);
    wait_for_the_end(rig);
    assert_memory_equal(&rig->client->epochs->server[0].kept[0], &nothing, sizeof nothing);
    rig_free(rig);
}

static void epochs_outlive_their_channel(void **state)
{
    struct rig *rig = rig_connected(1);
    (void)state;
    announce(rig, 0, 7, 'g', 60000);
    uint64_t id = chosen(rig);
    peer_cut(rig->peers[0].channels[0]);
    RIG_WAIT(rig, count_of(&rig->stats[0].lost) == 1);
    assert_int_equal(chosen(rig), id);
    RIG_WAIT(rig, rig->client->pool.usable == 1);
    assert_int_equal(chosen(rig), id);
    announce(rig, 0, 7, 'g', 50000);
    assert_int_equal(chosen(rig), id);
    rig_free(rig);
}

static void a_server_that_is_gone_has_no_vote(void **state)
{
    struct rig *rig = rig_connected(2);
    (void)state;
    announce(rig, 0, 8, 'g', 60000);
    announce(rig, 1, 7, 'g', 60000);
    uint64_t higher = chosen(rig);
    assert_int_equal(higher, rig->client->epochs->server[0].kept[0].id);
    peer_stop(&rig->peers[0], true);
    RIG_WAIT(rig, count_of(&rig->stats[0].lost) == 1);
    assert_int_equal(chosen(rig), rig->client->epochs->server[1].kept[0].id);
    peer_start(&rig->peers[0]);
    RIG_WAIT(rig, rig->client->pool.usable == 2);
    assert_int_equal(chosen(rig), higher);
    rig_free(rig);
}

static void a_connection_that_was_replaced_announces_nothing(void **state)
{
    struct rig *rig = rig_new(1);
    struct ask ask;
    (void)state;
    rig->settings.rehandshake_ms = 20;
    rig->peers[0].habit = HOLDS;
    rig->client = client_new(&rig->loop, &rig->settings);
    RIG_WAIT(rig, rig->client->pool.usable == 1);
    ask_start(&ask, rig, LONG_MS); /* keeps the first connection */
    RIG_WAIT(rig, rig->peers[0].held_count == 1);
    RIG_WAIT(rig, count_of(&rig->stats[0].connects) >= 2);
    struct channel *old = rig->peers[0].held[0].channel;
    const struct msg_epoch late = epoch_of(7, 'x', 60000);
    peer_announce_on(old, &late);
    peer_release(&rig->peers[0]); /* comes after it on the same channel */
    RIG_WAIT(rig, ask.answers == 1);
    assert_int_equal(chosen(rig), 0);
    rig_free(rig);
}

static void an_epoch_before_the_hello_ends_the_channel(void **state)
{
    struct rig *rig = rig_new(1);
    const struct msg_epoch early = epoch_of(7, 'g', 60000);
    (void)state;
    rig->peers[0].silent = true;
    rig->settings.connect_timeout_ms = 3 * RIG_GUARD_MS; /* it is not the hello that is missed */
    rig->client = client_new(&rig->loop, &rig->settings);
    RIG_WAIT(rig, rig->peers[0].channel_count == 1);
    peer_announce(&rig->peers[0], &early);
    RIG_WAIT(rig, count_of(&rig->stats[0].failed) == 1);
    assert_int_equal(rig->client->pool.usable, 0);
    assert_int_equal(chosen(rig), 0);
    rig_free(rig);
}

static void a_malformed_epoch_ends_the_channel(void **state)
{
    static const uint8_t malformed[] = {0x22, 0x02, 0x18, 0x05}; /* time is left, but of what? */
    struct rig *rig = rig_connected(1);
    (void)state;
    assert_int_equal(channel_send(rig->peers[0].channels[0], malformed, sizeof malformed), 0);
    RIG_WAIT(rig, count_of(&rig->stats[0].lost) == 1);
    assert_int_equal(chosen(rig), 0);
    rig_free(rig);
}

/* ---- replicas that are none ---- */

/* How often WORDS are in the log since log_begin(). */
static FILE *log_file;
static int log_saved;
static void log_begin(void)
{
    fflush(stderr);
    log_file = tmpfile();
    log_saved = dup(STDERR_FILENO);
    assert_true(log_file != NULL && log_saved >= 0);
    assert_int_equal(dup2(fileno(log_file), STDERR_FILENO), STDERR_FILENO);
    log_init("test_client", LOG_WARN, LOG_LOGFMT);
}

static unsigned log_end(const char *words)
{
    char line[1024];
    unsigned count = 0;
    fflush(stderr);
    dup2(log_saved, STDERR_FILENO);
    close(log_saved);
    rewind(log_file);
    while (fgets(line, sizeof line, log_file) != NULL)
        count += strstr(line, words) != NULL;
    fclose(log_file);
    log_init("test_client", LOG_ERROR, LOG_LOGFMT);
    return count;
}

static void other_group_secrets_are_said_once(void **state)
{
    struct rig *rig = rig_connected(2);
    (void)state;
    log_begin();
    for (uint64_t number = 7; number < 10; number++) {
        announce(rig, 0, number, 'g', 60000);
        announce(rig, 1, number, 'h', 60000);
    }
    assert_int_equal(log_end("event=key_servers_disagree server=two other=one about=group_secret hint="), 1);
    assert_int_equal(count_of(&rig->stats[1].other_secrets), 3);
    assert_int_equal(count_of(&rig->stats[0].other_secrets), 0);
    assert_int_equal(count_of(&rig->stats[1].other_clocks), 0);
    rig_free(rig);
}

static void other_clocks_are_said_once(void **state)
{
    struct rig *rig = rig_connected(2);
    (void)state;
    log_begin();
    announce(rig, 0, 7, 'g', 60000);
    announce(rig, 1, 8, 'g', 60000); /* one apart is everyday life */
    assert_int_equal(count_of(&rig->stats[1].other_clocks), 0);
    announce(rig, 1, 9, 'g', 60000);
    announce(rig, 1, 10, 'g', 60000);
    assert_int_equal(log_end("event=key_servers_disagree server=two other=one about=clock hint="), 1);
    assert_int_equal(count_of(&rig->stats[1].other_clocks), 2);
    assert_int_equal(count_of(&rig->stats[1].other_secrets), 0);
    rig_free(rig);
}

/* ---- where requests go ---- */

#define ASKS 12

static void a_marked_session_is_asked_where_its_epoch_was_announced(void **state)
{
    struct rig *rig = rig_connected(3);
    struct ask asks[ASKS];
    (void)state;
    announce(rig, 0, 7, 'g', 60000);
    announce(rig, 2, 8, 'g', 60000);
    announce(rig, 2, 9, 'g', 60000);
    uint64_t of[] = {rig->client->epochs->server[0].kept[0].id, rig->client->epochs->server[2].kept[1].id};
    static const char *const names[] = {"one", "three"};
    for (size_t i = 0; i < ASKS; i++) {
        ask_master(&asks[i], rig, of[i % 2], LONG_MS);
        RIG_WAIT(rig, asks[i].answers == 1);
        assert_master(&asks[i], names[i % 2]);
    }
    assert_int_equal(rig->peers[1].requests, 0);
    rig_free(rig);
}

static void nobody_has_announced_it_then_any_will_do(void **state)
{
    struct rig *rig = rig_connected(2);
    struct ask ask;
    (void)state;
    announce(rig, 0, 7, 'g', 60000);
    ask_master(&ask, rig, 4711, LONG_MS);
    RIG_WAIT(rig, ask.answers == 1);
    assert_master(&ask, NULL);
    rig_free(rig);
}

static void a_lost_channel_moves_a_marked_session_to_another_server(void **state)
{
    struct rig *rig = rig_connected(2);
    struct ask ask;
    (void)state;
    rig->peers[0].habit = HOLDS;
    announce(rig, 0, 7, 'g', 60000);
    ask_master(&ask, rig, chosen(rig), LONG_MS);
    RIG_WAIT(rig, rig->peers[0].held_count == 1);
    peer_stop(&rig->peers[0], true);
    RIG_WAIT(rig, ask.answers == 1);
    assert_master(&ask, "two");
    peer_start(&rig->peers[0]);
    rig_free(rig);
}

static void whoever_announced_it_and_can_do_nothing_is_not_asked_twice(void **state)
{
    static const enum operation_status statuses[] = {STATUS_BUSY, STATUS_UNAVAILABLE};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct rig *rig = rig_connected(2);
        struct ask ask;
        rig->peers[0].habit = SAYS_STATUS;
        rig->peers[0].status = statuses[i];
        announce(rig, 0, 7, 'g', 60000);
        ask_master(&ask, rig, chosen(rig), LONG_MS);
        RIG_WAIT(rig, ask.answers == 1);
        assert_master(&ask, "two");
        assert_int_equal(rig->peers[0].requests, 1);
        rig_free(rig);
    }
}

static void a_refusal_is_final_for_a_marked_session_too(void **state)
{
    struct rig *rig = rig_connected(2);
    struct ask ask;
    (void)state;
    rig->peers[0].habit = SAYS_STATUS;
    rig->peers[0].status = STATUS_REFUSED;
    announce(rig, 0, 7, 'g', 60000);
    ask_master(&ask, rig, chosen(rig), LONG_MS);
    RIG_WAIT(rig, ask.answers == 1);
    assert_failed(&ask, STATUS_REFUSED);
    assert_int_equal(rig->peers[1].requests, 0);
    rig_free(rig);
}

static void a_full_server_makes_way_for_one_that_has_not_announced_it(void **state)
{
    struct rig *rig = rig_new(2);
    struct ask first, second;
    (void)state;
    rig->peers[0].hello.in_flight_max = 1;
    rig->peers[0].habit = HOLDS;
    rig->client = client_new(&rig->loop, &rig->settings);
    RIG_WAIT(rig, rig->client->pool.usable == 2);
    announce(rig, 0, 7, 'g', 60000);
    ask_master(&first, rig, chosen(rig), LONG_MS);
    RIG_WAIT(rig, rig->peers[0].held_count == 1);
    ask_master(&second, rig, chosen(rig), LONG_MS);
    RIG_WAIT(rig, second.answers == 1);
    assert_master(&second, "two");
    peer_release(&rig->peers[0]);
    RIG_WAIT(rig, first.answers == 1);
    assert_master(&first, "one");
    rig_free(rig);
}

static void silence_takes_a_marked_session_to_a_second_server(void **state)
{
    struct rig *rig = rig_connected(2);
    struct ask ask;
    (void)state;
    rig->peers[0].habit = HOLDS;
    announce(rig, 0, 7, 'g', 60000);
    ask_master(&ask, rig, chosen(rig), 4000); /* asked elsewhere at the half */
    RIG_WAIT(rig, ask.answers == 1);
    assert_master(&ask, "two");
    assert_int_equal(rig->peers[0].held_count, 1);
    rig_free(rig);
}

/* ---- large requests ---- */

static void large_requests_are_split_into_messages_that_fit(void **state)
{
    enum { LARGE = 5 };
    static uint8_t messages[LARGE][HANDSHAKE_MAX];
    struct rig *rig = rig_connected(1);
    struct ask asks[LARGE];
    (void)state;
    random_bytes(messages, sizeof messages);
    announce(rig, 0, 7, 'g', 60000);
    for (size_t i = 0; i < LARGE; i++) {
        ask_master_init(&asks[i], rig, chosen(rig), messages[i], HANDSHAKE_MAX, LONG_MS);
        assert_int_equal(client_submit(rig->client, &asks[i].request), 0);
    }
    for (size_t i = 0; i < LARGE; i++) {
        RIG_WAIT(rig, asks[i].answers == 1);
        assert_master(&asks[i], "one");
        assert_memory_equal(asks[i].request.outcome.bytes, messages[i], TLS_MASTER_SIZE);
    }
    assert_int_equal(rig->peers[0].messages, LARGE);
    assert_int_equal(count_of(&rig->stats[0].requests[OP_RSA_MASTER]), LARGE);
    assert_int_equal(count_of(&rig->stats[0].answers[OP_RSA_MASTER][STATUS_OK]), LARGE);
    assert_int_equal(count_of(&rig->stats[0].latency.count), LARGE);
    rig_free(rig);
}

static void a_secret_of_another_length_is_no_answer(void **state)
{
    struct rig *rig = rig_connected(1);
    struct ask ask;
    (void)state;
    rig->peers[0].habit = WRONG_LENGTH;
    ask_master(&ask, rig, 0, LONG_MS);
    RIG_WAIT(rig, ask.answers == 1);
    assert_failed(&ask, STATUS_UNAVAILABLE);
    assert_int_equal(count_of(&rig->stats[0].malformed), 1);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_announced_epoch_is_chosen),
        cmocka_unit_test(an_epoch_that_is_over_is_wiped),
        cmocka_unit_test(epochs_outlive_their_channel),
        cmocka_unit_test(a_server_that_is_gone_has_no_vote),
        cmocka_unit_test(a_connection_that_was_replaced_announces_nothing),
        cmocka_unit_test(an_epoch_before_the_hello_ends_the_channel),
        cmocka_unit_test(a_malformed_epoch_ends_the_channel),
        cmocka_unit_test(other_group_secrets_are_said_once),
        cmocka_unit_test(other_clocks_are_said_once),
        cmocka_unit_test(a_marked_session_is_asked_where_its_epoch_was_announced),
        cmocka_unit_test(nobody_has_announced_it_then_any_will_do),
        cmocka_unit_test(a_lost_channel_moves_a_marked_session_to_another_server),
        cmocka_unit_test(whoever_announced_it_and_can_do_nothing_is_not_asked_twice),
        cmocka_unit_test(a_refusal_is_final_for_a_marked_session_too),
        cmocka_unit_test(a_full_server_makes_way_for_one_that_has_not_announced_it),
        cmocka_unit_test(silence_takes_a_marked_session_to_a_second_server),
        cmocka_unit_test(large_requests_are_split_into_messages_that_fit),
        cmocka_unit_test(a_secret_of_another_length_is_no_answer),
    };
    return cmocka_run_group_tests(tests, rig_setup, NULL);
}
