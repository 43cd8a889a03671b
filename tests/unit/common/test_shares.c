#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "common/shares.h"

#define EACH    100
#define PARTIES 3
#define MEMBERS 5

static struct shares shares;
static struct share party[PARTIES];
static struct share_waiter member[PARTIES][MEMBERS];

static int set_up(void **state)
{
    (void)state;
    shares_init(&shares, EACH);
    for (size_t i = 0; i < PARTIES; i++)
        share_init(&party[i]);
    memset(member, 0, sizeof member);
    return 0;
}

static void wait_all(size_t of)
{
    for (size_t i = 0; i < MEMBERS; i++)
        shares_wait(&shares, &party[of], &member[of][i]);
}

/* Serves who is next, if anybody, at the price of COST. Returns its party, or PARTIES. */
static size_t serve(size_t cost)
{
    struct share_waiter *waiter = shares_find_next(&shares);

    if (waiter == NULL)
        return PARTIES;
    size_t of = (size_t)(waiter - &member[0][0]) / MEMBERS;
    shares_charge(&shares, &party[of], cost);
    return of;
}

static void a_share_is_used_up_and_whole_again_with_the_next_turn(void **state)
{
    (void)state;
    assert_int_equal(shares_left(&shares, &party[0]), EACH);
    shares_charge(&shares, &party[0], 60);
    assert_int_equal(shares_left(&shares, &party[0]), EACH - 60);
    assert_int_equal(shares_left(&shares, &party[1]), EACH);
    shares_charge(&shares, &party[0], 60); /* more than it has: nothing is owed */
    assert_int_equal(shares_left(&shares, &party[0]), 0);
    shares_charge(&shares, &party[0], SIZE_MAX);
    assert_int_equal(shares_left(&shares, &party[0]), 0);
    shares_begin_turn(&shares);
    assert_int_equal(shares_left(&shares, &party[0]), EACH);
    shares_begin_turn(&shares);
    assert_int_equal(shares_left(&shares, &party[0]), EACH); /* nothing is saved up */
}

static void parties_are_served_in_turn_however_many_members_they_have(void **state)
{
    (void)state;
    wait_all(0);
    wait_all(1);
    shares_wait(&shares, &party[2], &member[2][0]);
    for (size_t turn = 0; turn < 2; turn++) {
        assert_int_equal(serve(50), 0);
        assert_int_equal(serve(50), 1);
        if (turn == 0)
            assert_int_equal(serve(50), 2);
        assert_int_equal(serve(50), 0);
        assert_int_equal(serve(50), 1);
        assert_int_equal(serve(50), PARTIES); /* both have had their share */
        assert_true(shares_are_awaited(&shares));
        shares_begin_turn(&shares);
    }
    assert_int_equal(serve(50), 0);
    assert_int_equal(serve(50), 1);
    assert_false(shares_are_awaited(&shares));
    assert_null(shares_find_next(&shares));
}

static void members_of_a_party_are_served_in_the_order_in_which_they_came(void **state)
{
    (void)state;
    wait_all(0);
    for (size_t i = 0; i < MEMBERS; i++)
        assert_ptr_equal(shares_find_next(&shares), &member[0][i]);
    assert_false(share_is_awaited(&party[0]));
    wait_all(0); /* they may wait again */
    struct share_waiter *first = shares_find_next(&shares);
    shares_wait(&shares, &party[0], first);
    assert_ptr_equal(shares_find_next(&shares), &member[0][1]);
}

static void who_has_nothing_left_waits_for_the_next_turn(void **state)
{
    (void)state;
    shares_charge(&shares, &party[0], EACH);
    wait_all(0);
    assert_true(share_is_awaited(&party[0]));
    assert_null(shares_find_next(&shares));
    shares_begin_turn(&shares);
    assert_ptr_equal(shares_find_next(&shares), &member[0][0]);
    shares_charge(&shares, &party[0], EACH); /* by others of the party, while it is in the list */
    assert_null(shares_find_next(&shares));
    assert_true(shares_are_awaited(&shares));
}

static void who_leaves_is_served_no_more(void **state)
{
    (void)state;
    shares_leave(&member[0][0]); /* waits for nothing */
    wait_all(0);
    shares_leave(&member[0][0]);
    shares_leave(&member[0][2]);
    shares_leave(&member[0][2]);
    assert_ptr_equal(shares_find_next(&shares), &member[0][1]);
    assert_ptr_equal(shares_find_next(&shares), &member[0][3]);
    shares_leave(&member[0][4]);
    assert_false(shares_are_awaited(&shares)); /* its share may be freed */
    assert_null(shares_find_next(&shares));

    shares_charge(&shares, &party[1], EACH);
    wait_all(1);
    for (size_t i = 0; i < MEMBERS; i++)
        shares_leave(&member[1][i]);
    assert_false(shares_are_awaited(&shares));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_share_is_used_up_and_whole_again_with_the_next_turn, set_up),
        cmocka_unit_test_setup(parties_are_served_in_turn_however_many_members_they_have, set_up),
        cmocka_unit_test_setup(members_of_a_party_are_served_in_the_order_in_which_they_came, set_up),
        cmocka_unit_test_setup(who_has_nothing_left_waits_for_the_next_turn, set_up),
        cmocka_unit_test_setup(who_leaves_is_served_no_more, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
