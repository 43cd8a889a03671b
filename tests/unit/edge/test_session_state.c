/* The table of session states: every path a session may take, and that what cannot happen ends it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "edge/session/session_state.h"

static enum session_action step_state(enum session_state *state, enum session_event event)
{
    struct session_transition to = session_state_next(*state, event, false);

    *state = to.next;
    return to.action;
}

static void handshake_with_a_key_leads_to_relay(void **unused)
{
    enum session_state state = SESSION_HELLO;

    (void)unused;
    assert_int_equal(step_state(&state, EVENT_HELLO_READ), ACTION_NONE);
    assert_int_equal(step_state(&state, EVENT_KEY_WANTED), ACTION_WATCH_GONE);
    assert_int_equal(state, SESSION_WAIT_KEY);
    assert_int_equal(step_state(&state, EVENT_KEY_ANSWERED), ACTION_STEP);
    assert_int_equal(state, SESSION_HANDSHAKE);
    assert_int_equal(step_state(&state, EVENT_HANDSHAKE_DONE), ACTION_LISTEN);
    assert_int_equal(step_state(&state, EVENT_CLIENT_SPEAKS), ACTION_CONNECT);
    assert_int_equal(step_state(&state, EVENT_CONNECTED), ACTION_RELAY);
    assert_int_equal(state, SESSION_RELAY);
}

/* There are protocols in which the server speaks first. */
static void a_silent_client_gets_its_origin_after_a_while(void **unused)
{
    enum session_state state = SESSION_SILENT;

    (void)unused;
    assert_int_equal(session_state_timeout(state), TIMEOUT_SILENCE);
    assert_int_equal(step_state(&state, EVENT_TIMEOUT), ACTION_CONNECT);
    assert_int_equal(state, SESSION_CONNECT);
}

static void who_leaves_without_a_word_costs_the_origin_nothing(void **unused)
{
    (void)unused;
    assert_int_equal(session_state_next(SESSION_SILENT, EVENT_CLIENT_ENDED, false).action, ACTION_FAREWELL);
    assert_int_equal(session_state_next(SESSION_SILENT, EVENT_CLIENT_GONE, false).action, ACTION_RELEASE);
    assert_int_equal(session_state_next(SESSION_SILENT, EVENT_STOP, false).action, ACTION_FAREWELL);
}

static void client_ends_first_then_origin(void **unused)
{
    enum session_state state = SESSION_RELAY;

    (void)unused;
    assert_int_equal(step_state(&state, EVENT_CLIENT_ENDED), ACTION_NONE);
    assert_int_equal(state, SESSION_HALF_CLOSED);
    assert_int_equal(step_state(&state, EVENT_ORIGIN_ENDED), ACTION_NONE);
    assert_int_equal(state, SESSION_CLOSING);
    assert_int_equal(step_state(&state, EVENT_BOTH_ENDED), ACTION_RELEASE);
    assert_int_equal(state, SESSION_CLOSED);
}

static void origin_ends_first_and_the_client_may_finish(void **unused)
{
    enum session_state state = SESSION_RELAY;

    (void)unused;
    assert_int_equal(step_state(&state, EVENT_ORIGIN_ENDED), ACTION_NONE);
    assert_int_equal(state, SESSION_CLOSING);
    assert_int_equal(step_state(&state, EVENT_CLIENT_ENDED), ACTION_NONE);
    assert_int_equal(state, SESSION_CLOSING);
    assert_int_equal(step_state(&state, EVENT_TIMEOUT), ACTION_RELEASE);
    assert_int_equal(state, SESSION_CLOSED);
}

/* A paused job must run out: the only way from WAIT_KEY to CLOSED is through DRAIN_KEY. */
static void waiting_for_a_key_never_closes_directly(void **unused)
{
    static const enum session_event ends[] = {EVENT_CLIENT_GONE, EVENT_TIMEOUT, EVENT_STOP};

    (void)unused;
    for (enum session_event event = 0; event < SESSION_EVENTS; event++)
        assert_int_not_equal(session_state_next(SESSION_WAIT_KEY, event, true).next, SESSION_CLOSED);
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        enum session_state state = SESSION_WAIT_KEY;
        assert_int_equal(step_state(&state, ends[i]), ACTION_ABANDON);
        assert_int_equal(state, SESSION_DRAIN_KEY);
        assert_int_equal(step_state(&state, EVENT_JOB_ENDED), ACTION_RELEASE);
        assert_int_equal(state, SESSION_CLOSED);
    }
}

static void a_draining_key_hears_of_nothing_but_its_job(void **unused)
{
    (void)unused;
    assert_int_equal(session_state_next(SESSION_DRAIN_KEY, EVENT_JOB_ENDED, false).next, SESSION_CLOSED);
    assert_int_equal(session_state_next(SESSION_DRAIN_KEY, EVENT_STOP, true).next, SESSION_DRAIN_KEY);
    assert_int_equal(session_state_next(SESSION_DRAIN_KEY, EVENT_STOP, true).action, ACTION_NONE);
    for (enum session_event event = 0; event < SESSION_EVENTS; event++)
        if (event != EVENT_JOB_ENDED && event != EVENT_JOB_STUCK && event != EVENT_STOP)
            assert_true(session_state_next(SESSION_DRAIN_KEY, event, true).impossible);
}

