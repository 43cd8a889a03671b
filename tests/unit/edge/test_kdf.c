#include "tests/unit/edge/kdf_rig.h"

#include <openssl/provider.h>

/* ---- a deferred decryption ---- */

static uint8_t token[TLS_PREMASTER_SIZE];
static bool is_held;

static int defer(const struct operation *premaster, uint8_t out[static TLS_PREMASTER_SIZE])
{
    (void)premaster, (void)out;
    return 0;
}

static void *find(const uint8_t *secret, size_t length)
{
    return is_held && length == sizeof token && memcmp(secret, token, length) == 0 ? token : NULL;
}

static int resolve(void *deferred, bool extended, struct operation *out)
{
    *out = (struct operation){.kind = extended ? OP_RSA_MASTER : OP_RSA_PREMASTER};
    return is_held && deferred == token ? 0 : ERR_REFUSED;
}

static void forget(void *deferred)
{
    is_held = is_held && deferred != token;
}

static const struct provider_deferral deferral = {
    .defer = defer, .find = find, .resolve = resolve, .forget = forget};

static int setup_all(void **state)
{
    (void)state;
    open_kdfs(&deferral);
    return 0;
}

static int teardown_all(void **state)
{
    (void)state;
    close_kdfs();
    return 0;
}

static int setup(void **state)
{
    (void)state;
    random_bytes(token, sizeof token);
    is_held = true;
    expect_nothing();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ERR_clear_error();
    return 0;
}

/* ---- everything else is the default's ---- */

static void only_who_asks_for_it_gets_it(void **state)
{
    EVP_KDF *kdf;
    (void)state;
    assert_string_equal(OSSL_PROVIDER_get0_name(EVP_KDF_get0_provider(ours)), "keyless");
    assert_string_equal(OSSL_PROVIDER_get0_name(EVP_KDF_get0_provider(theirs)), "default");
    EVP_MD *md = EVP_MD_fetch(library, "SHA256", PROVIDER_TLS_PROPERTIES);
    assert_string_equal(OSSL_PROVIDER_get0_name(EVP_MD_get0_provider(md)), "default");
    EVP_MD_free(md);
    kdf = EVP_KDF_fetch(library, "HKDF", PROVIDER_TLS_PROPERTIES);
    assert_string_equal(OSSL_PROVIDER_get0_name(EVP_KDF_get0_provider(kdf)), "default");
    EVP_KDF_free(kdf);
}

static void other_secrets_derive_as_in_openssl(void **state)
{
    static const char *const digests[] = {"SHA256", "SHA384", "SHA2-256", "SHA512", "MD5-SHA1"};
    static const char *const labels[] = {"master secret",   "extended master secret", "key expansion",
                                         "client finished", "server finished",        ""};
    static const size_t lengths[] = {1, 12, 48, 104, OUTPUT_MAX};
    (void)state;
    for (size_t d = 0; d < 5; d++)
        for (size_t l = 0; l < 6; l++)
            for (size_t n = 0; n < 5; n++) {
                uint8_t a[OUTPUT_MAX], b[OUTPUT_MAX], client[32], server[32];
                random_bytes(client, sizeof client);
                random_bytes(server, sizeof server);
                const struct input input = {
                    .digest = digests[d],
                    .secret = some_bytes(48),
                    .secret_length = n == 0 ? 1 : 48,
                    .seeds = {{labels[l], strlen(labels[l])}, {client, 32}, {NULL, 0}, {server, 32}}};
                assert_true(derive(ours, &input, a, lengths[n]));
                assert_true(derive(theirs, &input, b, lengths[n]));
                assert_memory_equal(a, b, lengths[n]);
            }
    assert_int_equal(asked, 0);
    assert_true(is_held);
}

static void what_openssl_refuses_is_refused(void **state)
{
    uint8_t out[48];
    struct input good = master_input("key expansion", some_bytes(48)), bad;
    (void)state;
    for (int i = 0; i < 4; i++) {
        bad = good;
        if (i == 0)
            bad.digest = "NO-SUCH";
        if (i == 1)
            bad.digest = NULL;
        if (i == 2)
            bad.secret = NULL;
        if (i == 3)
            memset(bad.seeds, 0, sizeof bad.seeds);
        assert_int_equal(derive(ours, &bad, out, sizeof out), derive(theirs, &bad, out, sizeof out));
    }
    assert_false(derive(ours, &good, out, 0));
}

static bool same_table(const OSSL_PARAM *a, const OSSL_PARAM *b)
{
    for (; a->key != NULL && b->key != NULL; a++, b++)
        if (strcmp(a->key, b->key) != 0 || a->data_type != b->data_type)
            return false;
    return a->key == NULL && b->key == NULL;
}

static void its_parameters_are_those_of_openssl(void **state)
{
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(ours);
    (void)state;
    assert_true(same_table(EVP_KDF_settable_ctx_params(ours), EVP_KDF_settable_ctx_params(theirs)));
    assert_true(same_table(EVP_KDF_gettable_ctx_params(ours), EVP_KDF_gettable_ctx_params(theirs)));
    assert_int_equal(EVP_KDF_CTX_get_kdf_size(context), SIZE_MAX);
    EVP_KDF_CTX_free(context);
}

