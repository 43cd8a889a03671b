/* How epoch keys come from the vault to the channels of their edge, and to no other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/keyserver/world.h"

static void assert_epoch(const struct test_edge *edge, uint64_t number, uint8_t fill)
{
    uint8_t key[EPOCH_KEY_SIZE];

    memset(key, fill, sizeof key);
    assert_int_equal(edge->epoch.number, number);
    assert_memory_equal(edge->epoch.key, key, sizeof key);
}

static void every_channel_gets_its_own_edges_key_and_each_new_one(void **state)
{
    struct fixture *f = *state;
    struct test_edge one, again, other;

    give_wall(f, CONTROL_WALL_START, NULL);
    send_epoch_number(&f->wall, 7);
    until_ready(f);
    connect_edge(f, &one, 0);
    assert_memory_equal(next_epoch_wanted(f, &f->wall), f->edges[0].public, 32);
    answer_epoch(&f->wall, f->edges[0].public, 7, 0xa0, 50000);
    EDGE_UNTIL(&one, one.epoch_count == 1);
    assert_epoch(&one, 7, 0xa0);
    assert_in_range(one.epoch.left_ms, 40000, 50000);

    connect_edge(f, &again, 0); /* of the same edge: known already */
    EDGE_UNTIL(&again, again.epoch_count == 1);
    assert_epoch(&again, 7, 0xa0);
    connect_edge(f, &other, 1);
    assert_memory_equal(next_epoch_wanted(f, &f->wall), f->edges[1].public, 32);
    answer_epoch(&f->wall, f->edges[1].public, 7, 0xb0, 50000);
    EDGE_UNTIL(&other, other.epoch_count == 1);
    assert_epoch(&other, 7, 0xb0);
    assert_int_equal(one.epoch_count, 1);

    send_epoch_number(&f->wall, 7); /* nothing new */
    send_epoch_number(&f->wall, 8);
    for (int i = 0; i < 2; i++) {
        bool first = memcmp(next_epoch_wanted(f, &f->wall), f->edges[0].public, 32) == 0;
        answer_epoch(&f->wall, f->edges[first ? 0 : 1].public, 8, first ? 0xa1 : 0xb1, 60000);
    }
    EDGE_UNTIL(&one, one.epoch_count == 2);
    EDGE_UNTIL(&again, again.epoch_count == 2);
    EDGE_UNTIL(&other, other.epoch_count == 2);
    assert_epoch(&one, 8, 0xa1);
    assert_epoch(&again, 8, 0xa1);
    assert_epoch(&other, 8, 0xb1);
    assert_int_equal(f->epochs_wanted, 4);
    edge_end(&one);
    edge_end(&again);
    edge_end(&other);
}

static void another_vault_is_asked_anew(void **state)
{
    struct fixture *f = *state;
    struct test_edge edge;
    struct wall old;

    give_wall(f, CONTROL_WALL_START, NULL);
    send_epoch_number(&f->wall, 7);
    until_ready(f);
    connect_edge(f, &edge, 0);
    (void)next_epoch_wanted(f, &f->wall);
    answer_epoch(&f->wall, f->edges[0].public, 7, 0xa0, 50000);
    EDGE_UNTIL(&edge, edge.epoch_count == 1);
    give_wall(f, CONTROL_WALL_RESTART, &old);
    f->slot_count = f->slot_next = 0;
    send_epoch_number(&f->wall, 7); /* the same number, but perhaps not the same secret */
    assert_memory_equal(next_epoch_wanted(f, &f->wall), f->edges[0].public, 32);
    answer_epoch(&old, f->edges[0].public, 7, 0x0d, 50000); /* of one that only drains */
    answer_epoch(&f->wall, f->edges[0].public, 7, 0xa9, 50000);
    EDGE_UNTIL(&edge, edge.epoch_count >= 2);
    assert_epoch(&edge, 7, 0xa9);
    wall_close(&old);
    edge_end(&edge);
}

static void a_key_for_nobody_is_dropped(void **state)
{
    struct fixture *f = *state;
    struct test_edge edge;

    give_wall(f, CONTROL_WALL_START, NULL);
    until_ready(f);
    connect_edge(f, &edge, 0);
    answer_epoch(&f->wall, f->edges[1].public, 7, 0xb0, 50000);
    answer_epoch(&f->wall, f->server.public, 7, 0xc0, 50000);
    edge_ask(&edge, OP_PING, NULL, 1, 1, 1000);
    EDGE_UNTIL(&edge, edge.answer_count == 1);
    assert_int_equal(edge.epoch_count, 0);
    edge_end(&edge);
}

static void an_edge_without_a_key_is_told_so_once(void **state)
{
    struct fixture *f = *state;
    struct test_edge edge, again;

    give_wall(f, CONTROL_WALL_START, NULL);
    send_epoch_number(&f->wall, 7);
    until_ready(f);
    connect_edge(f, &edge, 0);
    (void)next_epoch_wanted(f, &f->wall);
    answer_epoch(&f->wall, f->edges[0].public, 0, 0, 0);
    EDGE_UNTIL(&edge, edge.epoch_count == 1);
    assert_int_equal(edge.epoch.number, 0);
    connect_edge(f, &again, 0);
    EDGE_UNTIL(&again, again.epoch_count == 1);
    send_epoch_number(&f->wall, 8);
    (void)next_epoch_wanted(f, &f->wall);
    answer_epoch(&f->wall, f->edges[0].public, 0, 0, 0); /* nothing new */
    send_epoch_number(&f->wall, 9);
    (void)next_epoch_wanted(f, &f->wall);
    answer_epoch(&f->wall, f->edges[0].public, 9, 0xa0, 50000); /* after a reload, say */
    EDGE_UNTIL(&edge, edge.epoch_count >= 2);
    assert_epoch(&edge, 9, 0xa0);
    assert_int_equal(edge.epoch_count, 2);
    edge_end(&edge);
    edge_end(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NET_TEST(every_channel_gets_its_own_edges_key_and_each_new_one),
        NET_TEST(another_vault_is_asked_anew),
        NET_TEST(a_key_for_nobody_is_dropped),
        NET_TEST(an_edge_without_a_key_is_told_so_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
