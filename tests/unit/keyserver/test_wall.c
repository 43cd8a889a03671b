#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/keyserver/wall_rig.h"

static struct wall net, vault;

static int set_up(void **state)
{
    (void)state;
    return wall_rig_pair(&net, &vault);
}

static int tear_down(void **state)
{
    (void)state;
    wall_close(&net);
    wall_close(&vault);
    return 0;
}

static bool readable(const struct wall *wall)
{
    return poll(&(struct pollfd){.fd = wall_fd(wall), .events = POLLIN}, 1, 0) == 1;
}

static void ends_are_non_blocking_and_closed_on_exec(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        int fd = wall_fd(i == 0 ? &net : &vault);
        assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    }
}

static void closing_twice_is_harmless(void **state)
{
    (void)state;
    wall_close(&net);
    assert_int_equal(wall_fd(&net), -1);
    wall_close(&net);
}

static void nothing_waiting_is_zero(void **state)
{
    struct wall_request requests[WALL_BATCH_MAX];
    struct wall_answer answers[WALL_BATCH_MAX];
    (void)state;
    assert_int_equal(wall_receive_requests(&vault, requests, WALL_BATCH_MAX), 0);
    assert_int_equal(wall_receive_answers(&net, answers, WALL_BATCH_MAX), 0);
    assert_int_equal(wall_send_requests(&net, requests, 0), 0);
}

static void a_hundred_slots_arrive_in_order_in_batches(void **state)
{
    static struct wall_request sent[100], got[WALL_BATCH_MAX];
    static const int batches[] = {32, 32, 32, 4, 0};
    uint64_t token = 0;
    (void)state;
    for (size_t i = 0; i < 100; i++)
        sent[i] = wall_rig_request(i + 1);
    assert_int_equal(wall_send_requests(&net, sent, 100), 100);
    for (size_t i = 0; i < sizeof batches / sizeof batches[0]; i++) {
        assert_int_equal(wall_receive_requests(&vault, got, WALL_BATCH_MAX), batches[i]);
        for (int j = 0; j < batches[i]; j++, token++)
            assert_memory_equal(&got[j], &sent[token], sizeof got[j]);
    }
    assert_int_equal(token, 100);
}

static void answers_go_the_other_way(void **state)
{
    static struct wall_answer sent[2], got[WALL_BATCH_MAX];
    (void)state;
    sent[0].token = 7;
    sent[0].kind = WALL_OUTCOME;
    sent[0].u.outcome.length = RESULT_MAX;
    memset(sent[0].u.outcome.bytes, 0xa5, RESULT_MAX);
    sent[1].kind = WALL_STATS;
    sent[1].u.stats.faults = 3;
    assert_int_equal(wall_send_answers(&vault, sent, 2), 2);
    assert_int_equal(wall_receive_answers(&net, got, WALL_BATCH_MAX), 2);
    assert_memory_equal(got, sent, sizeof sent);
}

static void a_reader_that_is_behind_never_blocks_the_sender(void **state)
{
    static struct wall_request batch[WALL_BATCH_MAX], got[WALL_BATCH_MAX];
    uint64_t sent = 0, received = 0;
    int taken;
    (void)state;
    do {
        for (size_t i = 0; i < WALL_BATCH_MAX; i++)
            batch[i] = wall_rig_request(sent + i + 1);
        taken = wall_send_requests(&net, batch, WALL_BATCH_MAX);
        assert_in_range(taken, 0, WALL_BATCH_MAX);
        sent += (uint64_t)taken;
        assert_true(sent < 1000000);
    } while (taken > 0);
    assert_true(sent >= WALL_BATCH_MAX);
    for (int count; (count = wall_receive_requests(&vault, got, WALL_BATCH_MAX)) != 0;)
        for (int i = 0; i < count; i++)
            assert_int_equal(got[i].token, ++received);
    assert_int_equal(received, sent);
    assert_int_equal(wall_send_requests(&net, batch, 1), 1);
}

static void part_of_many_slots_is_taken_and_the_rest_can_follow(void **state)
{
    enum { MANY = 20000 };
    struct wall_request *slots = calloc(MANY, sizeof *slots), got[WALL_BATCH_MAX];
    size_t sent = 0;
    uint64_t received = 0;
    (void)state;
    assert_non_null(slots);
    for (size_t i = 0; i < MANY; i++)
        slots[i] = wall_rig_request(i + 1);
    bool was_partial = false;
    while (received < MANY) {
        int taken = wall_send_requests(&net, slots + sent, MANY - sent);
        assert_true(taken >= 0);
        was_partial |= (size_t)taken < MANY - sent;
        sent += (size_t)taken;
        int count = wall_receive_requests(&vault, got, WALL_BATCH_MAX);
        for (int i = 0; i < count; i++)
            assert_int_equal(got[i].token, ++received);
    }
    assert_true(was_partial);
    free(slots);
}

