/* Keys of every type in a store, and a signer for them. With RIG_IN_LANES it computes in lanes what it can:
 * each input as one of several. Not a test program by itself. */
#ifndef TESTS_UNIT_KEYSERVER_SIGNER_RIG_H
#define TESTS_UNIT_KEYSERVER_SIGNER_RIG_H

#ifndef RIG_IN_LANES
#define RIG_IN_LANES false
#endif

#include "common/log.h"
#include "keyserver/lanes/lanes.h"
#include "keyserver/vault/compute/signer.h"
#include "tests/lib/random_below.h"
#include "tests/unit/keyserver/keys.h"

enum { RSA2048, RSA3072, RSA4096, P256, P384, ED25519, KEY_COUNT };

static const char *const key_names[] = {"rsa2048", "rsa3072", "rsa4096", "p256", "p384", "ed25519"};
static EVP_PKEY *pkeys[KEY_COUNT];
static struct keystore *store;
static struct signer *signer;
static char folder[KEYS_PATH_SIZE];

static inline int start(void **state)
{
    static const uint8_t group_secret[32] = {3};
    struct fault fault;
    (void)state;
    log_init("test", LOG_ERROR, LOG_LOGFMT);
    assert_int_equal(secret_init(), 0);
    lanes_start(RIG_IN_LANES, LANES_EVERYTHING);
    if (RIG_IN_LANES && lanes_state(LANES_RSA) == LANES_LACKING)
        print_message("without AVX-512 IFMA: one by one, by OpenSSL\n");
    keys_make_folder(folder);
    for (size_t i = 0; i < KEY_COUNT; i++) {
        char name[32];
        pkeys[i] = i == P256      ? keys_ec("P-256")
                   : i == P384    ? keys_ec("P-384")
                   : i == ED25519 ? keys_edwards("ED25519")
                                  : keys_rsa(2048 + 1024 * i);
        snprintf(name, sizeof name, "%s.pem", key_names[i]);
        keys_write(folder, name, pkeys[i]);
    }
    assert_int_equal(keystore_load(&store, NULL, folder, group_secret, NULL, NULL, &fault), 0);
    assert_int_equal(keystore_count(store), KEY_COUNT);
    signer = signer_new(store, BATCH_ALL);
    return signer == NULL;
}

static inline int stop(void **state)
{
    (void)state;
    signer_free(signer);
    signer_free(NULL);
    keystore_free(store);
    for (size_t i = 0; i < KEY_COUNT; i++)
        EVP_PKEY_free(pkeys[i]);
    keys_remove_folder(folder);
    return 0;
}

static inline const struct key *key_of(size_t which)
{
    uint8_t id[KEY_ID_SIZE];
    keys_id(pkeys[which], id);
    return keystore_find(store, id);
}

/* OUTCOME is that of one among as many as are worth computing together, up to as many as can be. */
static inline int perform_with(struct signer *own, size_t which, const struct crypto_input *input,
                               struct outcome *outcome)
{
    struct signer_item items[BATCH_MAX];
    struct outcome others[BATCH_MAX];
    const struct key *key = key_of(which);
    const struct batch_size batch = signer_batch(key->class);
    size_t count = batch.least + random_below((uint32_t)(batch.most - batch.least + 1));
    size_t place = random_below((uint32_t)count);
    for (size_t i = 0; i < count; i++)
        items[i] = (struct signer_item){
            .key = key, .input = input, .outcome = i == place ? outcome : &others[i], .err = 1};
    signer_perform(own, items, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(items[i].err, items[place].err);
    return items[place].err;
}

static inline struct outcome perform_input(size_t which, const struct crypto_input *input)
{
    struct outcome outcome;
    memset(&outcome, 0x5a, sizeof outcome);
    assert_int_equal(perform_with(signer, which, input, &outcome), 0);
    assert_int_equal(outcome.status, STATUS_OK);
    assert_int_equal(ERR_peek_error(), 0);
    return outcome;
}

static inline struct outcome perform(size_t which, const struct operation *operation)
{
    const struct crypto_input input = keys_input(operation);
    return perform_input(which, &input);
}

/* Nothing is released. */
static inline void assert_withheld(size_t which, const struct crypto_input *input)
{
    struct outcome outcome;
    static const struct outcome nothing = {.status = STATUS_UNAVAILABLE};
    memset(&outcome, 0x5a, sizeof outcome);
    assert_int_equal(perform_with(signer, which, input, &outcome), ERR_CRYPTO);
    assert_int_equal(outcome.status, STATUS_UNAVAILABLE);
    assert_int_equal(outcome.length, 0);
    assert_memory_equal(outcome.bytes, nothing.bytes, sizeof nothing.bytes);
    assert_int_equal(ERR_peek_error(), 0);
}

#endif
