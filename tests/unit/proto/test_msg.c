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
    char path[128];
    char digits[3] = "";
    size_t length = 0;
    size_t have = 0;
    snprintf(path, sizeof path, "tests/vectors/messages/%s.hex", name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    for (int c = fgetc(file); c != EOF; c = fgetc(file)) {
        if (c == '\n')
            continue;
        digits[have++] = (char)c;
        if (have < 2)
            continue;
        assert_true(length < FILE_MAX);
        assert_int_equal(hex_decode(out + length++, 1, digits), 0);
        have = 0;
    }
    fclose(file);
    assert_int_equal(have, 0);
    return length;
}

/* LENGTH bytes counting up from FIRST. */
static void count_up(uint8_t *out, uint8_t first, size_t length)
{
    for (size_t i = 0; i < length; i++)
        out[i] = (uint8_t)(first + i);
}

static struct msg_request request_of(uint64_t id, enum operation_kind kind)
{
    struct msg_request request = {.id = id, .deadline_ms = 2000, .operation.kind = kind};
    count_up(request.trace.bytes, 0x10, TRACE_ID_SIZE);
    if (kind != OP_KEYS && kind != OP_PING)
        count_up(request.operation.key_id, 0xa0, KEY_ID_SIZE);
    return request;
}

static struct msg_request sign_tls13(uint64_t id, uint16_t scheme, uint16_t hash_length)
{
    struct msg_request request = request_of(id, OP_SIGN_TLS13);
    request.operation.u.sign_tls13.scheme = scheme;
    request.operation.u.sign_tls13.hash_length = hash_length;
    count_up(request.operation.u.sign_tls13.hash, 0, hash_length);
    return request;
}

static struct msg_request sign_tls12(uint64_t id)
{
    struct msg_request request = request_of(id, OP_SIGN_TLS12);
    static const uint8_t head[] = {3, 0, 0x1d, 32};
    request.operation.u.sign_tls12.scheme = SCHEME_ECDSA_P256_SHA256;
    count_up(request.operation.u.sign_tls12.client_random, 0x20, TLS_RANDOM_SIZE);
    count_up(request.operation.u.sign_tls12.server_random, 0x60, TLS_RANDOM_SIZE);
    memcpy(request.operation.u.sign_tls12.params, head, sizeof head);
    count_up(request.operation.u.sign_tls12.params + sizeof head, 0x40, 32);
    request.operation.u.sign_tls12.params_length = sizeof head + 32;
    return request;
}

static struct msg_request rsa_premaster(uint64_t id, uint16_t length)
{
    struct msg_request request = request_of(id, OP_RSA_PREMASTER);
    request.operation.u.rsa_premaster.client_version = 0x0303;
    request.operation.u.rsa_premaster.ciphertext_length = length;
    count_up(request.operation.u.rsa_premaster.ciphertext, 0, length);
    return request;
}

static void assert_golden(const char *name, struct buffer *packed)
{
    uint8_t expected[FILE_MAX];
    size_t length = load(name, expected);
    assert_int_equal(buffer_length(packed), length);
    assert_memory_equal(buffer_bytes(packed), expected, length);
    buffer_clear(packed);
}

static struct msg *parse_golden(const char *name, enum msg_kind kind, size_t count)
{
    uint8_t bytes[FILE_MAX];
    struct msg *msg = NULL;
    size_t length = load(name, bytes);
    assert_int_equal(msg_parse(&msg, bytes, length), 0);
    assert_int_equal(msg->kind, kind);
    assert_int_equal(msg->count, count);
    return msg;
}

