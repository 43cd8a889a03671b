/* One edge and the net process: who gets in, what it may send, what it gets, and how it is let go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/process.h"
#include "tests/unit/keyserver/world.h"

static void keys_come_in_parts_until_no_more_follows(void **state)
{
    struct fixture *f = *state;
    struct test_edge edge;
    const uint32_t parts[] = {WALL_KEYS_MAX, WALL_KEYS_MAX, 3};

    give_wall(f, CONTROL_WALL_START, NULL);
    until_ready(f);
    connect_edge(f, &edge, 0);
    edge_ask(&edge, OP_KEYS, NULL, 1, 1, 5000);
    EDGE_UNTIL(&edge, channel_unsent(edge.channel) == 0);
    uint64_t token = next_slot(f, &f->wall).token;
    for (uint32_t part = 0; part < 3; part++) {
        struct wall_answer slot = {.token = token, .kind = WALL_KEYS, .more = part < 2};
        slot.u.keys.count = parts[part];
        for (uint32_t i = 0; i < parts[part]; i++)
            slot.u.keys.item[i] = (struct key_info){.key_id = {(uint8_t)(part * WALL_KEYS_MAX + i)},
                                                    .type = KEY_RSA,
                                                    .bits = 2048,
                                                    .operations = 8};
        assert_int_equal(wall_send_answers(&f->wall, &slot, 1), 1);
    }
    EDGE_UNTIL(&edge, edge.key_count == 2 * WALL_KEYS_MAX + 3);
    for (uint8_t i = 0; i < 8; i++)
        assert_int_equal(edge.keys[i].key_id[0], i);
    assert_true(!edge.answers[edge.answer_count - 1].more);
    until_metric(f, "keyless_server_requests_in_flight", 0);
    edge_end(&edge);
}

static void answer_keys(struct wall *wall, uint64_t token, size_t count)
{
    for (size_t told = 0; told < count; told += WALL_KEYS_MAX) {
        struct wall_answer slot = {.token = token, .kind = WALL_KEYS, .more = told + WALL_KEYS_MAX < count};
        slot.u.keys.count = WALL_KEYS_MAX;
        for (uint32_t i = 0; i < WALL_KEYS_MAX; i++)
            slot.u.keys.item[i] = (struct key_info){
                .key_id = {(uint8_t)i, 1}, .type = KEY_RSA, .bits = 2048, .operations = 8};
        while (wall_send_answers(wall, &slot, 1) != 1) /* the other side is behind */
            wall_rig_wait(wall, WALL_SLOTS | WALL_ROOM, 10);
    }
}

/* The next request is for a list, and is one of EDGE's channel. */
static uint64_t next_list(struct fixture *f, const struct test_edge *edge)
{
    struct wall_request slot = next_slot(f, &f->wall);
    assert_int_equal(slot.operation.kind, OP_KEYS);
    assert_memory_equal(slot.channel, channel_hash(edge->channel), sizeof slot.channel);
    return slot.token;
}

static void ask_and_arrive(struct test_edge *edge, uint64_t id, size_t count)
{
    edge_ask(edge, OP_KEYS, NULL, id, count, 5000);
    edge_ask(edge, OP_PING, NULL, 1000 + id, 1, 5000);
    EDGE_UNTIL(edge, edge_answer(edge, 1000 + id) != NULL);
}

static void an_edge_has_one_list_made_at_a_time_in_the_order_it_asked(void **state)
{
    struct fixture *f = *state;
    struct test_edge one, two, other;

    give_wall(f, CONTROL_WALL_START, NULL);
    until_ready(f);
    connect_edge(f, &one, 0);
    connect_edge(f, &two, 0);
    connect_edge(f, &other, 1);
    ask_and_arrive(&one, 1, 2);
    ask_and_arrive(&two, 3, 1);
    ask_and_arrive(&other, 9, 1);
    uint64_t first = next_list(f, &one);
    answer_keys(&f->wall, next_list(f, &other), 20); /* another edge's is not in their way, */
    edge_ask(&two, OP_SIGN_TLS13, f->server.public, 5, 1, 5000);
    EDGE_UNTIL(&two, channel_unsent(two.channel) == 0);
    struct wall_request sign = next_slot(f, &f->wall);
    assert_int_equal(sign.operation.kind, OP_SIGN_TLS13); /* nor are they in a signature's */
    answer(&f->wall, sign.token, "s");
    answer_keys(&f->wall, first, 20);
    answer_keys(&f->wall, next_list(f, &one), 10);
    uint64_t last = next_list(f, &two);
    edge_end(&one); /* has nothing left to take along */
    answer_keys(&f->wall, last, 30);
    EDGE_UNTIL(&two, two.key_count == 30 && edge_answer(&two, 5) != NULL);
    EDGE_UNTIL(&other, other.key_count == 20);
    until_metric(f, "keyless_server_requests_in_flight", 0);
    edge_end(&two);
    edge_end(&other);
}

