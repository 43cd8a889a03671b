#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "keyserver/vault/outbox.h"
#include "tests/unit/keyserver/wall_rig.h"

struct pair {
    struct wall net, vault;
    struct outbox outbox;
};

static int set_up(void **state)
{
    static struct pair pair;
    memset(&pair, 0, sizeof pair);
    *state = &pair;
    return wall_rig_pair(&pair.net, &pair.vault);
}

static int tear_down(void **state)
{
    struct pair *pair = *state;
    outbox_clear(&pair->outbox);
    wall_close(&pair->net);
    wall_close(&pair->vault);
    return 0;
}

static void add(struct pair *pair, uint64_t token, uint32_t kind)
{
    struct wall_answer *slot = outbox_add(&pair->outbox);
    assert_non_null(slot);
    slot->kind = kind;
    slot->token = token;
    if (kind != WALL_OUTCOME)
        return;
    slot->u.outcome = (struct outcome){.status = STATUS_OK, .length = 48};
    memset(slot->u.outcome.bytes, 0x5a, 48);
}

/* What arrives next, in one batch, into OUT. */
static int receive(struct pair *pair, struct wall_answer out[static WALL_BATCH_MAX])
{
    return wall_receive_answers(&pair->net, out, WALL_BATCH_MAX);
}

static void nothing_leaves_before_it_is_released(void **state)
{
    struct pair *pair = *state;
    struct wall_answer got[WALL_BATCH_MAX];
    add(pair, 1, WALL_OUTCOME);
    assert_int_equal(outbox_flush(&pair->outbox, &pair->vault), 0);
    assert_int_equal(receive(pair, got), 0);
    assert_int_equal(outbox_count(&pair->outbox), 1);
    outbox_release(&pair->outbox);
    add(pair, 2, WALL_OUTCOME);
    assert_int_equal(outbox_flush(&pair->outbox, &pair->vault), 0);
    assert_int_equal(receive(pair, got), 1);
    assert_int_equal(got[0].token, 1);
    assert_int_equal(got[0].u.outcome.status, STATUS_OK);
    assert_int_equal(receive(pair, got), 0);
    assert_int_equal(outbox_count(&pair->outbox), 1);
}

static void what_is_withheld_leaves_as_unavailable_and_wiped(void **state)
{
    struct pair *pair = *state;
    struct wall_answer got[WALL_BATCH_MAX];
    static const uint8_t nothing[RESULT_MAX];
    add(pair, 1, WALL_OUTCOME);
    outbox_release(&pair->outbox);
    add(pair, 2, WALL_OUTCOME);
    add(pair, 0, WALL_EPOCH);
    add(pair, 3, WALL_OUTCOME);
    outbox_withhold(&pair->outbox);
    add(pair, 4, WALL_OUTCOME);
    outbox_release(&pair->outbox);
    assert_int_equal(outbox_flush(&pair->outbox, &pair->vault), 0);
    assert_int_equal(receive(pair, got), 5);
    for (int i = 0; i < 5; i++) {
        static const uint64_t tokens[] = {1, 2, 0, 3, 4};
        assert_int_equal(got[i].token, tokens[i]);
        assert_int_equal(got[i].kind, i == 2 ? WALL_EPOCH : WALL_OUTCOME);
    }
    assert_int_equal(got[0].u.outcome.status, STATUS_OK);
    assert_int_equal(got[4].u.outcome.status, STATUS_OK);
    for (int i = 1; i < 4; i += 2) {
        assert_int_equal(got[i].u.outcome.status, STATUS_UNAVAILABLE);
        assert_int_equal(got[i].u.outcome.length, 0);
        assert_memory_equal(got[i].u.outcome.bytes, nothing, sizeof got[i].u.outcome.bytes);
    }
    assert_true(outbox_empty(&pair->outbox));
}

static void add_figures(struct pair *pair, uint64_t keys)
{
    struct wall_answer *slot = outbox_latest(&pair->outbox);
    assert_non_null(slot);
    assert_int_equal(slot->kind, 0);
    assert_int_equal(slot->u.stats.audit_seq, 0);
    slot->kind = WALL_STATS;
    slot->u.stats.audit_seq = keys;
}