/* Of a job that never ends nobody waits for the end, and nothing is tried for ever. */
static void a_job_that_never_ends_is_given_up(void **unused)
{
    enum session_state state = SESSION_DRAIN_KEY;

    (void)unused;
    for (unsigned tries = 1; tries < SESSION_TRIES_MAX; tries++)
        assert_false(session_state_is_stuck(tries));
    assert_true(session_state_is_stuck(SESSION_TRIES_MAX));
    assert_int_equal(session_state_next(state, EVENT_JOB_STUCK, true).action, ACTION_GIVE_UP);
    assert_int_equal(session_state_next(state, EVENT_JOB_STUCK, true).next, SESSION_STUCK);
    for (enum session_event event = 0; event < SESSION_EVENTS; event++) {
        struct session_transition to = session_state_next(SESSION_STUCK, event, true);
        assert_int_equal(to.next, SESSION_STUCK);
        assert_int_equal(to.action, ACTION_NONE);
        assert_true(to.impossible);
    }
}

/* It is the job that must run out, not a state that must be left: no state closes before. */
static void nothing_closes_while_a_job_waits(void **unused)
{
    (void)unused;
    for (enum session_state state = 0; state < SESSION_CLOSED; state++) {
        for (enum session_event event = 0; event < SESSION_EVENTS; event++) {
            struct session_transition to = session_state_next(state, event, true);
            struct session_transition without = session_state_next(state, event, false);
            assert_int_not_equal(to.next, SESSION_CLOSED);
            if (without.next == SESSION_CLOSED) {
                assert_int_equal(to.next, SESSION_DRAIN_KEY);
                assert_int_equal(to.action, ACTION_ABANDON);
            } else {
                assert_int_equal(to.next, without.next);
                assert_int_equal(to.action, without.action);
            }
            assert_int_equal(to.impossible, without.impossible);
        }
    }
}

static void closed_stays_closed(void **unused)
{
    (void)unused;
    for (enum session_event event = 0; event < SESSION_EVENTS; event++) {
        for (int job_waits = 0; job_waits < 2; job_waits++) {
            struct session_transition to = session_state_next(SESSION_CLOSED, event, job_waits != 0);
            assert_int_equal(to.next, SESSION_CLOSED);
            assert_int_equal(to.action, ACTION_NONE);
            assert_true(to.impossible);
        }
    }
}

/* A session that is not where it should be ends; it does not stay, to be woken again and again. */
static void what_cannot_happen_ends_the_session(void **unused)
{
    static const struct {
        enum session_state state;
        enum session_event event;
    } cases[] = {
        {SESSION_HELLO, EVENT_HANDSHAKE_DONE},   {SESSION_HELLO, EVENT_KEY_WANTED},
        {SESSION_HELLO, EVENT_KEY_ANSWERED},     {SESSION_HANDSHAKE, EVENT_HELLO_READ},
        {SESSION_HANDSHAKE, EVENT_KEY_ANSWERED}, {SESSION_WAIT_KEY, EVENT_HANDSHAKE_DONE},
        {SESSION_SILENT, EVENT_KEY_WANTED},      {SESSION_CONNECT, EVENT_CLIENT_SPEAKS},
        {SESSION_RELAY, EVENT_CONNECTED},        {SESSION_CLOSING, EVENT_HANDSHAKE_FAILED},
    };

    (void)unused;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct session_transition to = session_state_next(cases[i].state, cases[i].event, false);
        assert_true(to.impossible);
        assert_int_equal(to.next, SESSION_CLOSED);
        assert_int_equal(to.action, ACTION_RELEASE);
    }
}

/* The relay tells of an end in every step that follows it. */
static void an_end_that_is_told_again_changes_nothing(void **unused)
{
    static const struct {
        enum session_state state;
        enum session_event event;
    } cases[] = {
        {SESSION_HALF_CLOSED, EVENT_CLIENT_ENDED},
        {SESSION_CLOSING, EVENT_CLIENT_ENDED},
        {SESSION_CLOSING, EVENT_ORIGIN_ENDED},
    };

    (void)unused;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct session_transition to = session_state_next(cases[i].state, cases[i].event, false);
        assert_false(to.impossible);
        assert_int_equal(to.next, cases[i].state);
        assert_int_equal(to.action, ACTION_NONE);
    }
}

static bool releases(enum session_action action)
{
    return action == ACTION_RELEASE || action == ACTION_FAREWELL || action == ACTION_RESET_ORIGIN;
}

/* Entering CLOSED and releasing are the same thing: neither a leak nor a release twice. */
static void closing_and_releasing_go_together(void **unused)
{
    (void)unused;
    for (enum session_state state = 0; state < SESSION_CLOSED; state++) {
        for (enum session_event event = 0; event < SESSION_EVENTS; event++) {
            struct session_transition to = session_state_next(state, event, false);
            assert_int_equal(to.next == SESSION_CLOSED, releases(to.action));
        }
    }
}

