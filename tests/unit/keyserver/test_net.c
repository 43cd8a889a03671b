/* The net process between edges and vaults: which answer goes where, and what becomes of requests when vaults
 * die, are replaced or do not answer, and when the server drains. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/keyserver/world.h"

static int admin_status(struct fixture *f, const char *path)
{
    struct buffer body;

    buffer_init(&body);
    int status = admin_get(&f->admin, path, 5000, &body);
    buffer_clear(&body);
    return status;
}

/* Who comes before the vault waits, and is let in when it is there: never told `unavailable`. */
static void before_the_first_vault_nobody_is_let_in_and_nobody_lost(void **state)
{
    struct fixture *f = *state;
    struct test_edge edge;

    edge_start(&edge, &f->listen, &f->edges[0], f->server.public, f->psks[0]);
    for (unsigned i = 0; i < 10; i++)
        uv_run(&edge.loop, UV_RUN_ONCE);
    assert_int_equal(admin_status(f, "/ready"), 503);
    assert_int_equal(admin_status(f, "/live"), 200);
    assert_false(edge.open);
    assert_false(edge.closed);
    give_wall(f, CONTROL_WALL_START, NULL);
    EDGE_UNTIL(&edge, edge.open);
    edge_send_hello(&edge, PROTOCOL_VERSION_MAX);
    EDGE_UNTIL(&edge, edge.greeted);
    assert_int_equal(edge.hello.version_max, PROTOCOL_VERSION_MAX);
    assert_int_equal(edge.hello.in_flight_max, IN_FLIGHT);
    edge_ask(&edge, OP_SIGN_TLS13, f->server.public, 2, 1, 1000);
    EDGE_UNTIL(&edge, channel_unsent(edge.channel) == 0);
    answer(&f->wall, next_slot(f, &f->wall).token, "first");
    EDGE_UNTIL(&edge, edge.answer_count == 1);
    assert_int_equal(edge_answer(&edge, 2)->outcome.status, STATUS_OK);
    edge_end(&edge);
}

/* The same when one has died: who is in stays, who comes waits for the next. */
static void between_two_vaults_nobody_new_is_let_in(void **state)
{
    struct fixture *f = *state;
    struct test_edge first, second;

    give_wall(f, CONTROL_WALL_START, NULL);
    connect_edge(f, &first, 0);
    wall_close(&f->wall);
    f->wall.fd = -1;
    f->slot_next = f->slot_count;
    while (admin_status(f, "/ready") != 503)
        ;
    edge_ask(&first, OP_PING, NULL, 1, 1, 1000);
    edge_ask(&first, OP_SIGN_TLS13, f->server.public, 2, 1, 1000);
    edge_ask(&first, OP_KEYS, NULL, 3, 1, 1000);
    EDGE_UNTIL(&first, first.answer_count == 3);
    assert_int_equal(edge_answer(&first, 1)->outcome.status, STATUS_OK);
    assert_int_equal(edge_answer(&first, 2)->outcome.status, STATUS_UNAVAILABLE);
    assert_int_equal(edge_answer(&first, 3)->outcome.status, STATUS_UNAVAILABLE);
    edge_start(&second, &f->listen, &f->edges[1], f->server.public, f->psks[1]);
    for (unsigned i = 0; i < 10; i++)
        uv_run(&second.loop, UV_RUN_ONCE);
    assert_false(second.open);
    give_wall(f, CONTROL_WALL_RESTART, NULL);
    EDGE_UNTIL(&second, second.open);
    assert_false(first.closed);
    edge_end(&second);
    edge_end(&first);
}

/* EDGE's loop runs for MS. */
static void let_pass(struct test_edge *edge, uint64_t ms)
{
    for (uint64_t end = clock_ms() + ms; clock_ms() < end;)
        uv_run(&edge->loop, UV_RUN_ONCE);
}

