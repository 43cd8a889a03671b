/* Batches: different inputs of different keys in one call. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define RIG_IN_LANES true
#include "tests/unit/keyserver/signer_rig.h"
#include "tests/unit/skip.h"

static struct signer_item items[BATCH_MAX];
static struct crypto_input inputs[BATCH_MAX];
static struct outcome outcomes[BATCH_MAX];
static struct operation operations[BATCH_MAX];
static uint8_t secrets[BATCH_MAX][TLS_PREMASTER_SIZE];

static void put_item(size_t place, size_t which, struct operation operation)
{
    operations[place] = operation;
    inputs[place] = keys_input(&operation);
    memset(&outcomes[place], 0x5a, sizeof outcomes[place]);
    items[place] = (struct signer_item){
        .key = key_of(which), .input = &inputs[place], .outcome = &outcomes[place], .err = 1};
}

/* The kinds of RSA inputs, in turn. */
static void take_rsa(size_t place, size_t which)
{
    uint8_t block[RSA_MODULUS_MAX];
    uint8_t *secret = secrets[place];
    random_bytes(secret, TLS_PREMASTER_SIZE);
    secret[0] = secret[1] = 3;
    keys_pad(block, (size_t)EVP_PKEY_get_size(pkeys[which]), secret);
    if (place % 3 == 0)
        put_item(place, which, keys_tls12(pkeys[which], SCHEME_RSA_PKCS1_SHA384, CURVE_P256));
    else if (place % 3 == 1)
        put_item(place, which, keys_tls13(pkeys[which], SCHEME_RSA_PSS_RSAE_SHA256, 32));
    else
        put_item(place, which, keys_premaster(pkeys[which], 0x0303, block));
}

static bool is_right(size_t place, size_t which)
{
    const struct outcome *outcome = &outcomes[place];
    uint16_t scheme = place % 3 == 0 ? SCHEME_RSA_PKCS1_SHA384 : SCHEME_RSA_PSS_RSAE_SHA256;
    if (items[place].err != 0 || outcome->status != STATUS_OK)
        return false;
    return place % 3 == 2
               ? outcome->length == TLS_PREMASTER_SIZE &&
                     memcmp(outcome->bytes, secrets[place], TLS_PREMASTER_SIZE) == 0
               : keys_verify(pkeys[which], &operations[place], scheme, outcome->bytes, outcome->length);
}

static void signatures_and_secrets_of_one_size_go_together(void **state)
{
    (void)state;
    for (size_t which = RSA2048; which <= RSA4096; which++) {
        for (size_t count = 1; count <= signer_batch(key_of(which)->class).most; count++) {
            for (size_t i = 0; i < count; i++)
                take_rsa(i, which);
            signer_perform(signer, items, count);
            for (size_t i = 0; i < count; i++)
                assert_true(is_right(i, which));
        }
    }
}

