/* One key server, good and bad: what comes back, and that nothing reaches another request. */
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

static void what_one_turn_submits_leaves_in_full_batches(void **state)
{
    (void)state;
    struct rig *rig = rig_connected(1);
    struct ask *asks = ask_many(rig, 2 * MSG_BATCH_MAX + 1, LONG_MS);
    RIG_WAIT(rig, answered(asks, 2 * MSG_BATCH_MAX + 1) == 2 * MSG_BATCH_MAX + 1);
    assert_int_equal(rig->peers[0].messages, 3);
    assert_int_equal(rig->peers[0].batch_top, MSG_BATCH_MAX);
    for (size_t i = 0; i < 2 * MSG_BATCH_MAX + 1; i++)
        assert_answered(&asks[i]);
    free(asks);
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

/* LIMIT is the server's, of which SHARE is for one of so many SHARERS. */
static void keep_limit(uint32_t limit, unsigned sharers, size_t share)
{
    const size_t all = 10 * share;
    struct rig *rig = rig_new(1);
    rig->peers[0].hello.in_flight_max = limit;
    rig->peers[0].habit = HOLDS;
    rig->settings.sharers = sharers;
    rig->client = client_new(&rig->loop, &rig->settings);
    struct ask *asks = ask_many(rig, all, LONG_MS);
    for (size_t done = 0; done < all;) {
        RIG_WAIT(rig, rig->peers[0].held_count == share);
        peer_release(&rig->peers[0]);
        done += share;
        RIG_WAIT(rig, answered(asks, all) == done);
    }
    assert_int_equal(rig->peers[0].held_top, share);
    for (size_t i = 0; i < all; i++)
        assert_answered(&asks[i]);
    free(asks);
    rig_free(rig);
}

static void the_servers_limit_is_kept(void **state)
{
    (void)state;
    keep_limit(10, 0, 10);
}

/* A server counts over all channels of an edge, which has one for each thread. */
static void the_servers_limit_is_shared_by_the_threads(void **state)
{
    (void)state;
    keep_limit(10, 5, 2);
    keep_limit(3, 5, 1);
}

static void more_than_the_channel_takes_waits_until_it_drains(void **state)
{
    (void)state;
    struct rig *rig = rig_connected(1);
    const size_t count = 6000; /* more than 1 MiB of pre-master requests, beyond the server's window */
    struct ask *asks = calloc(count, sizeof *asks);
    for (size_t i = 0; i < count; i++) {
        ask_init(&asks[i], rig, OP_RSA_PREMASTER, LONG_MS);
        assert_int_equal(client_submit(rig->client, &asks[i].request), 0);
    }
    RIG_WAIT(rig, answered(asks, count) == count);
    for (size_t i = 0; i < count; i++)
        assert_memory_equal(asks[i].request.outcome.bytes,
                            asks[i].request.operation.u.rsa_premaster.ciphertext, 48);
    assert_int_equal(rig->peers[0].requests, count);
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

static void garbage_closes_the_channel_and_it_comes_back(void **state)
{
    (void)state;
    struct rig *rig = rig_connected(1);
    struct ask ask;
    rig->peers[0].habit = GARBAGE;
    ask_start(&ask, rig, LONG_MS);
    RIG_WAIT(rig, rig->usable == 0);
    rig->peers[0].habit = ANSWERS;
    RIG_WAIT(rig, ask.answers);
    assert_answered(&ask); /* it waited for the next channel */
    assert_int_equal(ask.request.tries, 2);
    assert_int_equal(count_of(&rig->stats[0].lost), 1);
    assert_int_equal(count_of(&rig->stats[0].connects), 2);
    rig_free(rig);
}

static void a_request_that_ends_each_channel_is_sent_so_often_and_no_more(void **state)
{
    (void)state;
    struct rig *rig = rig_connected(1);
    struct ask ask;
    rig->peers[0].habit = GARBAGE;
    ask_start(&ask, rig, LONG_MS);
    RIG_WAIT(rig, ask.answers);
    assert_failed(&ask, STATUS_UNAVAILABLE);
    assert_int_equal(rig->peers[0].requests, DISPATCH_LOST_MAX);
    rig_free(rig);
}

/* Such as a key server that is started and killed again, or a balancer in front of one that is not there. */
static void a_request_outlives_one_channel_after_the_other(void **state)
{
    (void)state;
    for (enum habit habit = CLOSES; habit <= CUTS; habit++) {
        struct rig *rig = rig_connected(1);
        struct ask ask;
        rig->peers[0].habit = habit;
        ask_start(&ask, rig, LONG_MS);
        RIG_WAIT(rig, rig->peers[0].requests == DISPATCH_TRIES_MAX + 1);
        rig->peers[0].habit = ANSWERS;
        RIG_WAIT(rig, ask.answers);
        assert_answered(&ask);
        assert_int_equal(ask.request.tries, DISPATCH_TRIES_MAX + 2);
        rig_free(rig);
    }
}

static void closing_and_cutting_are_both_survived(void **state)
{
    (void)state;
    for (enum habit habit = CLOSES; habit <= CUTS; habit++) {
        struct rig *rig = rig_connected(1);
        struct ask ask;
        rig->peers[0].habit = habit;
        ask_start(&ask, rig, LONG_MS);
        RIG_WAIT(rig, rig->usable == 0);
        rig->peers[0].habit = ANSWERS;
        RIG_WAIT(rig, ask.answers);
        assert_answered(&ask);
        assert_int_equal(count_of(&rig->stats[0].lost), 1);
        assert_int_equal(count_of(&rig->stats[0].retried), 1);
        rig_free(rig);
    }
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

static void a_server_of_another_version_is_not_used(void **state)
{
    (void)state;
    struct rig *rig = rig_new(1);
    struct ask ask;
    rig->peers[0].hello.version_min = rig->peers[0].hello.version_max = PROTOCOL_VERSION_MAX + 1;
    rig->client = client_new(&rig->loop, &rig->settings);
    ask_start(&ask, rig, LONG_MS);
    RIG_WAIT(rig, count_of(&rig->stats[0].failed) >= 2); /* it goes on trying */
    assert_int_equal(ask.answers, 0);
    assert_int_equal(count_of(&rig->stats[0].connects), 0);
    assert_int_equal(rig->peers[0].requests, 0);
    rig_free(rig);
}

static void a_server_without_a_hello_is_left(void **state)
{
    (void)state;
    struct rig *rig = rig_new(1);
    rig->peers[0].silent = true;
    rig->settings.connect_timeout_ms = 50;
    rig->client = client_new(&rig->loop, &rig->settings);
    RIG_WAIT(rig, count_of(&rig->stats[0].failed) == 2);
    assert_int_equal(rig->usable, 0);
    rig->peers[0].silent = false;
    RIG_WAIT(rig, rig->usable == 1);
    rig_free(rig);
}

static void an_answer_before_the_hello_ends_the_channel(void **state)
{
    (void)state;
    struct rig *rig = rig_new(1);
    struct msg_answer answer = {.id = 1};
    rig->peers[0].silent = true;
    rig->client = client_new(&rig->loop, &rig->settings);
    RIG_WAIT(rig, rig->peers[0].channel_count == 1);
    peer_send(rig->peers[0].channels[0], &answer, 1);
    RIG_WAIT(rig, count_of(&rig->stats[0].failed) == 1);
    rig_free(rig);
}

static void a_second_hello_ends_the_channel(void **state)
{
    (void)state;
    struct rig *rig = rig_connected(1);
    struct buffer packed = {0};
    assert_int_equal(msg_pack_hello(&packed, &rig->peers[0].hello), 0);
    assert_int_equal(channel_send(rig->peers[0].channels[0], buffer_bytes(&packed), buffer_length(&packed)),
                     0);
    RIG_WAIT(rig, count_of(&rig->stats[0].lost) == 1);
    buffer_clear(&packed);
    rig_free(rig);
}

/* The line a person reads tells what to look at. */
static void a_stranger_is_told_what_to_mend(void **state)
{
    (void)state;
    struct rig *rig = rig_new(1);
    char text[4096] = "", path[] = "/tmp/keyless-client-XXXXXX";
    int old = dup(STDERR_FILENO), fd = mkstemp(path);
    assert_true(old >= 0 && fd >= 0);
    unlink(path);
    rig->peers[0].known[0] ^= 1; /* not in its authorized_edges */
    log_init("test_client", LOG_WARN, LOG_LOGFMT);
    dup2(fd, STDERR_FILENO);
    rig->client = client_new(&rig->loop, &rig->settings);
    RIG_WAIT(rig, count_of(&rig->stats[0].failed) == 2);
    dup2(old, STDERR_FILENO);
    log_init("test_client", LOG_ERROR, LOG_LOGFMT);
    assert_true(pread(fd, text, sizeof text - 1, 0) > 0);
    assert_non_null(strstr(text, "event=key_server_connect_failed server=one address=127.0.0.1:"));
    assert_non_null(strstr(text, "closed without a word: is this edge's key in its authorized_edges, "));
    close(fd);
    close(old);
    rig_free(rig);
}

static void a_wrong_psk_or_server_key_opens_nothing(void **state)
{
    (void)state;
    for (int which = 0; which < 2; which++) {
        struct rig *rig = rig_new(1);
        uint8_t *key = which == 0 ? rig->servers[0].psk : rig->servers[0].key;
        key[5] ^= 1;
        rig->client = client_new(&rig->loop, &rig->settings);
        RIG_WAIT(rig, count_of(&rig->stats[0].failed) == 3);
        assert_int_equal(count_of(&rig->stats[0].connects), 0);
        assert_int_equal(rig->peers[0].accepted, 0);
        rig_free(rig);
    }
}

struct list {
    size_t calls, keys, ends;
    enum operation_status status;
    struct key_info last;
};

static void on_keys(const char *server, enum operation_status status, const struct key_info *keys,
                    size_t count, void *user)
{
    struct list *list = user;

    if (server == NULL) {
        list->ends++;
        return;
    }
    assert_int_equal(list->ends, 0);
    list->calls++;
    list->keys += count;
    list->status = status;
    if (count > 0)
        list->last = keys[count - 1];
}

static void keys_come_in_parts(void **state)
{
    (void)state;
    struct rig *rig = rig_connected(1);
    struct list list = {0};
    struct key_info keys[3] = {{.type = KEY_RSA, .bits = 2048},
                               {.type = KEY_EC_P256, .bits = 256},
                               {.type = KEY_ED25519, .bits = 256}};
    struct msg_answer answer = {.keys = keys, .key_count = 2, .more = true};
    rig->peers[0].habit = HOLDS;
    assert_int_equal(client_keys(rig->client, LONG_MS, on_keys, &list), 0);
    assert_int_equal(list.calls + list.ends, 0);
    RIG_WAIT(rig, rig->peers[0].held_count == 1);
    answer.id = rig->peers[0].held[0].request.id;
    peer_send(rig->peers[0].held[0].channel, &answer, 1);
    answer = (struct msg_answer){.id = answer.id, .keys = keys + 2, .key_count = 1};
    peer_send(rig->peers[0].held[0].channel, &answer, 1);
    RIG_WAIT(rig, list.ends == 1);
    assert_int_equal(list.calls, 1);
    assert_int_equal(list.keys, 3);
    assert_int_equal(list.status, STATUS_OK);
    assert_int_equal(list.last.type, KEY_ED25519);
    rig_free(rig);
}

static void keys_of_a_server_that_says_nothing_are_unavailable(void **state)
{
    (void)state;
    struct rig *rig = rig_connected(2);
    struct list list = {0};
    rig->peers[0].habit = rig->peers[1].habit = HOLDS;
    assert_int_equal(client_keys(rig->client, 50, on_keys, &list), 0);
    RIG_WAIT(rig, list.ends == 1);
    assert_int_equal(list.calls, 2);
    assert_int_equal(list.status, STATUS_UNAVAILABLE);
    assert_int_equal(list.keys, 0);
    rig_free(rig);
}

static void keys_without_any_server_only_end(void **state)
{
    (void)state;
    struct rig *rig = rig_new(1);
    struct list list = {0};
    rig->peers[0].silent = true;
    rig->client = client_new(&rig->loop, &rig->settings);
    assert_int_equal(client_keys(rig->client, LONG_MS, on_keys, &list), 0);
    assert_int_equal(list.ends, 0);
    RIG_WAIT(rig, list.ends == 1);
    assert_int_equal(list.calls, 0);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_is_answered),
        cmocka_unit_test(what_one_turn_submits_leaves_in_full_batches),
        cmocka_unit_test(answers_in_any_order_reach_their_requests),
        cmocka_unit_test(the_servers_limit_is_kept),
        cmocka_unit_test(the_servers_limit_is_shared_by_the_threads),
        cmocka_unit_test(more_than_the_channel_takes_waits_until_it_drains),
        cmocka_unit_test(a_second_answer_is_stray),
        cmocka_unit_test(an_answer_with_a_wrong_id_reaches_nobody),
        cmocka_unit_test(an_answer_of_wrong_length_fails_only_its_request),
        cmocka_unit_test(garbage_closes_the_channel_and_it_comes_back),
        cmocka_unit_test(a_request_that_ends_each_channel_is_sent_so_often_and_no_more),
        cmocka_unit_test(a_request_outlives_one_channel_after_the_other),
        cmocka_unit_test(closing_and_cutting_are_both_survived),
        cmocka_unit_test(a_status_is_passed_on_when_there_is_no_other_server),
        cmocka_unit_test(a_server_of_another_version_is_not_used),
        cmocka_unit_test(a_server_without_a_hello_is_left),
        cmocka_unit_test(an_answer_before_the_hello_ends_the_channel),
        cmocka_unit_test(a_second_hello_ends_the_channel),
        cmocka_unit_test(a_stranger_is_told_what_to_mend),
        cmocka_unit_test(a_wrong_psk_or_server_key_opens_nothing),
        cmocka_unit_test(keys_come_in_parts),
        cmocka_unit_test(keys_of_a_server_that_says_nothing_are_unavailable),
        cmocka_unit_test(keys_without_any_server_only_end),
    };
    return cmocka_run_group_tests(tests, rig_setup, NULL);
}