static void assert_requests_golden(const char *name, const struct msg_request *requests, size_t count)
{
    struct buffer packed = {0};
    assert_int_equal(msg_pack_requests(&packed, requests, count), 0);
    assert_golden(name, &packed);
    struct msg *msg = parse_golden(name, MSG_REQUESTS, count);
    for (size_t i = 0; i < count; i++) {
        assert_true(msg->requests[i].id == requests[i].id);
        assert_int_equal(msg->requests[i].deadline_ms, requests[i].deadline_ms);
        assert_memory_equal(&msg->requests[i].trace, &requests[i].trace, sizeof requests[i].trace);
        assert_memory_equal(&msg->requests[i].operation, &requests[i].operation, sizeof(struct operation));
    }
    msg_free(msg);
}

static void hellos_are_packed_and_parsed_as_the_golden_files(void **state)
{
    (void)state;
    const struct msg_hello edge = {1, 1, 0, "keyless-edge 0.1.0"};
    const struct msg_hello server = {1, 1, 1024, "keyless-server 0.1.0"};
    struct buffer packed = {0};
    assert_int_equal(msg_pack_hello(&packed, &edge), 0);
    assert_golden("hello_edge", &packed);
    assert_int_equal(msg_pack_hello(&packed, &server), 0);
    assert_golden("hello_server", &packed);
    struct msg *msg = parse_golden("hello_server", MSG_HELLO, 0);
    assert_memory_equal(&msg->hello, &server, sizeof server);
    msg_free(msg);
}

static void requests_are_packed_and_parsed_as_the_golden_files(void **state)
{
    (void)state;
    struct msg_request one = sign_tls13(1, SCHEME_RSA_PSS_RSAE_SHA256, 32);
    assert_requests_golden("request_sign_tls13", &one, 1);
    one = sign_tls12(2);
    assert_requests_golden("request_sign_tls12", &one, 1);
    one = rsa_premaster(3, 256);
    assert_requests_golden("request_rsa_premaster", &one, 1);
    const struct msg_request batch[] = {request_of(300, OP_KEYS), request_of(UINT64_MAX, OP_PING),
                                        sign_tls13(4, SCHEME_ECDSA_P384_SHA384, 48)};
    assert_requests_golden("requests_batch", batch, 3);
}

static void an_unknown_operation_becomes_kind_zero(void **state)
{
    (void)state;
    struct msg *msg = parse_golden("request_unknown_operation", MSG_REQUESTS, 1);
    assert_int_equal(msg->requests[0].operation.kind, 0);
    assert_true(msg->requests[0].id == 5);
    msg_free(msg);
}

static void answers_are_packed_and_parsed_as_the_golden_files(void **state)
{
    (void)state;
    struct msg_answer answers[6] = {{0}};
    struct buffer packed = {0};
    for (size_t i = 0; i < 6; i++)
        answers[i].id = i + 1;
    for (size_t i = 1; i < 5; i++)
        answers[i].outcome.status = (enum operation_status)i;
    answers[0].outcome.length = 72;
    count_up(answers[0].outcome.bytes, 0x30, 72);
    answers[5].outcome.length = 48;
    answers[5].outcome.bytes[0] = 3;
    answers[5].outcome.bytes[1] = 3;
    count_up(answers[5].outcome.bytes + 2, 0x50, 46);
    assert_int_equal(msg_pack_answers(&packed, answers, 6), 0);
    assert_golden("answers", &packed);
    struct msg *msg = parse_golden("answers", MSG_ANSWERS, 6);
    for (size_t i = 0; i < 6; i++)
        assert_memory_equal(&msg->answers[i].outcome, &answers[i].outcome, sizeof(struct outcome));
    msg_free(msg);
}

