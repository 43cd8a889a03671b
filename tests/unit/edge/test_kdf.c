#include "tests/unit/edge/remote_keys.h"

#include <openssl/provider.h>

#include "common/secret.h"

/* TLS1-PRF through the provider beside OpenSSL's own. */
static OSSL_LIB_CTX *library;
static EVP_KDF *ours, *theirs;

static struct provider_exchange exchange;
static struct provider_exchange *current; /* what the transport says */
static unsigned asked;
static struct operation last_operation;
static uint8_t last_messages[1024];
static struct outcome given; /* the key server's answer */
static int perform_error;

static int perform(const struct operation *operation, struct outcome *outcome)
{
    asked++;
    last_operation = *operation;
    if (operation->kind == OP_RSA_MASTER)
        memcpy(last_messages, operation->u.rsa_master.messages, operation->u.rsa_master.length);
    *outcome = given;
    return perform_error;
}

static struct provider_exchange *find_exchange(void)
{
    return current;
}

static int setup_all(void **state)
{
    const struct provider_transport transport = {.perform = perform, .exchange = find_exchange};
    struct fault fault;
    (void)state;
    assert_int_equal(secret_init(), 0);
    assert_int_equal(provider_context_new(&library, &transport, 0, &fault), 0);
    ours = EVP_KDF_fetch(library, "TLS1-PRF", PROVIDER_TLS_PROPERTIES);
    theirs = EVP_KDF_fetch(library, "TLS1-PRF", NULL);
    assert_non_null(ours);
    return 0;
}

static int teardown_all(void **state)
{
    (void)state;
    EVP_KDF_free(ours);
    EVP_KDF_free(theirs);
    provider_context_free(library);
    return 0;
}

#define CIPHERTEXT 256
#define MESSAGES   600

/* An exchange whose decryption has given its token out. */
static int setup(void **state)
{
    uint8_t messages[MESSAGES];
    (void)state;
    provider_exchange_clear(&exchange);
    random_bytes(messages, sizeof messages);
    assert_int_equal(buffer_put(&exchange.messages, messages, sizeof messages), 0);
    random_bytes(exchange.token, sizeof exchange.token);
    random_bytes(exchange.key_id, sizeof exchange.key_id);
    exchange.client_version = 0x0303;
    exchange.ciphertext_length = CIPHERTEXT;
    exchange.held = true;
    exchange.asked = (enum operation_kind)0;
    current = &exchange;
    asked = 0;
    perform_error = 0;
    given = (struct outcome){.status = STATUS_OK, .length = TLS_MASTER_SIZE};
    random_bytes(given.bytes, TLS_MASTER_SIZE);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    provider_exchange_clear(&exchange);
    ERR_clear_error();
    return 0;
}

/* ---- parameters as libssl gives them ---- */

#define SEEDS_MAX  5
#define OUTPUT_MAX 256

struct input {
    const char *digest;
    const void *secret;
    size_t secret_length;
    struct {
        const void *bytes;
        size_t length;
    } seeds[SEEDS_MAX];
};

struct packed {
    char digest[16];
    OSSL_PARAM params[2 + SEEDS_MAX + 1];
};

static const OSSL_PARAM *pack(struct packed *out, const struct input *input)
{
    OSSL_PARAM *p = out->params;
    if (input->digest != NULL) {
        snprintf(out->digest, sizeof out->digest, "%s", input->digest);
        *p++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, out->digest, 0);
    }
    if (input->secret != NULL)
        *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, remote_keys_unconst(input->secret),
                                                 input->secret_length);
    for (size_t i = 0; i < SEEDS_MAX; i++)
        *p++ = OSSL_PARAM_construct_octet_string(
            OSSL_KDF_PARAM_SEED, remote_keys_unconst(input->seeds[i].bytes), input->seeds[i].length);
    *p = OSSL_PARAM_construct_end();
    return out->params;
}

static bool derive(EVP_KDF *kdf, const struct input *input, uint8_t *out, size_t length)
{
    struct packed packed;
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(kdf);
    bool done = EVP_KDF_derive(context, out, length, pack(&packed, input)) == 1;
    EVP_KDF_CTX_free(context);
    return done;
}

static const uint8_t *some_bytes(size_t length)
{
    static uint8_t bytes[256];
    assert_true(length <= sizeof bytes);
    random_bytes(bytes, length);
    return bytes;
}

