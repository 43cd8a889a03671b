/* What is left of secrets on a stack: while RSA is computed, and after each operation and after keys were
 * loaded. The stack is the test's own, so that it can be looked at from outside, as another process may with
 * perf_event_open(2). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <pthread.h>
#include <sys/mman.h>

#include "common/process.h"
#ifndef RIG_IN_LANES
#define RIG_IN_LANES false
#endif
#include "tests/unit/keyserver/signer_rig.h"
#include "tests/unit/skip.h"

#define STACK       (256 * 1024) /* as a worker's */
#define WINDOW      16           /* bytes that are found by chance once in 2^128 */
#define SECRETS_MAX 64

static uint8_t *stack;

/* ---- the numbers that are looked for ---- */

static struct {
    uint8_t bytes[RSA_MODULUS_MAX];
    size_t size;
} secrets[SECRETS_MAX];
static size_t secret_count;

static void add_secret(const uint8_t *bytes, size_t size)
{
    assert_true(secret_count < SECRETS_MAX && size <= sizeof secrets[0].bytes);
    memcpy(secrets[secret_count].bytes, bytes, size);
    secrets[secret_count++].size = size;
}

/* In both orders of bytes: OpenSSL's numbers, and files. */
static void add_number(const BIGNUM *number)
{
    uint8_t bytes[RSA_MODULUS_MAX];
    int size = BN_num_bytes(number);
    assert_int_equal(BN_bn2binpad(number, bytes, size), size);
    add_secret(bytes, (size_t)size);
    assert_int_equal(BN_bn2lebinpad(number, bytes, size), size);
    add_secret(bytes, (size_t)size);
}

static void add_key(const EVP_PKEY *pkey)
{
    static const char *const names[] = {OSSL_PKEY_PARAM_RSA_D,         OSSL_PKEY_PARAM_RSA_FACTOR1,
                                        OSSL_PKEY_PARAM_RSA_FACTOR2,   OSSL_PKEY_PARAM_RSA_EXPONENT1,
                                        OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1};
    uint8_t seed[SIGN_SEED_SIZE];
    size_t size = sizeof seed;
    BIGNUM *number = NULL;
    if (EVP_PKEY_is_a(pkey, "ED25519")) {
        assert_int_equal(EVP_PKEY_get_raw_private_key(pkey, seed, &size), 1);
        add_secret(seed, size);
        return;
    }
    bool is_rsa = EVP_PKEY_is_a(pkey, "RSA");
    for (size_t i = 0; i < (is_rsa ? sizeof names / sizeof names[0] : 1); i++) {
        assert_int_equal(EVP_PKEY_get_bn_param(pkey, is_rsa ? names[i] : OSSL_PKEY_PARAM_PRIV_KEY, &number),
                         1);
        add_number(number);
        BN_clear_free(number);
        number = NULL;
    }
}

/* How many pieces of the secrets, of WINDOW bytes each, are on the stack, at any address. */
static size_t pieces_on_stack(void)
{
    size_t found = 0;
    for (size_t i = 0; i < secret_count; i++)
        for (size_t at = 0; at + WINDOW <= secrets[i].size; at += WINDOW)
            found += memmem(stack, STACK, secrets[i].bytes + at, WINDOW) != NULL;
    return found;
}

/* ---- a thread on that stack ---- */

struct errand {
    void (*act)(void *user);
    void *user;
};

static void *run_errand(void *user)
{
    const struct errand *errand = user;
    errand->act(errand->user);
    return NULL;
}

static void on_own_stack(void (*act)(void *user), void *user)
{
    struct errand errand = {act, user};
    pthread_attr_t attributes;
    pthread_t thread;
    if (PROCESS_SANITIZED)
        SKIP_FOR("a sanitizer keeps frames in places of its own");
    memset(stack, 0, STACK);
    assert_int_equal(pthread_attr_init(&attributes), 0);
    assert_int_equal(pthread_attr_setstack(&attributes, stack, STACK), 0);
    assert_int_equal(pthread_create(&thread, &attributes, run_errand, &errand), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_attr_destroy(&attributes);
}

/* ---- while it is computed: this stands before OpenSSL's ---- */

static bool looking;
static size_t looks, residues_seen;

static void look_for(const BIGNUM *residue)
{
    static uint8_t bytes[RSA_MODULUS_MAX]; /* not on the stack that is searched */
    int size = BN_num_bytes(residue);
    for (int order = 0; order < 2; order++) {
        if ((order == 0 ? BN_bn2binpad(residue, bytes, size) : BN_bn2lebinpad(residue, bytes, size)) != size)
            return;
        for (int at = 0; at + WINDOW <= size; at += WINDOW)
            residues_seen += memmem(stack, STACK, bytes + at, WINDOW) != NULL;
    }
}

int BN_mod_exp_mont_consttime_x2(BIGNUM *rr1, const BIGNUM *a1, const BIGNUM *p1, const BIGNUM *m1,
                                 BN_MONT_CTX *in_mont1, BIGNUM *rr2, const BIGNUM *a2, const BIGNUM *p2,
                                 const BIGNUM *m2, BN_MONT_CTX *in_mont2, BN_CTX *ctx)
{
    static int (*real)(BIGNUM *, const BIGNUM *, const BIGNUM *, const BIGNUM *, BN_MONT_CTX *, BIGNUM *,
                       const BIGNUM *, const BIGNUM *, const BIGNUM *, BN_MONT_CTX *, BN_CTX *);
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "BN_mod_exp_mont_consttime_x2");
    if (looking) {
        looks++;
        look_for(a1);
        look_for(a2);
    }
    return real(rr1, a1, p1, m1, in_mont1, rr2, a2, p2, m2, in_mont2, ctx);
}

