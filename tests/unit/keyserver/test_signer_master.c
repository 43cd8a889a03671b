/* rsa_master: what the vault makes of a real handshake is the master secret that both of its ends have, and
 * of anything else a secret that nobody has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "keyserver/vault/compute/premaster.h"
#include "keyserver/vault/judge/gate.h"
#include "tests/unit/keyserver/handshake.h"
#include "tests/unit/keyserver/parts.h"
#include "tests/unit/keyserver/signer_rig.h"

static struct handshake shake; /* with RSA-2048; any suite might have been chosen */
static struct composed made;

static int start_all(void **state)
{
    if (start(state) != 0 || gate_start() != 0)
        return -1;
    handshake_run(&shake, &(struct handshake_wish){.pkey = pkeys[RSA2048],
                                                   .ciphers = HANDSHAKE_SUITES_OF_ALL,
                                                   .server_name = "www.example.com",
                                                   .tickets = true});
    return 0;
}

static int stop_all(void **state)
{
    gate_stop();
    return stop(state);
}

/* The vault's path: what the gate makes of MESSAGES. */
static struct crypto_input pass(size_t which, const uint8_t *messages, size_t length)
{
    struct operation operation = {.kind = OP_RSA_MASTER};
    struct crypto_input input;
    struct transcript seen;
    operation.u.rsa_master.messages = messages;
    operation.u.rsa_master.length = (uint32_t)length;
    keys_id(pkeys[which], operation.key_id);
    assert_int_equal(gate_pass(&operation, key_of(which), &input, &seen), REFUSAL_NONE);
    assert_int_equal(input.kind, OP_RSA_MASTER);
    return input;
}

static struct outcome master_of(size_t which, const uint8_t *messages, size_t length)
{
    const struct crypto_input input = pass(which, messages, length);
    struct outcome outcome = perform_input(which, &input);
    static const uint8_t nothing[RESULT_MAX];
    assert_int_equal(outcome.length, TLS_MASTER_SIZE);
    assert_memory_equal(outcome.bytes + TLS_MASTER_SIZE, nothing, RESULT_MAX - TLS_MASTER_SIZE);
    return outcome;
}

/* ---- true ones ---- */

static void both_ends_of_a_handshake_have_the_secret_that_the_vault_finds(void **state)
{
    static const char *const suites[] = {HANDSHAKE_SUITE_OF_SHA256, HANDSHAKE_SUITE_OF_SHA384,
                                         HANDSHAKE_SUITES_OF_ALL, "AES256-SHA:@SECLEVEL=0",
                                         "AES128-SHA256:@SECLEVEL=0"};
    static struct handshake real;
    (void)state;
    for (size_t which = RSA2048; which <= RSA4096; which++)
        for (unsigned kind = 0; kind < 4 * sizeof suites / sizeof suites[0]; kind++) {
            handshake_run(&real, &(struct handshake_wish){.pkey = pkeys[which],
                                                          .ciphers = suites[kind / 4],
                                                          .server_name = kind & 1 ? "www.example.com" : NULL,
                                                          .alpn = kind & 1 ? "h2" : NULL,
                                                          .tickets = kind & 2,
                                                          .tls13 = kind & 1,
                                                          .strange = kind & 2});
            struct outcome outcome = master_of(which, real.messages, real.length);
            assert_memory_equal(outcome.bytes, real.server_master, TLS_MASTER_SIZE);
            assert_memory_equal(outcome.bytes, real.client_master, TLS_MASTER_SIZE);
        }
}

static void it_follows_from_the_pre_master_that_the_other_operation_gives(void **state)
{
    struct crypto_input input = pass(RSA2048, shake.messages, shake.length);
    uint8_t master[TLS_MASTER_SIZE];
    (void)state;
    input.kind = OP_RSA_PREMASTER;
    struct outcome premaster = perform_input(RSA2048, &input);
    handshake_derive(master, premaster.bytes, input.u.exchange.session_hash, input.u.exchange.prf_bits);
    assert_memory_equal(master, shake.server_master, sizeof master);
}

/* ---- changed ones ---- */