static struct input master_input(const char *label, const void *secret)
{
    struct input input = {.digest = "SHA256", .secret = secret, .secret_length = TLS_PREMASTER_SIZE};
    input.seeds[0].bytes = label;
    input.seeds[0].length = strlen(label);
    input.seeds[1].bytes = "0123456789abcdef0123456789abcdef";
    input.seeds[1].length = 32;
    return input;
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
    assert_true(exchange.held);
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
    const struct input held = master_input("extended master secret", exchange.token);
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
    const struct input held = master_input("extended master secret", exchange.token);
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

/* ---- the token ---- */

static void assert_used_up(enum operation_kind kind)
{
    const struct provider_exchange used = {.asked = kind};
    assert_memory_equal(&exchange, &used, sizeof used);
}

static void the_master_secret_is_what_the_key_server_says(void **state)
{
    uint8_t out[TLS_MASTER_SIZE], messages[MESSAGES], id[KEY_ID_SIZE];
    const struct input input = master_input("extended master secret", exchange.token);
    (void)state;
    memcpy(messages, buffer_bytes(&exchange.messages), MESSAGES);
    memcpy(id, exchange.key_id, sizeof id);
    assert_true(derive(ours, &input, out, sizeof out));
    assert_memory_equal(out, given.bytes, sizeof out);
    assert_int_equal(asked, 1);
    assert_int_equal(last_operation.kind, OP_RSA_MASTER);
    assert_memory_equal(last_operation.key_id, id, sizeof id);
    assert_int_equal(last_operation.u.rsa_master.length, MESSAGES);
    assert_memory_equal(last_messages, messages, MESSAGES);
    assert_used_up(OP_RSA_MASTER);
}

static void without_extended_master_secret_it_is_the_prf_of_the_pre_master(void **state)
{
    uint8_t out[TLS_MASTER_SIZE], expected[TLS_MASTER_SIZE], ciphertext[CIPHERTEXT];
    const struct input input = master_input("master secret", exchange.token);
    struct input truth = input;
    (void)state;
    memcpy(ciphertext, buffer_bytes(&exchange.messages) + MESSAGES - CIPHERTEXT, CIPHERTEXT);
    assert_true(derive(ours, &input, out, sizeof out));
    truth.secret = given.bytes;
    assert_true(derive(theirs, &truth, expected, sizeof expected));
    assert_memory_equal(out, expected, sizeof out);
    assert_int_equal(last_operation.kind, OP_RSA_PREMASTER);
    assert_int_equal(last_operation.u.rsa_premaster.client_version, 0x0303);
    assert_int_equal(last_operation.u.rsa_premaster.ciphertext_length, CIPHERTEXT);
    assert_memory_equal(last_operation.u.rsa_premaster.ciphertext, ciphertext, CIPHERTEXT);
    assert_used_up(OP_RSA_PREMASTER);
}

static void nothing_else_is_derived_from_a_token(void **state)
{
    static const char *const labels[] = {"key expansion",
                                         "client finished",
                                         "",
                                         "extended master secre",
                                         "extended master secret!",
                                         "master secre",
                                         "xextended master secret",
                                         "MASTER SECRET"};
    (void)state;
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++) {
        uint8_t out[TLS_MASTER_SIZE] = {0};
        static const uint8_t untouched[TLS_MASTER_SIZE];
        setup(state);
        const struct input input = master_input(labels[i], exchange.token);
        assert_false(derive(ours, &input, out, sizeof out));
        assert_memory_equal(out, untouched, sizeof out);
        assert_int_equal(asked, 0);
        assert_used_up((enum operation_kind)0);
    }
}

static void a_master_secret_has_48_bytes(void **state)
{
    static const size_t lengths[] = {1, TLS_MASTER_SIZE - 1, TLS_MASTER_SIZE + 1};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        uint8_t out[TLS_MASTER_SIZE + 1];
        setup(state);
        const struct input input = master_input("extended master secret", exchange.token);
        assert_false(derive(ours, &input, out, lengths[i]));
        assert_int_equal(asked, 0);
    }
}

