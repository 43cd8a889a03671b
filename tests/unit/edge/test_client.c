/* One key server, good and bad: what its answers become, and that none reaches another request. */
#include "tests/unit/edge/client_rig.h"

static void every_operation_is_answered(void **state)
{
    (void)state;
    struct rig *rig = rig_connected(1);
    struct ask sign, premaster, ping;
    ask_init(&sign, rig, OP_SIGN_TLS13, LONG_MS);
    ask_init(&premaster, rig, OP_RSA_PREMASTER, LONG_MS);
    ask_init(&ping, rig, OP_PING, LONG_MS);
    assert_int_equal(client_submit(rig->client, &sign.request), 0);
    assert_int_equal(client_submit(rig->client, &premaster.request), 0);
    assert_int_equal(client_submit(rig->client, &ping.request), 0);
    assert_int_equal(sign.answers, 0); /* never from inside */
    assert_int_equal(route_in_flight(&rig->client->route), 3);
    RIG_WAIT(rig, sign.answers && premaster.answers && ping.answers);
    assert_answered(&sign);
    assert_from(&sign, "one");
    assert_int_equal(sign.request.tries, 1);
    assert_true(sign.request.sent_ns > 0 && sign.request.answered_ns >= sign.request.sent_ns);
    assert_int_equal(premaster.request.outcome.length, 48);
    assert_memory_equal(premaster.request.outcome.bytes,
                        premaster.request.operation.u.rsa_premaster.ciphertext, 48);
    assert_int_equal(ping.request.outcome.status, STATUS_OK);
    assert_int_equal(route_in_flight(&rig->client->route), 0);
    assert_int_equal(rig->peers[0].messages, 1); /* one turn, one message */
    assert_int_equal(count_of(&rig->stats[0].requests[OP_SIGN_TLS13]), 1);
    assert_int_equal(count_of(&rig->stats[0].answers[OP_RSA_PREMASTER][STATUS_OK]), 1);
    assert_int_equal(count_of(&rig->stats[0].latency.count), 2); /* a ping is none */
    assert_int_equal(count_of(&rig->stats[0].connects), 1);
    rig_free(rig);
}

static void answers_in_any_order_reach_their_requests(void **state)
{
    (void)state;
    struct rig *rig = rig_connected(1);
    rig->peers[0].habit = HOLDS;
    struct ask *asks = ask_many(rig, 500, LONG_MS);
    RIG_WAIT(rig, rig->peers[0].held_count == 500);
    peer_release(&rig->peers[0]);
    RIG_WAIT(rig, answered(asks, 500) == 500);
    for (size_t i = 0; i < 500; i++)
        assert_answered(&asks[i]);
    assert_int_equal(count_of(&rig->stats[0].stray), 0);
    free(asks);
    rig_free(rig);
}

static void a_second_answer_is_stray(void **state)
{
    (void)state;
    struct rig *rig = rig_connected(1);
    rig->peers[0].habit = TWICE;
    struct ask *asks = ask_many(rig, 20, LONG_MS);
    RIG_WAIT(rig, count_of(&rig->stats[0].stray) == 20);
    for (size_t i = 0; i < 20; i++)
        assert_answered(&asks[i]);
    free(asks);
    rig_free(rig);
}

static void an_answer_with_a_wrong_id_reaches_nobody(void **state)
{
    (void)state;
    struct rig *rig = rig_connected(1);
    struct ask lost, good;
    rig->peers[0].habit = WRONG_ID;
    ask_start(&lost, rig, 2000);
    RIG_WAIT(rig, count_of(&rig->stats[0].stray) == 1);
    assert_int_equal(lost.answers, 0);
    rig->peers[0].habit = ANSWERS;
    ask_start(&good, rig, LONG_MS);
    RIG_WAIT(rig, lost.answers == 1 && good.answers == 1);
    assert_failed(&lost, STATUS_UNAVAILABLE);
    assert_false(lost.request.answered);
    assert_answered(&good);
    assert_int_equal(count_of(&rig->stats[0].timeouts), 1);
    rig_free(rig);
}

static void an_answer_of_wrong_length_fails_only_its_request(void **state)
{
    (void)state;
    struct rig *rig = rig_connected(1);
    struct ask premaster, sign, good;
    rig->peers[0].habit = WRONG_LENGTH;
    ask_init(&premaster, rig, OP_RSA_PREMASTER, LONG_MS);
    assert_int_equal(client_submit(rig->client, &premaster.request), 0);
    ask_start(&sign, rig, LONG_MS);
    RIG_WAIT(rig, premaster.answers && sign.answers);
    assert_failed(&premaster, STATUS_UNAVAILABLE);
    assert_failed(&sign, STATUS_UNAVAILABLE);
    assert_int_equal(count_of(&rig->stats[0].malformed), 2);
    rig->peers[0].habit = ANSWERS;
    ask_start(&good, rig, LONG_MS);
    RIG_WAIT(rig, good.answers);
    assert_answered(&good);
    assert_int_equal(count_of(&rig->stats[0].lost), 0); /* the channel stays */
    rig_free(rig);
}

static void a_status_is_passed_on_when_there_is_no_other_server(void **state)
{
    (void)state;
    for (enum operation_status status = STATUS_REFUSED; status < STATUS_KINDS; status++) {
        if (status == STATUS_UNAVAILABLE) /* who can do nothing now is asked again: test_client_fleet.c */
            continue;
        struct rig *rig = rig_connected(1);
        struct ask ask;
        rig->peers[0].habit = SAYS_STATUS;
        rig->peers[0].status = status;
        ask_start(&ask, rig, LONG_MS);
        RIG_WAIT(rig, ask.answers);
        assert_failed(&ask, status);
        assert_from(&ask, "one");
        assert_int_equal(rig->peers[0].requests, 1);
        assert_int_equal(count_of(&rig->stats[0].answers[OP_SIGN_TLS13][status]), 1);
        rig_free(rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_is_answered),
        cmocka_unit_test(answers_in_any_order_reach_their_requests),
        cmocka_unit_test(a_second_answer_is_stray),
        cmocka_unit_test(an_answer_with_a_wrong_id_reaches_nobody),
        cmocka_unit_test(an_answer_of_wrong_length_fails_only_its_request),
        cmocka_unit_test(a_status_is_passed_on_when_there_is_no_other_server),
    };
    return cmocka_run_group_tests(tests, rig_setup, NULL);
}
