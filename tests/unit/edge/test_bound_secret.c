/* The secret of an RSA key exchange: what OpenSSL decrypts, and what it derives from that. */
#include "tests/unit/edge/kdf_rig.h"

#include "edge/bound/bound.h"

#define CIPHERTEXT   256
#define KEY_EXCHANGE (4 + 2 + CIPHERTEXT)
#define MESSAGES     600 /* with ClientKeyExchange */

static struct bound_exchange exchange;
static struct operation premaster; /* what the provider would perform */

static int setup_all(void **state)
{
    (void)state;
    open_kdfs(&bound_deferral);
    return 0;
}

static int teardown_all(void **state)
{
    (void)state;
    close_kdfs();
    return 0;
}

static void make_premaster(void)
{
    premaster = (struct operation){.kind = OP_RSA_PREMASTER};
    random_bytes(premaster.key_id, sizeof premaster.key_id);
    premaster.u.rsa_premaster.client_version = 0x0303;
    premaster.u.rsa_premaster.ciphertext_length = CIPHERTEXT;
    random_bytes(premaster.u.rsa_premaster.ciphertext, CIPHERTEXT);
}

/* An exchange of which LENGTH bytes of messages were kept, and ClientKeyExchange has come. */
static void begin_exchange(size_t length)
{
    uint8_t *messages = malloc(length);
    assert_non_null(messages);
    memset(messages, 0x77, length);
    bound_clear(&exchange);
    exchange.asked = (enum operation_kind)0;
    assert_int_equal(buffer_put(&exchange.messages, messages, length), 0);
    free(messages);
    make_premaster();
    bound_enter(&exchange);
}

/* One whose decryption has given its token out. */
static int setup(void **state)
{
    uint8_t token[TLS_PREMASTER_SIZE];
    (void)state;
    begin_exchange(MESSAGES - KEY_EXCHANGE);
    assert_int_equal(bound_deferral.defer(&premaster, token), 1);
    assert_memory_equal(token, exchange.deferred.token, sizeof token);
    expect_nothing();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    bound_leave();
    bound_clear(&exchange);
    ERR_clear_error();
    return 0;
}

/* ---- the decryption ---- */

/* ClientKeyExchange of `premaster`, after LENGTH bytes. */
static void assert_complete(size_t length)
{
    static const uint8_t head[] = {16, 0, 1, 2, 1, 0}; /* client_key_exchange, 258; 256 */
    const uint8_t *bytes = buffer_bytes(&exchange.messages);
    assert_true(exchange.deferred.held);
    assert_int_equal(buffer_length(&exchange.messages), length + KEY_EXCHANGE);
    assert_int_equal(bytes[0], 0x77);
    assert_int_equal(bytes[length - 1], 0x77);
    assert_memory_equal(bytes + length, head, sizeof head);
    assert_memory_equal(bytes + length + sizeof head, premaster.u.rsa_premaster.ciphertext, CIPHERTEXT);
}

static void the_client_key_exchange_is_added_to_the_messages(void **state)
{
    static const size_t lengths[] = {1, MESSAGES, BOUND_MESSAGES_MAX};
    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        uint8_t token[TLS_PREMASTER_SIZE];
        begin_exchange(lengths[i]);
        assert_int_equal(bound_deferral.defer(&premaster, token), 1);
        assert_complete(lengths[i]);
    }
}

static void messages_without_room_for_it_are_not_deferred(void **state)
{
    uint8_t token[TLS_PREMASTER_SIZE];
    (void)state;
    begin_exchange(BOUND_MESSAGES_MAX + 1);
    assert_int_equal(bound_deferral.defer(&premaster, token), ERR_LENGTH);
    assert_false(exchange.deferred.held);
}

static void a_token_has_the_form_of_a_pre_master_secret_and_is_new_each_time(void **state)
{
    uint8_t tokens[2][TLS_PREMASTER_SIZE];
    (void)state;
    for (int i = 0; i < 2; i++) {
        begin_exchange(MESSAGES);
        premaster.u.rsa_premaster.client_version = 0x0304;
        assert_int_equal(bound_deferral.defer(&premaster, tokens[i]), 1);
        assert_int_equal(tokens[i][0], 3);
        assert_int_equal(tokens[i][1], 4);
    }
    assert_memory_not_equal(tokens[0] + 2, tokens[1] + 2, TLS_PREMASTER_SIZE - 2);
}

static void without_messages_nothing_is_deferred(void **state)
{
    uint8_t token[TLS_PREMASTER_SIZE];
    (void)state;
    bound_clear(&exchange);
    exchange.asked = (enum operation_kind)0;
    assert_int_equal(bound_deferral.defer(&premaster, token), 0);
    assert_int_equal(exchange.asked, OP_RSA_PREMASTER);
    assert_false(exchange.deferred.held);
}