static void key_lists_and_load_are_packed_and_parsed_as_the_golden_files(void **state)
{
    (void)state;
    struct key_info keys[2] = {{.type = KEY_RSA, .bits = 2048, .operations = 0x38},
                               {.type = KEY_ED25519, .bits = 256, .operations = 0x18}};
    count_up(keys[0].key_id, 0xa0, KEY_ID_SIZE);
    count_up(keys[1].key_id, 0xc0, KEY_ID_SIZE);
    const struct msg_answer list = {.id = 7, .more = true, .key_count = 2, .keys = keys};
    const struct msg_answer load_answer = {.id = 8, .in_flight = 12, .workers = 4};
    struct buffer packed = {0};
    assert_int_equal(msg_pack_answers(&packed, &list, 1), 0);
    assert_golden("answer_keys", &packed);
    assert_int_equal(msg_pack_answers(&packed, &load_answer, 1), 0);
    assert_golden("answer_load", &packed);
    struct msg *msg = parse_golden("answer_keys", MSG_ANSWERS, 1);
    assert_true(msg->answers[0].more);
    assert_int_equal(msg->answers[0].key_count, 2);
    assert_memory_equal(msg->answers[0].keys, keys, sizeof keys);
    msg_free(msg);
    msg = parse_golden("answer_load", MSG_ANSWERS, 1);
    assert_int_equal(msg->answers[0].in_flight, 12);
    assert_int_equal(msg->answers[0].workers, 4);
    msg_free(msg);
}

static void parsing_ends_well_with_every_golden_file_cut_anywhere(void **state)
{
    (void)state;
    static const char *const names[] = {"hello_edge", "request_sign_tls12", "requests_batch", "answers",
                                        "answer_keys"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        uint8_t bytes[FILE_MAX];
        size_t length = load(names[i], bytes);
        for (size_t cut = 0; cut < length; cut++) {
            uint8_t *exact = malloc(cut + 1);
            struct msg *msg = NULL;
            assert_non_null(exact);
            memcpy(exact, bytes, cut);
            assert_int_equal(msg_parse(&msg, exact, cut), ERR_FORMAT);
            assert_null(msg);
            free(exact);
        }
    }
}

static int parse_hex(const char *hex, struct msg **msg)
{
    uint8_t bytes[512];
    size_t length = strlen(hex) / 2;
    assert_true(length <= sizeof bytes);
    assert_int_equal(hex_decode(bytes, length, hex), 0);
    return msg_parse(msg, bytes, length);
}

static void malformed_messages_are_refused(void **state)
{
    (void)state;
    static const char *const messages[] = {
        "",                         /* no body */
        "1200",                     /* no request in the batch */
        "1a00",                     /* no answer in the batch */
        "2a00",                     /* a body nobody knows */
        "22021805",                 /* epoch: time is left, but of none */
        "0a020802",                 /* hello: version_min above version_max */
        "0a021001",                 /* hello: no version_min */
        "0a04080110010a0408011001", /* a body twice */
        "0a04080110011200",         /* two bodies */
        "0a0608010801"
        "1001", /* hello: a field twice */
        "0a060a0101"
        "100110", /* hello: a number as bytes */
        "0a098080808080"
        "0110"
        "0101", /* tag longer than five bytes */
        "0a0908ffffffff1f"
        "1001"
        "00",                             /* a 32-bit number of 33 bits, and field number 0 */
        "0a0808ffffffff1f1001",           /* a 32-bit number of 33 bits */
        "0a0d08ffffffffffffffffff021001", /* more than 64 bits */
        "0a0508011001"
        "03", /* a group */
        "0a06080110011803"
        "04", /* after the body: end of a group */
        "0a0508011001"
        "22",   /* a length is missing */
        "0aff", /* a length is cut */
        "12040a021a00"
        "00",                 /* field number 0 */
        "12070a0508011a0101", /* key id of one byte */
        "12070a050801220101", /* trace id of one byte */
        "1a0b0a09080182010"
        "40a020a00", /* key without an id */
    };
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        struct msg *msg = NULL;
        int err = parse_hex(messages[i], &msg);
        if (err != ERR_FORMAT)
            fail_msg("message %zu: %s gave %d", i, messages[i], err);
        assert_null(msg);
    }
}

