/* Who goes when the places for half-open connections are taken: the flood, and never the newest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "common/half_open.h"
#include "common/secret.h"
#include "tests/unit/common/addresses.h"

#define PLACES 64

static struct half_open table; /* large */

struct guest {
    size_t place;
    bool inside;
};

static void leave(struct guest *guest)
{
    half_open_remove(&table, guest->place);
    guest->inside = false;
}

/* GUEST comes from FROM, and somebody makes room if need be; who, or NULL. */
static struct guest *come(struct guest *guest, struct address from)
{
    struct guest *victim = half_open_find_victim(&table);
    if (victim != NULL)
        leave(victim);
    guest->place = half_open_put(&table, &from, guest);
    guest->inside = true;
    return victim;
}

static int set_up(void **state)
{
    (void)state;
    return half_open_init(&table, PLACES);
}

static int tear_down(void **state)
{
    (void)state;
    half_open_clear(&table);
    return 0;
}

static void the_oldest_of_one_source_makes_room(void **state)
{
    struct guest guests[3 * PLACES] = {{0}};
    (void)state;
    for (size_t i = 0; i < 3 * PLACES; i++) {
        struct guest *victim = come(&guests[i], v4(0x0a000001));
        assert_ptr_equal(victim, i < PLACES ? NULL : &guests[i - PLACES]);
    }
}

/* Ten thousand from one block of a hundred addresses, and then from a hundred blocks: one from elsewhere, who
 * came in the middle of them, stays until it leaves by itself. */
static void a_flood_pushes_out_itself(void **state)
{
    static struct guest flood[10000];
    struct guest edge = {0};
    (void)state;
    for (unsigned blocks = 0; blocks < 2; blocks++) {
        for (unsigned i = 0; i < 10000; i++) {
            if (i == 5000)
                come(&edge, v4(0xc0000207));
            unsigned number = i % 16; /* of so many sources; each holds several places */
            assert_ptr_not_equal(come(&flood[i], v4(0x0a000001 + (blocks ? number << 8 : number))), &edge);
        }
        assert_true(edge.inside);
        leave(&edge);
        for (unsigned i = 0; i < 10000; i++)
            if (flood[i].inside)
                leave(&flood[i]);
        assert_int_equal(table.count, 0);
    }
}

static void in_a_block_the_address_with_most_goes_first(void **state)
{
    struct guest flood[PLACES] = {{0}}, neighbour = {0}, more[PLACES] = {{0}};
    (void)state;
    come(&neighbour, v4(0x0a000002));
    for (size_t i = 0; i + 1 < PLACES; i++)
        come(&flood[i], v4(0x0a000001));
    for (size_t i = 0; i < PLACES; i++)
        come(&more[i], v4(0x0a000001));
    assert_true(neighbour.inside);
}

static void a_network_of_ipv6_is_one_block(void **state)
{
    struct guest edge = {0}, flood[4 * PLACES] = {{0}};
    char text[INET6_ADDRSTRLEN];
    (void)state;
    come(&edge, v6("2001:db8:1::7"));
    for (unsigned i = 0; i < 4 * PLACES; i++) { /* each has a /64 of its own */
        snprintf(text, sizeof text, "2001:db8:2:%x::1", i);
        come(&flood[i], v6(text));
    }
    assert_true(edge.inside);
}

/* A flood from as many blocks as it has connections: only who was here before is told apart from it. */
static void a_known_address_goes_last(void **state)
{
    static struct guest flood[10 * PLACES];
    struct guest known = {0}, unknown = {0};
    struct address from = v4(0xc0000207);
    (void)state;
    half_open_remember(&table, &from);
    come(&known, from);
    come(&unknown, v4(0xc0000307));
    for (unsigned i = 0; i < 10 * PLACES; i++)
        come(&flood[i], v4(0x0a000001 + (i << 8)));
    assert_true(known.inside);
    assert_false(unknown.inside);
}

static void a_flood_from_a_known_address_pushes_out_itself(void **state)
{
    static struct guest flood[10 * PLACES];
    struct guest edge = {0};
    struct address from = v4(0xc0000207), other = v4(0xc0000307);
    (void)state;
    half_open_remember(&table, &from);
    half_open_remember(&table, &other);
    come(&edge, other);
    for (unsigned i = 0; i < 10 * PLACES; i++)
        come(&flood[i], from);
    assert_true(edge.inside);
}

static void known_addresses_are_forgotten_before_memory_grows(void **state)
{
    static struct guest flood[10 * PLACES];
    struct guest edge = {0};
    struct address from = v4(0xc0000207);
    (void)state;
    half_open_remember(&table, &from);
    for (unsigned i = 0; i < 200000; i++) {
        struct address other = v4(0x0b000000 + i);
        half_open_remember(&table, &other);
    }
    come(&edge, from);
    for (unsigned i = 0; i < 10 * PLACES; i++)
        come(&flood[i], v4(0x0a000001 + (i << 8)));
    assert_false(edge.inside);
}

/* In a table too large to be looked through, somebody still goes, and not the newest. */
static void a_large_table_finds_somebody(void **state)
{
    static struct guest guests[4 * HALF_OPEN_LOOKS];
    size_t max = 3 * HALF_OPEN_LOOKS;
    (void)state;
    half_open_clear(&table);
    assert_int_equal(half_open_init(&table, max), 0);
    for (size_t i = 0; i < 4 * HALF_OPEN_LOOKS; i++) {
        struct guest *victim = come(&guests[i], v4(0x0a000001));
        assert_int_equal(victim != NULL, i >= max);
        assert_true(i == 0 || guests[i - 1].inside);
    }
    assert_int_equal(table.count, max);
}

static int start(void **state)
{
    (void)state;
    return secret_init();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_oldest_of_one_source_makes_room),
        TEST(a_flood_pushes_out_itself),
        TEST(in_a_block_the_address_with_most_goes_first),
        TEST(a_network_of_ipv6_is_one_block),
        TEST(a_known_address_goes_last),
        TEST(a_flood_from_a_known_address_pushes_out_itself),
        TEST(known_addresses_are_forgotten_before_memory_grows),
        TEST(a_large_table_finds_somebody),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