/* It is there: nothing but its silence says that it does not work. */
static void for_a_vault_that_says_nothing_the_answer_is_unavailable(void **state)
{
    struct fixture *f = *state;
    struct test_edge edge;

    give_wall(f, CONTROL_WALL_START, NULL);
    until_ready(f);
    connect_edge(f, &edge, 0);
    send_stats(&f->wall, 7, 0);
    until_metric(f, "keyless_server_vault_workers", 7);
    let_pass(&edge, 3000); /* so that the silence is noticed long before the deadline of what is asked now */
    edge_ask(&edge, OP_SIGN_TLS13, f->server.public, 1, 1, 5000);
    edge_ask(&edge, OP_KEYS, NULL, 2, 1, 5000);
    EDGE_UNTIL(&edge, edge.answer_count == 2);
    assert_int_equal(edge_answer(&edge, 1)->outcome.status, STATUS_UNAVAILABLE);
    assert_int_equal(edge_answer(&edge, 2)->outcome.status, STATUS_UNAVAILABLE);
    assert_true(metric(f, "keyless_server_vault_silences_total") == 1);
    edge_ask(&edge, OP_SIGN_TLS13, f->server.public, 3, 1, 5000);
    edge_ask(&edge, OP_KEYS, NULL, 4, 1, 5000);
    edge_ask(&edge, OP_PING, NULL, 5, 1, 5000);
    EDGE_UNTIL(&edge, edge.answer_count == 5);
    assert_int_equal(edge_answer(&edge, 3)->outcome.status, STATUS_UNAVAILABLE);
    assert_int_equal(edge_answer(&edge, 4)->outcome.status, STATUS_UNAVAILABLE);
    assert_int_equal(edge_answer(&edge, 5)->outcome.status, STATUS_OK);

    uint64_t late = next_slot(f, &f->wall).token; /* it goes on */
    answer(&f->wall, late, "late");
    send_stats(&f->wall, 8, 0);
    until_metric(f, "keyless_server_vault_workers", 8);
    assert_true(metric(f, "keyless_server_stray_answers_total") == 1);
    edge_ask(&edge, OP_SIGN_TLS13, f->server.public, 6, 1, 5000);
    EDGE_UNTIL(&edge, channel_unsent(edge.channel) == 0);
    struct wall_request slot = next_slot(f, &f->wall);
    while (slot.kind != WALL_OPERATION ||
           slot.operation.kind != OP_SIGN_TLS13) /* lists, what was cancelled */
        slot = next_slot(f, &f->wall);
    answer(&f->wall, slot.token, "again");
    EDGE_UNTIL(&edge, edge.answer_count == 6);
    assert_int_equal(edge_answer(&edge, 6)->outcome.status, STATUS_OK);
    assert_memory_equal(edge_answer(&edge, 6)->outcome.bytes, "again", 5);
    edge_end(&edge);
}

static void the_vault_gets_who_asks_and_from_where_and_its_answer_goes_back(void **state)
{
    struct fixture *f = *state;
    struct test_edge edge;
    const uint8_t loopback[16] = {127, 0, 0, 1};

    give_wall(f, CONTROL_WALL_START, NULL);
    send_stats(&f->wall, 7, 0);
    until_metric(f, "keyless_server_vault_workers", 7);
    connect_edge(f, &edge, 1);
    uint64_t before = clock_ns();
    edge_ask(&edge, OP_SIGN_TLS13, f->server.public, 99, 1, 60000);
    edge_ask(&edge, OP_PING, NULL, 100, 1, 1000);
    EDGE_UNTIL(&edge, edge.answer_count == 1); /* the ping: so the request is open */
    assert_int_equal(edge_answer(&edge, 100)->in_flight, 1);
    assert_int_equal(edge_answer(&edge, 100)->workers, 7);

    struct wall_request slot = next_slot(f, &f->wall);
    assert_int_equal(wall_request_check(&slot), 0);
    assert_int_equal(slot.kind, WALL_OPERATION);
    assert_memory_equal(slot.edge_key, f->edges[1].public, 32);
    assert_int_equal(slot.from_family, AF_INET);
    assert_memory_equal(slot.from, loopback, 16);
    assert_memory_equal(slot.operation.key_id, f->server.public, 32);
    /* the edge wanted 60 s; deadline_max says 5 */
    assert_true(slot.deadline_ns >= before + 5000000000 && slot.deadline_ns <= clock_ns() + 5000000000);
    answer(&f->wall, slot.token, "signature");
    EDGE_UNTIL(&edge, edge.answer_count == 2);
    assert_int_equal(edge_answer(&edge, 99)->outcome.status, STATUS_OK);
    assert_memory_equal(edge_answer(&edge, 99)->outcome.bytes, "signature", 9);
    edge_end(&edge);
}