static void parameters_may_come_one_after_the_other(void **state)
{
    uint8_t a[64], b[64];
    struct packed packed;
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(ours);
    struct input input = master_input("key expansion", some_bytes(48)), seeds = input;
    const struct input digest_only = {.digest = "SHA256"};
    int odd = 7;
    OSSL_PARAM unknown[] = {OSSL_PARAM_construct_int("no-such-parameter", &odd), OSSL_PARAM_END};
    (void)state;
    seeds.secret = NULL;
    seeds.digest = NULL;
    assert_int_equal(EVP_KDF_CTX_set_params(context, unknown), 1);
    assert_int_equal(EVP_KDF_CTX_set_params(context, pack(&packed, &digest_only)), 1);
    assert_int_equal(EVP_KDF_CTX_set_params(context, pack(&packed, &seeds)), 1);
    packed.params[0] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET,
                                                         remote_keys_unconst(input.secret), 48);
    packed.params[1] = OSSL_PARAM_construct_end();
    assert_int_equal(EVP_KDF_CTX_set_params(context, packed.params), 1);
    assert_int_equal(EVP_KDF_derive(context, a, sizeof a, NULL), 1);
    assert_true(derive(theirs, &input, b, sizeof b));
    assert_memory_equal(a, b, sizeof a);
    EVP_KDF_CTX_free(context);
}

static void reset_forgets_everything(void **state)
{
    uint8_t a[48], b[48];
    struct packed packed;
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(ours);
    const struct input held = master_input("extended master secret", token);
    const struct input other = master_input("key expansion", some_bytes(48));
    (void)state;
    assert_int_equal(EVP_KDF_CTX_set_params(context, pack(&packed, &held)), 1);
    EVP_KDF_CTX_reset(context);
    assert_int_not_equal(EVP_KDF_derive(context, a, sizeof a, NULL), 1);
    assert_int_equal(EVP_KDF_derive(context, a, sizeof a, pack(&packed, &other)), 1);
    assert_true(derive(theirs, &other, b, sizeof b));
    assert_memory_equal(a, b, sizeof a);
    assert_int_equal(asked, 0);
    EVP_KDF_CTX_free(context);
}

/* OpenSSL's own has no copy before 3.1. */
static void a_copy_derives_the_same(void **state)
{
    uint8_t a[48], b[48];
    struct packed packed;
    const struct input input = master_input("key expansion", some_bytes(48));
    const struct input held = master_input("extended master secret", token);
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(ours), *their = EVP_KDF_CTX_new(theirs);
    EVP_KDF_CTX *their_copy = EVP_KDF_CTX_dup(their);
    (void)state;
    assert_int_equal(EVP_KDF_CTX_set_params(context, pack(&packed, &input)), 1);
    EVP_KDF_CTX *copy = EVP_KDF_CTX_dup(context);
    assert_int_equal(copy != NULL, their_copy != NULL);
    if (copy != NULL) {
        EVP_KDF_CTX_free(context);
        assert_int_equal(EVP_KDF_derive(copy, a, sizeof a, NULL), 1);
        assert_true(derive(theirs, &input, b, sizeof b));
        assert_memory_equal(a, b, sizeof a);
        EVP_KDF_CTX_reset(copy);
        assert_int_equal(EVP_KDF_CTX_set_params(copy, pack(&packed, &held)), 1);
        context = EVP_KDF_CTX_dup(copy);
        assert_int_equal(EVP_KDF_derive(context, a, sizeof a, NULL), 1);
        assert_int_equal(asked, 1);
        assert_memory_equal(a, given.bytes, sizeof a);
    }
    EVP_KDF_CTX_free(copy);
    EVP_KDF_CTX_free(their);
    EVP_KDF_CTX_free(their_copy);
    EVP_KDF_CTX_free(context);
}

/* ---- without deferral ---- */

static void without_deferral_there_are_no_tokens(void **state)
{
    const struct provider_transport transport = {.perform = perform};
    OSSL_LIB_CTX *other;
    struct fault fault;
    uint8_t a[TLS_MASTER_SIZE], b[TLS_MASTER_SIZE];
    const struct input input = master_input("extended master secret", token);
    (void)state;
    assert_int_equal(provider_context_new(&other, &transport, 0, &fault), 0);
    EVP_KDF *kdf = EVP_KDF_fetch(other, "TLS1-PRF", PROVIDER_TLS_PROPERTIES);
    assert_true(derive(kdf, &input, a, sizeof a));
    assert_true(derive(theirs, &input, b, sizeof b));
    assert_memory_equal(a, b, sizeof a);
    assert_int_equal(asked, 0);
    EVP_KDF_free(kdf);
    provider_context_free(other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(only_who_asks_for_it_gets_it),
        TEST(other_secrets_derive_as_in_openssl),
        TEST(what_openssl_refuses_is_refused),
        TEST(its_parameters_are_those_of_openssl),
        TEST(parameters_may_come_one_after_the_other),
        TEST(reset_forgets_everything),
        TEST(a_copy_derives_the_same),
        TEST(without_deferral_there_are_no_tokens),
    };
    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
