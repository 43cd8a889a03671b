/* Signatures by remote keys: what is asked of a key server and what is refused before. */
#include "tests/unit/edge/provider_rig.h"

/* ---- signatures ---- */

static void every_scheme_signs(void **state)
{
    (void)state;
    for (size_t i = 0; i < WAYS; i++) {
        uint8_t signature[RESULT_MAX];
        size_t size = sign(&ways[i], remote[ways[i].key], content(), CONTENT_LENGTH, signature);
        assert_true(size > 0);
        assert_int_equal(last_operation.kind, OP_SIGN_TLS13);
        assert_int_equal(last_operation.u.sign_tls13.scheme, ways[i].scheme);
        assert_memory_equal(last_operation.key_id, private_keys[ways[i].key].id, KEY_ID_SIZE);
    }
    assert_int_equal(asked, WAYS);
}

static void asking_for_the_size_asks_nobody(void **state)
{
    (void)state;
    for (size_t i = 0; i < WAYS; i++) {
        size_t size = 0;
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        assert_int_equal(
            EVP_DigestSignInit_ex(context, NULL, ways[i].digest, library, NULL, remote[ways[i].key], NULL),
            1);
        assert_int_equal(EVP_DigestSign(context, NULL, &size, content(), CONTENT_LENGTH), 1);
        assert_int_equal(size, EVP_PKEY_get_size(private_keys[ways[i].key].key));
        EVP_MD_CTX_free(context);
    }
    assert_int_equal(asked, 0);
}

static void unsupported_digests_are_rejected_by_the_probe(void **state)
{
    static const struct way bad[] = {
        {RSA_KEY, "SHA1", false, 0},    {RSA_KEY, "MD5", false, 0},        {RSA_KEY, "MD5-SHA1", false, 0},
        {RSA_KEY, "SHA224", false, 0},  {P256_KEY, "SHA1", false, 0},      {P256_KEY, "SHA3-256", false, 0},
        {P384_KEY, "SHA224", false, 0}, {ED25519_KEY, "SHA512", false, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        assert_int_not_equal(
            EVP_DigestSignInit_ex(context, NULL, bad[i].digest, library, NULL, remote[bad[i].key], NULL), 1);
        EVP_MD_CTX_free(context);
    }
    assert_int_equal(asked, 0);
}

static void bytes_that_no_tls_server_signs_are_refused_here(void **state)
{
    uint8_t signature[RESULT_MAX];
    uint8_t tbs[CONTENT_LENGTH + 1];
    struct provider_stats before, after;
    (void)state;
    provider_stats_get(&before);
    for (size_t i = 0; i < WAYS; i++) {
        EVP_PKEY *key = remote[ways[i].key];
        memcpy(tbs, content(), CONTENT_LENGTH);
        tbs[CONTENT_LENGTH] = 0;
        assert_int_equal(sign(&ways[i], key, tbs, CONTENT_LENGTH + 1, signature), 0);
        assert_int_equal(sign(&ways[i], key, tbs, CONTENT_LENGTH - 1, signature), 0);
        tbs[73] = 'c'; /* "TLS 1.3, cerver" */
        assert_int_equal(sign(&ways[i], key, tbs, CONTENT_LENGTH, signature), 0);
        assert_int_equal(sign(&ways[i], key, (const uint8_t *)"To whom it may concern", 22, signature), 0);
    }
    provider_stats_get(&after);
    assert_int_equal(after.refused_locally - before.refused_locally, 4 * WAYS);
    assert_int_equal(asked, 0);
}

static void schemes_that_do_not_fit_tls13_are_refused_here(void **state)
{
    static const struct way bad[] = {
        {RSA_KEY, "SHA256", false, 0},  /* PKCS#1 v1.5 */
        {P256_KEY, "SHA384", false, 0}, /* ecdsa_secp384r1_sha384 with a P-256 key */
        {P384_KEY, "SHA256", false, 0},
        {P256_KEY, "SHA512", false, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(sign_content(&bad[i]), 0);
    assert_int_equal(asked, 0);
}

static void a_salt_not_as_long_as_the_digest_is_refused(void **state)
{
    static const int salts[] = {0, 20, 31, 33, RSA_PSS_SALTLEN_MAX, RSA_PSS_SALTLEN_AUTO};
    (void)state;
    for (size_t i = 0; i < sizeof salts / sizeof salts[0] + 2; i++) {
        bool fits = i >= sizeof salts / sizeof salts[0];
        int salt = !fits ? salts[i] : i % 2 == 0 ? RSA_PSS_SALTLEN_DIGEST : 32;
        uint8_t signature[RESULT_MAX];
        size_t size = sizeof signature;
        EVP_PKEY_CTX *options = NULL;
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        assert_int_equal(
            EVP_DigestSignInit_ex(context, &options, "SHA256", library, NULL, remote[RSA_KEY], NULL), 1);
        assert_true(EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) > 0);
        bool taken = EVP_PKEY_CTX_set_rsa_pss_saltlen(options, salt) > 0;
        assert_int_equal(taken && EVP_DigestSign(context, signature, &size, content(), CONTENT_LENGTH) == 1,
                         fits);
        EVP_MD_CTX_free(context);
    }
    assert_int_equal(asked, 2);
}

static void raw_and_streamed_signatures_do_not_exist(void **state)
{
    (void)state;
    for (int i = 0; i < PRIVATE_KEYS; i++) {
        EVP_PKEY_CTX *raw = EVP_PKEY_CTX_new_from_pkey(library, remote[i], NULL);
        assert_int_not_equal(EVP_PKEY_sign_init(raw), 1);
        EVP_PKEY_CTX_free(raw);
    }
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit_ex(context, NULL, "SHA256", library, NULL, remote[RSA_KEY], NULL), 1);
    assert_int_not_equal(EVP_DigestSignUpdate(context, "abc", 3), 1);
    EVP_MD_CTX_free(context);
    X509 *cert = remote_keys_cert(private_keys[RSA_KEY].key, NULL, -60, 60);
    assert_true(X509_sign(cert, remote[RSA_KEY], EVP_sha256()) <= 0);
    X509_free(cert);
    assert_int_equal(asked, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_scheme_signs),
        TEST(asking_for_the_size_asks_nobody),
        TEST(unsupported_digests_are_rejected_by_the_probe),
        TEST(bytes_that_no_tls_server_signs_are_refused_here),
        TEST(schemes_that_do_not_fit_tls13_are_refused_here),
        TEST(a_salt_not_as_long_as_the_digest_is_refused),
        TEST(raw_and_streamed_signatures_do_not_exist),
    };
    return cmocka_run_group_tests(tests, remote_keys_make, remote_keys_free);
}