static void answers_late_twice_or_to_nobody_reach_no_other_request(void **state)
{
    struct fixture *f = *state;
    struct test_edge one, other;

    give_wall(f, CONTROL_WALL_START, NULL);
    until_ready(f);
    connect_edge(f, &one, 0);
    connect_edge(f, &other, 1);
    edge_ask(&one, OP_SIGN_TLS13, f->server.public, 5, 1, 5000);
    EDGE_UNTIL(&one, channel_unsent(one.channel) == 0);
    uint64_t first = next_slot(f, &f->wall).token;
    answer(&f->wall, first, "mine");
    EDGE_UNTIL(&one, one.answer_count == 1);
    edge_ask(&other, OP_SIGN_TLS13, f->server.public, 5, 1, 5000);
    EDGE_UNTIL(&other, channel_unsent(other.channel) == 0);
    uint64_t second = next_slot(f, &f->wall).token;
    assert_int_not_equal(first, second);
    answer(&f->wall, first, "again");
    answer(&f->wall, second + 1, "wrong");
    answer(&f->wall, second ^ (1ull << 32), "wrong");
    answer(&f->wall, UINT64_MAX, "wrong");
    answer(&f->wall, second, "yours");
    EDGE_UNTIL(&other, other.answer_count == 1);
    assert_memory_equal(other.answers[0].outcome.bytes, "yours", 5);
    edge_ask(&one, OP_PING, NULL, 6, 1, 1000);
    EDGE_UNTIL(&one, one.answer_count == 2);
    assert_memory_equal(one.answers[0].outcome.bytes, "mine", 4);
    assert_int_equal(one.answers[1].id, 6);
    until_metric(f, "keyless_server_stray_answers_total", 4);
    edge_end(&one);
    edge_end(&other);
}

static void signatures_are_no_answer_to_keys_nor_the_other_way_round(void **state)
{
    struct fixture *f = *state;
    struct test_edge edge;

    give_wall(f, CONTROL_WALL_START, NULL);
    until_ready(f);
    connect_edge(f, &edge, 0);
    edge_ask(&edge, OP_KEYS, NULL, 1, 1, 5000);
    edge_ask(&edge, OP_SIGN_TLS13, f->server.public, 2, 1, 5000);
    EDGE_UNTIL(&edge, channel_unsent(edge.channel) == 0);
    struct wall_request first = next_slot(f, &f->wall), second = next_slot(f, &f->wall);
    bool in_order = first.operation.kind == OP_KEYS;
    answer(&f->wall, in_order ? first.token : second.token, "secret");
    struct wall_answer keys = {.token = in_order ? second.token : first.token, .kind = WALL_KEYS};
    keys.u.keys.count = 1;
    keys.u.keys.item[0].type = KEY_RSA;
    assert_int_equal(wall_send_answers(&f->wall, &keys, 1), 1);
    EDGE_UNTIL(&edge, edge.answer_count == 2);
    for (uint64_t id = 1; id <= 2; id++) {
        assert_int_equal(edge_answer(&edge, id)->outcome.status, STATUS_UNAVAILABLE);
        assert_int_equal(edge_answer(&edge, id)->outcome.length, 0);
    }
    assert_int_equal(edge.key_count, 0);
    edge_end(&edge);
}