/* ---- what is run ---- */

static struct crypto_input inputs[KEY_COUNT];
static struct outcome results[KEY_COUNT];

static void make_inputs(void)
{
    uint8_t block[RSA_MODULUS_MAX];
    static struct operation operations[KEY_COUNT];
    static uint8_t premaster[TLS_PREMASTER_SIZE];
    for (size_t i = 0; i < KEY_COUNT; i++) {
        uint16_t scheme = i == P256   ? SCHEME_ECDSA_P256_SHA256
                          : i == P384 ? SCHEME_ECDSA_P384_SHA384
                                      : SCHEME_ED25519;
        if (i <= RSA4096) {
            random_bytes(premaster, sizeof premaster);
            premaster[0] = premaster[1] = 3;
            keys_pad(block, (size_t)EVP_PKEY_get_size(pkeys[i]), premaster);
            operations[i] = keys_premaster(pkeys[i], 0x0303, block);
            add_secret(premaster, sizeof premaster);
        } else {
            operations[i] = keys_tls13(pkeys[i], scheme, 32);
        }
        inputs[i] = keys_input(&operations[i]);
    }
}

static void compute(void *user)
{
    size_t which = *(const size_t *)user;
    const struct key *key = key_of(which);
    static struct signer_item items[BATCH_MAX];
    static struct outcome others[BATCH_MAX];
    size_t count = signer_batch(key->class).least;
    for (size_t i = 0; i < count; i++)
        items[i] = (struct signer_item){
            .key = key, .input = &inputs[which], .outcome = i == 0 ? &results[which] : &others[i], .err = 1};
    signer_perform(signer, items, count);
}

static void load(void *user)
{
    static const uint8_t group_secret[32] = {3};
    struct fault fault;
    if (keystore_load(user, NULL, folder, group_secret, NULL, NULL, &fault) != 0)
        *(struct keystore **)user = NULL;
}

static void leave_a_key(void *user)
{
    uint8_t copy[RSA_MODULUS_MAX];
    (void)user;
    memcpy(copy, secrets[0].bytes, secrets[0].size);
    __asm__ volatile("" : : "r"(copy) : "memory"); /* it is not left out */
}

/* How deep the stack was used, from its top. */
static size_t depth(void)
{
    size_t at = 0;
    while (at < STACK && stack[at] == 0)
        at++;
    return STACK - at;
}

/* ---- the tests ---- */

static void the_search_finds_what_was_left(void **state)
{
    (void)state;
    on_own_stack(leave_a_key, NULL);
    assert_int_not_equal(pieces_on_stack(), 0);
}

static void after_an_operation_nothing_is_left(void **state)
{
    (void)state;
    for (size_t which = 0; which < KEY_COUNT; which++) {
        for (int round = 0; round < 3; round++) {
            on_own_stack(compute, &which);
            assert_int_equal(results[which].status, STATUS_OK);
            assert_int_equal(pieces_on_stack(), 0);
        }
    }
}

static void and_after_keys_were_loaded(void **state)
{
    struct keystore *again = NULL;
    (void)state;
    on_own_stack(load, &again);
    assert_non_null(again);
    assert_int_equal(pieces_on_stack(), 0);
    assert_true(depth() > 0);
    keystore_free(again);
}

/* A number on the stack beside the same modulo p would give p away. */
static void while_rsa_is_computed_no_residue_is_on_the_stack(void **state)
{
    (void)state;
    looking = true;
    for (size_t which = RSA2048; which <= RSA4096; which++)
        on_own_stack(compute, &which);
    looking = false;
    if (looks == 0)
        SKIP_FOR("RSA is computed in lanes, without OpenSSL");
    assert_int_equal(residues_seen, 0);
}

static int start_here(void **state)
{
    if (start(state) != 0)
        return -1;
    stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    for (size_t i = 0; i < KEY_COUNT; i++)
        add_key(pkeys[i]);
    make_inputs();
    return stack == MAP_FAILED ? -1 : 0;
}

static int stop_here(void **state)
{
    munmap(stack, STACK);
    return stop(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_search_finds_what_was_left),
        cmocka_unit_test(after_an_operation_nothing_is_left),
        cmocka_unit_test(and_after_keys_were_loaded),
        cmocka_unit_test(while_rsa_is_computed_no_residue_is_on_the_stack),
    };
    return cmocka_run_group_tests(tests, start_here, stop_here);
}
