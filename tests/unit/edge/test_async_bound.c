/* Bound sessions: they wait for their epoch, then for their master secret. */
#include "tests/unit/edge/async_rig.h"

#include "common/clock.h"
#include "edge/keyclient/client.h"
#include "edge/tls/async.h"
#include "tests/unit/edge/bound_rig.h"
#include "tests/unit/edge/remote_keys.h"

/* ---- and who waits for an epoch ---- */

/* There is news, or the time is over. */
static void end_wait(size_t index)
{
    struct client_epoch_wait *wait = open_waits[index];
    open_waits[index] = open_waits[--wait_count];
    wait->on_end(wait);
}

/* ---- bound sessions ---- */

static void a_bound_request_names_its_epoch_and_no_other_does(void **state)
{
    (void)state;
    for (size_t k = 0; k < KINDS; k++) {
        struct session *session = session_new(k);
        assert_int_equal(run(session), ASYNC_WAIT_KEY);
        assert_int_equal(open_requests[0]->operation.kind == OP_RSA_MASTER, k == BOUND);
        assert_int_equal(open_requests[0]->epoch, k == BOUND ? 42 : 0);
        assert_true(async_abandon(session->server, &session->wait));
        session_free(session);
    }
}

static void the_messages_of_a_bound_session_go_with_its_job(void **state)
{
    (void)state;
    for (int leaves = 0; leaves < 2; leaves++) {
        struct session *session = session_new(BOUND);
        struct buffer *messages = &session->bound.messages;
        assert_int_equal(run(session), ASYNC_WAIT_KEY);
        assert_ptr_equal(open_requests[0]->operation.u.rsa_master.messages, buffer_bytes(messages));
        if (leaves) {
            assert_true(async_abandon(session->server, &session->wait));
        } else {
            answer(0, STATUS_OK);
            assert_int_equal(run(session), ASYNC_DONE);
        }
        assert_null(messages->bytes);
        session_free(session);
    }
}

/* Each stops inside its derivation while the other goes on. */
static void interleaved_sessions_have_each_their_own_secret(void **state)
{
    enum { SESSIONS = 6 };
    static const size_t order[SESSIONS] = {3, 0, 5, 1, 4, 2};
    struct session *sessions[SESSIONS];
    (void)state;
    for (size_t i = 0; i < SESSIONS; i++)
        sessions[i] = session_new(i % 2 == 0 ? BOUND : NO_EMS);
    for (int step = 0; step < 2; step++) /* hellos of all, then the key exchanges of all */
        for (size_t i = 0; i < SESSIONS; i++) {
            (void)SSL_do_handshake(sessions[i]->client);
            (void)async_handshake(sessions[i]->server, &sessions[i]->wait);
        }
    assert_int_equal(open_count, SESSIONS);
    for (size_t n = 0; n < SESSIONS; n++) {
        struct session *session = sessions[order[n]];
        size_t index = 0;
        while (open_requests[index] != &session->wait.request)
            index++;
        answer(index, STATUS_OK);
        assert_int_equal(run(session), ASYNC_DONE);
        assert_int_equal(SSL_do_handshake(session->client), 1);
        remote_keys_talk(session->client, session->server);
        assert_int_equal(bound_mode(&session->bound), order[n] % 2 == 0 ? RSA_MODE_BOUND : RSA_MODE_NO_EMS);
    }
    for (size_t i = 0; i < SESSIONS; i++)
        session_free(sessions[i]);
}

/* ---- sessions that come before their epoch ---- */

/* One that waits for it. */
static struct session *session_early(void)
{
    bound_announced.id = 0;
    bound_due = true;
    struct session *session = session_new(BOUND);
    size_t before = submitted;
    assert_int_equal(run(session), ASYNC_WAIT_KEY);
    assert_int_equal(session->wait.state, KEY_WAITING);
    assert_true(session->wait.for_epoch);
    assert_int_equal(session->wait.operations, 0);
    assert_int_equal(submitted, before);
    return session;
}

/* Its key comes and it is completed. */
static void finish_session(struct session *session)
{
    size_t index = 0;
    while (open_requests[index] != &session->wait.request)
        index++;
    answer(index, STATUS_OK);
    assert_int_equal(run(session), ASYNC_DONE);
    assert_int_equal(session->wait.operations, 1);
    assert_int_equal(session->wait.last_status, STATUS_OK);
    assert_int_equal(SSL_do_handshake(session->client), 1);
    remote_keys_talk(session->client, session->server);
}