static void a_vault_that_never_answers_costs_one_deadline_and_is_told(void **state)
{
    struct fixture *f = *state;
    struct test_edge edge;

    give_wall(f, CONTROL_WALL_START, NULL);
    until_ready(f);
    connect_edge(f, &edge, 0);
    uint64_t before = clock_ms();
    edge_ask(&edge, OP_SIGN_TLS13, f->server.public, 1, 1, 200);
    EDGE_UNTIL(&edge, edge.answer_count == 1);
    assert_int_equal(edge.answers[0].outcome.status, STATUS_EXPIRED);
    assert_true(clock_ms() >= before + 200 && clock_ms() < before + 3000);
    uint64_t token = next_slot(f, &f->wall).token;
    struct wall_request cancel = next_slot(f, &f->wall);
    assert_int_equal(wall_request_check(&cancel), 0);
    assert_int_equal(cancel.kind, WALL_CANCEL);
    assert_int_equal(cancel.token, token);
    edge_end(&edge);
}

static void a_vault_that_dies_leaves_unavailable_and_the_next_one_serves(void **state)
{
    struct fixture *f = *state;
    struct test_edge edge;

    give_wall(f, CONTROL_WALL_START, NULL);
    until_ready(f);
    connect_edge(f, &edge, 0);
    edge_ask(&edge, OP_SIGN_TLS13, f->server.public, 1, 2, 5000);
    EDGE_UNTIL(&edge, channel_unsent(edge.channel) == 0);
    next_slot(f, &f->wall);
    wall_close(&f->wall);
    f->wall.fd = -1;
    f->slot_next = f->slot_count;
    EDGE_UNTIL(&edge, edge.answer_count == 2);
    assert_int_equal(edge.answers[0].outcome.status, STATUS_UNAVAILABLE);
    assert_int_equal(edge.answers[1].outcome.status, STATUS_UNAVAILABLE);
    give_wall(f, CONTROL_WALL_RESTART, NULL);
    until_ready(f);
    edge_ask(&edge, OP_SIGN_TLS13, f->server.public, 3, 1, 5000);
    EDGE_UNTIL(&edge, channel_unsent(edge.channel) == 0);
    answer(&f->wall, next_slot(f, &f->wall).token, "new");
    EDGE_UNTIL(&edge, edge.answer_count == 3);
    assert_memory_equal(edge.answers[2].outcome.bytes, "new", 3);
    assert_true(metric(f, "keyless_server_vault_restarts_total") == 1);
    edge_end(&edge);
}

static void a_vault_that_leaves_garbage_is_as_good_as_dead(void **state)
{
    struct fixture *f = *state;
    struct test_edge edge;

    give_wall(f, CONTROL_WALL_START, NULL);
    until_ready(f);
    connect_edge(f, &edge, 0);
    edge_ask(&edge, OP_SIGN_TLS13, f->server.public, 1, 1, 5000);
    EDGE_UNTIL(&edge, channel_unsent(edge.channel) == 0);
    uint64_t token = next_slot(f, &f->wall).token;
    f->wall.out.at += RING_SLOTS + 1; /* what is published next is where no producer can be */
    answer(&f->wall, token, "lost");
    EDGE_UNTIL(&edge, edge.answer_count == 1);
    assert_int_equal(edge.answers[0].outcome.status, STATUS_UNAVAILABLE);
    assert_true(metric(f, "keyless_server_wall_malformed_total") == 1);
    give_wall(f, CONTROL_WALL_RESTART, NULL);
    until_ready(f);
    edge_end(&edge);
}