/* ---- handshake messages ---- */

static struct wall_request master_with(uint64_t token, const uint8_t *messages, uint32_t length)
{
    struct wall_request slot = wall_rig_request(token);
    slot.operation.kind = OP_RSA_MASTER;
    slot.operation.u.rsa_master.messages = messages;
    slot.operation.u.rsa_master.length = length;
    return slot;
}

static void assert_master(const struct wall_request *slot, uint64_t token, const uint8_t *messages,
                          uint32_t length)
{
    assert_int_equal(slot->token, token);
    assert_int_equal(wall_request_check(slot), 0);
    assert_int_equal(slot->operation.u.rsa_master.length, length);
    assert_ptr_not_equal(slot->operation.u.rsa_master.messages, messages);
    assert_memory_equal(slot->operation.u.rsa_master.messages, messages, length);
}

static void handshake_messages_travel_with_their_slot(void **state)
{
    static uint8_t messages[HANDSHAKE_MAX];
    static const uint32_t lengths[] = {1, 700, 4000, HANDSHAKE_MAX};
    static struct wall_request sent[8], got[WALL_BATCH_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof messages; i++)
        messages[i] = (uint8_t)(i * 7 + i / 256);
    for (uint64_t i = 0; i < 8; i++) /* between others, at both ends */
        sent[i] = i % 2 == 0 ? master_with(i + 1, messages, lengths[i / 2]) : wall_rig_request(i + 1);
    assert_int_equal(wall_send_requests(&net, sent, 8), 8);
    for (uint64_t i = 0; i < 8;) {
        int count = wall_receive_requests(&vault, got, WALL_BATCH_MAX);
        assert_true(count > 0);
        for (int j = 0; j < count; j++, i++) {
            if (i % 2 == 0)
                assert_master(&got[j], i + 1, messages, lengths[i / 2]);
            else
                assert_int_equal(got[j].token, i + 1);
        }
    }
}

/* A slot that promises messages it does not bring must not be read as if it did; what follows it are slots.
 */
static void messages_that_are_missing_or_of_no_length_are_not_read(void **state)
{
    static const uint32_t lengths[] = {0, HANDSHAKE_MAX + 1, UINT32_MAX, 3 * RING_SLOT_SIZE + 1};
    static struct wall_request got[WALL_BATCH_MAX];
    struct wall_request slot, next = wall_rig_request(5);
    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        slot = master_with(4, (const uint8_t *)"x", lengths[i]); /* a pointer of the sender's */
        assert_int_equal(ring_put(&net.out, &slot, sizeof slot, NULL, 0), 1);
        assert_int_equal(wall_send_requests(&net, &next, 1), 1);
        assert_int_equal(wall_receive_requests(&vault, got, WALL_BATCH_MAX), 2);
        assert_null(got[0].operation.u.rsa_master.messages);
        assert_int_equal(wall_request_check(&got[0]), ERR_FORMAT);
        assert_int_equal(got[1].token, 5);
    }
}

static void no_pointer_crosses_the_wall(void **state)
{
    struct wall_request slot = master_with(4, (const uint8_t *)"abcd", 4), raw;
    (void)state;
    assert_int_equal(wall_send_requests(&net, &slot, 1), 1);
    assert_int_equal(ring_count(&vault.in), 2);
    assert_int_equal(ring_take(&vault.in, &raw, sizeof raw), 0);
    assert_null(raw.operation.u.rsa_master.messages);
}

static void a_slot_that_is_none_is_dropped_alone(void **state)
{
    static const uint8_t junk[RING_CONTENT_MAX];
    static struct wall_request good, got[WALL_BATCH_MAX];
    (void)state;
    good = wall_rig_request(9);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(wall_send_requests(&net, &good, 1), 1);
        assert_int_equal(ring_put(&net.out, junk, sizeof good + 1 + i, NULL, 0), 1);
        assert_int_equal(wall_send_requests(&net, &good, 1), 1);
        assert_int_equal(wall_receive_requests(&vault, got, WALL_BATCH_MAX), 1);
        assert_int_equal(wall_receive_requests(&vault, got, WALL_BATCH_MAX), ERR_FORMAT);
        assert_int_equal(wall_receive_requests(&vault, got, WALL_BATCH_MAX), 1);
        assert_int_equal(got[0].token, 9);
    }
}