static void unknown_fields_are_ignored_up_to_their_limit(void **state)
{
    (void)state;
    struct msg *msg = NULL;
    /* A varint, eight bytes, four bytes and a string that only a later version knows. */
    assert_int_equal(parse_hex("0a1c"
                               "08011001"
                               "9006ff01"
                               "99060102030405060708"
                               "9d0601020304"
                               "a206027878",
                               &msg),
                     ERR_FORMAT);
    assert_int_equal(parse_hex("0a1d"
                               "08011001"
                               "9006ff01"
                               "99060102030405060708"
                               "9d0601020304"
                               "a206027878",
                               &msg),
                     0);
    assert_int_equal(msg->hello.version_max, 1);
    msg_free(msg);
    assert_int_equal(parse_hex("0a14"
                               "08011001"
                               "50015001500150015001500150015001",
                               &msg),
                     0);
    msg_free(msg);
    assert_int_equal(parse_hex("0a16"
                               "08011001"
                               "500150015001500150015001500150015001",
                               &msg),
                     ERR_FORMAT);
}

static void hello_software_is_limited_and_made_printable(void **state)
{
    (void)state;
    struct msg *msg = NULL;
    struct buffer packed = {0};
    struct msg_hello hello = {.version_min = 1, .version_max = 3};
    memset(hello.software, 'x', sizeof hello.software - 1);
    hello.software[0] = '\n';
    hello.software[1] = '\x7f';
    assert_int_equal(msg_pack_hello(&packed, &hello), 0);
    assert_int_equal(msg_parse(&msg, buffer_bytes(&packed), buffer_length(&packed)), 0);
    assert_int_equal(strlen(msg->hello.software), MSG_SOFTWARE_MAX - 1);
    assert_memory_equal(msg->hello.software, "??x", 3);
    msg_free(msg);
    msg = NULL;
    /* One byte more: the string is the last field. */
    uint8_t longer[128];
    size_t length = buffer_length(&packed);
    memcpy(longer, buffer_bytes(&packed), length);
    longer[1]++;
    longer[length - MSG_SOFTWARE_MAX]++;
    longer[length] = 'x';
    assert_int_equal(msg_parse(&msg, longer, length + 1), ERR_FORMAT);
    assert_null(msg);
    buffer_clear(&packed);
}

/* The kind REQUEST has after a way through packing and parsing. */
static int kind_after_round_trip(const struct msg_request *request)
{
    struct buffer packed = {0};
    struct msg *msg = NULL;
    assert_int_equal(msg_pack_requests(&packed, request, 1), 0);
    assert_int_equal(msg_parse(&msg, buffer_bytes(&packed), buffer_length(&packed)), 0);
    int kind = (int)msg->requests[0].operation.kind;
    msg_free(msg);
    buffer_clear(&packed);
    return kind;
}

static void transcript_hashes_are_32_or_48_bytes(void **state)
{
    (void)state;
    for (uint16_t length = 0; length <= TRANSCRIPT_HASH_MAX; length++) {
        struct msg_request request = sign_tls13(1, SCHEME_ED25519, length);
        int expected = length == 32 || length == 48 ? OP_SIGN_TLS13 : 0;
        assert_int_equal(kind_after_round_trip(&request), expected);
    }
}

static void ciphertexts_are_256_to_512_bytes(void **state)
{
    (void)state;
    static const uint16_t lengths[] = {0, 255, 256, 257, 511, 512};
    static const int kinds[] = {0, 0, OP_RSA_PREMASTER, OP_RSA_PREMASTER, OP_RSA_PREMASTER, OP_RSA_PREMASTER};
    struct buffer packed = {0};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct msg_request request = rsa_premaster(1, lengths[i]);
        assert_int_equal(kind_after_round_trip(&request), kinds[i]);
    }
    struct msg_request request = rsa_premaster(1, 512);
    request.operation.u.rsa_premaster.ciphertext_length = 513;
    assert_int_equal(msg_pack_requests(&packed, &request, 1), ERR_LENGTH);
}

