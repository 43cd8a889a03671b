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

#include "keyserver/wall/wall.h"

static struct wall net, vault;

static int set_up(void **state)
{
    (void)state;
    return wall_pair(&net, &vault);
}

static int tear_down(void **state)
{
    (void)state;
    wall_close(&net);
    wall_close(&vault);
    return 0;
}

static struct wall_request request_with(uint64_t token)
{
    struct wall_request slot;
    memset(&slot, 0, sizeof slot);
    slot.token = token;
    slot.kind = WALL_OPERATION;
    slot.operation.kind = OP_KEYS;
    return slot;
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
        sent[i] = request_with(i + 1);
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
            batch[i] = request_with(sent + i + 1);
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
        slots[i] = request_with(i + 1);
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
    struct wall_request slot = request_with(token);
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
        sent[i] = i % 2 == 0 ? master_with(i + 1, messages, lengths[i / 2]) : request_with(i + 1);
    assert_int_equal(wall_send_requests(&net, sent, 8), 8);
    for (uint64_t i = 0; i < 8; i++) {
        assert_int_equal(wall_receive_requests(&vault, got, WALL_BATCH_MAX), 1);
        if (i % 2 == 0)
            assert_master(&got[0], i + 1, messages, lengths[i / 2]);
        else
            assert_int_equal(got[0].token, i + 1);
    }
}

/* A slot that promises messages it does not bring must not be read as if it did. */
static void messages_that_are_missing_or_of_another_length_are_no_slot(void **state)
{
    static uint8_t datagram[3 * sizeof(struct wall_request)];
    static struct wall_request got[WALL_BATCH_MAX];
    struct wall_request slot = master_with(4, (const uint8_t *)"x", 10), first = request_with(3);
    static const size_t behind[] = {0, 1, 9, 11, 500};
    (void)state;
    for (size_t i = 0; i < sizeof behind / sizeof behind[0]; i++) {
        memcpy(datagram, &slot, sizeof slot);
        assert_true(send(wall_fd(&net), datagram, sizeof slot + behind[i], 0) > 0);
        assert_int_equal(wall_receive_requests(&vault, got, WALL_BATCH_MAX), ERR_FORMAT);
    }
    memcpy(datagram, &first, sizeof first);
    memcpy(datagram + sizeof first, &slot, sizeof slot);
    assert_true(send(wall_fd(&net), datagram, 2 * sizeof slot, 0) > 0);
    assert_int_equal(wall_receive_requests(&vault, got, WALL_BATCH_MAX), 2);
    assert_int_equal(wall_request_check(&got[0]), 0);
    assert_null(got[1].operation.u.rsa_master.messages); /* not the sender's pointer */
    assert_int_equal(wall_request_check(&got[1]), ERR_FORMAT);
}

static void no_pointer_crosses_the_wall(void **state)
{
    static struct wall_request raw;
    uint8_t bytes[sizeof raw + 4];
    struct wall_request slot = master_with(4, (const uint8_t *)"abcd", 4);
    (void)state;
    assert_int_equal(wall_send_requests(&net, &slot, 1), 1);
    assert_int_equal(recv(wall_fd(&vault), bytes, sizeof bytes, 0), sizeof bytes);
    memcpy(&raw, bytes, sizeof raw);
    assert_null(raw.operation.u.rsa_master.messages);
    assert_memory_equal(bytes + sizeof raw, "abcd", 4);
}

static void a_side_that_is_gone_is_a_cut_after_what_it_sent(void **state)
{
    struct wall_request slot = request_with(5), got[WALL_BATCH_MAX];
    struct wall_answer answer = {.token = 1, .kind = WALL_OUTCOME};
    (void)state;
    assert_int_equal(wall_send_requests(&net, &slot, 1), 1);
    wall_close(&net);
    assert_int_equal(wall_send_answers(&vault, &answer, 1), ERR_CUT);
    assert_int_equal(wall_receive_requests(&vault, got, WALL_BATCH_MAX), 1);
    assert_int_equal(got[0].token, 5);
    assert_int_equal(wall_receive_requests(&vault, got, WALL_BATCH_MAX), ERR_CUT);
}

