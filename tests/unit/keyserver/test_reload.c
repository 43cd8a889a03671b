/* What a reload of authorized_edges does to the channels that are open and to those that come, and how much
 * one edge may have in all of its channels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "keyserver/net/registry.h"
#include "tests/unit/keyserver/world.h"

/* What the file says now becomes the list, with a new vault. */
static void reload(struct fixture *f, struct wall *old)
{
    int fd = take_snapshot(f);

    assert_int_equal(control_send(f->control, CONTROL_EDGES, 0, fd), 0);
    close(fd);
    give_wall(f, CONTROL_WALL_RELOAD, old);
    f->slot_count = f->slot_next = 0;
    until_metric(f, "keyless_server_vault_reloads_total", 1);
}

static void assert_answers(struct fixture *f, struct test_edge *edge, uint64_t id)
{
    edge_ask(edge, OP_SIGN_TLS13, f->server.public, id, 1, 5000);
    EDGE_UNTIL(edge, channel_unsent(edge->channel) == 0);
    answer(&f->wall, next_slot(f, &f->wall).token, "s");
    EDGE_UNTIL(edge, edge_answer(edge, id) != NULL);
    assert_int_equal(edge_answer(edge, id)->outcome.status, STATUS_OK);
}

static void a_removed_edge_loses_its_channels_and_the_others_stay(void **state)
{
    struct fixture *f = *state;
    struct test_edge removed, stays, late;
    struct wall old;

    give_wall(f, CONTROL_WALL_START, NULL);
    until_ready(f);
    connect_edge(f, &removed, 0);
    connect_edge(f, &stays, 1);
    edge_ask(&removed, OP_SIGN_TLS13, f->server.public, 1, 2, 5000);
    EDGE_UNTIL(&removed, channel_unsent(removed.channel) == 0);
    uint64_t tokens = next_slot(f, &f->wall).token + next_slot(f, &f->wall).token;
    write_edges(f, NULL, "");
    reload(f, &old);
    EDGE_UNTIL(&removed, removed.closed);
    assert_int_equal(removed.why, ERR_CLOSED);
    assert_int_equal(removed.answer_count, 0);
    for (int i = 0; i < 2; i++) { /* what it had open is wanted no more */
        struct wall_request cancel = next_slot(f, &old);
        assert_int_equal(cancel.kind, WALL_CANCEL);
        tokens -= cancel.token;
    }
    assert_int_equal(tokens, 0);
    f->slot_count = f->slot_next = 0;
    assert_answers(f, &stays, 3);
    edge_start(&late, &f->listen, &f->edges[0], f->server.public, f->psks[0]);
    EDGE_UNTIL(&late, late.closed);
    assert_false(late.open);
    edge_end(&removed);
    edge_end(&late);
    edge_end(&stays);
    wall_close(&old);
}

static void another_psk_or_network_ends_the_channel_and_the_new_one_works(void **state)
{
    struct fixture *f = *state;
    struct test_edge edge, elsewhere;

    give_wall(f, CONTROL_WALL_START, NULL);
    until_ready(f);
    connect_edge(f, &edge, 0);
    connect_edge(f, &elsewhere, 1);
    random_bytes(f->psks[0], 32);
    write_edges(f, "", "from=192.0.2.0/24");
    reload(f, NULL);
    EDGE_UNTIL(&edge, edge.closed);
    EDGE_UNTIL(&elsewhere, elsewhere.closed);
    edge_end(&edge);
    edge_end(&elsewhere);
    connect_edge(f, &edge, 0);
    assert_answers(f, &edge, 1);
    edge_end(&edge);
}

static void an_edge_with_other_options_keeps_its_channel(void **state)
{
    struct fixture *f = *state;
    struct test_edge edge;

    give_wall(f, CONTROL_WALL_START, NULL);
    until_ready(f);
    connect_edge(f, &edge, 0);
    write_edges(f, "ops=sign_tls13", "");
    reload(f, NULL);
    assert_answers(f, &edge, 1);
    edge_end(&edge);
}

/* The list belongs to the vault that comes with it: without one, or with one that only replaces a dead one,
 * the old list counts. */