static void a_session_waits_for_its_epoch_and_then_for_its_key(void **state)
{
    uint64_t before = clock_ns();
    struct session *session = session_early();
    uint64_t after = clock_ns();
    (void)state;
    assert_int_equal(wait_count, 1);
    assert_true(open_waits[0]->deadline_ns >= before + KEY_TIMEOUT * (uint64_t)NS_PER_MS);
    assert_true(open_waits[0]->deadline_ns <= after + KEY_TIMEOUT * (uint64_t)NS_PER_MS);
    assert_int_equal(async_handshake(session->server, &session->wait), ASYNC_WAIT_KEY); /* too early */
    assert_int_equal(awaited, 1);
    assert_int_equal(BIO_pending(SSL_get_rbio(session->client)), 0); /* no ServerHello so far */
    bound_announce(43);
    end_wait(0);
    assert_int_equal(session->ready, 1);
    assert_int_equal(run(session), ASYNC_WAIT_KEY);
    assert_false(session->wait.for_epoch);
    assert_int_equal(open_requests[0]->operation.kind, OP_RSA_MASTER);
    assert_int_equal(open_requests[0]->epoch, 43);
    finish_session(session);
    assert_int_equal(session->ready, 2);
    assert_int_equal(awaited, 1);
    assert_int_equal(bound_mode(&session->bound), RSA_MODE_BOUND);
    assert_false(bound_is_late(&session->bound));
    session_free(session);
}

static void when_none_comes_a_session_goes_on_unbound(void **state)
{
    (void)state;
    for (int late = 0; late < 2; late++) {
        struct session *session = session_early();
        bound_due = late; /* the servers have none, or the time is over */
        end_wait(0);
        assert_int_equal(run(session), ASYNC_WAIT_KEY);
        assert_int_equal(open_requests[0]->operation.kind, OP_RSA_PREMASTER);
        assert_int_equal(open_requests[0]->epoch, 0);
        finish_session(session);
        assert_int_equal(bound_mode(&session->bound), RSA_MODE_NO_EPOCH);
        assert_int_equal(bound_is_late(&session->bound), late);
        session_free(session);
    }
    assert_int_equal(awaited, 2);
}

static void only_who_can_be_bound_waits(void **state)
{
    (void)state;
    bound_announced.id = 0;
    bound_due = true;
    for (size_t k = 0; k < KINDS; k++) {
        if (k == BOUND)
            continue;
        struct session *session = session_new(k);
        assert_int_equal(run(session), ASYNC_WAIT_KEY);
        assert_false(session->wait.for_epoch);
        finish_session(session);
        if (k == NO_EMS)
            assert_int_equal(bound_mode(&session->bound), RSA_MODE_NO_EMS);
        session_free(session);
    }
    assert_int_equal(awaited, 0);
}

/* The alert that CLIENT has got; 0 = none. */
static int alert_of(SSL *client)
{
    ERR_clear_error();
    (void)SSL_do_handshake(client);
    int reason = ERR_GET_REASON(ERR_peek_last_error());
    return reason > SSL_AD_REASON_OFFSET ? reason - SSL_AD_REASON_OFFSET : 0;
}

static void abandoned_while_it_waits_for_its_epoch_a_session_fails(void **state)
{
    (void)state;
    for (int there = 0; there < 2; there++) {
        struct session *session = session_early();
        if (there) {
            bound_announce(43);
            end_wait(0);
        }
        assert_true(async_abandon(session->server, &session->wait));
        assert_int_equal(wait_count, 0);
        assert_int_equal(waits_cancelled, 1); /* that of the first */
        assert_false(SSL_waiting_for_async(session->server));
        assert_int_equal(ERR_peek_error(), 0);
        assert_int_equal(alert_of(session->client), SSL_AD_INTERNAL_ERROR);
        assert_int_equal(bound_mode(&session->bound), RSA_MODE_NONE);
        session_free(session);
    }
    assert_int_equal(submitted, 0);
    assert_int_equal(cancelled, 0);
}

static void abandoned_at_its_second_pause_a_session_cancels_its_request(void **state)
{
    struct session *session = session_early();
    (void)state;
    bound_announce(43);
    end_wait(0);
    assert_int_equal(run(session), ASYNC_WAIT_KEY);
    assert_int_equal(open_count, 1);
    assert_true(async_abandon(session->server, &session->wait));
    assert_int_equal(open_count, 0);
    assert_int_equal(cancelled, 1);
    assert_int_equal(waits_cancelled, 0);
    session_free(session);
}