static void key_exchange_params_are_1_to_137_bytes(void **state)
{
    (void)state;
    struct buffer packed = {0};
    struct msg_request request = sign_tls12(1);
    request.operation.u.sign_tls12.params_length = 0;
    assert_int_equal(kind_after_round_trip(&request), 0);
    request.operation.u.sign_tls12.params_length = KEY_EXCHANGE_PARAMS_MAX;
    assert_int_equal(kind_after_round_trip(&request), OP_SIGN_TLS12);
    request.operation.u.sign_tls12.params_length = KEY_EXCHANGE_PARAMS_MAX + 1;
    assert_int_equal(msg_pack_requests(&packed, &request, 1), ERR_LENGTH);
}

static void out_of_range_fields_refuse_only_their_own_request(void **state)
{
    (void)state;
    struct msg *msg = NULL;
    /* sign_tls12 with a random of one byte; scheme 0x10403; client version 0x10303; ping. */
    assert_int_equal(parse_hex("124f0a0b08018a01060883081201010a2b080282012608838804122000000000"
                               "000000000000000000000000000000000000000000000000000000000a0c0803"
                               "920107088386041201010a050804a20100",
                               &msg),
                     0);
    assert_int_equal(msg->count, 4);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(msg->requests[i].operation.kind, 0);
    assert_int_equal(msg->requests[3].operation.kind, OP_PING);
    msg_free(msg);
}

static void deadlines_above_a_minute_count_as_a_minute(void **state)
{
    (void)state;
    static const uint32_t given[] = {0, 59999, 60000, 60001, UINT32_MAX};
    static const uint32_t taken[] = {0, 59999, 60000, 60000, 60000};
    for (size_t i = 0; i < sizeof given / sizeof given[0]; i++) {
        struct msg_request request = request_of(1, OP_PING);
        struct buffer packed = {0};
        struct msg *msg = NULL;
        request.deadline_ms = given[i];
        assert_int_equal(msg_pack_requests(&packed, &request, 1), 0);
        assert_int_equal(msg_parse(&msg, buffer_bytes(&packed), buffer_length(&packed)), 0);
        assert_int_equal(msg->requests[0].deadline_ms, taken[i]);
        msg_free(msg);
        buffer_clear(&packed);
    }
}

static void batches_hold_1_to_64(void **state)
{
    (void)state;
    static struct msg_request requests[MSG_BATCH_MAX + 1];
    static struct msg_answer answers[MSG_BATCH_MAX + 1];
    struct buffer packed = {0};
    struct msg *msg = NULL;
    for (size_t i = 0; i <= MSG_BATCH_MAX; i++) {
        requests[i] = rsa_premaster(i, RSA_MODULUS_MAX);
        answers[i] = (struct msg_answer){.id = i, .outcome.length = RESULT_MAX};
    }
    assert_int_equal(msg_pack_requests(&packed, requests, 0), ERR_LENGTH);
    assert_int_equal(msg_pack_requests(&packed, requests, MSG_BATCH_MAX + 1), ERR_LENGTH);
    assert_int_equal(msg_pack_answers(&packed, answers, 0), ERR_LENGTH);
    assert_int_equal(msg_pack_answers(&packed, answers, MSG_BATCH_MAX + 1), ERR_LENGTH);
    assert_int_equal(buffer_length(&packed), 0);
    assert_int_equal(msg_pack_requests(&packed, requests, MSG_BATCH_MAX), 0);
    assert_int_equal(msg_parse(&msg, buffer_bytes(&packed), buffer_length(&packed)), 0);
    assert_int_equal(msg->count, MSG_BATCH_MAX);
    assert_true(msg->requests[63].id == 63);
    msg_free(msg);
    buffer_clear(&packed);
    assert_int_equal(msg_pack_answers(&packed, answers, MSG_BATCH_MAX), 0);
    assert_int_equal(msg_parse(&msg, buffer_bytes(&packed), buffer_length(&packed)), 0);
    assert_int_equal(msg->count, MSG_BATCH_MAX);
    msg_free(msg);
    buffer_clear(&packed);
}