static void a_list_without_its_vault_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct test_edge edge;

    give_wall(f, CONTROL_WALL_START, NULL);
    until_ready(f);
    connect_edge(f, &edge, 0);
    write_edges(f, NULL, "");
    int fd = take_snapshot(f);
    assert_int_equal(control_send(f->control, CONTROL_EDGES, 0, fd), 0);
    close(fd);
    assert_answers(f, &edge, 1);
    give_wall(f, CONTROL_WALL_RESTART, NULL);
    f->slot_count = f->slot_next = 0;
    until_metric(f, "keyless_server_vault_restarts_total", 1);
    assert_answers(f, &edge, 2);
    edge_end(&edge);
}

static void a_list_that_cannot_be_read_is_not_taken(void **state)
{
    struct fixture *f = *state;
    struct test_edge edge;
    int fd = open(f->config.authorized_edges, O_WRONLY | O_TRUNC);

    give_wall(f, CONTROL_WALL_START, NULL);
    until_ready(f);
    connect_edge(f, &edge, 0);
    assert_true(write(fd, "nonsense\n", 9) == 9);
    close(fd);
    reload(f, NULL);
    assert_answers(f, &edge, 1);
    edge_end(&edge);
}

static void in_flight_counts_over_all_channels_of_an_edge(void **state)
{
    struct fixture *f = *state;
    struct test_edge one, two, other;

    give_wall(f, CONTROL_WALL_START, NULL);
    until_ready(f);
    connect_edge(f, &one, 0);
    connect_edge(f, &two, 0);
    connect_edge(f, &other, 1);
    edge_ask(&one, OP_SIGN_TLS13, f->server.public, 1, IN_FLIGHT - 1, 5000);
    EDGE_UNTIL(&one, channel_unsent(one.channel) == 0);
    uint64_t tokens[IN_FLIGHT];
    for (int i = 0; i < IN_FLIGHT - 1; i++)
        tokens[i] = next_slot(f, &f->wall).token;
    edge_ask(&two, OP_SIGN_TLS13, f->server.public, 1, 2, 5000);
    EDGE_UNTIL(&two, two.answer_count == 1);
    assert_int_equal(two.answers[0].outcome.status, STATUS_BUSY);
    tokens[IN_FLIGHT - 1] = next_slot(f, &f->wall).token;
    assert_answers(f, &other, 1);
    edge_end(&one); /* what it had open counts no more */
    until_metric(f, "keyless_server_requests_in_flight", 1);
    edge_ask(&two, OP_SIGN_TLS13, f->server.public, 10, IN_FLIGHT - 1, 5000);
    EDGE_UNTIL(&two, channel_unsent(two.channel) == 0);
    answer(&f->wall, tokens[IN_FLIGHT - 1], "s");
    EDGE_UNTIL(&two, two.answer_count == 2);
    assert_int_equal(two.answers[1].outcome.status, STATUS_OK);
    edge_end(&two);
    edge_end(&other);
}

/* More channels than any edge needs are one that was stolen, or a mistake: they are let go at once. */
static void an_edge_has_a_limited_number_of_channels(void **state)
{
    enum { MANY = REGISTRY_CHANNELS_MAX };
    struct fixture *f = *state;
    struct test_edge *edges = calloc(MANY + 1, sizeof *edges), other;

    assert_non_null(edges);
    give_wall(f, CONTROL_WALL_START, NULL);
    until_ready(f);
    for (int i = 0; i < MANY; i++)
        connect_edge(f, &edges[i], 0);
    edge_start(&edges[MANY], &f->listen, &f->edges[0], f->server.public, f->psks[0]);
    EDGE_UNTIL(&edges[MANY], edges[MANY].open);
    edge_send_hello(&edges[MANY], PROTOCOL_VERSION_MAX);
    EDGE_UNTIL(&edges[MANY], edges[MANY].closed);
    assert_false(edges[MANY].greeted);
    connect_edge(f, &other, 1);
    until_metric(f, "keyless_server_connected_edges", 2);
    edge_end(&other);
    for (int i = 0; i <= MANY; i++)
        edge_end(&edges[i]);
    until_metric(f, "keyless_server_connected_edges", 0);
    free(edges);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NET_TEST(a_removed_edge_loses_its_channels_and_the_others_stay),
        NET_TEST(another_psk_or_network_ends_the_channel_and_the_new_one_works),
        NET_TEST(an_edge_with_other_options_keeps_its_channel),
        NET_TEST(a_list_without_its_vault_changes_nothing),
        NET_TEST(a_list_that_cannot_be_read_is_not_taken),
        NET_TEST(in_flight_counts_over_all_channels_of_an_edge),
        NET_TEST(an_edge_has_a_limited_number_of_channels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
