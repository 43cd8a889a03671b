/* Remote keys as OpenSSL sees them: what they fit, what comes in and out, who else may use them. */
#include "tests/unit/edge/provider_rig.h"

#include <pthread.h>
#include <stdatomic.h>

/* ---- keys ---- */

static void keys_fit_their_certificates(void **state)
{
    (void)state;
    for (int i = 0; i < PRIVATE_KEYS; i++) {
        X509 *cert = remote_keys_cert(private_keys[i].key, NULL, -60, 60);
        assert_int_equal(X509_check_private_key(cert, remote[i]), 1);
        assert_int_equal(X509_check_private_key(cert, remote[(i + 1) % PRIVATE_KEYS]), 0);
        assert_int_equal(EVP_PKEY_eq(private_keys[i].key, remote[i]), 1);
        assert_int_equal(EVP_PKEY_get_bits(remote[i]), EVP_PKEY_get_bits(private_keys[i].key));
        assert_int_equal(EVP_PKEY_get_size(remote[i]), EVP_PKEY_get_size(private_keys[i].key));
        X509_free(cert);
    }
    ERR_clear_error();
}

static void a_copy_of_a_key_signs_after_the_original_is_gone(void **state)
{
    uint8_t signature[RESULT_MAX];
    (void)state;
    EVP_PKEY *copy = EVP_PKEY_dup(remote[P256_KEY]);
    assert_non_null(copy);
    EVP_PKEY_free(remote[P256_KEY]);
    assert_true(sign(&ways[3], copy, content(), CONTENT_LENGTH, signature) > 0);
    remote[P256_KEY] = copy;
}

static void the_private_half_does_not_come_out(void **state)
{
    (void)state;
    for (int i = 0; i < PRIVATE_KEYS; i++) {
        OSSL_PARAM *params = NULL;
        BIGNUM *number = NULL;
        BIO *out = BIO_new(BIO_s_mem());
        assert_int_equal(EVP_PKEY_todata(remote[i], EVP_PKEY_KEYPAIR, &params), 0);
        assert_int_equal(PEM_write_bio_PrivateKey(out, remote[i], NULL, NULL, 0, NULL, NULL), 0);
        assert_int_equal(EVP_PKEY_get_bn_param(remote[i], OSSL_PKEY_PARAM_RSA_D, &number), 0);
        assert_int_equal(EVP_PKEY_todata(remote[i], EVP_PKEY_PUBLIC_KEY, &params), 1);
        OSSL_PARAM_free(params);
        BIO_free(out);
    }
}

static void a_private_key_does_not_come_in(void **state)
{
    OSSL_PARAM *params = NULL;
    EVP_PKEY *key = NULL;
    (void)state;
    assert_int_equal(EVP_PKEY_todata(private_keys[RSA_KEY].key, EVP_PKEY_KEYPAIR, &params), 1);
    EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_from_name(library, "RSA", "provider=keyless");
    assert_int_equal(EVP_PKEY_fromdata_init(maker), 1);
    assert_int_not_equal(EVP_PKEY_fromdata(maker, &key, EVP_PKEY_KEYPAIR, params), 1);
    EVP_PKEY_CTX_free(maker);
    OSSL_PARAM_free(params);
}

static void other_types_and_sizes_are_refused_with_a_mend(void **state)
{
    EVP_PKEY *others[] = {EVP_RSA_gen(2047),
                          EVP_RSA_gen(1024),
                          EVP_EC_gen("P-521"),
                          EVP_EC_gen("secp256k1"),
                          EVP_PKEY_Q_keygen(NULL, NULL, "X25519"),
                          EVP_PKEY_Q_keygen(NULL, NULL, "ED448")};
    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        uint8_t id[KEY_ID_SIZE];
        struct fault fault = {.text = ""};
        EVP_PKEY *out = NULL;
        assert_non_null(others[i]);
        assert_int_equal(provider_key_type(others[i]), ERR_UNSUPPORTED);
        assert_int_equal(provider_key_new(library, others[i], &out, id, &fault), ERR_UNSUPPORTED);
        assert_null(out);
        assert_non_null(strstr(fault.text, "Ed25519"));
        EVP_PKEY_free(others[i]);
    }
}

