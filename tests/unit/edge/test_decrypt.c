/* What is asked for when a client sends an encrypted pre-master secret that can be none. */
#include "tests/unit/edge/remote_keys.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>

#include "common/secret.h"
#include "proto/ciphertext.h"

#define MODULUS      256  /* bytes of RSA_KEY's */
#define SENT_MAX     2046 /* what libssl takes: a ClientKeyExchange of 2,048 bytes */
#define KEY_EXCHANGE (4 + 2 + MODULUS)
#define MESSAGES     600

static OSSL_LIB_CTX *library;
static EVP_PKEY *remote;
static uint8_t modulus[MODULUS];
static struct provider_exchange exchange;
static bool bound;
static unsigned asked;
static struct operation last_operation;

static int perform(const struct operation *operation, struct outcome *outcome)
{
    asked++;
    last_operation = *operation;
    *outcome = (struct outcome){.status = STATUS_OK, .length = TLS_PREMASTER_SIZE};
    random_bytes(outcome->bytes, TLS_PREMASTER_SIZE);
    return 0;
}

static struct provider_exchange *find_exchange(void)
{
    return bound ? &exchange : NULL;
}

static int setup_all(void **state)
{
    const struct provider_transport transport = {.perform = perform, .exchange = find_exchange};
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
    bound = false;
    asked = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    provider_exchange_clear(&exchange);
    ERR_clear_error();
    return 0;
}

static void give_messages(size_t length)
{
    uint8_t *bytes = malloc(length);
    assert_non_null(bytes);
    memset(bytes, 0x77, length);
    provider_exchange_clear(&exchange);
    assert_int_equal(buffer_put(&exchange.messages, bytes, length), 0);
    free(bytes);
    bound = true;
}

/* As libssl decrypts. */
static bool decrypt(const uint8_t *sent, size_t length, uint8_t out[static TLS_PREMASTER_SIZE])
{
    size_t size = TLS_PREMASTER_SIZE;
    unsigned version = TLS1_2_VERSION;
    OSSL_PARAM params[] = {OSSL_PARAM_uint(OSSL_ASYM_CIPHER_PARAM_TLS_CLIENT_VERSION, &version),
                           OSSL_PARAM_END};
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(library, remote, NULL);
    bool done = EVP_PKEY_decrypt_init(context) == 1 &&
                EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_WITH_TLS_PADDING) > 0 &&
                EVP_PKEY_CTX_set_params(context, params) == 1 &&
                EVP_PKEY_decrypt(context, out, &size, sent, length) == 1 && size == TLS_PREMASTER_SIZE;
    EVP_PKEY_CTX_free(context);
    return done;
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

/* The LENGTH bytes that were there, and after them a ClientKeyExchange; its ciphertext. */
static const uint8_t *assert_complete(size_t length)
{
    static const uint8_t head[] = {16, 0, 1, 2, 1, 0}; /* client_key_exchange, 258; 256 */
    const uint8_t *bytes = buffer_bytes(&exchange.messages);
    assert_true(exchange.held);
    assert_int_equal(buffer_length(&exchange.messages), length + KEY_EXCHANGE);
    assert_int_equal(bytes[0], 0x77);
    assert_int_equal(bytes[length - 1], 0x77);
    assert_memory_equal(bytes + length, head, sizeof head);
    return bytes + length + sizeof head;
}

static void in_bound_mode_the_messages_have_another_ciphertext(void **state)
{
    static struct sent sent[16];
    size_t count = make_all(sent);
    (void)state;
    for (size_t i = 0; i < count; i++) {
        uint8_t out[TLS_PREMASTER_SIZE];
        uint64_t before = replaced();
        give_messages(MESSAGES);
        assert_true(decrypt(sent[i].bytes, sent[i].length, out));
        assert_memory_equal(out, exchange.token, sizeof out);
        assert_replaces(assert_complete(MESSAGES), &sent[i]);
        assert_int_equal(replaced() - before, 1);
    }
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
        bound = false;
        assert_true(decrypt(sent, sizeof sent, out));
        assert_memory_equal(last_operation.u.rsa_premaster.ciphertext, sent, MODULUS);
        give_messages(MESSAGES);
        assert_true(decrypt(sent, sizeof sent, out));
        assert_memory_equal(assert_complete(MESSAGES), sent, MODULUS);
    }
    assert_int_equal(replaced() - before, 0);
}

static void messages_without_room_for_a_key_exchange_are_not_held(void **state)
{
    uint8_t sent[MODULUS] = {[1] = 7}, out[TLS_PREMASTER_SIZE];
    (void)state;
    give_messages(PROVIDER_MESSAGES_MAX);
    assert_true(decrypt(sent, sizeof sent, out));
    (void)assert_complete(PROVIDER_MESSAGES_MAX);
    give_messages(PROVIDER_MESSAGES_MAX + 1);
    assert_false(decrypt(sent, sizeof sent, out));
    assert_false(exchange.held);
    assert_int_equal(asked, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(another_ciphertext_is_asked_for),
        TEST(in_bound_mode_the_messages_have_another_ciphertext),
        TEST(any_other_ciphertext_is_asked_for_as_it_is),
        TEST(messages_without_room_for_a_key_exchange_are_not_held),
    };
    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
