/* The messages of bound mode: rsa_master requests, which carry a handshake, and epochs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/secret.h"
#include "proto/msg.h"

#define FILE_MAX 4096

static size_t load(const char *name, uint8_t *out)
{
    char path[128], line[256];
    size_t length = 0;
    snprintf(path, sizeof path, "tests/vectors/messages/%s.hex", name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = 0;
        size_t size = strlen(line) / 2;
        assert_true(length + size <= FILE_MAX);
        assert_int_equal(hex_decode(out + length, size, line), 0);
        length += size;
    }
    fclose(file);
    return length;
}

static void count_up(uint8_t *out, uint8_t first, size_t length)
{
    for (size_t i = 0; i < length; i++)
        out[i] = (uint8_t)(first + i);
}

/* MESSAGES is borrowed. */
static struct msg_request rsa_master(uint64_t id, const uint8_t *messages, uint32_t length)
{
    struct msg_request request = {.id = id, .deadline_ms = 2000, .operation.kind = OP_RSA_MASTER};
    count_up(request.trace.bytes, 0x10, TRACE_ID_SIZE);
    count_up(request.operation.key_id, 0xa0, KEY_ID_SIZE);
    request.operation.u.rsa_master.messages = messages;
    request.operation.u.rsa_master.length = length;
    return request;
}

static void assert_handshake(const struct msg_request *request, const uint8_t *messages, uint32_t length)
{
    assert_int_equal(request->operation.kind, OP_RSA_MASTER);
    assert_int_equal(request->operation.u.rsa_master.length, length);
    assert_memory_equal(request->operation.u.rsa_master.messages, messages, length);
}

static void handshakes_are_packed_and_parsed_as_the_golden_file(void **state)
{
    uint8_t first[300], second[5], expected[FILE_MAX];
    struct buffer packed = {0};
    struct msg *msg = NULL;
    (void)state;
    count_up(first, 1, sizeof first);
    count_up(second, 2, sizeof second);
    const struct msg_request requests[] = {rsa_master(7, first, sizeof first),
                                           rsa_master(8, second, sizeof second)};
    assert_int_equal(msg_pack_requests(&packed, requests, 2), 0);
    size_t length = load("requests_rsa_master", expected);
    assert_int_equal(buffer_length(&packed), length);
    assert_memory_equal(buffer_bytes(&packed), expected, length);
    buffer_clear(&packed);
    assert_int_equal(msg_parse(&msg, expected, length), 0);
    memset(expected, 0xee, sizeof expected); /* nothing of the input is pointed to */
    assert_int_equal(msg->count, 2);
    assert_handshake(&msg->requests[0], first, sizeof first);
    assert_handshake(&msg->requests[1], second, sizeof second);
    msg_free(msg);
}

static void an_epoch_is_packed_and_parsed_as_the_golden_file(void **state)
{
    struct msg_epoch epoch = {.number = 61234567, .left_ms = 48000};
    uint8_t expected[FILE_MAX];
    struct buffer packed = {0};
    struct msg *msg = NULL;
    (void)state;
    count_up(epoch.key, 0xc0, sizeof epoch.key);
    assert_int_equal(msg_pack_epoch(&packed, &epoch), 0);
    size_t length = load("epoch", expected);
    assert_int_equal(buffer_length(&packed), length);
    assert_memory_equal(buffer_bytes(&packed), expected, length);
    buffer_clear(&packed);
    assert_int_equal(msg_parse(&msg, expected, length), 0);
    assert_int_equal(msg->kind, MSG_EPOCH);
    assert_true(msg->epoch.number == epoch.number);
    assert_int_equal(msg->epoch.left_ms, epoch.left_ms);
    assert_memory_equal(msg->epoch.key, epoch.key, sizeof epoch.key);
    msg_free(msg);
}

static void number_zero_says_that_there_is_none(void **state)
{
    static const uint8_t expected[] = {0x22, 0x00}, with_key[] = {0x22, 0x03, 0x12, 0x01, 0x07};
    static const uint8_t with_time[] = {0x22, 0x02, 0x18, 0x05};
    struct msg_epoch none = {.number = 0, .left_ms = 7};
    struct buffer packed = {0};
    struct msg *msg = NULL;
    (void)state;
    memset(none.key, 0x55, sizeof none.key);
    assert_int_equal(msg_pack_epoch(&packed, &none), 0);
    assert_int_equal(buffer_length(&packed), sizeof expected);
    assert_memory_equal(buffer_bytes(&packed), expected, sizeof expected);
    buffer_clear(&packed);
    assert_int_equal(msg_parse(&msg, expected, sizeof expected), 0);
    assert_int_equal(msg->kind, MSG_EPOCH);
    assert_int_equal(msg->epoch.number, 0);
    msg_free(msg);
    assert_int_equal(msg_parse(&msg, with_key, sizeof with_key), ERR_FORMAT);
    assert_int_equal(msg_parse(&msg, with_time, sizeof with_time), ERR_FORMAT);
}

static void assert_malformed(struct msg_epoch epoch, size_t key_size)
{
    struct buffer packed = {0};
    struct msg *msg = NULL;
    assert_int_equal(msg_pack_epoch(&packed, &epoch), 0);
    /* The key's length stands behind its tag 0x12, which no other byte of these messages equals. */
    uint8_t bytes[128];
    size_t length = buffer_length(&packed);
    memcpy(bytes, buffer_bytes(&packed), length);
    uint8_t *tag = memchr(bytes + 2, 0x12, length - 2);
    assert_non_null(tag);
    if (key_size < EPOCH_KEY_SIZE) {
        tag[1] = (uint8_t)key_size;
        length = (size_t)(tag + 2 + key_size - bytes);
        bytes[1] = (uint8_t)(length - 2);
    }
    assert_int_equal(msg_parse(&msg, bytes, length), ERR_FORMAT);
    buffer_clear(&packed);
}

