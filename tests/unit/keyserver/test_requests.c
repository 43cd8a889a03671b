/* The table of open requests: tokens that name one use of one slot, lists per peer, and deadlines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "keyserver/net/requests.h"

#define MS 1000000ull

static struct request *add(struct requests *table, struct request_list *owner, uint64_t id, uint64_t now_ms,
                           uint64_t overdue_ms)
{
    return requests_add(
        table, owner,
        &(struct request){
            .id = id, .received_ns = now_ms * MS, .overdue_ns = overdue_ms * MS, .kind = OP_SIGN_TLS13});
}

static void a_token_finds_its_request_and_only_while_it_is_open(void **state)
{
    struct requests *table = requests_new(REQUESTS_MAX);
    struct request_list owner = {0};

    (void)state;
    uint64_t token = add(table, &owner, 7, 0, 100)->token;
    assert_true(token != 0);
    assert_int_equal(requests_find(table, token)->id, 7);
    requests_remove(table, requests_find(table, token));
    assert_null(requests_find(table, token));
    requests_free(table);
}

static void a_late_token_does_not_find_the_next_user_of_its_slot(void **state)
{
    struct requests *table = requests_new(1);
    struct request_list owner = {0};

    (void)state;
    uint64_t old = add(table, &owner, 1, 0, 100)->token;
    requests_remove(table, requests_find(table, old));
    for (uint64_t id = 2; id < 100; id++) {
        uint64_t token = add(table, &owner, id, 0, 100)->token;
        assert_null(requests_find(table, old));
        assert_int_equal(requests_find(table, token)->id, id);
        requests_remove(table, requests_find(table, token));
    }
    requests_free(table);
}

static void an_invented_token_finds_nothing(void **state)
{
    struct requests *table = requests_new(REQUESTS_MAX);
    struct request_list owner = {0};

    (void)state;
    assert_null(requests_find(table, 0));
    assert_null(requests_find(table, 1));
    uint64_t token = add(table, &owner, 1, 0, 100)->token;
    assert_null(requests_find(table, 0));
    assert_null(requests_find(table, token + 1));
    assert_null(requests_find(table, token + (1ull << 32)));
    assert_null(requests_find(table, token | 0xffffffffu));
    assert_null(requests_find(table, (uint32_t)token));
    requests_free(table);
}

static void the_table_takes_as_many_as_it_may_and_one_more_after_a_removal(void **state)
{
    const size_t max = 1000; /* beyond the first allocation and no power of two */
    struct requests *table = requests_new(max);
    struct request_list owner = {0};

    (void)state;
    for (size_t i = 0; i < max; i++)
        assert_non_null(add(table, &owner, i, 0, 100));
    assert_null(add(table, &owner, max, 0, 100));
    assert_int_equal(requests_count(table), max);
    assert_int_equal(owner.count, max);
    requests_remove(table, requests_first(table, &owner));
    assert_non_null(add(table, &owner, max, 0, 100));
    assert_null(add(table, &owner, max + 1, 0, 100));
    requests_free(table);
}

static void each_owner_has_its_own_list(void **state)
{
    struct requests *table = requests_new(REQUESTS_MAX);
    struct request_list a = {0}, b = {0};
    struct request *request;

    (void)state;
    for (uint64_t id = 0; id < 600; id++)
        add(table, id % 3 == 0 ? &a : &b, id, 0, 100);
    assert_int_equal(a.count, 200);
    assert_int_equal(b.count, 400);
    while ((request = requests_first(table, &a)) != NULL) {
        assert_int_equal(request->id % 3, 0);
        requests_remove(table, request);
    }
    assert_int_equal(a.count, 0);
    assert_int_equal(b.count, 400);
    assert_int_equal(requests_count(table), 400);
    requests_free(table);
}

static size_t take_overdue(struct requests *table, uint64_t now_ms)
{
    struct request *request;
    size_t count = 0;

    while ((request = requests_overdue(table, now_ms * MS)) != NULL) {
        assert_true(request->overdue_ns <= now_ms * MS);
        requests_remove(table, request);
        count++;
    }
    return count;
}

static void what_is_overdue_is_found_within_two_ticks_and_never_early(void **state)
{
    struct requests *table = requests_new(REQUESTS_MAX);
    struct request_list owner = {0};

    (void)state;
    /* 60 s lie far beyond one turn of the wheel */
    const uint64_t due[] = {1000, 1049, 1050, 5000, 12750, 12800, 12850, 60000};
    for (size_t i = 0; i < sizeof due / sizeof due[0]; i++)
        add(table, &owner, i, 0, due[i]);
    uint64_t found[sizeof due / sizeof due[0]] = {0};
    for (uint64_t now = 0; now <= 61000; now += 10) {
        struct request *request;
        while ((request = requests_overdue(table, now * MS)) != NULL) {
            found[request->id] = now;
            requests_remove(table, request);
        }
    }
    for (size_t i = 0; i < sizeof due / sizeof due[0]; i++) {
        assert_true(found[i] >= due[i]);
        assert_true(found[i] <= due[i] + 2 * REQUESTS_TICK_MS);
    }
    requests_free(table);
}