static void a_datagram_of_no_whole_slots_is_dropped_alone(void **state)
{
    static uint8_t junk[(WALL_BATCH_MAX + 1) * sizeof(struct wall_request)];
    static const size_t lengths[] = {1,
                                     sizeof(struct wall_request) - 1,
                                     sizeof(struct wall_request) + 1,
                                     sizeof(struct wall_request) * WALL_BATCH_MAX - 1,
                                     sizeof(struct wall_request) * WALL_BATCH_MAX + 1,
                                     sizeof junk};
    static struct wall_request good, got[WALL_BATCH_MAX];
    (void)state;
    good = request_with(9);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        assert_int_equal(send(wall_fd(&net), junk, lengths[i], 0), lengths[i]);
        assert_int_equal(wall_send_requests(&net, &good, 1), 1);
        assert_int_equal(wall_receive_requests(&vault, got, WALL_BATCH_MAX), ERR_FORMAT);
        assert_int_equal(wall_receive_requests(&vault, got, WALL_BATCH_MAX), 1);
        assert_int_equal(got[0].token, 9);
    }
}

static void adopted_ends_work_like_made_ones(void **state)
{
    struct wall_request slot = request_with(3), got[WALL_BATCH_MAX];
    struct wall adopted;
    (void)state;
    wall_adopt(&adopted, dup(wall_fd(&net)));
    wall_close(&net);
    assert_int_equal(wall_send_requests(&adopted, &slot, 1), 1);
    assert_int_equal(wall_receive_requests(&vault, got, WALL_BATCH_MAX), 1);
    wall_close(&adopted);
}

/* ---- the checks ---- */

static void a_request_needs_a_token_a_kind_and_a_family(void **state)
{
    struct wall_request slot = request_with(1);
    (void)state;
    assert_int_equal(wall_request_check(&slot), 0);
    slot.token = 0;
    assert_int_equal(wall_request_check(&slot), ERR_FORMAT);
    slot = request_with(UINT64_MAX);
    assert_int_equal(wall_request_check(&slot), 0);
    for (uint32_t kind = 0; kind < 5; kind++) {
        slot.kind = kind;
        assert_int_equal(wall_request_check(&slot),
                         kind >= WALL_OPERATION && kind <= WALL_EPOCH_WANTED ? 0 : ERR_FORMAT);
    }
    slot.kind = WALL_EPOCH_WANTED;
    slot.token = 0; /* the answer has none either */
    assert_int_equal(wall_request_check(&slot), 0);
    slot.token = 1;
    slot.kind = UINT32_MAX;
    assert_int_equal(wall_request_check(&slot), ERR_FORMAT);
    for (uint32_t family = 0; family < 300; family++) {
        slot = request_with(1);
        slot.from_family = family;
        assert_int_equal(wall_request_check(&slot),
                         family == 0 || family == AF_INET || family == AF_INET6 ? 0 : ERR_FORMAT);
    }
}

static void lengths_of_a_request_stay_within_their_fields(void **state)
{
    struct wall_request slot = request_with(1);
    (void)state;
    for (unsigned past = 0; past < 2; past++) {
        int expected = past == 0 ? 0 : ERR_FORMAT;
        slot.operation.kind = OP_SIGN_TLS13;
        slot.operation.u.sign_tls13.hash_length = (uint16_t)(TRANSCRIPT_HASH_MAX + past);
        assert_int_equal(wall_request_check(&slot), expected);
        slot.operation.kind = OP_SIGN_TLS12;
        slot.operation.u.sign_tls12.params_length = (uint16_t)(KEY_EXCHANGE_PARAMS_MAX + past);
        assert_int_equal(wall_request_check(&slot), expected);
        slot.operation.kind = OP_RSA_PREMASTER;
        slot.operation.u.rsa_premaster.ciphertext_length = (uint16_t)(RSA_MODULUS_MAX + past);
        assert_int_equal(wall_request_check(&slot), expected);
    }
    slot.operation.u.rsa_premaster.ciphertext_length = UINT16_MAX;
    assert_int_equal(wall_request_check(&slot), ERR_FORMAT);
}

static void an_operation_nobody_knows_is_left_to_the_judge(void **state)
{
    struct wall_request slot = request_with(1);
    (void)state;
    slot.operation.kind = (enum operation_kind)0x7fffffff;
    memset(&slot.operation.u, 0xff, sizeof slot.operation.u);
    assert_int_equal(wall_request_check(&slot), 0);
}

static void a_cancel_needs_no_operation(void **state)
{
    struct wall_request slot = request_with(1);
    (void)state;
    slot.kind = WALL_CANCEL;
    memset(&slot.operation, 0xff, sizeof slot.operation);
    assert_int_equal(wall_request_check(&slot), 0);
}

