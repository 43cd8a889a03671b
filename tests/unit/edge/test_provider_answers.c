/* Answers of key servers that are wrong, and the decryptions of remote keys. */
#include "tests/unit/edge/provider_rig.h"
#include "tests/unit/edge/spoil.h"

/* ---- answers ---- */

static void (*const wrong_lengths[])(struct outcome *) = {spoil_one_byte_more, spoil_one_byte_less,
                                                          spoil_length_zero, spoil_too_much};
#define WRONG_LENGTHS (sizeof wrong_lengths / sizeof wrong_lengths[0])

static void answers_of_wrong_length_are_counted_and_fail(void **state)
{
    struct provider_stats before, after;
    (void)state;
    provider_stats_get(&before);
    for (size_t i = 0; i < WAYS; i++)
        for (size_t s = 0; s < WRONG_LENGTHS; s++) {
            spoil = wrong_lengths[s];
            assert_int_equal(sign_content(&ways[i]), 0);
        }
    provider_stats_get(&after);
    assert_int_equal(after.bad_length - before.bad_length, WRONG_LENGTHS * WAYS);
    assert_int_equal(after.bad_signature, before.bad_signature);
}

static void refusals_and_errors_fail(void **state)
{
    (void)state;
    for (size_t i = 0; i < WAYS; i++) {
        spoil = spoil_refused;
        assert_int_equal(sign_content(&ways[i]), 0);
        spoil = spoil_busy;
        assert_int_equal(sign_content(&ways[i]), 0);
        transport_error = ERR_TIMEOUT;
        assert_int_equal(sign_content(&ways[i]), 0);
        transport_error = 0;
    }
}

static void wrong_signatures_are_caught_by_verifying(void **state)
{
    struct provider_stats before, after;
    (void)state;
    provider_stats_get(&before);
    spoil = spoil_last_bit;
    for (size_t i = 0; i < WAYS; i++)
        assert_int_equal(sign_content(&ways[i]), 0);
    provider_stats_get(&after);
    assert_int_equal(after.bad_signature - before.bad_signature, WAYS);
}

static void garbage_of_the_right_length_is_caught(void **state)
{
    (void)state;
    spoil = spoil_all_bytes;
    for (size_t i = 0; i < WAYS; i++)
        assert_int_equal(sign_content(&ways[i]), 0);
}

static void verifying_is_chosen_by_key_type(void **state)
{
    (void)teardown(state);
    open_with(1u << KEY_RSA);
    spoil = spoil_last_bit;
    for (size_t i = 0; i < WAYS; i++)
        assert_int_equal(sign_content(&ways[i]) == 0, ways[i].key == RSA_KEY);
}

static void ecdsa_numbers_must_be_minimal_positive_and_in_range(void **state)
{
    static const uint8_t one[] = {1}, zero[] = {0}, padded_one[] = {0, 1}, negative[] = {0x80},
                         positive[] = {0, 0x80};
    uint8_t order[33] = {0,    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff,
                         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7,
                         0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};
    uint8_t below[33], above[34] = {1};
    (void)teardown(state);
    open_with(0);
    memcpy(below, order, sizeof below);
    below[32]--;
    assert_true(taken(one, 1, one, 1));
    assert_true(taken(one, 1, positive, 2));
    assert_true(taken(below, 33, below, 33));
    assert_false(taken(order, 33, one, 1));
    assert_false(taken(one, 1, order, 33));
    assert_false(taken(above, 34, one, 1));
    assert_false(taken(zero, 1, one, 1));
    assert_false(taken(one, 1, zero, 1));
    assert_false(taken(padded_one, 2, one, 1));
    assert_false(taken(negative, 1, one, 1));
    assert_false(taken(one, 0, one, 1));
}

static void ecdsa_signatures_must_be_strict_der(void **state)
{
    static const uint8_t good[] = {0x30, 6, 2, 1, 1, 2, 1, 1};
    static const struct {
        uint8_t bytes[16];
        size_t length;
    } bad[] = {
        {{0x31, 6, 2, 1, 1, 2, 1, 1}, 8},           /* a set */
        {{0x30, 0x81, 6, 2, 1, 1, 2, 1, 1}, 9},     /* a long length */
        {{0x30, 0x80, 2, 1, 1, 2, 1, 1, 0, 0}, 10}, /* an indefinite one */
        {{0x30, 7, 2, 1, 1, 2, 1, 1, 0}, 9},        /* something after the second number */
        {{0x30, 6, 2, 1, 1, 2, 1, 1, 0}, 9},        /* something after all */
        {{0x30, 3, 2, 1, 1}, 5},                    /* one number */
        {{0x30, 6, 3, 1, 1, 2, 1, 1}, 8},           /* a bit string */
        {{0x30, 6, 2, 4, 1, 2, 1, 1}, 8},           /* a number that takes all */
        {{0x30, 0}, 2},
        {{0x30}, 1},
    };
    (void)teardown(state);
    open_with(0);
    spoil = forge;
    memcpy(forged, good, forged_length = sizeof good);
    assert_int_equal(sign_content(&ways[3]), sizeof good);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        memcpy(forged, bad[i].bytes, forged_length = bad[i].length);
        assert_int_equal(sign_content(&ways[3]), 0);
    }
    for (size_t cut = 0; cut < sizeof good; cut++) {
        memcpy(forged, good, forged_length = cut);
        assert_int_equal(sign_content(&ways[3]), 0);
    }
}