/* What was not sent is told from zeros on the wall, too. */
static void a_request_for_keys_has_what_was_sent_with_it(void **state)
{
    /* Message.requests, Requests.request, Request.id, then keys; no trace */
    static const uint8_t bare[] = {0x12, 7, 0x0a, 5, 0x08, 5, 0x9a, 0x01, 0};
    struct fixture *f = *state;
    struct test_edge edge;
    struct buffer packed;

    give_wall(f, CONTROL_WALL_START, NULL);
    until_ready(f);
    connect_edge(f, &edge, 0);
    edge_ask(&edge, OP_KEYS, NULL, 1, 1, 5000);
    EDGE_UNTIL(&edge, channel_unsent(edge.channel) == 0);
    struct wall_request slot = next_slot(f, &f->wall);
    assert_int_equal(slot.operation.kind, OP_KEYS);
    assert_true(slot.no_key_id == 1 && slot.no_trace == 0);
    answer_keys(&f->wall, slot.token, 10);
    buffer_init(&packed);
    assert_int_equal(buffer_put(&packed, bare, sizeof bare), 0);
    edge_send(&edge, &packed);
    EDGE_UNTIL(&edge, channel_unsent(edge.channel) == 0);
    slot = next_slot(f, &f->wall);
    assert_int_equal(slot.operation.kind, OP_KEYS);
    assert_true(slot.no_key_id == 1 && slot.no_trace == 1);
    answer_keys(&f->wall, slot.token, 10);
    EDGE_UNTIL(&edge, edge.key_count == 20);
    edge_end(&edge);
}

static void lists_that_wait_leave_with_their_channel(void **state)
{
    struct fixture *f = *state;
    struct test_edge one, two;

    give_wall(f, CONTROL_WALL_START, NULL);
    until_ready(f);
    connect_edge(f, &one, 0);
    connect_edge(f, &two, 0);
    ask_and_arrive(&one, 1, 2);
    ask_and_arrive(&two, 3, 1);
    uint64_t token = next_list(f, &one);
    edge_end(&one);
    struct wall_request cancel = next_slot(f, &f->wall);
    assert_int_equal(cancel.kind, WALL_CANCEL);
    assert_int_equal(cancel.token, token);
    answer_keys(&f->wall, next_list(f, &two), 10);
    EDGE_UNTIL(&two, two.key_count == 10);
    ask_and_arrive(&two, 4, 2);
    (void)next_list(f, &two);
    edge_end(&two); /* the last of its edge, with one that waits */
    until_metric(f, "keyless_server_requests_in_flight", 0);
    until_metric(f, "keyless_server_channels", 0);
}

#define LATE_CHANNELS (PROCESS_SANITIZED ? 1 : 2) /* all lists have to be read before they expire */
#define LATE_LISTS    256                         /* of each */
#define LATE_KEYS     2000

static int set_up_with_many_in_flight(void **state)
{
    world_in_flight = LATE_CHANNELS * LATE_LISTS;
    int failed = set_up(state);
    world_in_flight = 0;
    return failed;
}

/* Answers every list that the net process asks for, until it asks for none for QUIET_MS. */
static size_t answer_lists(struct fixture *f, int quiet_ms)
{
    size_t count = 0;
    for (;;) {
        int received = wall_receive_requests(&f->wall, f->slots, WALL_BATCH_MAX);
        assert_true(received >= 0);
        for (int i = 0; i < received; i++) {
            if (f->slots[i].kind != WALL_OPERATION)
                continue;
            answer_keys(&f->wall, f->slots[i].token, LATE_KEYS);
            count++;
        }
        if (received == 0 && !wall_rig_wait(&f->wall, WALL_SLOTS, quiet_ms))
            return count;
    }
}

