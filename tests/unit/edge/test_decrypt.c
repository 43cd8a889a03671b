/* What is asked for when a client sends an encrypted pre-master secret that can be none. */
#include "tests/unit/edge/remote_keys.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>

#include "common/secret.h"
#include "proto/ciphertext.h"

#define MODULUS  256  /* bytes of RSA_KEY's */
#define SENT_MAX 2046 /* what libssl takes: a ClientKeyExchange of 2,048 bytes */

static OSSL_LIB_CTX *library;
static EVP_PKEY *remote;
static uint8_t modulus[MODULUS];
static unsigned asked;
static struct operation last_operation;
static int deferring; /* what the deferral answers */
static unsigned deferred;
static struct operation last_deferred;
static const uint8_t token[TLS_PREMASTER_SIZE] = {3, 3, 42};

static int perform(const struct operation *operation, struct outcome *outcome)
{
    asked++;
    last_operation = *operation;
    *outcome = (struct outcome){.status = STATUS_OK, .length = TLS_PREMASTER_SIZE};
    random_bytes(outcome->bytes, TLS_PREMASTER_SIZE);
    return 0;
}

static int defer(const struct operation *premaster, uint8_t out[static TLS_PREMASTER_SIZE])
{
    deferred++;
    last_deferred = *premaster;
    if (deferring > 0)
        memcpy(out, token, sizeof token);
    return deferring;
}

static const struct provider_deferral deferral = {.defer = defer};

static int setup_all(void **state)
{
    const struct provider_transport transport = {.perform = perform, .deferral = &deferral};
    uint8_t id[KEY_ID_SIZE];
    struct fault fault;
    BIGNUM *n = NULL;
    remote_keys_make(state);
    assert_int_equal(secret_init(), 0);
    assert_int_equal(provider_context_new(&library, &transport, 0, &fault), 0);
    assert_int_equal(provider_key_new(library, private_keys[RSA_KEY].key, &remote, id, &fault), 0);
    assert_int_equal(EVP_PKEY_get_bn_param(private_keys[RSA_KEY].key, OSSL_PKEY_PARAM_RSA_N, &n), 1);
    assert_int_equal(BN_bn2binpad(n, modulus, MODULUS), MODULUS);
    BN_free(n);
    return 0;
}

static int teardown_all(void **state)
{
    EVP_PKEY_free(remote);
    provider_context_free(library);
    return remote_keys_free(state);
}

static int setup(void **state)
{
    (void)state;
    deferring = 0;
    asked = deferred = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ERR_clear_error();
    return 0;
}

/* As libssl decrypts. */
static bool decrypt_with(OSSL_LIB_CTX *context_of_key, EVP_PKEY *key, const uint8_t *sent, size_t length,
                         uint8_t out[static TLS_PREMASTER_SIZE])
{
    size_t size = TLS_PREMASTER_SIZE;
    unsigned version = TLS1_2_VERSION;
    OSSL_PARAM params[] = {OSSL_PARAM_uint(OSSL_ASYM_CIPHER_PARAM_TLS_CLIENT_VERSION, &version),
                           OSSL_PARAM_END};
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(context_of_key, key, NULL);
    bool done = EVP_PKEY_decrypt_init(context) == 1 &&
                EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_WITH_TLS_PADDING) > 0 &&
                EVP_PKEY_CTX_set_params(context, params) == 1 &&
                EVP_PKEY_decrypt(context, out, &size, sent, length) == 1 && size == TLS_PREMASTER_SIZE;
    EVP_PKEY_CTX_free(context);
    return done;
}

static bool decrypt(const uint8_t *sent, size_t length, uint8_t out[static TLS_PREMASTER_SIZE])
{
    return decrypt_with(library, remote, sent, length, out);
}

static uint64_t replaced(void)
{
    struct provider_stats stats;
    provider_stats_get(&stats);
    return stats.replaced;
}

/* ---- what can be none ---- */

struct sent {
    const char *what;
    size_t length;
    uint8_t bytes[SENT_MAX];
};

static size_t make_values(struct sent *out)
{
    static const char *const names[] = {"0", "1", "n - 1", "n", "n + 1", "all ones"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        out[i] = (struct sent){.what = names[i], .length = MODULUS};
        if (i >= 2)
            memcpy(out[i].bytes, modulus, MODULUS);
    }
    out[1].bytes[MODULUS - 1] = 1;
    out[2].bytes[MODULUS - 1] -= 1;
    for (size_t i = MODULUS - 1; ++out[4].bytes[i] == 0; i--) /* the carry */
        ;
    memset(out[5].bytes, 0xff, MODULUS);
    return sizeof names / sizeof names[0];
}

static size_t make_lengths(struct sent *out)
{
    static const size_t lengths[] = {0,           1,       TLS_PREMASTER_SIZE, MODULUS - 1, MODULUS + 1,
                                     2 * MODULUS, SENT_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        out[i] = (struct sent){.what = "a length", .length = lengths[i]};
        memset(out[i].bytes, 7, lengths[i]);
    }
    return sizeof lengths / sizeof lengths[0];
}

static size_t make_all(struct sent out[static 16])
{
    size_t count = make_values(out);
    return count + make_lengths(out + count);
}