/* Each operation is sent with what it says and no more: the longest field of each arrives whole. */
static void every_operation_arrives_whole(void **state)
{
    static struct wall_request sent[OP_KINDS], got[WALL_BATCH_MAX];
    (void)state;
    for (unsigned kind = OP_PING; kind < OP_RSA_MASTER; kind++) {
        sent[kind] = wall_rig_request(kind);
        sent[kind].operation.kind = (enum operation_kind)kind;
        memset(sent[kind].operation.key_id, 0xaa, KEY_ID_SIZE);
    }
    memset(&sent[OP_SIGN_TLS13].operation.u.sign_tls13, 0x30, sizeof sent[0].operation.u.sign_tls13);
    sent[OP_SIGN_TLS13].operation.u.sign_tls13.hash_length = TRANSCRIPT_HASH_MAX;
    memset(&sent[OP_SIGN_TLS12].operation.u.sign_tls12, 0x31, sizeof sent[0].operation.u.sign_tls12);
    sent[OP_SIGN_TLS12].operation.u.sign_tls12.params[KEY_EXCHANGE_PARAMS_MAX - 1] = 9;
    sent[OP_SIGN_TLS12].operation.u.sign_tls12.params_length = KEY_EXCHANGE_PARAMS_MAX;
    memset(&sent[OP_RSA_PREMASTER].operation.u.rsa_premaster, 0x32, sizeof sent[0].operation.u.rsa_premaster);
    sent[OP_RSA_PREMASTER].operation.u.rsa_premaster.ciphertext_length = RSA_MODULUS_MAX;
    assert_int_equal(wall_send_requests(&net, sent + 1, OP_RSA_MASTER - 1), OP_RSA_MASTER - 1);
    assert_int_equal(wall_receive_requests(&vault, got, WALL_BATCH_MAX), OP_RSA_MASTER - 1);
    assert_memory_equal(&got[OP_SIGN_TLS13 - 1].operation.u.sign_tls13, &sent[OP_SIGN_TLS13].operation.u,
                        sizeof got[0].operation.u.sign_tls13);
    assert_memory_equal(got[OP_SIGN_TLS12 - 1].operation.u.sign_tls12.params,
                        sent[OP_SIGN_TLS12].operation.u.sign_tls12.params, KEY_EXCHANGE_PARAMS_MAX);
    assert_memory_equal(&got[OP_RSA_PREMASTER - 1].operation, &sent[OP_RSA_PREMASTER].operation,
                        sizeof got[0].operation);
}

static void every_answer_arrives_whole(void **state)
{
    static struct wall_answer sent[4], got[WALL_BATCH_MAX];
    (void)state;
    memset(sent, 0x77, sizeof sent);
    for (uint32_t kind = WALL_OUTCOME; kind <= WALL_EPOCH; kind++)
        sent[kind - 1].kind = kind;
    sent[WALL_OUTCOME - 1].u.outcome.length = RESULT_MAX;
    sent[WALL_KEYS - 1].u.keys.count = WALL_KEYS_MAX;
    assert_int_equal(wall_send_answers(&vault, sent, 4), 4);
    assert_int_equal(wall_receive_answers(&net, got, WALL_BATCH_MAX), 4);
    assert_memory_equal(&got[0].u.outcome, &sent[0].u.outcome, offsetof(struct outcome, bytes) + RESULT_MAX);
    assert_memory_equal(&got[1].u.keys, &sent[1].u.keys, sizeof got[0].u.keys);
    assert_memory_equal(&got[2].u.stats, &sent[2].u.stats, sizeof got[0].u.stats);
    assert_memory_equal(&got[3].u.epoch, &sent[3].u.epoch, sizeof got[0].u.epoch);
}

static void a_side_that_is_gone_is_a_cut_after_what_it_sent(void **state)
{
    struct wall_request slot = wall_rig_request(5), got[WALL_BATCH_MAX];
    struct wall_answer answer = {.token = 1, .kind = WALL_OUTCOME};
    (void)state;
    assert_int_equal(wall_send_requests(&net, &slot, 1), 1);
    wall_close(&net);
    assert_true(wall_rig_wait(&vault, WALL_ROOM, 5000));
    assert_int_equal(wall_send_answers(&vault, &answer, 1), 1); /* nobody has told yet */
    assert_true(readable(&vault));
    wall_woken(&vault);
    assert_int_equal(wall_send_answers(&vault, &answer, 1), ERR_CUT);
    assert_int_equal(wall_receive_requests(&vault, got, WALL_BATCH_MAX), 1);
    assert_int_equal(got[0].token, 5);
    assert_int_equal(wall_receive_requests(&vault, got, WALL_BATCH_MAX), ERR_CUT);
    assert_false(wall_sleep(&vault, WALL_SLOTS));
}

