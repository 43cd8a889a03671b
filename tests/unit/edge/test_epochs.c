#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/secret.h"
#include "edge/keyclient/epochs.h"

#define MS        1000000u
#define LENGTH_MS 30000 /* of an epoch at the key servers */
#define HANDSHAKE (10000ull * MS)
#define SERVERS   3

static struct epochs *epochs;
static uint64_t now;

static int setup(void **state)
{
    (void)state;
    epochs = epochs_new(SERVERS, HANDSHAKE);
    assert_non_null(epochs);
    for (size_t i = 0; i < SERVERS; i++)
        epochs_connect(epochs, i, true);
    now = 1000;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    epochs_free(epochs);
    epochs_free(NULL);
    return 0;
}

/* Epoch NUMBER of the group called GROUP. */
static void announce(size_t server, uint64_t number, char group, uint32_t left_ms)
{
    struct msg_epoch epoch = {.number = number, .left_ms = left_ms};
    memset(epoch.key, group, sizeof epoch.key);
    epoch.key[0] = (uint8_t)number;
    epochs_put(epochs, server, &epoch, now);
}

static void pass(uint64_t ms)
{
    now += ms * MS;
}

/* The number of the epoch chosen; 0 = none. */
static uint64_t chosen(void)
{
    const struct epoch *epoch = epochs_choose(epochs, now);
    return epoch != NULL ? epoch->number : 0;
}

static uint64_t newest_id(size_t server)
{
    return epochs->server[server].kept[0].id;
}

static void without_an_announcement_there_is_none(void **state)
{
    (void)state;
    assert_int_equal(chosen(), 0);
    epochs_turn(epochs, now);
    assert_int_equal(chosen(), 0);
    assert_false(epochs_know(epochs, 0, 1));
}

static void an_epoch_ends_to_the_millisecond(void **state)
{
    (void)state;
    announce(0, 7, 'g', 60000);
    pass(59999);
    epochs_turn(epochs, now);
    assert_int_equal(chosen(), 7);
    pass(1);
    assert_int_equal(chosen(), 0);
    assert_int_equal(newest_id(0), 1);
    epochs_turn(epochs, now);
    static const struct epoch wiped;
    assert_memory_equal(&epochs->server[0].kept[0], &wiped, sizeof wiped);
}

static void one_that_is_over_at_once_is_nothing(void **state)
{
    (void)state;
    announce(0, 7, 'g', 0);
    assert_int_equal(chosen(), 0);
}

static void the_newest_two_are_kept_and_the_newest_is_chosen(void **state)
{
    (void)state;
    announce(0, 7, 'g', 2 * LENGTH_MS);
    uint64_t first = newest_id(0);
    pass(LENGTH_MS);
    announce(0, 8, 'g', 2 * LENGTH_MS);
    assert_int_equal(chosen(), 8);
    assert_true(epochs_know(epochs, 0, first));
    assert_true(epochs_know(epochs, 0, newest_id(0)));
    assert_false(epochs_know(epochs, 1, first));
    pass(LENGTH_MS - 1);
    announce(0, 9, 'g', 2 * LENGTH_MS);
    assert_false(epochs_know(epochs, 0, first)); /* the third makes room */
}

static void the_same_epoch_again_brings_a_new_end(void **state)
{
    (void)state;
    announce(0, 7, 'g', 20000);
    uint64_t id = newest_id(0);
    pass(15000);
    announce(0, 7, 'g', 20000); /* a new channel */
    assert_int_equal(newest_id(0), id);
    assert_int_equal(epochs->server[0].kept[1].id, 0);
    pass(19999);
    assert_int_equal(chosen(), 7);
    pass(1);
    assert_int_equal(chosen(), 0);
}

static void a_correction_forgets_what_was_said_before(void **state)
{
    (void)state;
    announce(0, 7, 'g', 60000);
    announce(0, 8, 'g', 60000);
    uint64_t id = newest_id(0);
    announce(0, 8, 'h', 60000); /* another group secret */
    assert_false(epochs_know(epochs, 0, id));
    assert_int_equal(epochs->server[0].kept[1].id, 0);
    announce(0, 3, 'h', 60000); /* its clock was set */
    assert_int_equal(chosen(), 3);
    assert_int_equal(epochs->server[0].kept[1].id, 0);
}

/* SERVER has no epoch for this edge. */
static void deny(size_t server)
{
    const struct msg_epoch none = {.number = 0};
    epochs_put(epochs, server, &none, now);
}

