#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "cli/bench_work.h"
#include "common/secret.h"
#include "keyserver/vault/judge/gate.h"

static const uint8_t epoch_key[EPOCH_KEY_SIZE] = {1, 2, 3};
static struct bench_messages messages;

static int start(void **state)
{
    (void)state;
    return secret_init() != 0 || gate_start() != 0;
}

static int stop(void **state)
{
    (void)state;
    gate_stop();
    return 0;
}

static struct bench_case with(enum operation_kind kind, enum key_type type, uint16_t bits)
{
    struct bench_case one = {.kind = kind, .key = {.type = (uint8_t)type, .bits = bits}};
    memset(one.key.key_id, 7, KEY_ID_SIZE);
    return one;
}

/* What a vault says of it that has such a key. */
static enum refusal judged(const struct operation *operation, const struct bench_case *one,
                           struct transcript *seen)
{
    static struct key key;
    struct crypto_input input;
    key = (struct key){.type = (enum key_type)one->key.type, .bits = one->key.bits};
    key.result_size = (uint16_t)(one->key.bits / 8);
    memset(key.modulus, 0xff, sizeof key.modulus);
    key.modulus[0] = 0x80; /* as small as it may be */
    return gate_pass(operation, &key, &input, seen);
}

static void every_operation_passes_the_gate_with_every_key(void **state)
{
    static const struct {
        enum key_type type;
        uint16_t bits;
    } keys[] = {{KEY_RSA, 2048},    {KEY_RSA, 3072},    {KEY_RSA, 4096},
                {KEY_EC_P256, 256}, {KEY_EC_P384, 384}, {KEY_ED25519, 256}};
    (void)state;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        for (enum operation_kind kind = OP_SIGN_TLS13; kind < OP_KINDS; kind++) {
            struct bench_case one = with(kind, keys[i].type, keys[i].bits);
            struct operation operation = {0};
            struct transcript seen;
            if (keys[i].type != KEY_RSA && (kind == OP_RSA_MASTER || kind == OP_RSA_PREMASTER))
                continue;
            assert_int_equal(bench_work_fill(&operation, &one, NULL, epoch_key, &messages), 0);
            assert_int_equal(operation.kind, kind);
            assert_memory_equal(operation.key_id, one.key.key_id, KEY_ID_SIZE);
            assert_int_equal(judged(&operation, &one, &seen), REFUSAL_NONE);
        }
}

static void a_transcript_has_the_session_id_of_its_epoch_and_the_name(void **state)
{
    const uint8_t other[EPOCH_KEY_SIZE] = {9};
    struct bench_case one = with(OP_RSA_MASTER, KEY_RSA, 2048);
    struct operation operation = {0};
    struct transcript seen;
    (void)state;
    assert_int_equal(bench_work_fill(&operation, &one, "www.example.com", epoch_key, &messages), 0);
    assert_int_equal(judged(&operation, &one, &seen), REFUSAL_NONE);
    assert_string_equal(seen.server_name, "www.example.com");
    assert_true(session_id_check(seen.session_id, epoch_key));
    assert_false(session_id_check(seen.session_id, other));
    assert_int_equal(bench_work_fill(&operation, &one, NULL, epoch_key, &messages), 0);
    assert_int_equal(judged(&operation, &one, &seen), REFUSAL_NONE);
    assert_string_equal(seen.server_name, "");
}

static void the_longest_name_fits_with_the_largest_key_and_a_longer_one_is_refused(void **state)
{
    struct bench_case one = with(OP_RSA_MASTER, KEY_RSA, 4096);
    struct operation operation = {0};
    struct transcript seen;
    char name[BENCH_NAME_MAX + 2];
    (void)state;
    memset(name, 'a', sizeof name);
    name[BENCH_NAME_MAX + 1] = 0;
    assert_int_equal(bench_work_fill(&operation, &one, name, epoch_key, &messages), ERR_LENGTH);
    name[BENCH_NAME_MAX] = 0;
    assert_int_equal(bench_work_fill(&operation, &one, name, epoch_key, &messages), 0);
    assert_int_equal(judged(&operation, &one, &seen), REFUSAL_NONE);
    assert_string_equal(seen.server_name, name);
}

static void no_request_is_made_twice(void **state)
{
    static struct bench_messages second_messages;
    (void)state;
    for (enum operation_kind kind = OP_SIGN_TLS13; kind < OP_KINDS; kind++) {
        struct bench_case one = with(kind, KEY_RSA, 2048);
        struct operation first = {0}, second = {0};
        struct transcript a, b;
        assert_int_equal(bench_work_fill(&first, &one, NULL, epoch_key, &messages), 0);
        assert_int_equal(bench_work_fill(&second, &one, NULL, epoch_key, &second_messages), 0);
        if (kind != OP_RSA_MASTER) {
            assert_memory_not_equal(&first, &second, sizeof first);
            continue;
        }
        assert_int_equal(judged(&first, &one, &a), REFUSAL_NONE);
        assert_int_equal(judged(&second, &one, &b), REFUSAL_NONE);
        assert_memory_not_equal(a.session_id, b.session_id, SESSION_ID_SIZE);
        assert_memory_not_equal(a.ciphertext, b.ciphertext, a.ciphertext_length);
    }
}

static void a_modulus_of_another_size_has_no_work(void **state)
{
    static const uint16_t wrong[] = {0, 2040, 4104};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct bench_case one = with(OP_RSA_PREMASTER, KEY_RSA, wrong[i]);
        struct operation operation = {0};
        assert_int_equal(bench_work_fill(&operation, &one, NULL, epoch_key, &messages), ERR_LENGTH);
        one.kind = OP_RSA_MASTER;
        assert_int_equal(bench_work_fill(&operation, &one, NULL, epoch_key, &messages), ERR_LENGTH);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_passes_the_gate_with_every_key),
        cmocka_unit_test(a_transcript_has_the_session_id_of_its_epoch_and_the_name),
        cmocka_unit_test(the_longest_name_fits_with_the_largest_key_and_a_longer_one_is_refused),
        cmocka_unit_test(no_request_is_made_twice),
        cmocka_unit_test(a_modulus_of_another_size_has_no_work),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