/* Asks nothing and takes nothing: only figures come, one after the other. */
static void a_net_side_that_takes_nothing_has_one_slot_of_figures_waiting(void **state)
{
    enum { TIMES = 10000, ANSWERS = 1000 };
    struct pair *pair = *state;
    struct wall_answer got[WALL_BATCH_MAX];
    uint64_t last = 0, token = 1;
    for (uint64_t i = 1; i <= TIMES; i++) {
        add_figures(pair, i);
        outbox_release(&pair->outbox);
        assert_int_equal(outbox_flush(&pair->outbox, &pair->vault), 0);
        assert_in_range(outbox_count(&pair->outbox), 0, 1);
    }
    for (uint64_t i = 1; i <= ANSWERS; i++)
        add(pair, i, WALL_OUTCOME);
    add_figures(pair, TIMES + 1);
    assert_int_equal(outbox_count(&pair->outbox), ANSWERS + 1);
    outbox_release(&pair->outbox);
    for (int count; (count = receive(pair, got)) > 0;) {
        for (int i = 0; i < count; i++) {
            if (got[i].kind == WALL_STATS) {
                assert_true(got[i].u.stats.audit_seq > last); /* later ones come later */
                last = got[i].u.stats.audit_seq;
            } else {
                assert_int_equal(got[i].token, token++);
            }
        }
        assert_int_equal(outbox_flush(&pair->outbox, &pair->vault), 0);
    }
    assert_int_equal(last, TIMES + 1);
    assert_int_equal(token, ANSWERS + 1);
    assert_true(outbox_empty(&pair->outbox));
    add_figures(pair, 1); /* a slot of its own again */
    assert_int_equal(outbox_count(&pair->outbox), 1);
}

/* Figures that wait among answers keep their place when those before them leave, and when results behind them
 * are withheld. */
static void figures_that_wait_keep_their_place(void **state)
{
    struct pair *pair = *state;
    struct wall_answer got[WALL_BATCH_MAX];
    add(pair, 1, WALL_OUTCOME);
    outbox_release(&pair->outbox);
    add(pair, 2, WALL_OUTCOME);
    add_figures(pair, 7);
    add(pair, 3, WALL_OUTCOME);
    assert_int_equal(outbox_flush(&pair->outbox, &pair->vault), 0);
    assert_int_equal(receive(pair, got), 1);
    add_figures(pair, 8);
    assert_int_equal(outbox_count(&pair->outbox), 3);
    outbox_withhold(&pair->outbox);
    add_figures(pair, 9);
    assert_int_equal(outbox_flush(&pair->outbox, &pair->vault), 0);
    assert_int_equal(receive(pair, got), 3);
    assert_int_equal(got[0].token, 2);
    assert_int_equal(got[0].u.outcome.status, STATUS_UNAVAILABLE);
    assert_int_equal(got[1].kind, WALL_STATS);
    assert_int_equal(got[1].u.stats.audit_seq, 9);
    assert_int_equal(got[2].token, 3);
    assert_int_equal(got[2].u.outcome.status, STATUS_UNAVAILABLE);
}

static void more_than_the_wall_takes_stays_in_order(void **state)
{
    enum { MANY = 60000 };
    struct pair *pair = *state;
    struct wall_answer got[WALL_BATCH_MAX];
    for (uint64_t token = 1; token <= MANY; token++)
        add(pair, token, WALL_OUTCOME);
    outbox_release(&pair->outbox);
    for (uint64_t next = 1; next <= MANY;) {
        assert_int_equal(outbox_flush(&pair->outbox, &pair->vault), 0);
        if (next == 1)
            assert_false(outbox_empty(&pair->outbox));
        int count = receive(pair, got);
        assert_true(count > 0);
        for (int i = 0; i < count; i++)
            assert_int_equal(got[i].token, next++);
    }
    assert_true(outbox_empty(&pair->outbox));
}

static void a_wall_without_another_end_is_cut(void **state)
{
    struct pair *pair = *state;
    add(pair, 1, WALL_OUTCOME);
    outbox_release(&pair->outbox);
    wall_close(&pair->net);
    wall_woken(&pair->vault);
    assert_int_equal(outbox_flush(&pair->outbox, &pair->vault), ERR_CUT);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(nothing_leaves_before_it_is_released),
        TEST(what_is_withheld_leaves_as_unavailable_and_wiped),
        TEST(more_than_the_wall_takes_stays_in_order),
        TEST(a_net_side_that_takes_nothing_has_one_slot_of_figures_waiting),
        TEST(figures_that_wait_keep_their_place),
        TEST(a_wall_without_another_end_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
