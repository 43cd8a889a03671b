/* The policy by which requests go to key servers (dispatch.h), row by row: no socket, no clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "edge/keyclient/dispatch.h"

#define MS         UINT64_C(1000000)
#define SENT       (4000 * MS)
#define NOW        (5000 * MS)
#define END        (6000 * MS) /* so NOW is half of the time of what left at SENT */
#define COUNT      3

#define ROWS(rows) (sizeof(rows) / sizeof(rows)[0])

/* ---- to whom ---- */

/* Three servers, all of which could have the request. */
static void make_servers(struct dispatch_server *servers)
{
    for (size_t i = 0; i < COUNT; i++)
        servers[i] = (struct dispatch_server){.load = {.index = i}, .usable = true, .room = true};
}

/* The bits (1 << number) of all that are ever chosen. */
static unsigned ever_chosen(const struct dispatch_server *servers)
{
    struct balance_candidate scratch[COUNT];
    unsigned chosen = 0;
    uint64_t random = 1;

    for (int i = 0; i < 1000; i++)
        chosen |= 1u << dispatch_choose(servers, COUNT, balance_random(&random), scratch);
    return chosen;
}

enum { NONE, NO_CHANNEL, FULL, AVOIDED, REFUSES, STRANGE, HAS_IT, TRIED, TRIED_STRANGE };

static void make_as(struct dispatch_server *server, int as)
{
    server->usable = as != NO_CHANNEL;
    server->room = as != NO_CHANNEL && as != FULL;
    server->avoided = as == AVOIDED;
    server->refuses = as == REFUSES;
    server->strange = as == STRANGE || as == TRIED_STRANGE;
    server->has_it = as == HAS_IT;
    server->tried = as == TRIED || as == TRIED_STRANGE || as == HAS_IT;
}

#define NOBODY (1u << COUNT)

static void the_lowest_rank_gets_it(void **state)
{
    static const struct {
        int as[COUNT];
        unsigned chosen; /* bits */
    } rows[] = {
        {{NONE, NONE, NONE}, 7},
        {{NO_CHANNEL, NONE, NONE}, 6},
        {{FULL, NONE, FULL}, 2},
        {{HAS_IT, NONE, NONE}, 6},
        {{TRIED, NONE, NONE}, 6},
        {{TRIED, AVOIDED, AVOIDED}, 1}, /* tried before avoided */
        {{AVOIDED, STRANGE, STRANGE}, 1},
        {{TRIED, STRANGE, AVOIDED}, 1},
        {{AVOIDED, STRANGE, TRIED_STRANGE}, 1},
        {{STRANGE, TRIED_STRANGE, TRIED_STRANGE}, 1},
        {{AVOIDED, AVOIDED, AVOIDED}, 7}, /* better than nobody */
        {{REFUSES, NONE, NONE}, 6},
        {{REFUSES, NONE, AVOIDED}, 2},
        {{REFUSES, STRANGE, REFUSES}, 2},
        {{REFUSES, FULL, REFUSES}, NOBODY},  /* who grants it has no room now: it waits */
        {{REFUSES, NO_CHANNEL, REFUSES}, 5}, /* nobody that is there would grant it: one of them says so */
        {{REFUSES, REFUSES, REFUSES}, 7},
        {{HAS_IT, FULL, NO_CHANNEL}, NOBODY},
        {{FULL, FULL, FULL}, NOBODY},
        {{NO_CHANNEL, NO_CHANNEL, NO_CHANNEL}, NOBODY},
    };
    (void)state;

    for (size_t i = 0; i < ROWS(rows); i++) {
        struct dispatch_server servers[COUNT];
        make_servers(servers);
        for (size_t k = 0; k < COUNT; k++)
            make_as(&servers[k], rows[i].as[k]);
        if (ever_chosen(servers) != rows[i].chosen)
            fail_msg("row %zu: %u, not %u", i, ever_chosen(servers), rows[i].chosen);
    }
}