static void on_reload_the_old_vault_answers_what_it_has_and_the_new_one_the_rest(void **state)
{
    struct fixture *f = *state;
    struct test_edge edge;
    struct wall old;

    give_wall(f, CONTROL_WALL_START, NULL);
    send_stats(&f->wall, 1, 3);
    until_metric(f, "keyless_server_faults_total", 3);
    connect_edge(f, &edge, 0);
    edge_ask(&edge, OP_SIGN_TLS13, f->server.public, 1, 1, 5000);
    EDGE_UNTIL(&edge, channel_unsent(edge.channel) == 0);
    uint64_t first = next_slot(f, &f->wall).token;
    give_wall(f, CONTROL_WALL_RELOAD, &old);
    send_stats(&f->wall, 1, 4);
    until_metric(f, "keyless_server_faults_total", 7); /* totals go over both */
    edge_ask(&edge, OP_SIGN_TLS13, f->server.public, 2, 1, 5000);
    EDGE_UNTIL(&edge, channel_unsent(edge.channel) == 0);
    answer(&f->wall, next_slot(f, &f->wall).token, "new");
    EDGE_UNTIL(&edge, edge.answer_count == 1);
    send_stats(&old, 1, 3); /* something is open there: it stays */
    answer(&old, first, "old");
    EDGE_UNTIL(&edge, edge.answer_count == 2);
    assert_memory_equal(edge_answer(&edge, 1)->outcome.bytes, "old", 3);
    assert_memory_equal(edge_answer(&edge, 2)->outcome.bytes, "new", 3);
    send_stats(&old, 1, 5);
    assert_true(wall_rig_wait(&old, WALL_SLOTS, EDGE_PATIENCE_MS));
    assert_int_equal(wall_receive_requests(&old, f->slots, WALL_BATCH_MAX), ERR_CUT);
    wall_close(&old);
    assert_true(metric(f, "keyless_server_faults_total") == 9);
    assert_true(metric(f, "keyless_server_vault_reloads_total") == 1);
    edge_end(&edge);
}

static void a_drain_answers_what_is_open_takes_nothing_new_and_ends_well(void **state)
{
    struct fixture *f = *state;
    struct test_edge edge, late;

    give_wall(f, CONTROL_WALL_START, NULL);
    until_ready(f);
    connect_edge(f, &edge, 0);
    edge_ask(&edge, OP_SIGN_TLS13, f->server.public, 1, 1, 5000);
    EDGE_UNTIL(&edge, channel_unsent(edge.channel) == 0);
    uint64_t token = next_slot(f, &f->wall).token;
    assert_int_equal(control_send(f->control, CONTROL_DRAIN, 0, -1), 0);
    until_metric(f, "keyless_server_draining", 1);
    edge_ask(&edge, OP_SIGN_TLS13, f->server.public, 2, 1, 5000);
    EDGE_UNTIL(&edge, edge.answer_count == 1);
    assert_int_equal(edge_answer(&edge, 2)->outcome.status, STATUS_UNAVAILABLE);
    edge_start(&late, &f->listen, &f->edges[1], f->server.public, f->psks[1]);
    EDGE_UNTIL(&late, late.closed);
    assert_false(late.greeted);
    edge_end(&late);
    answer(&f->wall, token, "last");
    EDGE_UNTIL(&edge, edge.closed);
    assert_memory_equal(edge_answer(&edge, 1)->outcome.bytes, "last", 4);
    assert_int_equal(edge.why, ERR_CLOSED);
    edge_end(&edge);
    assert_int_equal(finish(f), 0);
}

#define CROWD 60

static int set_up_with_few_descriptors(void **state)
{
    world_descriptors = 64;
    int r = set_up(state);
    world_descriptors = 0;
    return r;
}

/* Strangers take every descriptor that they can have: it is told, the admin endpoint and the next vault have
 * theirs all the same, and when they are gone edges come in. */