static void every_living_state_ends_by_timeout_stop_and_leaving(void **unused)
{
    static const enum session_event ends[] = {EVENT_STOP, EVENT_TIMEOUT, EVENT_CLIENT_GONE};

    (void)unused;
    for (enum session_state state = 0; state < SESSION_DRAIN_KEY; state++) {
        assert_int_not_equal(session_state_timeout(state), TIMEOUT_NONE);
        for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
            enum session_state next = session_state_next(state, ends[i], false).next;
            bool goes_on = state == SESSION_SILENT && ends[i] == EVENT_TIMEOUT;
            assert_true(next == SESSION_CLOSED || next == SESSION_DRAIN_KEY || next == SESSION_CLOSING ||
                        goes_on);
        }
    }
    assert_int_equal(session_state_next(SESSION_CLOSING, EVENT_TIMEOUT, false).next, SESSION_CLOSED);
}

/* The handshake's deadline counts from accept: moving within the handshake must not restart it. */
static void the_handshake_is_one_timeout(void **unused)
{
    (void)unused;
    assert_int_equal(session_state_timeout(SESSION_HELLO), TIMEOUT_HANDSHAKE);
    assert_int_equal(session_state_timeout(SESSION_HANDSHAKE), TIMEOUT_HANDSHAKE);
    assert_int_equal(session_state_timeout(SESSION_WAIT_KEY), TIMEOUT_HANDSHAKE);
    assert_int_equal(session_state_timeout(SESSION_CONNECT), TIMEOUT_CONNECT);
    assert_int_equal(session_state_timeout(SESSION_RELAY), TIMEOUT_IDLE);
    assert_int_equal(session_state_timeout(SESSION_HALF_CLOSED), TIMEOUT_HALF_CLOSED);
    assert_int_equal(session_state_timeout(SESSION_CLOSING), TIMEOUT_CLOSE);
}

static void a_failed_origin_is_told_in_order(void **unused)
{
    (void)unused;
    assert_int_equal(session_state_next(SESSION_CONNECT, EVENT_ORIGIN_FAILED, false).action,
                     ACTION_CLOSE_NOTIFY);
    assert_int_equal(session_state_next(SESSION_CONNECT, EVENT_TIMEOUT, false).action, ACTION_CLOSE_NOTIFY);
    assert_int_equal(session_state_next(SESSION_RELAY, EVENT_TIMEOUT, false).action, ACTION_CLOSE_NOTIFY);
}

/* A cut is passed on as a cut: a reset towards the origin, no close_notify towards the client. */
static void a_cut_is_never_turned_into_an_end(void **unused)
{
    (void)unused;
    assert_int_equal(session_state_next(SESSION_RELAY, EVENT_CLIENT_GONE, false).action, ACTION_RESET_ORIGIN);
    assert_int_equal(session_state_next(SESSION_HALF_CLOSED, EVENT_CLIENT_GONE, false).action,
                     ACTION_RESET_ORIGIN);
    assert_int_equal(session_state_next(SESSION_RELAY, EVENT_ORIGIN_GONE, false).action, ACTION_RELEASE);
    assert_int_equal(session_state_next(SESSION_HALF_CLOSED, EVENT_ORIGIN_GONE, false).action,
                     ACTION_RELEASE);
}

static void states_and_events_have_distinct_names(void **unused)
{
    (void)unused;
    for (enum session_state a = 0; a < SESSION_STATES; a++) {
        for (enum session_state b = 0; b < a; b++)
            assert_string_not_equal(session_state_name(a), session_state_name(b));
    }
    for (enum session_event a = 0; a < SESSION_EVENTS; a++) {
        for (enum session_event b = 0; b < a; b++)
            assert_string_not_equal(session_event_name(a), session_event_name(b));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handshake_with_a_key_leads_to_relay),
        cmocka_unit_test(a_silent_client_gets_its_origin_after_a_while),
        cmocka_unit_test(who_leaves_without_a_word_costs_the_origin_nothing),
        cmocka_unit_test(client_ends_first_then_origin),
        cmocka_unit_test(origin_ends_first_and_the_client_may_finish),
        cmocka_unit_test(waiting_for_a_key_never_closes_directly),
        cmocka_unit_test(a_draining_key_hears_of_nothing_but_its_job),
        cmocka_unit_test(a_job_that_never_ends_is_given_up),
        cmocka_unit_test(nothing_closes_while_a_job_waits),
        cmocka_unit_test(closed_stays_closed),
        cmocka_unit_test(what_cannot_happen_ends_the_session),
        cmocka_unit_test(an_end_that_is_told_again_changes_nothing),
        cmocka_unit_test(closing_and_releasing_go_together),
        cmocka_unit_test(every_living_state_ends_by_timeout_stop_and_leaving),
        cmocka_unit_test(the_handshake_is_one_timeout),
        cmocka_unit_test(a_failed_origin_is_told_in_order),
        cmocka_unit_test(a_cut_is_never_turned_into_an_end),
        cmocka_unit_test(states_and_events_have_distinct_names),
    };
    return cmocka_run_group_tests_name("session_state", tests, NULL, NULL);
}