static void an_epoch_without_a_whole_key_is_malformed(void **state)
{
    struct msg_epoch epoch = {.number = 3, .left_ms = 1};
    (void)state;
    memset(epoch.key, 0x55, sizeof epoch.key);
    assert_malformed(epoch, 31);
    assert_malformed(epoch, 0);
}

/* A handshake out of its limits makes this request one of no known kind, and leaves the others alone. */
static void a_handshake_outside_of_its_limits_is_refused_alone(void **state)
{
    static uint8_t messages[HANDSHAKE_MAX + 1];
    struct buffer packed = {0};
    struct msg *msg = NULL;
    (void)state;
    count_up(messages, 0, sizeof messages);
    const struct msg_request empty[] = {rsa_master(1, messages, 0), rsa_master(2, messages, 1)};
    assert_int_equal(msg_pack_requests(&packed, empty, 2), 0);
    assert_int_equal(msg_parse(&msg, buffer_bytes(&packed), buffer_length(&packed)), 0);
    assert_int_equal(msg->requests[0].operation.kind, 0);
    assert_handshake(&msg->requests[1], messages, 1);
    msg_free(msg);
    buffer_clear(&packed);

    const struct msg_request largest = rsa_master(1, messages, HANDSHAKE_MAX);
    assert_int_equal(msg_pack_requests(&packed, &largest, 1), 0);
    assert_int_equal(msg_parse(&msg, buffer_bytes(&packed), buffer_length(&packed)), 0);
    assert_handshake(&msg->requests[0], messages, HANDSHAKE_MAX);
    msg_free(msg);
    buffer_clear(&packed);

    const struct msg_request larger = rsa_master(1, messages, HANDSHAKE_MAX + 1);
    assert_int_equal(msg_pack_requests(&packed, &larger, 1), ERR_LENGTH);
}

static void a_batch_holds_what_surely_fits_and_fits(void **state)
{
    static uint8_t messages[HANDSHAKE_MAX];
    struct msg_request requests[MSG_BATCH_MAX + 1];
    struct buffer packed = {0};
    (void)state;
    for (uint32_t length = 1; length <= HANDSHAKE_MAX; length = length * 3 + 1) {
        for (size_t i = 0; i <= MSG_BATCH_MAX; i++)
            requests[i] = rsa_master(UINT64_MAX - i, messages, length);
        size_t fit = msg_requests_fit(requests, MSG_BATCH_MAX + 1);
        assert_true(fit >= 1 && fit <= MSG_BATCH_MAX);
        assert_int_equal(msg_pack_requests(&packed, requests, fit), 0);
        /* and it does not waste a half of the message */
        assert_true(fit == MSG_BATCH_MAX || buffer_length(&packed) > MSG_SIZE_MAX / 2);
        buffer_clear(&packed);
    }
    for (size_t i = 0; i <= MSG_BATCH_MAX; i++) {
        requests[i] = rsa_master(UINT64_MAX, messages, 1);
        requests[i].operation.kind = OP_RSA_PREMASTER;
        requests[i].operation.u.rsa_premaster.client_version = UINT16_MAX;
        requests[i].operation.u.rsa_premaster.ciphertext_length = RSA_MODULUS_MAX;
    }
    assert_int_equal(msg_requests_fit(requests, MSG_BATCH_MAX + 1), MSG_BATCH_MAX);
    assert_int_equal(msg_pack_requests(&packed, requests, MSG_BATCH_MAX), 0);
    buffer_clear(&packed);
    assert_int_equal(msg_requests_fit(requests, 0), 0);
}

/* The published vector of HMAC is libsodium's matter; here it is the bytes that go in that count. */
static void a_session_id_is_random_and_its_mac(void **state)
{
    static const char label[] = "keyless session id";
    uint8_t key[EPOCH_KEY_SIZE], random[SESSION_ID_RANDOM_SIZE], id[SESSION_ID_SIZE], mac[32];
    uint8_t input[sizeof label - 1 + sizeof random];
    (void)state;
    count_up(key, 1, sizeof key);
    count_up(random, 0x80, sizeof random);
    memcpy(input, label, sizeof label - 1);
    memcpy(input + sizeof label - 1, random, sizeof random);
    hmac_sha256(mac, key, sizeof key, input, sizeof input);
    session_id_make(id, key, random);
    assert_memory_equal(id, random, sizeof random);
    assert_memory_equal(id + sizeof random, mac, sizeof id - sizeof random);
    assert_true(session_id_check(id, key));
    for (size_t bit = 0; bit < 8 * sizeof id; bit++) {
        id[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(session_id_check(id, key));
        id[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    key[31] ^= 1;
    assert_false(session_id_check(id, key));
}

static int start(void **state)
{
    (void)state;
    return secret_init();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handshakes_are_packed_and_parsed_as_the_golden_file),
        cmocka_unit_test(an_epoch_is_packed_and_parsed_as_the_golden_file),
        cmocka_unit_test(an_epoch_without_a_whole_key_is_malformed),
        cmocka_unit_test(number_zero_says_that_there_is_none),
        cmocka_unit_test(a_handshake_outside_of_its_limits_is_refused_alone),
        cmocka_unit_test(a_batch_holds_what_surely_fits_and_fits),
        cmocka_unit_test(a_session_id_is_random_and_its_mac),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