/* ---- decryption ---- */

struct decryption {
    int padding;
    unsigned version;
    size_t out_size;
};

/* Decrypts an encrypted pre-master; the bytes that came out, or 0. Keeps the error code. */
static unsigned long decrypt_error;

static size_t decrypt(const struct decryption *how, uint8_t out[RESULT_MAX])
{
    uint8_t premaster[TLS_PREMASTER_SIZE] = {3, 3, 7}, ciphertext[RESULT_MAX] = {0};
    size_t length = sizeof ciphertext;
    unsigned version = how->version;
    OSSL_PARAM params[] = {OSSL_PARAM_uint(OSSL_ASYM_CIPHER_PARAM_TLS_CLIENT_VERSION, &version),
                           OSSL_PARAM_END};
    EVP_PKEY_CTX *seal = EVP_PKEY_CTX_new_from_pkey(NULL, private_keys[RSA_KEY].key, NULL);
    assert_int_equal(EVP_PKEY_encrypt_init(seal), 1);
    assert_int_equal(EVP_PKEY_encrypt(seal, ciphertext, &length, premaster, sizeof premaster), 1);
    EVP_PKEY_CTX_free(seal);
    ERR_clear_error();
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(library, remote[RSA_KEY], NULL);
    assert_int_equal(EVP_PKEY_decrypt_init(context), 1);
    bool done = how->padding == 0 || EVP_PKEY_CTX_set_rsa_padding(context, how->padding) > 0;
    if (done && version != 0)
        done = EVP_PKEY_CTX_set_params(context, params) == 1;
    size_t size = how->out_size;
    done = done && EVP_PKEY_decrypt(context, out, &size, ciphertext, length) == 1;
    EVP_PKEY_CTX_free(context);
    decrypt_error = ERR_peek_error();
    return done ? size : 0;
}

static const struct decryption right = {RSA_PKCS1_WITH_TLS_PADDING, TLS1_2_VERSION, TLS_PREMASTER_SIZE};

static void a_premaster_comes_back_whole(void **state)
{
    static const uint8_t expected[] = {3, 3, 7, 0};
    uint8_t out[RESULT_MAX];
    (void)state;
    assert_int_equal(decrypt(&right, out), TLS_PREMASTER_SIZE);
    assert_memory_equal(out, expected, sizeof expected);
    assert_int_equal(last_operation.kind, OP_RSA_PREMASTER);
    assert_int_equal(last_operation.u.rsa_premaster.client_version, TLS1_2_VERSION);
    assert_int_equal(last_operation.u.rsa_premaster.ciphertext_length, 256);
}

static void only_the_tls_padding_mode_decrypts(void **state)
{
    static const struct decryption wrong[] = {
        {0, TLS1_2_VERSION, RESULT_MAX},
        {RSA_PKCS1_PADDING, TLS1_2_VERSION, RESULT_MAX},
        {RSA_NO_PADDING, TLS1_2_VERSION, RESULT_MAX},
        {RSA_PKCS1_OAEP_PADDING, TLS1_2_VERSION, RESULT_MAX},
        {RSA_PKCS1_WITH_TLS_PADDING, 0, TLS_PREMASTER_SIZE},
        {RSA_PKCS1_WITH_TLS_PADDING, TLS1_2_VERSION, TLS_PREMASTER_SIZE - 1},
    };
    uint8_t out[RESULT_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(decrypt(&wrong[i], out), 0);
    assert_int_equal(asked, 0);
}

static void premasters_of_wrong_length_are_thrown_away(void **state)
{
    uint8_t out[RESULT_MAX];
    struct provider_stats before, after;
    (void)state;
    provider_stats_get(&before);
    for (size_t i = 0; i < WRONG_LENGTHS; i++) {
        spoil = wrong_lengths[i];
        assert_int_equal(decrypt(&right, out), 0);
    }
    provider_stats_get(&after);
    assert_int_equal(after.bad_length - before.bad_length, WRONG_LENGTHS);
}

static void every_failure_of_decryption_is_the_same_error(void **state)
{
    uint8_t out[RESULT_MAX];
    (void)state;
    spoil = spoil_refused;
    assert_int_equal(decrypt(&right, out), 0);
    unsigned long reason = decrypt_error;
    assert_int_not_equal(reason, 0);
    spoil = spoil_one_byte_less;
    assert_int_equal(decrypt(&right, out), 0);
    assert_int_equal(decrypt_error, reason);
    transport_error = ERR_CLOSED;
    assert_int_equal(decrypt(&right, out), 0);
    assert_int_equal(decrypt_error, reason);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(answers_of_wrong_length_are_counted_and_fail),
        TEST(refusals_and_errors_fail),
        TEST(wrong_signatures_are_caught_by_verifying),
        TEST(garbage_of_the_right_length_is_caught),
        TEST(verifying_is_chosen_by_key_type),
        TEST(ecdsa_numbers_must_be_minimal_positive_and_in_range),
        TEST(ecdsa_signatures_must_be_strict_der),
        TEST(a_premaster_comes_back_whole),
        TEST(only_the_tls_padding_mode_decrypts),
        TEST(premasters_of_wrong_length_are_thrown_away),
        TEST(every_failure_of_decryption_is_the_same_error),
    };
    return cmocka_run_group_tests(tests, remote_keys_make, remote_keys_free);
}