static void assert_replaces(const uint8_t *ciphertext, const struct sent *sent)
{
    assert_int_equal(ciphertext_check(ciphertext, MODULUS, modulus, MODULUS), 0);
    if (sent->length == MODULUS)
        assert_memory_not_equal(ciphertext, sent->bytes, MODULUS);
}

static void another_ciphertext_is_asked_for(void **state)
{
    static struct sent sent[16];
    size_t count = make_all(sent);
    (void)state;
    for (size_t i = 0; i < count; i++) {
        uint8_t out[TLS_PREMASTER_SIZE], first[MODULUS];
        uint64_t before = replaced();
        for (int time = 0; time < 2; time++) {
            assert_true(decrypt(sent[i].bytes, sent[i].length, out));
            assert_int_equal(asked, 2 * i + (size_t)time + 1);
            assert_int_equal(last_operation.kind, OP_RSA_PREMASTER);
            assert_int_equal(last_operation.u.rsa_premaster.client_version, TLS1_2_VERSION);
            assert_int_equal(last_operation.u.rsa_premaster.ciphertext_length, MODULUS);
            assert_replaces(last_operation.u.rsa_premaster.ciphertext, &sent[i]);
            if (time == 0)
                memcpy(first, last_operation.u.rsa_premaster.ciphertext, MODULUS);
        }
        assert_memory_not_equal(last_operation.u.rsa_premaster.ciphertext, first, MODULUS);
        assert_int_equal(replaced() - before, 2);
    }
}

static void another_ciphertext_is_deferred(void **state)
{
    static struct sent sent[16];
    size_t count = make_all(sent);
    (void)state;
    deferring = 1;
    for (size_t i = 0; i < count; i++) {
        uint8_t out[TLS_PREMASTER_SIZE];
        uint64_t before = replaced();
        assert_true(decrypt(sent[i].bytes, sent[i].length, out));
        assert_memory_equal(out, token, sizeof out);
        assert_int_equal(last_deferred.kind, OP_RSA_PREMASTER);
        assert_memory_equal(last_deferred.key_id, private_keys[RSA_KEY].id, KEY_ID_SIZE);
        assert_int_equal(last_deferred.u.rsa_premaster.client_version, TLS1_2_VERSION);
        assert_int_equal(last_deferred.u.rsa_premaster.ciphertext_length, MODULUS);
        assert_replaces(last_deferred.u.rsa_premaster.ciphertext, &sent[i]);
        assert_int_equal(replaced() - before, 1);
    }
    assert_int_equal(deferred, count);
    assert_int_equal(asked, 0); /* that is the derivation's */
}

/* ---- what may be one ---- */

static void any_other_ciphertext_is_asked_for_as_it_is(void **state)
{
    uint8_t sent[MODULUS] = {0}, out[TLS_PREMASTER_SIZE];
    uint64_t before = replaced();
    (void)state;
    for (int i = 0; i < 2; i++) {
        sent[MODULUS - 1] = 2;
        if (i == 1) {
            memcpy(sent, modulus, MODULUS);
            sent[MODULUS - 2] ^= 1;
            sent[MODULUS - 3] -= 1;
        }
        deferring = 0;
        assert_true(decrypt(sent, sizeof sent, out));
        assert_memory_equal(last_operation.u.rsa_premaster.ciphertext, sent, MODULUS);
        deferring = 1;
        assert_true(decrypt(sent, sizeof sent, out));
        assert_memory_equal(last_deferred.u.rsa_premaster.ciphertext, sent, MODULUS);
    }
    assert_int_equal(replaced() - before, 0);
}

/* ---- who defers ---- */

static void what_cannot_be_deferred_fails(void **state)
{
    uint8_t sent[MODULUS] = {[1] = 7}, out[TLS_PREMASTER_SIZE];
    (void)state;
    deferring = ERR_LENGTH;
    assert_false(decrypt(sent, sizeof sent, out));
    assert_int_equal(deferred, 1);
    assert_int_equal(asked, 0);
}

static void without_deferral_the_pre_master_secret_is_asked_for_at_once(void **state)
{
    const struct provider_transport transport = {.perform = perform};
    uint8_t sent[MODULUS] = {[1] = 7}, out[TLS_PREMASTER_SIZE], id[KEY_ID_SIZE];
    OSSL_LIB_CTX *other;
    EVP_PKEY *key;
    struct fault fault;
    (void)state;
    assert_int_equal(provider_context_new(&other, &transport, 0, &fault), 0);
    assert_int_equal(provider_key_new(other, private_keys[RSA_KEY].key, &key, id, &fault), 0);
    assert_true(decrypt_with(other, key, sent, sizeof sent, out));
    assert_int_equal(asked, 1);
    assert_int_equal(deferred, 0);
    EVP_PKEY_free(key);
    provider_context_free(other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(another_ciphertext_is_asked_for),
        TEST(another_ciphertext_is_deferred),
        TEST(any_other_ciphertext_is_asked_for_as_it_is),
        TEST(what_cannot_be_deferred_fails),
        TEST(without_deferral_the_pre_master_secret_is_asked_for_at_once),
    };
    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