/* ---- sleep ---- */

static void only_who_sleeps_is_woken_and_only_once(void **state)
{
    struct wall_request slot = wall_rig_request(5), got[WALL_BATCH_MAX];
    (void)state;
    assert_int_equal(wall_send_requests(&net, &slot, 1), 1);
    assert_false(readable(&vault));
    assert_false(wall_sleep(&vault, WALL_SLOTS)); /* something is there */
    assert_int_equal(wall_receive_requests(&vault, got, WALL_BATCH_MAX), 1);
    assert_true(wall_sleep(&vault, WALL_SLOTS));
    for (int i = 0; i < 3; i++)
        assert_int_equal(wall_send_requests(&net, &slot, 1), 1);
    assert_true(readable(&vault));
    assert_int_equal(recv(wall_fd(&vault), got, sizeof got, 0), 1);
    assert_int_equal(wall_receive_requests(&vault, got, WALL_BATCH_MAX), 3);
    assert_int_equal(wall_send_requests(&net, &slot, 1), 1); /* it is awake, and will look */
    assert_false(readable(&vault));
}

static void who_waits_for_room_is_woken_when_half_of_it_is_there(void **state)
{
    static struct wall_request slots[RING_SLOTS + 1], got[WALL_BATCH_MAX];
    int taken = 0;
    (void)state;
    for (size_t i = 0; i <= RING_SLOTS; i++)
        slots[i] = wall_rig_request(i + 1);
    assert_int_equal(wall_send_requests(&net, slots, RING_SLOTS + 1), RING_SLOTS);
    assert_true(wall_sleep(&net, WALL_ROOM));
    assert_true(wall_sleep(&net, WALL_ROOM | WALL_SLOTS));
    for (; taken < RING_SLOTS / 2; taken += WALL_BATCH_MAX) {
        assert_false(readable(&net));
        assert_int_equal(wall_receive_requests(&vault, got, WALL_BATCH_MAX), WALL_BATCH_MAX);
    }
    assert_true(readable(&net));
    wall_woken(&net);
    assert_false(readable(&net));
    assert_false(wall_sleep(&net, WALL_ROOM));
    assert_int_equal(wall_send_requests(&net, slots + RING_SLOTS, 1), 1);
}

/* Whoever floods the descriptor wakes, and nothing else. */
static void bytes_in_the_descriptor_mean_nothing(void **state)
{
    static const uint8_t flood[4096];
    struct wall_request slot = wall_rig_request(5), got[WALL_BATCH_MAX];
    (void)state;
    while (send(wall_fd(&net), flood, sizeof flood, MSG_DONTWAIT) > 0)
        ;
    assert_true(wall_sleep(&vault, WALL_SLOTS));
    assert_int_equal(wall_send_requests(&net, &slot, 1), 1); /* does not block, and is no cut */
    for (int i = 0; readable(&vault); i++) {
        assert_true(i < 100000);
        wall_woken(&vault);
    }
    assert_int_equal(wall_receive_requests(&vault, got, WALL_BATCH_MAX), 1);
    assert_int_equal(wall_receive_requests(&vault, got, WALL_BATCH_MAX), 0);
}

int main(void)
{
#define WITH_PAIR(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_PAIR(ends_are_non_blocking_and_closed_on_exec),
        WITH_PAIR(closing_twice_is_harmless),
        WITH_PAIR(nothing_waiting_is_zero),
        WITH_PAIR(a_hundred_slots_arrive_in_order_in_batches),
        WITH_PAIR(answers_go_the_other_way),
        WITH_PAIR(a_reader_that_is_behind_never_blocks_the_sender),
        WITH_PAIR(part_of_many_slots_is_taken_and_the_rest_can_follow),
        WITH_PAIR(handshake_messages_travel_with_their_slot),
        WITH_PAIR(messages_that_are_missing_or_of_no_length_are_not_read),
        WITH_PAIR(no_pointer_crosses_the_wall),
        WITH_PAIR(a_slot_that_is_none_is_dropped_alone),
        WITH_PAIR(every_operation_arrives_whole),
        WITH_PAIR(every_answer_arrives_whole),
        WITH_PAIR(a_side_that_is_gone_is_a_cut_after_what_it_sent),
        WITH_PAIR(only_who_sleeps_is_woken_and_only_once),
        WITH_PAIR(who_waits_for_room_is_woken_when_half_of_it_is_there),
        WITH_PAIR(bytes_in_the_descriptor_mean_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