static void outside_of_a_handshake_nothing_is_deferred(void **state)
{
    uint8_t token[TLS_PREMASTER_SIZE];
    struct operation operation;
    (void)state;
    memcpy(token, exchange.deferred.token, sizeof token);
    bound_leave();
    assert_null(bound_deferral.find(token, sizeof token));
    assert_int_equal(bound_deferral.resolve(&exchange, true, &operation), ERR_REFUSED);
    bound_deferral.forget(&exchange);
    assert_true(exchange.deferred.held);
    assert_int_equal(bound_deferral.defer(&premaster, token), 0);
}

/* ---- the derivation ---- */

static void assert_used_up(enum operation_kind kind)
{
    const struct bound_exchange used = {.asked = kind};
    assert_memory_equal(&exchange, &used, sizeof used);
}

static void the_master_secret_is_what_the_key_server_says(void **state)
{
    uint8_t out[TLS_MASTER_SIZE], messages[MESSAGES], id[KEY_ID_SIZE];
    const struct input input = master_input("extended master secret", exchange.deferred.token);
    (void)state;
    memcpy(messages, buffer_bytes(&exchange.messages), MESSAGES);
    memcpy(id, exchange.deferred.key_id, sizeof id);
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
    const struct input input = master_input("master secret", exchange.deferred.token);
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
        const struct input input = master_input(labels[i], exchange.deferred.token);
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
        const struct input input = master_input("extended master secret", exchange.deferred.token);
        assert_false(derive(ours, &input, out, lengths[i]));
        assert_int_equal(asked, 0);
    }
}

static void a_token_is_good_for_once(void **state)
{
    uint8_t out[TLS_MASTER_SIZE], again[TLS_MASTER_SIZE], token[TLS_PREMASTER_SIZE];
    (void)state;
    memcpy(token, exchange.deferred.token, sizeof token);
    const struct input input = master_input("extended master secret", token);
    assert_true(derive(ours, &input, out, sizeof out));
    assert_true(derive(ours, &input, again, sizeof again)); /* 48 bytes like any other by now */
    assert_memory_not_equal(out, again, sizeof out);
    assert_int_equal(asked, 1);
}

static void the_token_of_another_handshake_is_any_secret(void **state)
{
    struct bound_exchange others[2] = {{.deferred.held = true}, {.deferred.held = false}};
    uint8_t out[TLS_MASTER_SIZE], expected[TLS_MASTER_SIZE];
    const struct input input = master_input("extended master secret", exchange.deferred.token);
    (void)state;
    memcpy(others[1].deferred.token, exchange.deferred.token,
           sizeof exchange.deferred.token); /* not given out */
    for (size_t i = 0; i < 3; i++) {
        bound_enter(i < 2 ? &others[i] : NULL);
        assert_true(derive(ours, &input, out, sizeof out));
        assert_true(derive(theirs, &input, expected, sizeof expected));
        assert_memory_equal(out, expected, sizeof out);
    }
    assert_int_equal(asked, 0);
    assert_true(exchange.deferred.held);
}

static void one_bit_makes_another_secret_of_a_token(void **state)
{
    uint8_t out[TLS_MASTER_SIZE], token[TLS_PREMASTER_SIZE + 1];
    (void)state;
    for (size_t byte = 0; byte < TLS_PREMASTER_SIZE; byte++) {
        memcpy(token, exchange.deferred.token, TLS_PREMASTER_SIZE);
        token[byte] ^= 0x80;
        const struct input input = master_input("extended master secret", token);
        assert_true(derive(ours, &input, out, sizeof out));
    }
    memcpy(token, exchange.deferred.token, TLS_PREMASTER_SIZE);
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
    struct bound_exchange other = {.deferred.held = true};
    struct packed packed;
    uint8_t out[TLS_MASTER_SIZE];
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(ours);
    const struct input input = master_input("extended master secret", exchange.deferred.token);
    (void)state;
    assert_int_equal(EVP_KDF_CTX_set_params(context, pack(&packed, &input)), 1);
    bound_enter(&other);
    assert_int_not_equal(EVP_KDF_derive(context, out, sizeof out, NULL), 1);
    assert_int_equal(asked, 0);
    assert_true(exchange.deferred.held && other.deferred.held);
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
            const struct input input = master_input(labels[l], exchange.deferred.token);
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
        TEST(the_client_key_exchange_is_added_to_the_messages),
        TEST(messages_without_room_for_it_are_not_deferred),
        TEST(a_token_has_the_form_of_a_pre_master_secret_and_is_new_each_time),
        TEST(without_messages_nothing_is_deferred),
        TEST(outside_of_a_handshake_nothing_is_deferred),
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