static void an_outcome_has_a_status_and_bytes_only_when_good(void **state)
{
    struct wall_answer slot = {.token = 1, .kind = WALL_OUTCOME};
    (void)state;
    for (unsigned status = 0; status < STATUS_KINDS; status++) {
        slot.u.outcome.status = (enum operation_status)status;
        slot.u.outcome.length = 0;
        assert_int_equal(wall_answer_check(&slot), 0);
        slot.u.outcome.length = 1;
        assert_int_equal(wall_answer_check(&slot), status == STATUS_OK ? 0 : ERR_FORMAT);
    }
    slot.u.outcome.length = 0;
    slot.u.outcome.status = STATUS_KINDS;
    assert_int_equal(wall_answer_check(&slot), ERR_FORMAT);
    slot.u.outcome.status = (enum operation_status)UINT32_MAX;
    assert_int_equal(wall_answer_check(&slot), ERR_FORMAT);
    slot.u.outcome.status = STATUS_OK;
    slot.u.outcome.length = RESULT_MAX;
    assert_int_equal(wall_answer_check(&slot), 0);
    slot.u.outcome.length = RESULT_MAX + 1;
    assert_int_equal(wall_answer_check(&slot), ERR_FORMAT);
    slot.u.outcome.length = 0;
    slot.token = 0;
    assert_int_equal(wall_answer_check(&slot), ERR_FORMAT);
}

static void a_list_of_keys_is_bounded(void **state)
{
    struct wall_answer slot = {.token = 1, .kind = WALL_KEYS};
    (void)state;
    slot.u.keys.count = WALL_KEYS_MAX;
    assert_int_equal(wall_answer_check(&slot), 0);
    slot.more = 1;
    assert_int_equal(wall_answer_check(&slot), 0);
    slot.more = 2;
    assert_int_equal(wall_answer_check(&slot), ERR_FORMAT);
    slot.more = 0;
    slot.u.keys.count = WALL_KEYS_MAX + 1;
    assert_int_equal(wall_answer_check(&slot), ERR_FORMAT);
    slot.u.keys.count = 0;
    assert_int_equal(wall_answer_check(&slot), 0);
    slot.token = 0;
    assert_int_equal(wall_answer_check(&slot), ERR_FORMAT);
}

static void figures_need_no_token_and_other_kinds_are_refused(void **state)
{
    struct wall_answer slot = {.token = 0, .kind = WALL_STATS};
    (void)state;
    assert_int_equal(wall_answer_check(&slot), 0);
    slot.token = 1;
    slot.kind = 0;
    assert_int_equal(wall_answer_check(&slot), ERR_FORMAT);
    slot.kind = WALL_EPOCH + 1;
    assert_int_equal(wall_answer_check(&slot), ERR_FORMAT);
}

static void every_refusal_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (unsigned i = 0; i < REFUSAL_KINDS; i++) {
        assert_non_null(wall_refusal_name((enum wall_refusal)i));
        for (unsigned j = 0; j < i; j++)
            assert_string_not_equal(wall_refusal_name((enum wall_refusal)i),
                                    wall_refusal_name((enum wall_refusal)j));
    }
    assert_non_null(wall_refusal_name(REFUSAL_KINDS));
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
        WITH_PAIR(a_side_that_is_gone_is_a_cut_after_what_it_sent),
        WITH_PAIR(a_datagram_of_no_whole_slots_is_dropped_alone),
        WITH_PAIR(adopted_ends_work_like_made_ones),
        cmocka_unit_test(a_request_needs_a_token_a_kind_and_a_family),
        cmocka_unit_test(lengths_of_a_request_stay_within_their_fields),
        cmocka_unit_test(an_operation_nobody_knows_is_left_to_the_judge),
        cmocka_unit_test(a_cancel_needs_no_operation),
        cmocka_unit_test(an_outcome_has_a_status_and_bytes_only_when_good),
        cmocka_unit_test(a_list_of_keys_is_bounded),
        cmocka_unit_test(figures_need_no_token_and_other_kinds_are_refused),
        cmocka_unit_test(every_refusal_has_a_name_of_its_own),
        cmocka_unit_test_setup_teardown(handshake_messages_travel_with_their_slot, set_up, tear_down),
        cmocka_unit_test_setup_teardown(messages_that_are_missing_or_of_another_length_are_no_slot, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(no_pointer_crosses_the_wall, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