/* Every combination: what raises the rank more is never outweighed by all that raises it less. */
static void ranks_do_not_add_up(void **state)
{
    struct balance_candidate scratch[2];
    (void)state;

    for (unsigned a = 0; a < 8; a++)
        for (unsigned b = 0; b < 8; b++) {
            struct dispatch_server servers[2];
            for (size_t i = 0; i < 2; i++) {
                unsigned bits = i == 0 ? a : b;
                servers[i] = (struct dispatch_server){.load = {.index = i},
                                                      .usable = true,
                                                      .room = true,
                                                      .tried = (bits & 1) != 0,
                                                      .avoided = (bits & 2) != 0,
                                                      .strange = (bits & 4) != 0};
            }
            if (a != b)
                assert_int_equal(dispatch_choose(servers, 2, 7, scratch), a < b ? 0 : 1);
        }
}

static void among_equals_the_load_decides(void **state)
{
    struct dispatch_server servers[COUNT];
    (void)state;

    make_servers(servers);
    servers[0].load.in_flight = 10;
    assert_int_equal(ever_chosen(servers), 6); /* the worst of three loses against any other */
    make_as(&servers[1], FULL);
    assert_int_equal(ever_chosen(servers), 4);
}

static void another_server_is_one_that_has_not_seen_it(void **state)
{
    static const struct {
        int as[COUNT];
        bool other, other_or_avoided;
    } rows[] = {
        {{TRIED, NONE, TRIED}, true, true},
        {{TRIED, FULL, TRIED}, true, true}, /* soon */
        {{TRIED, STRANGE, TRIED}, true, true},
        {{TRIED, AVOIDED, TRIED}, false, true},
        {{TRIED, NO_CHANNEL, TRIED}, false, false},
        {{TRIED, TRIED, TRIED}, false, false},
        {{TRIED, REFUSES, TRIED}, false, false}, /* the others grant it */
        {{HAS_IT, NO_CHANNEL, REFUSES}, false, false},
        {{NO_CHANNEL, NO_CHANNEL, REFUSES}, true, true},
    };
    (void)state;

    for (size_t i = 0; i < ROWS(rows); i++) {
        struct dispatch_server servers[COUNT];
        make_servers(servers);
        for (size_t k = 0; k < COUNT; k++)
            make_as(&servers[k], rows[i].as[k]);
        if (dispatch_has_other(servers, COUNT, false) != rows[i].other ||
            dispatch_has_other(servers, COUNT, true) != rows[i].other_or_avoided)
            fail_msg("row %zu", i);
    }
}

/* ---- after an answer ---- */

static const char *name_of(enum dispatch_step step)
{
    static const char *const names[] = {"stay", "move", "queue", "rest", "second", "end"};
    return names[step];
}

static void assert_step(size_t row, enum dispatch_step is, enum dispatch_step expected)
{
    if (is != expected)
        fail_msg("row %zu: %s, not %s", row, name_of(is), name_of(expected));
}