static void assert_another(const struct parts *parts)
{
    compose(&made, parts);
    struct outcome first = master_of(RSA2048, made.bytes, made.length);
    struct outcome second = master_of(RSA2048, made.bytes, made.length);
    assert_memory_equal(first.bytes, second.bytes, TLS_MASTER_SIZE);
    assert_memory_not_equal(first.bytes, shake.server_master, TLS_MASTER_SIZE);
    assert_memory_not_equal(first.bytes, shake.server_master, 16); /* nor a part of it */
    assert_memory_not_equal(first.bytes + 32, shake.server_master + 32, 16);
}

static void another_byte_anywhere_in_what_may_vary_gives_another_secret(void **state)
{
    static struct parts parts;
    (void)state;
    split_parts(&parts, shake.messages, shake.length);
    struct piece *pieces[] = {&parts.client.random, &parts.server.random, &parts.server.session_id,
                              &parts.ciphertext, &parts.certificate};
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++)
        for (size_t at = 0; at < pieces[i]->length; at += 1 + at / 8) {
            static uint8_t changed[4096];
            struct piece kept = *pieces[i];
            if (pieces[i] == &parts.ciphertext && at == 0)
                continue; /* might not be below n any more */
            assert_true(kept.length <= sizeof changed);
            memcpy(changed, kept.bytes, kept.length);
            changed[at] ^= 1;
            pieces[i]->bytes = changed;
            assert_another(&parts);
            *pieces[i] = kept;
        }
    compose(&made, &parts);
    struct outcome same = master_of(RSA2048, made.bytes, made.length);
    assert_memory_equal(same.bytes, shake.server_master, TLS_MASTER_SIZE);
}

static void another_suite_that_was_offered_gives_another_secret(void **state)
{
    static struct parts parts;
    uint16_t others = 0;
    (void)state;
    split_parts(&parts, shake.messages, shake.length);
    for (size_t at = 0; at < parts.client.suites.length; at += 2) {
        struct transcript seen;
        parts.server.suites = (struct piece){parts.client.suites.bytes + at, 2};
        compose(&made, &parts);
        if (transcript_parse(&seen, made.bytes, made.length) != 0 || seen.cipher_suite == shake.suite)
            continue; /* not one of RSA */
        assert_another(&parts);
        others |= seen.prf_bits;
    }
    assert_int_equal(others, 256 | 384);
}

/* ---- bad padding ---- */

/* SHAKE with a ciphertext of BLOCK in place of its own, in `made`. */
static void exchange(const uint8_t *block)
{
    static struct parts parts;
    uint8_t ciphertext[RSA_MODULUS_MAX];
    split_parts(&parts, shake.messages, shake.length);
    keys_encrypt_raw(pkeys[RSA2048], block, ciphertext);
    parts.ciphertext.bytes = ciphertext;
    compose(&made, &parts);
}

static void a_bad_padding_gives_the_same_secret_at_every_replica_and_a_useless_one(void **state)
{
    uint8_t block[RSA_MODULUS_MAX], premaster[TLS_PREMASTER_SIZE] = {3, 3, 0x77}, expected[TLS_MASTER_SIZE];
    struct signer *replica = signer_new(store, BATCH_ALL), *kept = signer;
    (void)state;
    for (unsigned kind = 0; kind <= KEYS_SPOILT; kind++) {
        keys_pad(block, RSA_MODULUS_MIN, premaster);
        if (kind < KEYS_SPOILT)
            keys_spoil(block, RSA_MODULUS_MIN, kind);
        exchange(block);
        const struct crypto_input input = pass(RSA2048, made.bytes, made.length);
        struct outcome outcome = perform_input(RSA2048, &input), again = perform_input(RSA2048, &input);
        assert_memory_equal(outcome.bytes, again.bytes, TLS_MASTER_SIZE);
        signer = replica;
        again = perform_input(RSA2048, &input);
        signer = kept;
        assert_memory_equal(outcome.bytes, again.bytes, TLS_MASTER_SIZE);
        const uint8_t *hash = input.u.exchange.session_hash;
        handshake_derive(expected, premaster, hash, input.u.exchange.prf_bits); /* if it were good */
        assert_int_equal(memcmp(outcome.bytes, expected, sizeof expected) == 0, kind == KEYS_SPOILT);
        uint8_t fallback[TLS_PREMASTER_SIZE];
        premaster_fallback(fallback, key_of(RSA2048)->fallback_secret, 0x0303, input.u.exchange.ciphertext,
                           RSA_MODULUS_MIN);
        handshake_derive(expected, fallback, hash, input.u.exchange.prf_bits);
        assert_int_equal(memcmp(outcome.bytes, expected, sizeof expected) == 0, kind < KEYS_SPOILT);
    }
    signer_free(replica);
}