static void number_zero_takes_back_all_that_was_announced(void **state)
{
    static const struct epoch nothing[EPOCHS_KEPT];
    (void)state;
    announce(0, 7, 'g', 60000);
    announce(0, 8, 'g', 60000);
    announce(1, 7, 'g', 60000);
    assert_false(epochs->server[0].none);
    deny(0);
    assert_true(epochs->server[0].none);
    assert_memory_equal(epochs->server[0].kept, nothing, sizeof nothing);
    assert_int_equal(chosen(), 7); /* which the other knows */
    deny(1);
    assert_int_equal(chosen(), 0);
}

static void an_epoch_after_a_none_is_as_any_other(void **state)
{
    (void)state;
    deny(0);
    deny(0);
    assert_int_equal(chosen(), 0);
    announce(0, 7, 'g', 60000);
    assert_false(epochs->server[0].none);
    assert_int_equal(chosen(), 7);
    assert_int_equal(epochs->server[0].kept[1].id, 0);
    announce(0, 8, 'g', 60000);
    assert_int_equal(epochs->server[0].kept[1].number, 7);
}

static void a_none_is_good_for_one_channel_and_an_epoch_for_its_time(void **state)
{
    (void)state;
    announce(0, 7, 'g', 60000);
    deny(1);
    for (int open = 0; open < 2; open++) {
        epochs_connect(epochs, 0, open);
        epochs_connect(epochs, 1, open);
        assert_false(epochs->server[1].none);
        assert_int_equal(chosen(), 7);
    }
}

static void what_only_servers_that_are_gone_know_is_nothing_where_another_has_none(void **state)
{
    (void)state;
    announce(0, 7, 'g', 60000);
    announce(1, 7, 'g', 60000);
    deny(2);
    epochs_connect(epochs, 0, false);
    assert_int_equal(chosen(), 7);
    epochs_connect(epochs, 1, false);
    assert_int_equal(chosen(), 0);
    epochs_connect(epochs, 2, false);
    assert_int_equal(chosen(), 7);
    epochs_connect(epochs, 2, true); /* it has not spoken yet */
    assert_int_equal(chosen(), 7);
    deny(2);
    assert_int_equal(chosen(), 0);
}

static void the_same_number_and_key_is_one_epoch_at_every_server(void **state)
{
    (void)state;
    announce(0, 7, 'g', 60000);
    announce(1, 7, 'g', 50000);
    announce(2, 7, 'h', 60000);
    assert_int_equal(newest_id(0), newest_id(1));
    assert_int_not_equal(newest_id(0), newest_id(2));
    assert_true(epochs_know(epochs, 1, newest_id(0)));
    assert_false(epochs_know(epochs, 2, newest_id(0)));
}

/* ---- choice among several ---- */

static void what_most_servers_know_is_chosen(void **state)
{
    (void)state;
    for (size_t i = 0; i < SERVERS; i++)
        announce(i, 7, 'g', 2 * LENGTH_MS);
    pass(LENGTH_MS);
    announce(0, 8, 'g', 2 * LENGTH_MS); /* one is ahead of the others */
    assert_int_equal(chosen(), 7);
    announce(1, 8, 'g', 2 * LENGTH_MS);
    assert_int_equal(chosen(), 7); /* three know it, and it lasts long enough */
    announce(2, 8, 'g', 2 * LENGTH_MS);
    assert_int_equal(chosen(), 8); /* equals: the higher one */
}

static void most_means_number_and_key(void **state)
{
    (void)state;
    announce(0, 9, 'x', 2 * LENGTH_MS);
    announce(1, 8, 'g', 2 * LENGTH_MS);
    announce(2, 8, 'g', 2 * LENGTH_MS);
    assert_int_equal(chosen(), 8);
    announce(2, 8, 'h', 2 * LENGTH_MS);
    assert_int_equal(chosen(), 9);
}

static void an_epoch_without_time_for_a_handshake_gives_way(void **state)
{
    (void)state;
    for (size_t i = 0; i < SERVERS; i++)
        announce(i, 7, 'g', 2 * LENGTH_MS);
    pass(LENGTH_MS);
    announce(0, 8, 'g', 2 * LENGTH_MS); /* the others have stopped to say anything */
    pass(LENGTH_MS - 10000 - 1);
    assert_int_equal(chosen(), 7);
    pass(1); /* 10 s are left of it: just not more than a handshake may take */
    assert_int_equal(chosen(), 8);
}

