/* Handshakes that wait for their keys and are abandoned; many at once. */
#include "tests/unit/edge/async_rig.h"

#include "edge/tls/async.h"
#include "tests/unit/edge/remote_keys.h"

/* ---- leaving early ---- */

static void abandoning_while_waiting_cancels_and_ends_the_job(void **state)
{
    (void)state;
    for (size_t k = 0; k < KINDS; k++) {
        struct session *session = session_new(k);
        size_t before = cancelled;
        assert_int_equal(run(session), ASYNC_WAIT_KEY);
        assert_true(async_abandon(session->server, &session->wait));
        assert_int_equal(cancelled, before + 1);
        assert_int_equal(open_count, 0);
        assert_false(SSL_waiting_for_async(session->server));
        assert_int_equal(session->ready, 0);
        assert_int_equal(ERR_peek_error(), 0);
        session_free(session);
    }
}

static void abandoning_after_the_answer_cancels_nothing(void **state)
{
    (void)state;
    for (size_t k = 0; k < KINDS; k++) {
        struct session *session = session_new(k);
        assert_int_equal(run(session), ASYNC_WAIT_KEY);
        answer(0, STATUS_OK);
        assert_true(async_abandon(session->server, &session->wait));
        assert_int_equal(cancelled, 0);
        session_free(session);
    }
}

static void abandoning_at_any_other_time_is_harmless(void **state)
{
    struct session *session = session_new(1);
    (void)state;
    assert_true(async_abandon(session->server, &session->wait)); /* before the first byte */
    assert_int_equal(run(session), ASYNC_WAIT_KEY);
    answer(0, STATUS_OK);
    assert_int_equal(run(session), ASYNC_DONE);
    assert_true(async_abandon(session->server, &session->wait));
    assert_true(async_abandon(session->server, &session->wait));
    assert_int_equal(cancelled, 0);
    session_free(session);
}

static void a_storm_of_abandoned_handshakes_leaves_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < 300; i++) {
        struct session *session = session_new(i % KINDS);
        assert_int_equal(run(session), ASYNC_WAIT_KEY);
        if (i % 2 == 0)
            answer(0, STATUS_OK);
        assert_true(async_abandon(session->server, &session->wait));
        session_free(session);
    }
    assert_int_equal(open_count, 0);
}

/* ---- many ---- */

static void jobs_are_capped_and_come_back(void **state)
{
    struct session *a = session_new(1), *b = session_new(1), *c = session_new(1);
    stop(state);
    assert_int_equal(async_thread_start(2, the_client()), 0);
    assert_int_equal(run(a), ASYNC_WAIT_KEY);
    assert_int_equal(run(b), ASYNC_WAIT_KEY);
    assert_int_equal(run(c), ASYNC_NO_JOB);
    assert_int_equal(run(c), ASYNC_NO_JOB);
    answer(0, STATUS_OK);
    assert_int_equal(run(a), ASYNC_DONE);
    assert_int_equal(run(c), ASYNC_WAIT_KEY);
    assert_true(async_abandon(b->server, &b->wait));
    answer(0, STATUS_OK);
    assert_int_equal(run(c), ASYNC_DONE);
    session_free(a);
    session_free(b);
    session_free(c);
}

#define MANY 2000

static void two_thousand_handshakes_wait_in_one_thread(void **state)
{
    static struct session *sessions[MANY];
    (void)state;
    for (size_t i = 0; i < MANY; i++) {
        sessions[i] = session_new(1 + i % 2); /* elliptic: the test's own key work stays short */
        assert_int_equal(run(sessions[i]), ASYNC_WAIT_KEY);
    }
    assert_int_equal(open_count, MANY);
    while (open_count > 0)
        answer(open_count / 2, STATUS_OK);
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(run(sessions[i]), ASYNC_DONE);
        assert_int_equal(SSL_do_handshake(sessions[i]->client), 1);
    }
    for (size_t i = 0; i < MANY; i++)
        session_free(sessions[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(abandoning_while_waiting_cancels_and_ends_the_job),
        TEST(abandoning_after_the_answer_cancels_nothing),
        TEST(abandoning_at_any_other_time_is_harmless),
        TEST(a_storm_of_abandoned_handshakes_leaves_nothing),
        TEST(jobs_are_capped_and_come_back),
        TEST(two_thousand_handshakes_wait_in_one_thread),
    };
    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