static void an_answer_decides(void **state)
{
    enum { NO, YES };
    static const struct {
        struct dispatch_request request;
        enum dispatch_answer answer;
        bool other;
        enum dispatch_step step;
        bool paid;
    } rows[] = {
        /* ok and refused are final, whatever else may be possible */
        {{.tries = 1}, DISPATCH_FINAL, YES, DISPATCH_END, NO},
        {{.tries = 2, .placed = true, .hedged = true}, DISPATCH_FINAL, YES, DISPATCH_END, NO},
        /* everything else waits for the second server that has it */
        {{.tries = 2, .placed = true}, DISPATCH_EXPIRED, YES, DISPATCH_STAY, NO},
        {{.tries = 2, .placed = true}, DISPATCH_UNAVAILABLE, YES, DISPATCH_STAY, NO},
        {{.tries = 2, .placed = true}, DISPATCH_TRY_OTHER, YES, DISPATCH_STAY, NO},
        /* the key server's clock is the deadline's, too */
        {{.tries = 1}, DISPATCH_EXPIRED, YES, DISPATCH_END, NO},
        /* busy or malformed: once, to another, and the budget pays */
        {{.tries = 1}, DISPATCH_TRY_OTHER, YES, DISPATCH_MOVE, YES},
        {{.tries = 1}, DISPATCH_TRY_OTHER, NO, DISPATCH_END, NO},
        {{.tries = 2, .retried = true}, DISPATCH_TRY_OTHER, YES, DISPATCH_END, NO},
        {{.tries = 2, .unable = 1}, DISPATCH_TRY_OTHER, YES, DISPATCH_MOVE, YES},
        {{.tries = 1, .pinned = true}, DISPATCH_TRY_OTHER, YES, DISPATCH_END, NO},
        {{.tries = 3}, DISPATCH_TRY_OTHER, YES, DISPATCH_END, NO},
        /* unable: to another for nothing, and then with rests */
        {{.tries = 1, .unable = 1}, DISPATCH_UNAVAILABLE, YES, DISPATCH_MOVE, NO},
        {{.tries = 9, .unable = 9, .retried = true}, DISPATCH_UNAVAILABLE, YES, DISPATCH_MOVE, NO},
        {{.tries = 1, .unable = 1}, DISPATCH_UNAVAILABLE, NO, DISPATCH_REST, NO},
        {{.tries = 4, .unable = 1}, DISPATCH_UNAVAILABLE, YES, DISPATCH_END, NO},
        {{.tries = 1, .unable = 1, .pinned = true}, DISPATCH_UNAVAILABLE, YES, DISPATCH_END, NO},
        {{.tries = 9, .unable = 1, .lost = 8}, DISPATCH_UNAVAILABLE, YES, DISPATCH_END, NO},
        /* three tries, those not counted that a server did no work for */
        {{.tries = 6, .unable = 2, .lost = 2}, DISPATCH_TRY_OTHER, YES, DISPATCH_MOVE, YES},
        {{.tries = 7, .unable = 2, .lost = 2}, DISPATCH_TRY_OTHER, YES, DISPATCH_END, NO},
    };
    (void)state;

    for (size_t i = 0; i < ROWS(rows); i++) {
        struct dispatch_request request = rows[i].request;
        request.deadline_ns = END;
        struct dispatch_verdict verdict = dispatch_after_answer(&request, rows[i].answer, rows[i].other, NOW,
                                                                0);
        assert_step(i, verdict.step, rows[i].step);
        assert_int_equal(verdict.paid, rows[i].paid);
        request.deadline_ns = NOW; /* too late for anything else */
        verdict = dispatch_after_answer(&request, rows[i].answer, rows[i].other, NOW, 0);
        assert_step(i, verdict.step, rows[i].step == DISPATCH_STAY ? DISPATCH_STAY : DISPATCH_END);
        assert_false(verdict.paid);
    }
}

/* ---- rests ---- */

/* Between these, in ms, lies the rest after the NUMBERth `unavailable` in a row. */
static void assert_rest(unsigned number, uint64_t least, uint64_t most)
{
    struct dispatch_request request = {.deadline_ns = NOW + 10000 * MS, .tries = number, .unable = number};
    uint64_t first = UINT64_MAX, last = 0;

    for (uint64_t random = 0; random < 1000; random++) {
        struct dispatch_verdict verdict = dispatch_after_answer(&request, DISPATCH_UNAVAILABLE, false, NOW,
                                                                random);
        assert_int_equal(verdict.step, DISPATCH_REST);
        first = verdict.due_ns < first ? verdict.due_ns : first;
        last = verdict.due_ns > last ? verdict.due_ns : last;
    }
    assert_int_equal((first - NOW) / MS, least);
    assert_int_equal((last - NOW) / MS, most);
}

static void rests_grow_to_a_bound(void **state)
{
    (void)state;
    assert_rest(1, 50, 149);
    assert_rest(2, 100, 299);
    assert_rest(3, 200, 599);
    assert_rest(4, 400, 1199);
    assert_rest(5, 400, 1199);
    assert_rest(1000, 400, 1199);
}

static void a_rest_that_would_end_too_late_does_not_begin(void **state)
{
    struct dispatch_request request = {.deadline_ns = NOW + 50 * MS, .tries = 1, .unable = 1};
    (void)state;

    assert_step(0, dispatch_after_answer(&request, DISPATCH_UNAVAILABLE, false, NOW, 0).step, DISPATCH_END);
    request.deadline_ns++;
    assert_step(1, dispatch_after_answer(&request, DISPATCH_UNAVAILABLE, false, NOW, 0).step, DISPATCH_REST);
    request = (struct dispatch_request){.deadline_ns = NOW + 50 * MS, .tries = 2, .lost = 2};
    assert_step(2, dispatch_after_loss(&request, false, NOW, 0).step,
                DISPATCH_QUEUE); /* for the next channel */
}

