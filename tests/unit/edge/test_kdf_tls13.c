#include "tests/unit/edge/remote_keys.h"

#include "common/secret.h"

/* TLS13-KDF through the provider beside OpenSSL's own. */
static OSSL_LIB_CTX *library;
static uint8_t secret[32];

static int perform(const struct operation *operation, struct outcome *outcome)
{
    (void)operation, (void)outcome;
    fail_msg("no key is asked for");
    return ERR_CLOSED;
}

static int setup_all(void **state)
{
    const struct provider_transport transport = {.perform = perform};
    struct fault fault;
    (void)state;
    assert_int_equal(secret_init(), 0);
    random_bytes(secret, sizeof secret);
    assert_int_equal(provider_context_new(&library, &transport, 0, &fault), 0);
    return 0;
}

static int teardown_all(void **state)
{
    (void)state;
    provider_context_free(library);
    return 0;
}

static bool same_table(const OSSL_PARAM *a, const OSSL_PARAM *b)
{
    for (; a->key != NULL && b->key != NULL; a++, b++)
        if (strcmp(a->key, b->key) != 0 || a->data_type != b->data_type)
            return false;
    return a->key == NULL && b->key == NULL;
}

/* The parameters that libssl gives; what is NULL is left out. */
struct expansion {
    int mode;
    const char *digest, *label;
    const uint8_t *key;
    const uint8_t *data;
    const char *salt;
};

static bool expand(const char *properties, const struct expansion *input, uint8_t *out, size_t length)
{
    char digest[16];
    int mode = input->mode;
    EVP_KDF *kdf = EVP_KDF_fetch(library, "TLS13-KDF", properties);
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(kdf);
    OSSL_PARAM params[8], *p = params;
    *p++ = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode);
    snprintf(digest, sizeof digest, "%s", input->digest);
    *p++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0);
    if (input->key != NULL)
        *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, remote_keys_unconst(input->key), 32);
    if (input->salt != NULL)
        *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, remote_keys_unconst(input->salt), 32);
    *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PREFIX, remote_keys_unconst("tls13 "), 6);
    if (input->label != NULL)
        *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_LABEL, remote_keys_unconst(input->label),
                                                 strlen(input->label));
    if (input->data != NULL)
        *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_DATA, remote_keys_unconst(input->data), 32);
    *p = OSSL_PARAM_construct_end();
    bool done = EVP_KDF_derive(context, out, length, params) == 1;
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
    return done;
}

static void expansions_and_extractions_are_as_in_openssl(void **state)
{
    static const char salt[] = "0123456789abcdef0123456789abcdef";
    const uint8_t *key = secret;
    const int expansion = EVP_KDF_HKDF_MODE_EXPAND_ONLY, extraction = EVP_KDF_HKDF_MODE_EXTRACT_ONLY;
    const struct expansion inputs[] = {
        {expansion, "SHA256", "c hs traffic", key, key, NULL},
        {expansion, "SHA2-256", "iv", key, NULL, NULL},
        {expansion, "SHA2-384", "finished", key, NULL, NULL},
        {expansion, "SHA512", "key", key, NULL, NULL},
        {expansion, "SHA256", NULL, key, NULL, NULL},
        {expansion, "SHA256", "key", NULL, NULL, NULL},
        {expansion, "NO-SUCH", "key", key, NULL, NULL},
        {extraction, "SHA256", "derived", key, NULL, salt},
        {extraction, "SHA256", "derived", key, NULL, NULL},
        {extraction, "SHA256", "derived", NULL, NULL, salt},
        {EVP_KDF_HKDF_MODE_EXTRACT_AND_EXPAND, "SHA256", "key", key, NULL, salt},
    };
    (void)state;
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        uint8_t a[32] = {0}, b[32] = {0};
        bool done = expand(NULL, &inputs[i], b, sizeof b);
        assert_int_equal(expand(PROVIDER_TLS_PROPERTIES, &inputs[i], a, sizeof a), done);
        assert_memory_equal(a, b, done ? sizeof a : 0);
        ERR_clear_error();
    }
}

static void expansions_take_parameters_one_after_the_other(void **state)
{
    const struct expansion input = {EVP_KDF_HKDF_MODE_EXPAND_ONLY, "SHA256", "iv", secret, NULL, NULL};
    EVP_KDF *kdf = EVP_KDF_fetch(library, "TLS13-KDF", PROVIDER_TLS_PROPERTIES);
    EVP_KDF *their = EVP_KDF_fetch(library, "TLS13-KDF", NULL);
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(kdf);
    uint8_t a[12], b[12];
    char digest[] = "SHA256";
    int mode = input.mode;
    OSSL_PARAM first[] = {OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
                          OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0), OSSL_PARAM_END};
    OSSL_PARAM rest[] = {
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, remote_keys_unconst(input.key), 32),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PREFIX, remote_keys_unconst("tls13 "), 6),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_LABEL, remote_keys_unconst("iv"), 2),
        OSSL_PARAM_END};
    (void)state;
    assert_true(same_table(EVP_KDF_settable_ctx_params(kdf), EVP_KDF_settable_ctx_params(their)));
    assert_true(same_table(EVP_KDF_gettable_ctx_params(kdf), EVP_KDF_gettable_ctx_params(their)));
    assert_int_equal(EVP_KDF_CTX_set_params(context, NULL), 1);
    assert_int_equal(EVP_KDF_CTX_set_params(context, first), 1);
    assert_int_equal(EVP_KDF_derive(context, a, sizeof a, rest), 1);
    assert_true(expand(NULL, &input, b, sizeof b));
    assert_memory_equal(a, b, sizeof a);
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
    EVP_KDF_free(their);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expansions_and_extractions_are_as_in_openssl),
        cmocka_unit_test(expansions_take_parameters_one_after_the_other),
    };
    return cmocka_run_group_tests_name("kdf_tls13", tests, setup_all, teardown_all);
}
