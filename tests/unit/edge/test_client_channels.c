/* Channels that end or never open: a request outlives them, and a person is told what to mend. */
#include "tests/unit/edge/client_rig.h"

/* ---- a channel that ends ---- */

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

/* ---- one that never opens ---- */

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(garbage_closes_the_channel_and_it_comes_back),
        cmocka_unit_test(a_request_that_ends_each_channel_is_sent_so_often_and_no_more),
        cmocka_unit_test(a_request_outlives_one_channel_after_the_other),
        cmocka_unit_test(closing_and_cutting_are_both_survived),
        cmocka_unit_test(a_server_of_another_version_is_not_used),
        cmocka_unit_test(a_server_without_a_hello_is_left),
        cmocka_unit_test(an_answer_before_the_hello_ends_the_channel),
        cmocka_unit_test(a_second_hello_ends_the_channel),
        cmocka_unit_test(a_stranger_is_told_what_to_mend),
        cmocka_unit_test(a_wrong_psk_or_server_key_opens_nothing),
    };
    return cmocka_run_group_tests(tests, rig_setup, NULL);
}