/* ---- after a lost channel ---- */

static void a_lost_channel_decides(void **state)
{
    enum { NO, YES };
    static const struct {
        struct dispatch_request request;
        bool other;
        enum dispatch_step step;
    } rows[] = {
        {{.placed = true, .tries = 2, .lost = 1}, YES, DISPATCH_STAY},
        {{.tries = 0}, NO, DISPATCH_QUEUE}, /* it had not left */
        {{.tries = 1, .lost = 1}, YES, DISPATCH_QUEUE},
        {{.tries = 1, .lost = 1}, NO, DISPATCH_QUEUE}, /* for the next channel */
        {{.tries = 2, .lost = 2}, YES, DISPATCH_QUEUE},
        {{.tries = 2, .lost = 2}, NO, DISPATCH_REST},
        {{.tries = 7, .lost = 7}, YES, DISPATCH_QUEUE},
        {{.tries = 8, .lost = 8}, YES, DISPATCH_END},
        {{.tries = 2, .lost = 1, .retried = true}, YES, DISPATCH_QUEUE}, /* nothing was doubled */
        {{.tries = 4, .lost = 1}, YES, DISPATCH_END},
        {{.tries = 1, .lost = 1, .pinned = true}, YES, DISPATCH_END},
    };
    (void)state;

    for (size_t i = 0; i < ROWS(rows); i++) {
        struct dispatch_request request = rows[i].request;
        request.deadline_ns = END;
        assert_step(i, dispatch_after_loss(&request, rows[i].other, NOW, 0).step, rows[i].step);
        request.deadline_ns = NOW;
        assert_step(i, dispatch_after_loss(&request, rows[i].other, NOW, 0).step,
                    rows[i].step == DISPATCH_STAY ? DISPATCH_STAY : DISPATCH_END);
    }
}

/* ---- when something is due ---- */

static void what_is_due_decides(void **state)
{
    static const struct {
        struct dispatch_request request;
        uint64_t now_ns;
        enum dispatch_step step;
    } rows[] = {
        {{.waiting = true}, END, DISPATCH_END},
        {{.placed = true, .sent_ns = SENT, .tries = 1}, END + 5, DISPATCH_END},
        {{.tries = 1}, NOW, DISPATCH_QUEUE},      /* has rested */
        {{.waiting = true}, NOW, DISPATCH_STAY},  /* nobody has it yet */
        {{.placed = true}, NOW, DISPATCH_SECOND}, /* has not left */
        {{.placed = true, .sent_ns = SENT, .tries = 1}, NOW, DISPATCH_SECOND},
        {{.placed = true, .sent_ns = SENT + 2 * MS, .tries = 1},
         NOW,
         DISPATCH_STAY}, /* left later: has time */
        {{.placed = true, .sent_ns = SENT, .tries = 2, .hedged = true}, NOW, DISPATCH_STAY},
        {{.placed = true, .sent_ns = SENT, .tries = 3}, NOW, DISPATCH_STAY},
        {{.placed = true, .sent_ns = SENT, .tries = 5, .unable = 2, .lost = 1}, NOW, DISPATCH_SECOND},
        {{.placed = true, .sent_ns = SENT, .tries = 8, .lost = 8}, NOW, DISPATCH_STAY},
    };
    (void)state;

    for (size_t i = 0; i < ROWS(rows); i++) {
        struct dispatch_request request = rows[i].request;
        request.deadline_ns = END;
        assert_step(i, dispatch_when_due(&request, rows[i].now_ns), rows[i].step);
    }
}

static void only_what_may_be_done_twice_is_paid(void **state)
{
    const struct dispatch_request unsent = {.placed = true}, sent = {.placed = true, .sent_ns = 1};
    (void)state;

    for (int bits = 0; bits < 4; bits++) {
        bool silent = (bits & 1) != 0, works = (bits & 2) != 0;
        assert_false(dispatch_second_costs_budget(&unsent, silent, works));
        assert_int_equal(dispatch_second_costs_budget(&sent, silent, works), !(silent && works));
    }
}

/* ---- when to look ---- */

