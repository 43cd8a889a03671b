/* Lists of keys: made once for each edge, told part by part and in turn, dropped when nobody waits for them.
 * Counted in steps and in keys judged, never in time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>

#include "keyserver/vault/judge/grant_cache.c"
#include "keyserver/vault/judge/listing.h"
#include "tests/unit/keyserver/many_keys.h"

#define KEYS      207
#define PARTS     ((KEYS + LISTING_PART_KEYS - 1) / LISTING_PART_KEYS)
#define MAKING    ((KEYS + GRANT_CACHE_KEYS_A_STEP - 1) / GRANT_CACHE_KEYS_A_STEP) /* steps that make a list */
#define STEPS_MAX 1000000

enum { EDGE_GREEDY, EDGE_MODEST, EDGE_THIRD, EDGE_NOTHING, EDGES };

static const char *const options[EDGES] = {
    [EDGE_GREEDY] = "", [EDGE_MODEST] = "", [EDGE_THIRD] = "", [EDGE_NOTHING] = "keys=none"};
static char words[][16] = {"sign_tls13", "sign_tls12", "bound"};
static char *operations[] = {words[0], words[1]}, *modes[] = {words[2]};
static struct server_config config = {.key_default = {.operations = {operations, 2}, .modes = {modes, 1}}};
static struct grant_cache *grants;
static struct listing *listing;
static struct now now = {.mono_ns = 1000, .unix_s = 1798718400};

static int load(void **state)
{
    (void)state;
    assert_int_equal(secret_init(), 0);
    many_write_keys(KEYS);
    many_load(&config, options, EDGES);
    assert_int_equal(keystore_count(many.keys), KEYS);
    return 0;
}

static int set_up_for(size_t grants_max)
{
    grants = grant_cache_new(&many.judge, grants_max);
    listing = grants != NULL ? listing_new(&many.judge, grants) : NULL;
    return listing != NULL ? 0 : -1;
}

static int set_up(void **state)
{
    (void)state;
    return set_up_for(GRANT_CACHE_MAX);
}

/* Room for one list. */
static int set_up_narrow(void **state)
{
    (void)state;
    return set_up_for(KEYS + KEYS / 2);
}

static int tear_down(void **state)
{
    (void)state;
    listing_free(listing);
    grant_cache_free(grants);
    return 0;
}

static int want_until(size_t edge, uint64_t token, uint64_t deadline_ns, uint64_t *lost)
{
    uint8_t key[32];
    many_edge_key(key, edge);
    const struct operation operation = {.kind = OP_KEYS};
    const struct key_request request = {
        .token = token,
        .deadline_ns = deadline_ns,
        .edge_key = key,
        .from = {.u.v4.sin_family = AF_INET, .length = sizeof(struct sockaddr_in)},
        .operation = &operation};
    const struct judgement judgement = {.identity = {.edge = authorized_find(many.edges, key)}};
    assert_non_null(judgement.identity.edge);
    return listing_add(listing, &request, &judgement, lost);
}

static void want(size_t edge, uint64_t token)
{
    uint64_t lost;
    assert_int_equal(want_until(edge, token, UINT64_MAX, &lost), 0);
}

/* Steps until an answer comes; how many it took. */
static size_t next(struct listing_part *answer)
{
    for (size_t steps = 1; steps < STEPS_MAX; steps++)
        if (listing_step(listing, &now, answer)) {
            assert_in_range(answer->count, 0, LISTING_PART_KEYS);
            assert_true(answer->status == STATUS_OK || (answer->count == 0 && !answer->more));
            return steps;
        }
    fail_msg("no answer");
    return 0;
}

/* Steps until the list TOKEN is whole; how many it took, and keys into COUNT. */
static size_t whole(uint64_t token, size_t *count)
{
    struct listing_part answer;
    size_t steps = 0;
    *count = 0;
    do {
        steps += next(&answer);
        if (answer.token == token)
            *count += answer.count;
    } while (answer.token != token || answer.more);
    return steps;
}

static void a_list_has_every_key_once_and_in_parts(void **state)
{
    struct listing_part answer;
    bool seen[KEYS] = {false};
    (void)state;
    want(EDGE_MODEST, 1);
    for (size_t part = 0; part < PARTS; part++) {
        next(&answer);
        assert_int_equal(answer.status, STATUS_OK);
        assert_int_equal(answer.token, 1);
        assert_int_equal(answer.more, part + 1 < PARTS);
        for (size_t i = 0; i < answer.count; i++) {
            const struct key *key = keystore_find(many.keys, answer.keys[i].key_id);
            assert_non_null(key);
            assert_false(seen[key->index]);
            seen[key->index] = true;
            assert_int_equal(answer.keys[i].operations, 1u << OP_SIGN_TLS13 | 1u << OP_SIGN_TLS12);
        }
    }
    for (size_t i = 0; i < KEYS; i++)
        assert_true(seen[i]);
    assert_false(listing_waits(listing));
}

/* The flood: one edge wants as many lists as there is room for. Another's takes as many steps as if the first
 * wanted one: each of its own steps and one of the other's. */