static void key_types_are_told_apart(void **state)
{
    static const int types[PRIVATE_KEYS] = {KEY_RSA, KEY_EC_P256, KEY_EC_P384, KEY_ED25519, KEY_RSA};
    (void)state;
    for (int i = 0; i < PRIVATE_KEYS; i++) {
        assert_int_equal(provider_key_type(private_keys[i].key), types[i]);
        assert_int_equal(provider_key_type(remote[i]), types[i]);
    }
}

static void everything_else_stays_with_openssl(void **state)
{
    static const char *const groups[] = {"P-256", "P-384", "P-521"};
    (void)state;
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        EVP_PKEY *a = EVP_PKEY_Q_keygen(library, NULL, "EC", groups[i]);
        EVP_PKEY *b = EVP_PKEY_Q_keygen(library, NULL, "EC", groups[i]);
        size_t length = 0;
        EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(library, a, NULL);
        assert_int_equal(EVP_PKEY_derive_init(context), 1);
        assert_int_equal(EVP_PKEY_derive_set_peer(context, b), 1);
        assert_int_equal(EVP_PKEY_derive(context, NULL, &length), 1);
        EVP_PKEY_CTX_free(context);
        EVP_PKEY_free(a);
        EVP_PKEY_free(b);
    }
    EVP_PKEY *local = EVP_PKEY_Q_keygen(library, NULL, "RSA", (size_t)2048);
    uint8_t signature[RESULT_MAX];
    assert_int_equal(sign(&ways[0], local, (const uint8_t *)"anything", 8, signature), 256);
    EVP_PKEY_free(local);
    assert_int_equal(asked, 0);
}

/* ---- threads and contexts ---- */

static int thread_transport(const struct operation *operation, struct outcome *outcome)
{
    atomic_fetch_add(&asked, 1);
    return remote_keys_answer(operation, outcome);
}

static void *sign_often(void *user)
{
    size_t *done = user;
    for (size_t i = 0; i < 5 * WAYS; i++)
        *done += sign_content(&ways[i % WAYS]) > 0;
    return NULL;
}

static void one_key_serves_several_threads(void **state)
{
    pthread_t threads[4];
    size_t done[4] = {0};
    struct fault fault;
    const struct provider_transport way = {.perform = thread_transport};
    (void)content(); /* filled once, then only read */
    (void)teardown(state);
    assert_int_equal(provider_context_new(&library, &way, ALL_VERIFIED, &fault), 0);
    for (int i = 0; i < PRIVATE_KEYS; i++)
        remote[i] = remote_of(library, private_keys[i].key, private_keys[i].id);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, sign_often, &done[i]), 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(done[i], 5 * WAYS);
    }
}

static int other_transport(const struct operation *operation, struct outcome *outcome)
{
    (void)operation;
    outcome->status = STATUS_REFUSED;
    return 0;
}

static void each_context_has_its_own_transport(void **state)
{
    OSSL_LIB_CTX *other = NULL;
    struct fault fault;
    uint8_t signature[RESULT_MAX];
    size_t size = sizeof signature;
    const struct provider_transport way = {.perform = other_transport};
    (void)state;
    assert_int_equal(provider_context_new(&other, &way, ALL_VERIFIED, &fault), 0);
    EVP_PKEY *key = remote_of(other, private_keys[P256_KEY].key, private_keys[P256_KEY].id);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit_ex(context, NULL, "SHA256", other, NULL, key, NULL), 1);
    assert_int_not_equal(EVP_DigestSign(context, signature, &size, content(), CONTENT_LENGTH), 1);
    assert_int_equal(asked, 0);
    assert_true(sign_content(&ways[3]) > 0);
    assert_int_equal(asked, 1);
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    provider_context_free(other);
    provider_context_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(keys_fit_their_certificates),
        TEST(a_copy_of_a_key_signs_after_the_original_is_gone),
        TEST(the_private_half_does_not_come_out),
        TEST(a_private_key_does_not_come_in),
        TEST(other_types_and_sizes_are_refused_with_a_mend),
        TEST(key_types_are_told_apart),
        TEST(everything_else_stays_with_openssl),
        TEST(one_key_serves_several_threads),
        TEST(each_context_has_its_own_transport),
    };
    return cmocka_run_group_tests(tests, remote_keys_make, remote_keys_free);
}