static void what_cannot_be_encoded_fails_alone(void **state)
{
    size_t count = signer_batch(key_of(RSA2048)->class).most;
    (void)state;
    if (count == 1)
        SKIP_FOR("no RSA lanes on this processor");
    for (size_t i = 0; i < count; i++)
        take_rsa(i, RSA2048);
    inputs[3].u.sign.scheme = 0x9999;
    signer_perform(signer, items, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(is_right(i, RSA2048), i != 3);
    assert_int_equal(outcomes[3].status, STATUS_UNAVAILABLE);
    assert_int_equal(outcomes[3].length, 0);
}

static void curves_of_one_kind_go_together(void **state)
{
    static const struct {
        size_t which;
        uint16_t scheme;
    } curves[] = {{P256, SCHEME_ECDSA_P256_SHA256}, {P384, SCHEME_ECDSA_P384_SHA384}};
    (void)state;
    for (size_t j = 0; j < 2; j++) {
        size_t which = curves[j].which;
        for (size_t count = 1; count <= signer_batch(key_of(which)->class).most; count++) {
            for (size_t i = 0; i < count; i++)
                put_item(i, which, keys_tls13(pkeys[which], curves[j].scheme, 48));
            inputs[0].u.sign.content[0] ^= 1; /* another content: also another hash */
            signer_perform(signer, items, count);
            for (size_t i = 0; i < count; i++) {
                assert_int_equal(items[i].err, 0);
                assert_int_equal(keys_verify(pkeys[which], &operations[i], curves[j].scheme,
                                             outcomes[i].bytes, outcomes[i].length),
                                 i != 0);
            }
        }
    }
}

static void expect_ed25519_of_openssl(size_t place)
{
    uint8_t expected[SIGN_SIZE];
    size_t size = sizeof expected;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(context, NULL, NULL, NULL, pkeys[ED25519]), 1);
    assert_int_equal(
        EVP_DigestSign(context, expected, &size, inputs[place].u.sign.content, inputs[place].u.sign.length),
        1);
    EVP_MD_CTX_free(context);
    assert_int_equal(items[place].err, 0);
    assert_int_equal(outcomes[place].length, SIGN_SIZE);
    assert_memory_equal(outcomes[place].bytes, expected, SIGN_SIZE);
}

/* Contents of both versions of TLS, which differ in length, in one call. */
static void ed25519_is_that_of_openssl(void **state)
{
    size_t most = signer_batch(BATCH_ED25519).most;
    (void)state;
    assert_int_equal(most, lanes_state(LANES_ED25519) == LANES_READY ? BATCH_MAX : 1);
    for (size_t count = 1; count <= most; count++) {
        for (size_t i = 0; i < count; i++)
            put_item(i, ED25519,
                     i % 3 == 0 ? keys_tls12(pkeys[ED25519], SCHEME_ED25519, CURVE_P256)
                                : keys_tls13(pkeys[ED25519], SCHEME_ED25519, i % 3 == 1 ? 32 : 48));
        signer_perform(signer, items, count);
        for (size_t i = 0; i < count; i++)
            expect_ed25519_of_openssl(i);
    }
}

static void switched_off_everything_is_one_by_one(void **state)
{
    (void)state;
    lanes_start(false, LANES_EVERYTHING);
    for (size_t i = 0; i < BATCH_CLASSES; i++) {
        assert_int_equal(signer_batch((enum batch_class)i).least, 1);
        assert_int_equal(signer_batch((enum batch_class)i).most, 1);
    }
    static const uint8_t group_secret[32] = {3};
    struct keystore *with_lanes = store;
    struct fault fault;
    assert_int_equal(keystore_load(&store, NULL, folder, group_secret, NULL, NULL, &fault), 0);
    struct signer *plain = signer_new(store, BATCH_ALL);
    for (size_t which = RSA2048; which <= RSA4096; which++) {
        take_rsa(2, which);
        signer_perform(plain, &items[2], 1);
        assert_true(is_right(2, which));
    }
    put_item(2, ED25519, keys_tls13(pkeys[ED25519], SCHEME_ED25519, 32));
    signer_perform(plain, &items[2], 1);
    expect_ed25519_of_openssl(2);
    for (size_t i = 0; i < keystore_count(store); i++) { /* no number is held that nobody uses */
        const struct key *key = keystore_at(store, i);
        assert_true(key->rsa == NULL && key->scalar == NULL && key->ed25519_lanes == NULL);
        assert_int_equal(key->ed25519 != NULL, key->type == KEY_ED25519);
    }
    signer_free(plain);
    keystore_free(store);
    store = with_lanes;
    lanes_start(true, LANES_EVERYTHING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signatures_and_secrets_of_one_size_go_together),
        cmocka_unit_test(what_cannot_be_encoded_fails_alone),
        cmocka_unit_test(curves_of_one_kind_go_together),
        cmocka_unit_test(ed25519_is_that_of_openssl),
        cmocka_unit_test(switched_off_everything_is_one_by_one),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