static void without_descriptors_it_says_so_and_recovers(void **state)
{
    struct fixture *f = *state;
    struct test_edge edge;
    int registry[CROWD];

    give_wall(f, CONTROL_WALL_START, NULL);
    until_ready(f);
    for (size_t i = 0; i < CROWD; i++) {
        registry[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(registry[i], &f->listen.u.any, f->listen.length), 0);
    }
    until_metric(f, "keyless_server_accept_paused_total", 1);
    give_wall(f, CONTROL_WALL_RESTART, NULL);
    until_metric(f, "keyless_server_vault_restarts_total", 1);
    assert_int_equal(admin_status(f, "/ready"), 200);
    assert_true(metric(f, "keyless_server_accept_paused_total") == 1); /* once, not each time it looks */
    for (size_t i = 0; i < CROWD; i++)
        close(registry[i]);
    connect_edge(f, &edge, 0);
    edge_end(&edge);
}

/* ---- a socket that listens no more ---- */

static int set_up_with_listener(void **state)
{
    world_keeps_listener = true;
    int r = set_up(state);
    world_keeps_listener = false;
    return r;
}

static int tear_down_with_listener(void **state)
{
    struct fixture *f = *state;
    close(f->listener);
    return tear_down(state);
}

/* Somebody has shut it down: nobody is told to come here until it listens again. */
static void without_a_socket_that_listens_it_is_not_ready(void **state)
{
    struct fixture *f = *state;
    struct test_edge edge, after;
    struct buffer body = {0};

    give_wall(f, CONTROL_WALL_START, NULL);
    until_ready(f);
    connect_edge(f, &edge, 0);
    assert_true(metric(f, "keyless_server_listeners_broken") == 0);
    assert_int_equal(shutdown(f->listener, SHUT_RDWR), 0);
    until_metric(f, "keyless_server_listeners_broken", 1);
    assert_int_equal(admin_get(&f->admin, "/ready", 5000, &body), 503);
    assert_non_null(
        memmem(buffer_bytes(&body), buffer_length(&body), "nobody can connect at 127.0.0.1:", 32));
    buffer_clear(&body);
    assert_int_equal(admin_status(f, "/live"), 200);
    assert_true(metric(f, "keyless_server_accept_paused_total") == 0);
    edge_ask(&edge, OP_PING, NULL, 1, 1, 1000); /* who is there is served */
    EDGE_UNTIL(&edge, edge.answer_count == 1);
    edge_end(&edge);
    assert_int_equal(listen(f->listener, 16), 0);
    assert_int_equal(address_of_socket(f->listener, &f->listen),
                     0); /* a port of the kernel's choice is another now */
    until_ready(f);
    connect_edge(f, &after, 0);
    edge_end(&after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NET_TEST(before_the_first_vault_nobody_is_let_in_and_nobody_lost),
        NET_TEST(between_two_vaults_nobody_new_is_let_in),
        NET_TEST(for_a_vault_that_says_nothing_the_answer_is_unavailable),
        cmocka_unit_test_setup_teardown(without_descriptors_it_says_so_and_recovers,
                                        set_up_with_few_descriptors, tear_down),
        cmocka_unit_test_setup_teardown(without_a_socket_that_listens_it_is_not_ready, set_up_with_listener,
                                        tear_down_with_listener),
        NET_TEST(the_vault_gets_who_asks_and_from_where_and_its_answer_goes_back),
        NET_TEST(answers_late_twice_or_to_nobody_reach_no_other_request),
        NET_TEST(signatures_are_no_answer_to_keys_nor_the_other_way_round),
        NET_TEST(a_vault_that_never_answers_costs_one_deadline_and_is_told),
        NET_TEST(a_vault_that_dies_leaves_unavailable_and_the_next_one_serves),
        NET_TEST(a_vault_that_leaves_garbage_is_as_good_as_dead),
        NET_TEST(on_reload_the_old_vault_answers_what_it_has_and_the_new_one_the_rest),
        NET_TEST(a_drain_answers_what_is_open_takes_nothing_new_and_ends_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