/* COUNT empty elements, two bytes each, of the batch in field BODY. */
static int parse_empty_batch(uint8_t body, size_t count, struct msg **msg)
{
    uint8_t bytes[256];
    struct writer w;
    writer_init(&w, bytes, sizeof bytes);
    writer_u8(&w, (uint8_t)(body << 3 | 2));
    if (2 * count >= 0x80)
        writer_u8(&w, (uint8_t)(0x80 | (2 * count & 0x7f)));
    writer_u8(&w, 2 * count >= 0x80 ? (uint8_t)(2 * count >> 7) : (uint8_t)(2 * count));
    for (size_t i = 0; i < count; i++)
        writer_u16(&w, 0x0a00);
    return msg_parse(msg, bytes, writer_length(&w));
}

static void parsing_refuses_a_batch_of_65(void **state)
{
    (void)state;
    for (uint8_t body = MSG_REQUESTS; body <= MSG_ANSWERS; body++) {
        struct msg *msg = NULL;
        assert_int_equal(parse_empty_batch(body, MSG_BATCH_MAX + 1, &msg), ERR_LENGTH);
        assert_null(msg);
        assert_int_equal(parse_empty_batch(body, MSG_BATCH_MAX, &msg), 0);
        assert_int_equal(msg->count, MSG_BATCH_MAX);
        msg_free(msg);
    }
}

static void key_lists_hold_up_to_1024_keys(void **state)
{
    (void)state;
    static struct key_info keys[MSG_KEYS_MAX + 1];
    struct buffer packed = {0};
    struct msg *msg = NULL;
    for (size_t i = 0; i <= MSG_KEYS_MAX; i++)
        keys[i] = (struct key_info){.key_id = {1}, .type = KEY_EC_P256, .bits = 65535, .operations = 0x3e};
    struct msg_answer answers[] = {{.id = 1, .key_count = MSG_KEYS_MAX, .keys = keys}, {.id = 2}};
    assert_int_equal(msg_pack_answers(&packed, answers, 2), 0);
    assert_int_equal(msg_parse(&msg, buffer_bytes(&packed), buffer_length(&packed)), 0);
    assert_int_equal(msg->answers[0].key_count, MSG_KEYS_MAX);
    assert_memory_equal(&msg->answers[0].keys[MSG_KEYS_MAX - 1], &keys[0], sizeof keys[0]);
    msg_free(msg);
    buffer_clear(&packed);
    answers[1].keys = keys;
    answers[1].key_count = 1;
    assert_int_equal(msg_pack_answers(&packed, answers, 2), ERR_LENGTH);
    answers[0].key_count = MSG_KEYS_MAX + 1;
    assert_int_equal(msg_pack_answers(&packed, answers, 1), ERR_LENGTH);
}

static void keys_of_an_unknown_type_and_operations_are_left_out(void **state)
{
    (void)state;
    struct key_info keys[] = {{.type = KEY_TYPES, .bits = 1}, {.type = KEY_RSA, .operations = UINT32_MAX}};
    const struct msg_answer answer = {.id = 1, .key_count = 2, .keys = keys};
    struct buffer packed = {0};
    struct msg *msg = NULL;
    assert_int_equal(msg_pack_answers(&packed, &answer, 1), 0);
    assert_int_equal(msg_parse(&msg, buffer_bytes(&packed), buffer_length(&packed)), 0);
    assert_int_equal(msg->answers[0].key_count, 1);
    assert_int_equal(msg->answers[0].keys[0].type, KEY_RSA);
    assert_int_equal(msg->answers[0].keys[0].operations, 0x7e);
    msg_free(msg);
    buffer_clear(&packed);
}