static void a_long_pause_finds_everything_that_became_overdue(void **state)
{
    struct requests *table = requests_new(REQUESTS_MAX);
    struct request_list owner = {0};

    (void)state;
    for (uint64_t i = 0; i < 1000; i++)
        add(table, &owner, i, 0, i * 30);
    assert_int_equal(take_overdue(table, 3600000), 1000);
    assert_int_equal(owner.count, 0);
    add(table, &owner, 1, 3600000, 3600100);
    assert_int_equal(take_overdue(table, 3600099), 0);
    assert_int_equal(take_overdue(table, 3600200), 1);
    requests_free(table);
}

static void the_requests_of_one_wall_are_found_and_may_be_removed_meanwhile(void **state)
{
    struct requests *table = requests_new(REQUESTS_MAX);
    struct request_list owner = {0};
    struct request *request;
    size_t at = 0, count = 0;

    (void)state;
    for (uint64_t id = 0; id < 300; id++)
        add(table, &owner, id, 0, 100)->wall = id % 3 == 0 ? 1 : 2;
    while ((request = requests_through(table, 1, &at)) != NULL) {
        assert_int_equal(request->id % 3, 0);
        requests_remove(table, request);
        count++;
    }
    assert_int_equal(count, 100);
    assert_int_equal(requests_count(table), 200);
    at = 0;
    assert_null(requests_through(table, 1, &at));
    requests_free(table);
}

/* Ten thousand random steps against a plain array that remembers the same. */
static void a_list_is_in_order_and_what_moves_goes_to_the_end(void **state)
{
    struct requests *table = requests_new(8);
    struct request_list from = {0}, to = {0};
    struct request *request;
    (void)state;
    for (uint64_t id = 1; id <= 4; id++)
        assert_non_null(add(table, id == 4 ? &to : &from, id, 1000, 5000));
    requests_move(table, requests_first(table, &from), &to); /* 1 */
    requests_move(table, requests_first(table, &from), &to); /* 2 */
    assert_int_equal(from.count, 1);
    assert_int_equal(to.count, 3);
    requests_remove(table, requests_first(table, &from)); /* 3 */
    assert_null(requests_first(table, &from));
    assert_non_null(add(table, &from, 5, 1000, 5000));
    requests_move(table, requests_first(table, &from), &to);
    static const uint64_t order[] = {4, 1, 2, 5};
    for (size_t i = 0; i < 4; i++) {
        assert_non_null(request = requests_first(table, &to));
        assert_int_equal(request->id, order[i]);
        assert_ptr_equal(request->owner, &to);
        requests_remove(table, request);
    }
    assert_int_equal(to.first, 0);
    assert_int_equal(to.last, 0);
    requests_free(table);
}

static void random_use_agrees_with_a_plain_array(void **state)
{
    enum { SIZE = 64 };
    struct requests *table = requests_new(SIZE);
    struct request_list owners[4] = {{0}};
    struct {
        uint64_t token, id;
        unsigned owner;
    } model[SIZE] = {{0}};
    size_t open = 0;
    unsigned seed = 12345;

    (void)state;
    for (unsigned step = 0; step < 10000; step++) {
        seed = seed * 1103515245u + 12345u;
        size_t i = (seed >> 16) % SIZE;
        if (model[i].token == 0) {
            unsigned owner = (seed >> 8) % 4;
            struct request *request = add(table, &owners[owner], step, step, step + (seed >> 20) % 5000);
            model[i].token = request->token;
            model[i].id = step;
            model[i].owner = owner;
            open++;
        } else {
            struct request *request = requests_find(table, model[i].token);
            assert_non_null(request);
            assert_int_equal(request->id, model[i].id);
            assert_ptr_equal(request->owner, &owners[model[i].owner]);
            requests_remove(table, request);
            assert_null(requests_find(table, model[i].token));
            model[i].token = 0;
            open--;
        }
        assert_int_equal(requests_count(table), open);
    }
    requests_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_finds_its_request_and_only_while_it_is_open),
        cmocka_unit_test(a_late_token_does_not_find_the_next_user_of_its_slot),
        cmocka_unit_test(an_invented_token_finds_nothing),
        cmocka_unit_test(the_table_takes_as_many_as_it_may_and_one_more_after_a_removal),
        cmocka_unit_test(each_owner_has_its_own_list),
        cmocka_unit_test(what_is_overdue_is_found_within_two_ticks_and_never_early),
        cmocka_unit_test(a_long_pause_finds_everything_that_became_overdue),
        cmocka_unit_test(the_requests_of_one_wall_are_found_and_may_be_removed_meanwhile),
        cmocka_unit_test(a_list_is_in_order_and_what_moves_goes_to_the_end),
        cmocka_unit_test(random_use_agrees_with_a_plain_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
