/* Which edge may have an epoch key: found step by step, in turn, once. Counted in steps and in keys judged,
 * never in time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "keyserver/vault/judge/grant_cache.c"
#include "tests/unit/keyserver/many_keys.h"

#define OTHERS 200 /* keys that grant no epoch */
#define ALL_STEPS                                                                                            \
    ((OTHERS + 1 + GRANT_CACHE_KEYS_A_STEP - 1) / GRANT_CACHE_KEYS_A_STEP) /* that look at every key */
#define STEPS_MAX 100000

enum { EDGE_ALL, EDGE_RSA, EDGE_OTHERS, EDGE_NONE, EDGES };

static const char *const options[EDGES] = {
    [EDGE_ALL] = "ops=rsa_master",
    [EDGE_RSA] = "keys=rsa ops=rsa_master,sign_tls13",
    [EDGE_OTHERS] = "keys=key1,key2 ops=rsa_master",
    [EDGE_NONE] = "ops=sign_tls12,sign_tls13",
};
static const bool may_have_one[EDGES] = {[EDGE_ALL] = true, [EDGE_RSA] = true};

static char words[][16] = {"rsa_master", "sign_tls13", "bound"};
static char *operations[] = {words[0], words[1]}, *modes[] = {words[2]};
static struct server_config config = {.key_default = {.operations = {operations, 2}, .modes = {modes, 1}}};
static struct grant_cache *grants;

static int load(void **state)
{
    (void)state;
    assert_int_equal(secret_init(), 0);
    many_write_keys(OTHERS);
    many_write_key("rsa.pem", keys_rsa(2048));
    many_load(&config, options, EDGES);
    assert_int_equal(keystore_count(many.keys), OTHERS + 1);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    grants = grant_cache_new(&many.judge, GRANT_CACHE_MAX);
    return grants != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    grant_cache_free(grants);
    return 0;
}

static const struct authorized_edge *edge_of(size_t number)
{
    char name[16];
    snprintf(name, sizeof name, "edge%zu", number);
    return authorized_find_name(many.edges, name);
}

/* Steps until an edge is answered. How many it took; that each was short is checked. */
static size_t next(const struct authorized_edge **edge, bool *may)
{
    for (size_t steps = 1; steps < STEPS_MAX; steps++) {
        uint64_t before = grants->judged;
        *edge = grant_cache_step_epoch(grants, may);
        assert_true(grants->judged - before <= GRANT_CACHE_KEYS_A_STEP);
        if (*edge != NULL)
            return steps;
    }
    fail_msg("no edge is answered");
    return 0;
}

static void each_edge_learns_whether_it_may_in_short_steps(void **state)
{
    (void)state;
    for (size_t number = 0; number < EDGES; number++) {
        const struct authorized_edge *edge;
        bool may;
        grant_cache_want_epoch(grants, edge_of(number));
        assert_true(next(&edge, &may) <= ALL_STEPS);
        assert_ptr_equal(edge, edge_of(number));
        assert_int_equal(may, may_have_one[number]);
        assert_false(grant_cache_epochs_wait(grants));
    }
}

static void who_waits_takes_turns(void **state)
{
    const struct authorized_edge *edge;
    size_t steps = 0;
    bool may;
    (void)state;
    for (size_t number = 0; number < EDGES; number++)
        grant_cache_want_epoch(grants, edge_of(number));
    for (size_t answered = 0; answered < EDGES; answered++) {
        steps += next(&edge, &may);
        if (edge == edge_of(EDGE_NONE))
            assert_true(steps > (ALL_STEPS - 1) * 2); /* another looks at every key as well */
    }
    assert_false(grant_cache_epochs_wait(grants));
    assert_null(grant_cache_step_epoch(grants, &may));
}

static void who_asks_again_and_again_is_answered_once(void **state)
{
    const struct authorized_edge *edge;
    bool may;
    (void)state;
    for (int i = 0; i < 1000; i++)
        grant_cache_want_epoch(grants, edge_of(EDGE_NONE));
    assert_int_equal(next(&edge, &may), ALL_STEPS);
    assert_false(grant_cache_epochs_wait(grants));
}

static void what_is_known_is_not_judged_again(void **state)
{
    const struct authorized_edge *edge;
    bool may, again;
    (void)state;
    for (size_t number = 0; number < EDGES; number++) {
        grant_cache_want_epoch(grants, edge_of(number));
        (void)next(&edge, &may);
        uint64_t judged = grants->judged;
        grant_cache_want_epoch(grants, edge_of(number));
        assert_int_equal(next(&edge, &again), 1);
        assert_ptr_equal(edge, edge_of(number));
        assert_int_equal(again, may);
        assert_int_equal(grants->judged, judged);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(each_edge_learns_whether_it_may_in_short_steps),
        TEST(who_waits_takes_turns),
        TEST(who_asks_again_and_again_is_answered_once),
        TEST(what_is_known_is_not_judged_again),
    };
    return cmocka_run_group_tests(tests, load, many_unload);
}