static void unknown_statuses_mean_unavailable_and_carry_no_result(void **state)
{
    (void)state;
    struct msg *msg = NULL;
    assert_int_equal(parse_hex("1a0b"
                               "0a09"
                               "0801"
                               "1005"
                               "9201"
                               "02aabb",
                               &msg),
                     0);
    assert_int_equal(msg->answers[0].outcome.status, STATUS_UNAVAILABLE);
    assert_int_equal(msg->answers[0].outcome.length, 0);
    msg_free(msg);
    assert_int_equal(parse_hex("1a0b"
                               "0a09"
                               "0801"
                               "1001"
                               "9201"
                               "02aabb",
                               &msg),
                     0);
    assert_int_equal(msg->answers[0].outcome.status, STATUS_REFUSED);
    assert_int_equal(msg->answers[0].outcome.length, 0);
    msg_free(msg);
}

static void results_above_512_bytes_are_refused(void **state)
{
    (void)state;
    static struct msg_answer answer = {.id = 1, .outcome.length = RESULT_MAX};
    struct buffer packed = {0};
    struct msg *msg = NULL;
    assert_int_equal(msg_pack_answers(&packed, &answer, 1), 0);
    uint8_t bytes[1024];
    size_t length = buffer_length(&packed);
    memcpy(bytes, buffer_bytes(&packed), length);
    buffer_clear(&packed);
    bytes[length] = 0;
    /* Message and answer lengths, then the result's: each one more, low seven bits first. */
    assert_int_equal(bytes[0], 0x1a);
    bytes[1]++;
    bytes[4]++;
    bytes[length - RESULT_MAX - 2]++;
    assert_int_equal(msg_parse(&msg, bytes, length + 1), ERR_FORMAT);
    assert_null(msg);
    answer.outcome.length = RESULT_MAX + 1;
    assert_int_equal(msg_pack_answers(&packed, &answer, 1), ERR_LENGTH);
}

static void messages_above_the_size_limit_are_refused(void **state)
{
    (void)state;
    static uint8_t bytes[MSG_SIZE_MAX + 1] = {0x0a, 0x04, 0x08, 0x01, 0x10, 0x01, 0xa2, 0x06};
    struct msg *msg = NULL;
    size_t rest = MSG_SIZE_MAX - 11;
    bytes[8] = (uint8_t)(0x80 | (rest & 0x7f));
    bytes[9] = (uint8_t)(0x80 | (rest >> 7 & 0x7f));
    bytes[10] = (uint8_t)(rest >> 14);
    assert_int_equal(msg_parse(&msg, bytes, MSG_SIZE_MAX), 0);
    msg_free(msg);
    assert_int_equal(msg_parse(&msg, bytes, MSG_SIZE_MAX + 1), ERR_LENGTH);
}

static void packing_refuses_what_is_no_operation(void **state)
{
    (void)state;
    struct buffer packed = {0};
    struct msg_request request = request_of(1, (enum operation_kind)0);
    assert_int_equal(msg_pack_requests(&packed, &request, 1), ERR_UNSUPPORTED);
    request.operation.kind = OP_KINDS;
    assert_int_equal(msg_pack_requests(&packed, &request, 1), ERR_UNSUPPORTED);
    request = sign_tls13(1, SCHEME_ED25519, 48);
    request.operation.u.sign_tls13.hash_length = 49;
    assert_int_equal(msg_pack_requests(&packed, &request, 1), ERR_LENGTH);
    assert_int_equal(buffer_length(&packed), 0);
}