static void the_first_look_is_at_the_half(void **state)
{
    static const struct {
        struct dispatch_request request;
        size_t servers;
        uint64_t look_ns;
    } rows[] = {
        {{.deadline_ns = END}, 2, NOW + 500 * MS},
        {{.deadline_ns = END}, 1, END}, /* nobody else to turn to */
        {{.deadline_ns = END}, 0, END},
        {{.deadline_ns = END, .pinned = true}, 2, END},
        {{.deadline_ns = NOW}, 2, NOW},
        {{.deadline_ns = 5}, 2, 5}, /* over already */
    };
    (void)state;

    for (size_t i = 0; i < ROWS(rows); i++)
        assert_true(dispatch_first_ns(&rows[i].request, rows[i].servers, NOW) == rows[i].look_ns);
}

static void the_next_look_comes_sooner_each_time_and_ends(void **state)
{
    static const struct {
        struct dispatch_request request;
        uint64_t now_ns, look_ns;
    } rows[] = {
        {{.waiting = true}, NOW, NOW + 500 * MS},
        {{.placed = true, .sent_ns = NOW - 200 * MS, .tries = 1}, NOW, NOW + 400 * MS}, /* its own half */
        {{.placed = true, .sent_ns = SENT, .tries = 1}, NOW + 500 * MS, NOW + 750 * MS},
        {{.placed = true, .sent_ns = SENT, .tries = 2, .hedged = true}, NOW, END},
        {{.placed = true, .sent_ns = SENT, .tries = 3}, NOW, END},
        {{.waiting = true}, END - 8 * MS, END - 3 * MS}, /* never less than 5 ms */
        {{.waiting = true}, END - 5 * MS, END},
        {{.waiting = true}, END - 1, END},
    };
    (void)state;

    for (size_t i = 0; i < ROWS(rows); i++) {
        struct dispatch_request request = rows[i].request;
        request.deadline_ns = END;
        if (dispatch_next_ns(&request, rows[i].now_ns) != rows[i].look_ns)
            fail_msg("row %zu: %llu", i, (unsigned long long)dispatch_next_ns(&request, rows[i].now_ns));
    }
}

/* ---- the whole ---- */

/* Whatever servers answer, and however channels are lost, a request comes to its end after a bounded number
 * of sendings: each sending ends by an answer or a loss that RANDOM chooses. */
static void no_request_goes_on_without_end(void **state)
{
    uint64_t random = 4711;
    (void)state;

    for (int round = 0; round < 20000; round++) {
        struct dispatch_request request = {.deadline_ns = NOW + 10000 * MS};
        struct dispatch_verdict verdict = {.step = DISPATCH_QUEUE};
        uint64_t now = NOW;
        for (unsigned sent = 0; verdict.step != DISPATCH_END; sent++) {
            uint64_t draw = balance_random(&random), answer = draw % 4;
            bool other = (draw >> 8) % 4 == 0 && sent < 8; /* those that were not asked come to an end */
            assert_true(sent < 64);
            request.tries++;
            request.lost += answer == 0;
            request.unable += answer == 1;
            verdict = answer == 0
                          ? dispatch_after_loss(&request, other, now, draw >> 16)
                          : dispatch_after_answer(&request,
                                                  answer == 1 ? DISPATCH_UNAVAILABLE : DISPATCH_TRY_OTHER,
                                                  other, now, draw >> 16);
            request.retried = request.retried || verdict.paid;
            if (verdict.step == DISPATCH_REST) {
                assert_true(verdict.due_ns > now && verdict.due_ns < request.deadline_ns);
                now = verdict.due_ns;
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_lowest_rank_gets_it),
        cmocka_unit_test(ranks_do_not_add_up),
        cmocka_unit_test(among_equals_the_load_decides),
        cmocka_unit_test(another_server_is_one_that_has_not_seen_it),
        cmocka_unit_test(an_answer_decides),
        cmocka_unit_test(rests_grow_to_a_bound),
        cmocka_unit_test(a_rest_that_would_end_too_late_does_not_begin),
        cmocka_unit_test(a_lost_channel_decides),
        cmocka_unit_test(what_is_due_decides),
        cmocka_unit_test(only_what_may_be_done_twice_is_paid),
        cmocka_unit_test(the_first_look_is_at_the_half),
        cmocka_unit_test(the_next_look_comes_sooner_each_time_and_ends),
        cmocka_unit_test(no_request_goes_on_without_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