static void of_a_short_epoch_the_first_half_is_good(void **state)
{
    (void)state;
    announce(0, 7, 'g', 2000);
    announce(1, 7, 'g', 2000);
    announce(2, 8, 'g', 4000);
    pass(999);
    assert_int_equal(chosen(), 7);
    pass(1);
    assert_int_equal(chosen(), 8);
}

static void servers_that_are_gone_have_no_vote_but_what_they_said_is_better_than_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++)
        announce(i, 7, 'g', 2 * LENGTH_MS);
    announce(2, 8, 'h', 2 * LENGTH_MS);
    epochs_connect(epochs, 0, false);
    epochs_connect(epochs, 1, false);
    assert_int_equal(chosen(), 8);
    epochs_connect(epochs, 2, false);
    assert_int_equal(chosen(), 8);
    announce(2, 8, 'h', 0);
    assert_int_equal(chosen(), 7);
}

static void what_is_nearly_over_is_better_than_nothing(void **state)
{
    (void)state;
    announce(0, 7, 'g', 2 * LENGTH_MS);
    pass(2 * LENGTH_MS - 1);
    assert_int_equal(chosen(), 7);
}

/* ---- agreement ---- */

static enum epochs_conflict compared(size_t server, size_t *other)
{
    *other = SERVERS;
    return epochs_compare(epochs, server, now, other);
}

static void replicas_agree(void **state)
{
    size_t other;
    (void)state;
    announce(0, 7, 'g', 40000);
    assert_int_equal(compared(0, &other), EPOCHS_AGREE);
    announce(1, 7, 'g', 40000);
    announce(2, 8, 'g', 60000);
    for (size_t i = 0; i < SERVERS; i++)
        assert_int_equal(compared(i, &other), EPOCHS_AGREE);
    assert_int_equal(other, SERVERS);
}

static void another_key_for_a_number_is_another_secret(void **state)
{
    size_t other;
    (void)state;
    announce(0, 7, 'g', 60000);
    announce(1, 7, 'h', 60000);
    assert_int_equal(compared(1, &other), EPOCHS_SECRETS);
    assert_int_equal(other, 0);
    announce(0, 8, 'g', 60000); /* with the last but one too */
    assert_int_equal(compared(1, &other), EPOCHS_SECRETS);
    epochs_connect(epochs, 0, false);
    assert_int_equal(compared(1, &other), EPOCHS_AGREE);
}

static void numbers_two_apart_are_another_clock(void **state)
{
    size_t other;
    (void)state;
    announce(0, 7, 'g', 60000);
    announce(2, 9, 'g', 60000);
    assert_int_equal(compared(2, &other), EPOCHS_CLOCKS);
    assert_int_equal(other, 0);
    assert_int_equal(compared(0, &other), EPOCHS_CLOCKS);
    assert_int_equal(other, 2);
}

static void a_server_that_has_fallen_silent_has_no_other_clock(void **state)
{
    size_t other;
    (void)state;
    announce(0, 7, 'g', 2 * LENGTH_MS);
    pass(2 * LENGTH_MS - 10000);
    announce(1, 9, 'g', 2 * LENGTH_MS);
    assert_int_equal(compared(1, &other), EPOCHS_AGREE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_an_announcement_there_is_none),
        TEST(an_epoch_ends_to_the_millisecond),
        TEST(one_that_is_over_at_once_is_nothing),
        TEST(the_newest_two_are_kept_and_the_newest_is_chosen),
        TEST(the_same_epoch_again_brings_a_new_end),
        TEST(a_correction_forgets_what_was_said_before),
        TEST(number_zero_takes_back_all_that_was_announced),
        TEST(an_epoch_after_a_none_is_as_any_other),
        TEST(a_none_is_good_for_one_channel_and_an_epoch_for_its_time),
        TEST(what_only_servers_that_are_gone_know_is_nothing_where_another_has_none),
        TEST(the_same_number_and_key_is_one_epoch_at_every_server),
        TEST(what_most_servers_know_is_chosen),
        TEST(most_means_number_and_key),
        TEST(an_epoch_without_time_for_a_handshake_gives_way),
        TEST(of_a_short_epoch_the_first_half_is_good),
        TEST(servers_that_are_gone_have_no_vote_but_what_they_said_is_better_than_nothing),
        TEST(what_is_nearly_over_is_better_than_nothing),
        TEST(replicas_agree),
        TEST(another_key_for_a_number_is_another_secret),
        TEST(numbers_two_apart_are_another_clock),
        TEST(a_server_that_has_fallen_silent_has_no_other_clock),
    };
    return secret_init() == 0 ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