static void the_highest_common_version_is_chosen(void **state)
{
    (void)state;
    static const struct {
        uint32_t our_min, our_max, their_min, their_max;
        int chosen;
    } rows[] = {
        {1, 1, 1, 1, 1},
        {1, 1, 1, 9, 1},
        {1, 1, 1, UINT32_MAX, 1},
        {1, 1, 2, 9, ERR_UNSUPPORTED},
        {1, 1, UINT32_MAX, UINT32_MAX, ERR_UNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct msg_hello ours = {.version_min = rows[i].our_min, .version_max = rows[i].our_max};
        const struct msg_hello theirs = {.version_min = rows[i].their_min, .version_max = rows[i].their_max};
        assert_int_equal(msg_version_choose(&ours, &theirs), rows[i].chosen);
        assert_int_equal(msg_version_choose(&theirs, &ours), rows[i].chosen);
    }
}

static void freeing_nothing_is_allowed(void **state)
{
    (void)state;
    msg_free(NULL);
}

static int start(void **state)
{
    (void)state;
    return secret_init();
}

/* Zeros are a name like any other; nothing is none. */
static void what_was_not_sent_is_told_from_zeros(void **state)
{
    /* Message.requests, Requests.request, Request.id, then key_id and trace_id, then ping */
    static const uint8_t nothing[] = {0x12, 7, 0x0a, 5, 0x08, 5, 0xa2, 0x01, 0};
    static const uint8_t zeros[61] = {0x12, 59,          0x0a, 57,          0x08, 5, 0x1a,
                                      32,   [40] = 0x22, 16,   [58] = 0xa2, 0x01, 0};
    struct msg *msg = NULL;
    (void)state;
    assert_int_equal(msg_parse(&msg, nothing, sizeof nothing), 0);
    assert_int_equal(msg->requests[0].operation.kind, OP_PING);
    assert_int_equal(msg->requests[0].no_trace, 1);
    assert_int_equal(msg->requests[0].no_key_id, 1);
    msg_free(msg);
    assert_int_equal(msg_parse(&msg, zeros, sizeof zeros), 0);
    assert_int_equal(msg->requests[0].operation.kind, OP_PING);
    assert_int_equal(msg->requests[0].no_trace, 0);
    assert_int_equal(msg->requests[0].no_key_id, 0);
    msg_free(msg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hellos_are_packed_and_parsed_as_the_golden_files),
        cmocka_unit_test(requests_are_packed_and_parsed_as_the_golden_files),
        cmocka_unit_test(an_unknown_operation_becomes_kind_zero),
        cmocka_unit_test(what_was_not_sent_is_told_from_zeros),
        cmocka_unit_test(answers_are_packed_and_parsed_as_the_golden_files),
        cmocka_unit_test(key_lists_and_load_are_packed_and_parsed_as_the_golden_files),
        cmocka_unit_test(parsing_ends_well_with_every_golden_file_cut_anywhere),
        cmocka_unit_test(malformed_messages_are_refused),
        cmocka_unit_test(unknown_fields_are_ignored_up_to_their_limit),
        cmocka_unit_test(hello_software_is_limited_and_made_printable),
        cmocka_unit_test(transcript_hashes_are_32_or_48_bytes),
        cmocka_unit_test(ciphertexts_are_256_to_512_bytes),
        cmocka_unit_test(key_exchange_params_are_1_to_137_bytes),
        cmocka_unit_test(out_of_range_fields_refuse_only_their_own_request),
        cmocka_unit_test(deadlines_above_a_minute_count_as_a_minute),
        cmocka_unit_test(batches_hold_1_to_64),
        cmocka_unit_test(parsing_refuses_a_batch_of_65),
        cmocka_unit_test(key_lists_hold_up_to_1024_keys),
        cmocka_unit_test(keys_of_an_unknown_type_and_operations_are_left_out),
        cmocka_unit_test(unknown_statuses_mean_unavailable_and_carry_no_result),
        cmocka_unit_test(results_above_512_bytes_are_refused),
        cmocka_unit_test(messages_above_the_size_limit_are_refused),
        cmocka_unit_test(packing_refuses_what_is_no_operation),
        cmocka_unit_test(the_highest_common_version_is_chosen),
        cmocka_unit_test(freeing_nothing_is_allowed),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