static void a_storm_of_sessions_that_leave_at_either_pause_leaves_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < 200; i++) {
        struct session *session = session_early();
        if (i % 4 > 0) {
            bound_due = i % 4 > 1;
            bound_announce(i % 4 == 3 ? 43 : 0);
            end_wait(0);
        }
        if (i % 4 > 1)
            assert_int_equal(run(session), ASYNC_WAIT_KEY);
        assert_true(async_abandon(session->server, &session->wait));
        session_free(session);
    }
    assert_int_equal(wait_count + open_count, 0);
}

static void a_wait_that_cannot_begin_leaves_the_session_unbound(void **state)
{
    (void)state;
    for (int blocked = 0; blocked < 2; blocked++) {
        bound_announced.id = 0;
        bound_due = true;
        block_pause = blocked;
        await_error = blocked ? 0 : ERR_CLOSED;
        struct session *session = session_new(BOUND);
        assert_int_equal(run(session), ASYNC_WAIT_KEY);
        assert_int_equal(wait_count, 0);
        assert_int_equal(open_requests[0]->operation.kind, OP_RSA_PREMASTER);
        finish_session(session);
        assert_false(bound_is_late(&session->bound));
        session_free(session);
    }
    assert_int_equal(waits_cancelled, 1);
}

static void outside_of_a_job_nobody_waits(void **state)
{
    struct session *session = session_new(BOUND);
    (void)state;
    assert_int_equal(async_await_epoch(), ERR_UNSUPPORTED);
    bound_announced.id = 0;
    bound_due = true;
    (void)SSL_do_handshake(session->client);
    (void)SSL_do_handshake(session->server); /* that nobody made asynchronous */
    assert_true(BIO_pending(SSL_get_rbio(session->client)) > 0);
    assert_int_equal(awaited, 0);
    session_free(session);
}

/* Each stops twice while the others go on; some are bound, some come too late. */
static void sessions_that_wait_at_once_have_each_their_own_epoch_and_secret(void **state)
{
    enum { SESSIONS = 6 };
    static const size_t first[SESSIONS] = {3, 0, 5, 1, 4, 2}, second[SESSIONS] = {1, 2, 0, 5, 3, 4};
    struct session *sessions[SESSIONS];
    (void)state;
    for (size_t i = 0; i < SESSIONS; i++)
        sessions[i] = session_early();
    for (size_t n = 0; n < SESSIONS; n++) {
        struct session *session = sessions[first[n]];
        size_t index = 0;
        while (open_waits[index] != &session->wait.epoch)
            index++;
        bound_announce(first[n] % 3 != 0 ? 100 + first[n] : 0);
        end_wait(index);
        assert_int_equal(run(session), ASYNC_WAIT_KEY);
        assert_int_equal(session->wait.request.epoch, first[n] % 3 != 0 ? 100 + first[n] : 0);
    }
    for (size_t n = 0; n < SESSIONS; n++) {
        finish_session(sessions[second[n]]);
        assert_int_equal(bound_mode(&sessions[second[n]]->bound),
                         second[n] % 3 != 0 ? RSA_MODE_BOUND : RSA_MODE_NO_EPOCH);
    }
    for (size_t i = 0; i < SESSIONS; i++)
        session_free(sessions[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_bound_request_names_its_epoch_and_no_other_does),
        TEST(the_messages_of_a_bound_session_go_with_its_job),
        TEST(interleaved_sessions_have_each_their_own_secret),
        TEST(a_session_waits_for_its_epoch_and_then_for_its_key),
        TEST(when_none_comes_a_session_goes_on_unbound),
        TEST(only_who_can_be_bound_waits),
        TEST(abandoned_while_it_waits_for_its_epoch_a_session_fails),
        TEST(abandoned_at_its_second_pause_a_session_cancels_its_request),
        TEST(a_storm_of_sessions_that_leave_at_either_pause_leaves_nothing),
        TEST(a_wait_that_cannot_begin_leaves_the_session_unbound),
        TEST(outside_of_a_job_nobody_waits),
        TEST(sessions_that_wait_at_once_have_each_their_own_epoch_and_secret),
    };
    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