/* 20 MB a channel, more than the kernel's buffers, of which the edge reads nothing until no more is made. */
static void an_edge_that_reads_late_is_honest_and_gets_every_list(void **state)
{
    static struct test_edge edges[LATE_CHANNELS];
    struct fixture *f = *state;
    size_t all = LATE_CHANNELS * LATE_LISTS, made;

    give_wall(f, CONTROL_WALL_START, NULL);
    until_ready(f);
    for (size_t i = 0; i < LATE_CHANNELS; i++) {
        connect_edge(f, &edges[i], 0);
        for (size_t asked = 0; asked < LATE_LISTS; asked += MSG_BATCH_MAX)
            edge_ask(&edges[i], OP_KEYS, NULL, 1 + asked, MSG_BATCH_MAX, 60000);
        EDGE_UNTIL(&edges[i], channel_unsent(edges[i].channel) == 0);
    }
    made = answer_lists(f, 300);
    for (uint64_t until = clock_ms() + 6 * EDGE_PATIENCE_MS; made < all && clock_ms() < until;) {
        for (size_t i = 0; i < LATE_CHANNELS; i++)
            uv_run(&edges[i].loop, UV_RUN_NOWAIT);
        made += answer_lists(f, 1);
    }
    assert_int_equal(made, all);
    for (size_t i = 0; i < LATE_CHANNELS; i++) {
        EDGE_UNTIL(&edges[i], edges[i].closed || edges[i].key_count == LATE_LISTS * LATE_KEYS);
        assert_false(edges[i].closed);
    }
    assert_true(metric(f, "keyless_server_slow_readers_total") == 0);
    for (size_t i = 0; i < LATE_CHANNELS; i++)
        edge_end(&edges[i]);
}

static void one_more_than_in_flight_max_is_busy(void **state)
{
    struct fixture *f = *state;
    struct test_edge edge;

    give_wall(f, CONTROL_WALL_START, NULL);
    until_ready(f);
    connect_edge(f, &edge, 0);
    edge_ask(&edge, OP_SIGN_TLS13, f->server.public, 1, IN_FLIGHT + 1, 5000);
    EDGE_UNTIL(&edge, edge.answer_count == 1);
    assert_int_equal(edge.answers[0].id, IN_FLIGHT + 1);
    assert_int_equal(edge.answers[0].outcome.status, STATUS_BUSY);
    for (int i = 0; i < IN_FLIGHT; i++)
        answer(&f->wall, next_slot(f, &f->wall).token, "s");
    EDGE_UNTIL(&edge, edge.answer_count == IN_FLIGHT + 1);
    edge_end(&edge);
}

static void an_edge_that_leaves_takes_its_requests_along(void **state)
{
    struct fixture *f = *state;
    struct test_edge edge;

    give_wall(f, CONTROL_WALL_START, NULL);
    until_ready(f);
    connect_edge(f, &edge, 0);
    edge_ask(&edge, OP_SIGN_TLS13, f->server.public, 1, 2, 5000);
    EDGE_UNTIL(&edge, channel_unsent(edge.channel) == 0);
    uint64_t tokens = next_slot(f, &f->wall).token + next_slot(f, &f->wall).token;
    edge_end(&edge);
    for (int i = 0; i < 2; i++) {
        struct wall_request cancel = next_slot(f, &f->wall);
        assert_int_equal(cancel.kind, WALL_CANCEL);
        tokens -= cancel.token;
    }
    assert_int_equal(tokens, 0);
    assert_true(metric(f, "keyless_server_requests_in_flight") == 0);
    assert_true(metric(f, "keyless_server_requests_cancelled_total") == 2);
    assert_true(metric(f, "keyless_server_channels") == 0);
}

static void an_edge_that_does_not_read_is_let_go_and_others_are_served(void **state)
{
    struct fixture *f = *state;
    struct test_edge idle, other;
    struct wall_answer part = {.kind = WALL_KEYS, .more = 1};

    give_wall(f, CONTROL_WALL_START, NULL);
    until_ready(f);
    connect_edge(f, &idle, 0);
    connect_edge(f, &other, 1);
    edge_ask(&idle, OP_KEYS, NULL, 1, 1, 5000);
    EDGE_UNTIL(&idle, channel_unsent(idle.channel) == 0);
    part.token = next_slot(f, &f->wall).token;
    part.u.keys.count = WALL_KEYS_MAX;
    for (int i = 0; i < WALL_KEYS_MAX; i++)
        part.u.keys.item[i] = (struct key_info){.type = KEY_RSA, .bits = 2048, .operations = 8};
    struct wall_request cancel = {.kind = 0};
    uint64_t until = clock_ms() + 4000; /* before the request's deadline would end it */
    while (cancel.kind == 0 && clock_ms() < until) {
        if (wall_send_answers(&f->wall, &part, 1) != 1) /* the other side is behind */
            wall_rig_wait(&f->wall, WALL_SLOTS | WALL_ROOM, 1);
        if (wall_receive_requests(&f->wall, f->slots, WALL_BATCH_MAX) > 0)
            cancel = f->slots[0];
    }
    assert_int_equal(cancel.kind, WALL_CANCEL);
    assert_int_equal(cancel.token, part.token);
    assert_true(metric(f, "keyless_server_slow_readers_total") == 1);
    until_metric(f, "keyless_server_channels", 1);
    edge_ask(&other, OP_PING, NULL, 2, 1, 1000);
    EDGE_UNTIL(&other, other.answer_count == 1);
    edge_end(&other);
    edge_end(&idle);
}

