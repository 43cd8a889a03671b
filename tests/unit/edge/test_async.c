/* One handshake that waits for its key, and what can fail in it. */
#include "tests/unit/edge/async_rig.h"

#include "common/clock.h"
#include "edge/keyclient/client.h"
#include "edge/tls/async.h"
#include "tests/unit/edge/remote_keys.h"

/* ---- one handshake ---- */

static void every_kind_pauses_once_and_completes(void **state)
{
    (void)state;
    for (size_t k = 0; k < KINDS; k++) {
        struct session *session = session_new(k);
        assert_int_equal(run(session), ASYNC_WAIT_KEY);
        assert_int_equal(session->wait.state, KEY_WAITING);
        assert_int_equal(open_count, 1);
        assert_int_equal(open_requests[0]->trace.bytes[0], 0x42);
        answer(0, STATUS_OK);
        assert_int_equal(session->ready, 1);
        assert_int_equal(run(session), ASYNC_DONE);
        assert_int_equal(session->wait.state, KEY_IDLE);
        assert_int_equal(session->wait.operations, 1);
        assert_int_equal(session->wait.last_status, STATUS_OK);
        assert_int_equal(SSL_do_handshake(session->client), 1);
        remote_keys_talk(session->client, session->server);
        session_free(session);
    }
    assert_int_equal(submitted, KINDS);
}

static void asynchronous_mode_ends_with_the_handshake(void **state)
{
    struct session *session = session_new(0);
    (void)state;
    assert_int_equal(run(session), ASYNC_WAIT_KEY);
    assert_true((SSL_get_mode(session->server) & SSL_MODE_ASYNC) != 0);
    answer(0, STATUS_OK);
    assert_int_equal(run(session), ASYNC_DONE);
    assert_true((SSL_get_mode(session->server) & SSL_MODE_ASYNC) == 0);
    session_free(session);
}

static void stepping_early_changes_nothing(void **state)
{
    struct session *session = session_new(1);
    (void)state;
    assert_int_equal(run(session), ASYNC_WAIT_KEY);
    for (int i = 0; i < 3; i++)
        assert_int_equal(async_handshake(session->server, &session->wait), ASYNC_WAIT_KEY);
    assert_int_equal(submitted, 1);
    assert_int_equal(cancelled, 0);
    answer(0, STATUS_OK);
    assert_int_equal(run(session), ASYNC_DONE);
    session_free(session);
}

static void the_deadline_is_the_timeout_from_now(void **state)
{
    struct session *session = session_new(2);
    uint64_t before = clock_ns();
    (void)state;
    assert_int_equal(run(session), ASYNC_WAIT_KEY);
    uint64_t after = clock_ns();
    assert_true(last_deadline_ns >= before + KEY_TIMEOUT * (uint64_t)NS_PER_MS);
    assert_true(last_deadline_ns <= after + KEY_TIMEOUT * (uint64_t)NS_PER_MS);
    assert_true(async_abandon(session->server, &session->wait));
    session_free(session);
}

static void the_answer_is_wiped_after_use(void **state)
{
    static const struct outcome wiped;
    struct session *session = session_new(0);
    (void)state;
    assert_int_equal(run(session), ASYNC_WAIT_KEY);
    answer(0, STATUS_OK);
    assert_int_equal(session->wait.request.outcome.length, TLS_PREMASTER_SIZE);
    assert_int_equal(run(session), ASYNC_DONE);
    assert_memory_equal(&session->wait.request.outcome, &wiped, sizeof wiped);
    session_free(session);
}

/* ---- failures ---- */

static void every_status_but_ok_fails_the_handshake(void **state)
{
    (void)state;
    for (size_t k = 0; k < KINDS; k++)
        for (enum operation_status status = STATUS_REFUSED; status < STATUS_KINDS; status++) {
            struct session *session = session_new(k);
            assert_int_equal(run(session), ASYNC_WAIT_KEY);
            answer(0, status);
            assert_int_equal(run(session), ASYNC_FAILED);
            assert_int_equal(session->wait.last_status, status);
            session_free(session);
        }
}

static void a_refused_submit_fails_without_pausing(void **state)
{
    (void)state;
    for (size_t k = 0; k < KINDS; k++) {
        struct session *session = session_new(k);
        submit_error = ERR_BUSY;
        assert_int_equal(run(session), ASYNC_FAILED);
        assert_int_equal(session->wait.last_status, STATUS_BUSY);
        assert_int_equal(session->ready, 0);
        session_free(session);
    }
}

static void a_blocked_pause_cancels_and_fails(void **state)
{
    struct session *session = session_new(1);
    (void)state;
    block_pause = true;
    assert_int_equal(run(session), ASYNC_FAILED);
    assert_int_equal(cancelled, 1);
    assert_int_equal(open_count, 0);
    assert_int_equal(session->wait.state, KEY_IDLE);
    assert_int_equal(session->wait.last_status, STATUS_UNAVAILABLE);
    session_free(session);
}

static void outside_of_a_job_there_are_no_keys(void **state)
{
    struct operation operation = {.kind = OP_SIGN_TLS13};
    struct outcome outcome;
    struct session *session = session_new(1);
    (void)state;
    assert_int_equal(async_transport.perform(&operation, &outcome), ERR_UNSUPPORTED);
    for (int turn = 0; turn < 4; turn++) { /* a handshake that nobody made asynchronous */
        (void)SSL_do_handshake(session->client);
        (void)SSL_do_handshake(session->server);
    }
    assert_false(SSL_is_init_finished(session->server));
    assert_int_equal(submitted, 0);
    session_free(session);
}

static void a_wrong_answer_fails_only_its_own_handshake(void **state)
{
    struct session *sessions[8];
    (void)state;
    for (size_t i = 0; i < 8; i++) {
        sessions[i] = session_new(i % KINDS);
        assert_int_equal(run(sessions[i]), ASYNC_WAIT_KEY);
    }
    while (open_count > 0) { /* any order: the last request takes the place of the answered one */
        struct client_request *request = open_requests[0];
        bool spoilt = request == &sessions[4]->wait.request;
        answer(0, STATUS_OK);
        if (spoilt)
            request->outcome.bytes[3] ^= 0x40;
    }
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(sessions[i]->ready, 1);
        assert_int_equal(run(sessions[i]), i == 4 ? ASYNC_FAILED : ASYNC_DONE);
        session_free(sessions[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_kind_pauses_once_and_completes),   TEST(asynchronous_mode_ends_with_the_handshake),
        TEST(stepping_early_changes_nothing),         TEST(the_deadline_is_the_timeout_from_now),
        TEST(the_answer_is_wiped_after_use),          TEST(every_status_but_ok_fails_the_handshake),
        TEST(a_refused_submit_fails_without_pausing), TEST(a_blocked_pause_cancels_and_fails),
        TEST(outside_of_a_job_there_are_no_keys),     TEST(a_wrong_answer_fails_only_its_own_handshake),
    };
    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