static void a_flood_of_one_edge_delays_another_by_one_step_a_step(void **state)
{
    size_t count, alone;
    (void)state;
    want(EDGE_MODEST, 1);
    alone = whole(1, &count);
    assert_int_equal(alone, MAKING - 1 + PARTS);
    for (uint64_t i = 0; i < LISTING_MAX - 1; i++)
        want(EDGE_GREEDY, 100 + i);
    for (uint64_t token = 2; token < 5; token++) {
        want(EDGE_MODEST, token);
        assert_in_range(whole(token, &count), PARTS, 2 * PARTS);
        assert_int_equal(count, KEYS);
    }
}

static void a_list_is_judged_once_for_each_edge(void **state)
{
    size_t count;
    (void)state;
    for (uint64_t token = 1; token <= 1000; token++)
        want(EDGE_GREEDY, token);
    for (uint64_t token = 1; token <= 1000; token++) {
        whole(token, &count);
        assert_int_equal(count, KEYS);
    }
    assert_int_equal(grants->judged, KEYS);
    want(EDGE_MODEST, 2000);
    whole(2000, &count);
    assert_int_equal(grants->judged, 2 * KEYS);
}

static void no_step_judges_more_than_its_share(void **state)
{
    struct listing_part answer;
    uint64_t before = 0;
    (void)state;
    for (size_t edge = 0; edge < EDGES; edge++)
        want(edge, edge + 1);
    while (listing_waits(listing)) {
        (void)listing_step(listing, &now, &answer);
        assert_true(grants->judged - before <= GRANT_CACHE_KEYS_A_STEP);
        before = grants->judged;
    }
}

static void who_may_use_nothing_gets_an_empty_list(void **state)
{
    struct listing_part answer;
    (void)state;
    want(EDGE_NOTHING, 1);
    next(&answer);
    assert_int_equal(answer.status, STATUS_OK);
    assert_int_equal(answer.count, 0);
    assert_false(answer.more);
}

static void what_is_cancelled_takes_no_step(void **state)
{
    struct listing_part answer;
    (void)state;
    for (uint64_t token = 1; token <= 1000; token++)
        want(EDGE_GREEDY, token);
    next(&answer);
    for (uint64_t token = 1; token <= 1000; token++)
        assert_true(listing_cancel(listing, token));
    assert_false(listing_cancel(listing, 1001));
    want(EDGE_MODEST, 2000);
    assert_int_equal(next(&answer), MAKING);
    assert_int_equal(answer.token, 2000);
    for (size_t part = 1; part < PARTS; part++)
        assert_int_equal(next(&answer), 1);
    assert_false(listing_step(listing, &now, &answer));
    assert_false(listing_waits(listing));
}

static void a_list_that_was_not_begun_in_time_is_expired(void **state)
{
    struct listing_part answer;
    uint64_t lost;
    (void)state;
    assert_int_equal(want_until(EDGE_MODEST, 1, now.mono_ns, &lost), 0);
    assert_int_equal(want_until(EDGE_MODEST, 2, now.mono_ns + 1, &lost), 0);
    assert_int_equal(next(&answer), 1);
    assert_int_equal(answer.status, STATUS_EXPIRED);
    next(&answer);
    assert_int_equal(answer.status, STATUS_OK);
}

static void who_wants_most_loses_its_oldest_when_there_is_no_room(void **state)
{
    uint64_t lost;
    (void)state;
    for (uint64_t i = 0; i < LISTING_MAX; i++)
        want(EDGE_GREEDY, 1 + i);
    assert_int_equal(want_until(EDGE_GREEDY, 9000, UINT64_MAX, &lost), ERR_BUSY);
    assert_int_equal(want_until(EDGE_MODEST, 9001, UINT64_MAX, &lost), 1);
    assert_int_equal(lost, 1);
    assert_true(listing_cancel(listing, 2));
    assert_int_equal(want_until(EDGE_MODEST, 9002, UINT64_MAX, &lost), 0);
    assert_int_equal(lost, 0);
}

/* Lists that take each other's place still become whole, each of them. */
static void edges_without_room_for_all_lists_get_theirs(void **state)
{
    size_t done = 0;
    (void)state;
    for (size_t edge = 0; edge <= EDGE_THIRD; edge++)
        want(edge, edge + 1);
    for (size_t steps = 0; steps < STEPS_MAX && listing_waits(listing); steps++) {
        struct listing_part answer;
        if (listing_step(listing, &now, &answer) && !answer.more)
            done++;
    }
    assert_int_equal(done, EDGE_THIRD + 1);
    assert_true(grants->judged >= 3 * KEYS);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_list_has_every_key_once_and_in_parts),
        TEST(a_flood_of_one_edge_delays_another_by_one_step_a_step),
        TEST(a_list_is_judged_once_for_each_edge),
        TEST(no_step_judges_more_than_its_share),
        TEST(who_may_use_nothing_gets_an_empty_list),
        TEST(what_is_cancelled_takes_no_step),
        TEST(a_list_that_was_not_begun_in_time_is_expired),
        TEST(who_wants_most_loses_its_oldest_when_there_is_no_room),
        cmocka_unit_test_setup_teardown(edges_without_room_for_all_lists_get_theirs, set_up_narrow,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, load, many_unload);
}