/* An edge sees the same whether it is the padding that is bad or the handshake another one. */
static void a_bad_padding_in_another_handshake_gives_another_secret(void **state)
{
    uint8_t block[RSA_MODULUS_MAX], premaster[TLS_PREMASTER_SIZE] = {3, 3};
    struct outcome outcome[2];
    (void)state;
    for (int good = 0; good < 2; good++) {
        keys_pad(block, RSA_MODULUS_MIN, premaster);
        block[1] = good ? 2 : 1;
        exchange(block);
        for (int other = 0; other < 2; other++) {
            made.bytes[4 + 2] ^= (uint8_t)other; /* the client's random */
            outcome[other] = master_of(RSA2048, made.bytes, made.length);
        }
        assert_memory_not_equal(outcome[0].bytes, outcome[1].bytes, TLS_MASTER_SIZE);
    }
}

static void a_pre_master_of_another_version_is_bad_padding(void **state)
{
    static const uint8_t versions[][2] = {{3, 0}, {3, 1}, {3, 2}, {3, 4}, {2, 3}, {0, 0}};
    uint8_t block[RSA_MODULUS_MAX], premaster[TLS_PREMASTER_SIZE] = {3, 3, 9}, expected[TLS_MASTER_SIZE];
    (void)state;
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        memcpy(premaster, versions[i], 2);
        keys_pad(block, RSA_MODULUS_MIN, premaster);
        exchange(block);
        const struct crypto_input input = pass(RSA2048, made.bytes, made.length);
        struct outcome outcome = perform_input(RSA2048, &input);
        handshake_derive(expected, premaster, input.u.exchange.session_hash, input.u.exchange.prf_bits);
        assert_memory_not_equal(outcome.bytes, expected, sizeof expected);
    }
}

/* ---- threads ---- */

static void *derive_many(void *argument)
{
    struct signer *own = signer_new(store, BATCH_ALL);
    size_t *bad = argument;
    const struct crypto_input input = pass(RSA2048, shake.messages, shake.length);
    for (int round = 0; round < 150; round++) { /* with a renewal of the blinding */
        struct outcome outcome;
        *bad += perform_with(own, RSA2048, &input, &outcome) != 0 ||
                memcmp(outcome.bytes, shake.server_master, TLS_MASTER_SIZE) != 0;
    }
    signer_free(own);
    return NULL;
}

static void signers_of_many_threads_find_the_same_secret(void **state)
{
    pthread_t threads[4];
    size_t bad[4] = {0};
    (void)state;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, derive_many, &bad[i]), 0);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(bad[i], 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ends_of_a_handshake_have_the_secret_that_the_vault_finds),
        cmocka_unit_test(it_follows_from_the_pre_master_that_the_other_operation_gives),
        cmocka_unit_test(another_byte_anywhere_in_what_may_vary_gives_another_secret),
        cmocka_unit_test(another_suite_that_was_offered_gives_another_secret),
        cmocka_unit_test(a_bad_padding_gives_the_same_secret_at_every_replica_and_a_useless_one),
        cmocka_unit_test(a_bad_padding_in_another_handshake_gives_another_secret),
        cmocka_unit_test(a_pre_master_of_another_version_is_bad_padding),
        cmocka_unit_test(signers_of_many_threads_find_the_same_secret),
    };
    return cmocka_run_group_tests(tests, start_all, stop_all);
}