static void strangers_and_wrong_psks_are_dropped_without_a_byte_and_counted(void **state)
{
    struct fixture *f = *state;
    struct test_edge edge;
    struct identity stranger;

    give_wall(f, CONTROL_WALL_START, NULL);
    identity_generate(&stranger);
    edge_start(&edge, &f->listen, &stranger, f->server.public, f->psks[0]);
    EDGE_UNTIL(&edge, edge.closed);
    assert_false(edge.open);
    edge_end(&edge);
    until_metric(f, "keyless_server_connections_dropped_total{reason=\"unknown\"}", 1);
    edge_start(&edge, &f->listen, &f->edges[0], f->server.public, f->psks[1]);
    EDGE_UNTIL(&edge, edge.closed || edge.open);
    assert_false(edge.greeted);
    edge_end(&edge);
    assert_true(metric(f, "keyless_server_channels_accepted_total") == 0);
}

static void what_is_no_proper_message_ends_the_channel(void **state)
{
    struct fixture *f = *state;
    struct test_edge edge;

    give_wall(f, CONTROL_WALL_START, NULL);
    edge_start(&edge, &f->listen, &f->edges[0], f->server.public, f->psks[0]);
    EDGE_UNTIL(&edge, edge.open);
    edge_ask(&edge, OP_PING, NULL, 1, 1, 1000); /* before the hello */
    EDGE_UNTIL(&edge, edge.closed);
    assert_int_equal(edge.answer_count, 0);
    edge_end(&edge);

    connect_edge(f, &edge, 0);
    edge_send_hello(&edge, 1); /* a second one */
    EDGE_UNTIL(&edge, edge.closed);
    edge_end(&edge);

    connect_edge(f, &edge, 0);
    assert_int_equal(channel_send(edge.channel, "\xff\xff\xff\xff", 4), 0);
    EDGE_UNTIL(&edge, edge.closed);
    edge_end(&edge);
    assert_true(metric(f, "keyless_server_malformed_messages_total") == 3);
}

static void a_version_nobody_shares_is_told_and_closed(void **state)
{
    struct fixture *f = *state;
    struct test_edge edge;

    give_wall(f, CONTROL_WALL_START, NULL);
    edge_start(&edge, &f->listen, &f->edges[0], f->server.public, f->psks[0]);
    EDGE_UNTIL(&edge, edge.open);
    edge_send_hello(&edge, PROTOCOL_VERSION_MAX + 1);
    EDGE_UNTIL(&edge, edge.closed);
    assert_true(edge.greeted); /* with what the server speaks */
    assert_int_equal(edge.why, ERR_CLOSED);
    edge_end(&edge);
}

static void the_status_names_the_connected_edges(void **state)
{
    struct fixture *f = *state;
    struct test_edge edge;
    struct buffer body;

    give_wall(f, CONTROL_WALL_START, NULL);
    connect_edge(f, &edge, 1);
    buffer_init(&body);
    assert_int_equal(admin_get(&f->admin, "/status.json", 5000, &body), 200);
    assert_int_equal(buffer_put(&body, "", 1), 0);
    const char *text = (const char *)buffer_bytes(&body);
    assert_non_null(strstr(text, "\"name\": \"edge1\""));
    assert_non_null(strstr(text, "\"software\": \"test _edge_\"")); /* quotes are made harmless */
    assert_non_null(strstr(text, "\"ready\": true"));
    assert_null(strstr(text, "edge0"));
    buffer_clear(&body);
    edge_end(&edge);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NET_TEST(keys_come_in_parts_until_no_more_follows),
        NET_TEST(an_edge_has_one_list_made_at_a_time_in_the_order_it_asked),
        NET_TEST(a_request_for_keys_has_what_was_sent_with_it),
        NET_TEST(lists_that_wait_leave_with_their_channel),
        cmocka_unit_test_setup_teardown(an_edge_that_reads_late_is_honest_and_gets_every_list,
                                        set_up_with_many_in_flight, tear_down),
        NET_TEST(one_more_than_in_flight_max_is_busy),
        NET_TEST(an_edge_that_leaves_takes_its_requests_along),
        NET_TEST(an_edge_that_does_not_read_is_let_go_and_others_are_served),
        NET_TEST(strangers_and_wrong_psks_are_dropped_without_a_byte_and_counted),
        NET_TEST(what_is_no_proper_message_ends_the_channel),
        NET_TEST(a_version_nobody_shares_is_told_and_closed),
        NET_TEST(the_status_names_the_connected_edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