static void a_token_is_good_for_once(void **state)
{
    uint8_t out[TLS_MASTER_SIZE], again[TLS_MASTER_SIZE], token[TLS_PREMASTER_SIZE];
    const struct input input = master_input("extended master secret", token);
    (void)state;
    memcpy(token, exchange.token, sizeof token);
    assert_true(derive(ours, &input, out, sizeof out));
    assert_true(derive(ours, &input, again, sizeof again)); /* 48 bytes like any other by now */
    assert_memory_not_equal(out, again, sizeof out);
    assert_int_equal(asked, 1);
}

static void the_token_of_another_handshake_is_any_secret(void **state)
{
    struct provider_exchange others[2] = {{.held = true}, {.held = false}};
    uint8_t out[TLS_MASTER_SIZE], expected[TLS_MASTER_SIZE];
    const struct input input = master_input("extended master secret", exchange.token);
    (void)state;
    memcpy(others[1].token, exchange.token, sizeof exchange.token); /* not given out */
    for (size_t i = 0; i < 3; i++) {
        current = i < 2 ? &others[i] : NULL;
        assert_true(derive(ours, &input, out, sizeof out));
        assert_true(derive(theirs, &input, expected, sizeof expected));
        assert_memory_equal(out, expected, sizeof out);
    }
    assert_int_equal(asked, 0);
    assert_true(exchange.held);
}

static void one_bit_makes_another_secret_of_a_token(void **state)
{
    uint8_t out[TLS_MASTER_SIZE], token[TLS_PREMASTER_SIZE + 1];
    (void)state;
    for (size_t byte = 0; byte < TLS_PREMASTER_SIZE; byte++) {
        memcpy(token, exchange.token, TLS_PREMASTER_SIZE);
        token[byte] ^= 0x80;
        const struct input input = master_input("extended master secret", token);
        assert_true(derive(ours, &input, out, sizeof out));
    }
    memcpy(token, exchange.token, TLS_PREMASTER_SIZE);
    struct input input = master_input("extended master secret", token);
    input.secret_length = TLS_PREMASTER_SIZE - 1;
    assert_true(derive(ours, &input, out, sizeof out));
    input.secret_length = TLS_PREMASTER_SIZE + 1;
    assert_true(derive(ours, &input, out, sizeof out));
    assert_int_equal(asked, 0);
}

/* The context outlived the handshake that it was made in. */
static void a_token_that_was_set_is_not_used_in_another_handshake(void **state)
{
    struct provider_exchange other = {.held = true};
    struct packed packed;
    uint8_t out[TLS_MASTER_SIZE];
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(ours);
    const struct input input = master_input("extended master secret", exchange.token);
    (void)state;
    assert_int_equal(EVP_KDF_CTX_set_params(context, pack(&packed, &input)), 1);
    current = &other;
    assert_int_not_equal(EVP_KDF_derive(context, out, sizeof out, NULL), 1);
    assert_int_equal(asked, 0);
    assert_true(exchange.held && other.held);
    EVP_KDF_CTX_free(context);
}

static void what_is_no_answer_fails_and_uses_the_token_up(void **state)
{
    static const char *const labels[] = {"extended master secret", "master secret"};
    (void)state;
    for (size_t l = 0; l < 2; l++)
        for (int i = 0; i < 5; i++) {
            uint8_t out[TLS_MASTER_SIZE];
            setup(state);
            const struct input input = master_input(labels[l], exchange.token);
            given.status = i == 0 ? STATUS_REFUSED : i == 1 ? STATUS_BUSY : STATUS_OK;
            given.length = i == 2 ? TLS_MASTER_SIZE - 1 : i == 3 ? TLS_MASTER_SIZE + 1 : TLS_MASTER_SIZE;
            perform_error = i == 4 ? ERR_CLOSED : 0;
            assert_false(derive(ours, &input, out, sizeof out));
            assert_int_equal(asked, 1);
            assert_used_up(l == 0 ? OP_RSA_MASTER : OP_RSA_PREMASTER);
        }
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
        TEST(the_master_secret_is_what_the_key_server_says),
        TEST(without_extended_master_secret_it_is_the_prf_of_the_pre_master),
        TEST(nothing_else_is_derived_from_a_token),
        TEST(a_master_secret_has_48_bytes),
        TEST(a_token_is_good_for_once),
        TEST(the_token_of_another_handshake_is_any_secret),
        TEST(one_bit_makes_another_secret_of_a_token),
        TEST(a_token_that_was_set_is_not_used_in_another_handshake),
        TEST(what_is_no_answer_fails_and_uses_the_token_up),
    };
    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
