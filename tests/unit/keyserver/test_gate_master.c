/* What the gate makes of rsa_master. That transcripts are read right is test_transcript.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "keyserver/vault/judge/gate.h"
#include "tests/unit/keyserver/handshake.h"
#include "tests/unit/keyserver/parts.h"

static EVP_PKEY *pkeys[2];            /* RSA-2048 and RSA-3072 */
static struct key keys[2], other_key; /* their public halves */
static struct handshake shakes[2];
static struct composed made;
static struct crypto_input input;
static struct transcript seen;

static int start(void **state)
{
    (void)state;
    if (secret_init() != 0 || gate_start() != 0)
        return -1;
    for (size_t i = 0; i < 2; i++) {
        BIGNUM *n = NULL;
        pkeys[i] = keys_rsa(2048 + 1024 * i);
        keys[i].type = KEY_RSA;
        keys[i].result_size = (uint16_t)EVP_PKEY_get_size(pkeys[i]);
        assert_int_equal(EVP_PKEY_get_bn_param(pkeys[i], OSSL_PKEY_PARAM_RSA_N, &n), 1);
        assert_int_equal(BN_bn2binpad(n, keys[i].modulus, keys[i].result_size), keys[i].result_size);
        BN_free(n);
        handshake_run(&shakes[i], &(struct handshake_wish){.pkey = pkeys[i],
                                                           .ciphers = i == 0 ? HANDSHAKE_SUITE_OF_SHA256
                                                                             : HANDSHAKE_SUITE_OF_SHA384,
                                                           .server_name = "WWW.example.com"});
    }
    return 0;
}

static int stop(void **state)
{
    (void)state;
    EVP_PKEY_free(pkeys[0]);
    EVP_PKEY_free(pkeys[1]);
    gate_stop();
    return 0;
}

static enum refusal pass(const struct key *key, const uint8_t *messages, size_t length)
{
    struct operation operation = {.kind = OP_RSA_MASTER};
    operation.u.rsa_master.messages = messages;
    operation.u.rsa_master.length = (uint32_t)length;
    memset(&input, 0x5a, sizeof input);
    memset(&seen, 0x5a, sizeof seen);
    return gate_pass(&operation, key, &input, &seen);
}

static void the_task_is_what_the_handshake_says(void **state)
{
    static struct parts parts;
    uint8_t hash[EVP_MAX_MD_SIZE];
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        unsigned hash_bits = i == 0 ? 256 : 384;
        assert_int_equal(pass(&keys[i], shakes[i].messages, shakes[i].length), REFUSAL_NONE);
        split_parts(&parts, shakes[i].messages, shakes[i].length);
        assert_int_equal(input.kind, OP_RSA_MASTER);
        assert_int_equal(input.u.exchange.client_version, 0x0303);
        assert_int_equal(input.u.exchange.ciphertext_length, keys[i].result_size);
        assert_memory_equal(input.u.exchange.ciphertext, parts.ciphertext.bytes, keys[i].result_size);
        assert_int_equal(input.u.exchange.prf_bits, hash_bits);
        assert_int_equal(EVP_Digest(shakes[i].messages, shakes[i].length, hash, NULL,
                                    hash_bits == 256 ? EVP_sha256() : EVP_sha384(), NULL),
                         1);
        assert_memory_equal(input.u.exchange.session_hash, hash, hash_bits / 8);
        assert_ptr_equal(seen.session_id, parts.server.session_id.bytes);
        assert_string_equal(seen.server_name, "www.example.com");
    }
}

/* The input outlives the messages: nothing in it points to them. */
static void the_task_is_a_copy(void **state)
{
    static uint8_t messages[HANDSHAKE_MAX];
    (void)state;
    memcpy(messages, shakes[0].messages, shakes[0].length);
    assert_int_equal(pass(&keys[0], messages, shakes[0].length), REFUSAL_NONE);
    struct crypto_input kept = input;
    memset(messages, 0, sizeof messages);
    assert_int_equal(pass(&keys[0], shakes[0].messages, shakes[0].length), REFUSAL_NONE);
    assert_memory_equal(&kept, &input, sizeof kept);
}

static void only_an_rsa_key_has_a_pre_master(void **state)
{
    (void)state;
    for (unsigned type = 0; type < KEY_TYPES; type++) {
        other_key = keys[0];
        other_key.type = (enum key_type)type;
        assert_int_equal(pass(&other_key, shakes[0].messages, shakes[0].length),
                         type == KEY_RSA ? REFUSAL_NONE : REFUSAL_SCHEME);
    }
}

static void what_is_no_transcript_is_refused(void **state)
{
    (void)state;
    assert_int_equal(pass(&keys[0], NULL, 0), REFUSAL_STRUCTURE);
    assert_int_equal(pass(&keys[0], shakes[0].messages, shakes[0].length - 1), REFUSAL_STRUCTURE);
    assert_int_equal(pass(&keys[0], shakes[0].messages + 1, shakes[0].length - 1), REFUSAL_STRUCTURE);
}

static void a_ciphertext_for_a_key_of_another_size_is_refused(void **state)
{
    static const uint8_t bytes[2 * RSA_MODULUS_MAX] = {0, 1};
    static struct parts parts;
    (void)state;
    assert_int_equal(pass(&keys[0], shakes[1].messages, shakes[1].length), REFUSAL_STRUCTURE);
    assert_int_equal(pass(&keys[1], shakes[0].messages, shakes[0].length), REFUSAL_STRUCTURE);
    split_parts(&parts, shakes[0].messages, shakes[0].length);
    for (size_t length = 0; length <= sizeof bytes; length++) {
        parts.ciphertext = (struct piece){bytes, length};
        compose(&made, &parts);
        assert_int_equal(pass(&keys[0], made.bytes, made.length),
                         length == RSA_MODULUS_MIN ? REFUSAL_NONE : REFUSAL_STRUCTURE);
    }
}

static void a_ciphertext_lies_between_1_and_n_minus_1(void **state)
{
    static struct parts parts;
    uint8_t bytes[RSA_MODULUS_MIN];
    BIGNUM *n = BN_bin2bn(keys[0].modulus, RSA_MODULUS_MIN, NULL), *value = BN_new();
    (void)state;
    split_parts(&parts, shakes[0].messages, shakes[0].length);
    for (int low = 0; low < 2; low++)
        for (int i = 0; i < 5; i++) { /* 0, 1, 2, 3, 4 and n - 3, n - 2, n - 1, n, n + 1 */
            assert_non_null(BN_copy(value, n));
            assert_int_equal(low ? BN_set_word(value, 0) : BN_sub_word(value, 3), 1);
            assert_int_equal(BN_add_word(value, (BN_ULONG)i), 1);
            assert_int_equal(BN_bn2binpad(value, bytes, sizeof bytes), sizeof bytes);
            parts.ciphertext.bytes = bytes;
            compose(&made, &parts);
            assert_int_equal(pass(&keys[0], made.bytes, made.length),
                             (low ? i >= 2 : i <= 1) ? REFUSAL_NONE : REFUSAL_STRUCTURE);
        }
    BN_free(n);
    BN_free(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_task_is_what_the_handshake_says),
        cmocka_unit_test(the_task_is_a_copy),
        cmocka_unit_test(only_an_rsa_key_has_a_pre_master),
        cmocka_unit_test(what_is_no_transcript_is_refused),
        cmocka_unit_test(a_ciphertext_for_a_key_of_another_size_is_refused),
        cmocka_unit_test(a_ciphertext_lies_between_1_and_n_minus_1),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
