/* Ed25519 in lanes, by every kernel, against the RFC's answers and OpenSSL; and that nothing stays in memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/evp.h>

#include "common/bytes.h"
#include "common/sign.h"
#include "keyserver/lanes/ed_lanes.c"
#include "keyserver/lanes/ed_self_test.c"
#include "keyserver/lanes/lanes.h"
#include "tests/lib/random_below.h"
#include "tests/unit/skip.h"

#define MESSAGE_MAX 600

struct rig {
    const struct ed_kernel *kernel;
    bool vector;                /* needs the instructions */
    struct ed_scratch *scratch; /* owned */
};

static struct rig rigs[] = {{.kernel = &ed25519_ifma, .vector = true},
                            {.kernel = &ed25519_portable, .vector = false}};

static bool has_instructions(void)
{
    return (lanes_features() & LANES_IFMA) == LANES_IFMA;
}

static int rig_start(void **state)
{
    struct rig *rig = *state;
    if (secret_init() != 0)
        return -1;
    if (!rig->vector || has_instructions())
        rig->kernel->prepare();
    rig->scratch = ed_scratch_new(rig->kernel);
    return rig->scratch != NULL ? 0 : -1;
}

static int rig_stop(void **state)
{
    struct rig *rig = *state;
    ed_scratch_free(rig->scratch);
    ed_scratch_free(NULL);
    return 0;
}

static struct rig *rig_of(void **state)
{
    struct rig *rig = *state;
    if (rig->vector && !has_instructions())
        SKIP_FOR("%s: this processor has no AVX-512 IFMA", rig->kernel->name);
    return rig;
}

static void sign_with_openssl(uint8_t out[2 * ED_SIZE], const uint8_t seed[ED_SIZE], const uint8_t *message,
                              size_t length)
{
    size_t size = 2 * ED_SIZE;
    EVP_PKEY *pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, ED_SIZE);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(context, NULL, NULL, NULL, pkey), 1);
    assert_int_equal(EVP_DigestSign(context, out, &size, message, length), 1);
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(pkey);
}

struct call {
    struct ed_item items[ED_LANES_MAX];
    struct ed_key keys[ED_LANES_MAX];
    uint8_t seeds[ED_LANES_MAX][ED_SIZE], messages[ED_LANES_MAX][MESSAGE_MAX];
};

/* Random keys and messages; the lengths are up to who calls. */
static void fill(struct call *call)
{
    random_bytes(call->seeds, sizeof call->seeds);
    random_bytes(call->messages, sizeof call->messages);
    for (size_t i = 0; i < ED_LANES_MAX; i++) {
        ed_key_derive(&call->keys[i], call->seeds[i]);
        call->items[i] = (struct ed_item){.key = &call->keys[i], .message = call->messages[i]};
    }
}

/* Signs the first COUNT items and compares; no other item is touched. */
static void expect_right(struct rig *rig, struct call *call, size_t count)
{
    for (size_t i = 0; i < ED_LANES_MAX; i++)
        memset(call->items[i].signature, 0x5a, 2 * ED_SIZE);
    assert_int_equal(ed_lanes_sign(rig->scratch, call->items, count), 0);
    for (size_t i = 0; i < ED_LANES_MAX; i++) {
        uint8_t expected[2 * ED_SIZE];
        memset(expected, 0x5a, sizeof expected);
        if (i < count)
            sign_with_openssl(expected, call->seeds[i], call->items[i].message, call->items[i].length);
        assert_memory_equal(call->items[i].signature, expected, sizeof expected);
    }
}

/* RFC 8032, 7.1: TEST 1, 2, 3 and SHA(abc). */
static const struct vector {
    const char *seed, *public, *message, *signature;
} vectors[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
     "d25bf5f0595bbe24655141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
     "387b2eaeb4302aeeb00d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
     "4a7c15e9716ed28dc027beceea1ec40a"},
    {"833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
     "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd"
     "454d4423643ce80e2a9ac94fa54ca49f",
     "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e030"
     "3dca179c138ac17ad9bef1177331a704"},
};
#define VECTORS (sizeof vectors / sizeof vectors[0])

/* In every lane. */
static void the_answers_of_the_rfc_come_out(void **state)
{
    struct rig *rig = rig_of(state);
    struct ed_item items[ED_LANES_MAX];
    for (size_t i = 0; i < VECTORS; i++) {
        uint8_t seed[ED_SIZE], public[ED_SIZE], message[64], signature[2 * ED_SIZE];
        struct ed_key key;
        size_t length = strlen(vectors[i].message) / 2;
        assert_int_equal(hex_decode(seed, ED_SIZE, vectors[i].seed), 0);
        assert_int_equal(hex_decode(public, ED_SIZE, vectors[i].public), 0);
        assert_int_equal(hex_decode(signature, 2 * ED_SIZE, vectors[i].signature), 0);
        assert_int_equal(length == 0 ? 0 : hex_decode(message, length, vectors[i].message), 0);
        ed_key_derive(&key, seed);
        assert_memory_equal(key.public, public, ED_SIZE);
        for (size_t j = 0; j < ED_LANES_MAX; j++)
            items[j] = (struct ed_item){
                .key = &key, .message = length == 0 ? NULL : message, .length = length};
        assert_int_equal(ed_lanes_sign(rig->scratch, items, ED_LANES_MAX), 0);
        for (size_t j = 0; j < ED_LANES_MAX; j++)
            assert_memory_equal(items[j].signature, signature, 2 * ED_SIZE);
    }
}

static void every_length_of_message_is_hashed_beside_every_other(void **state)
{
    struct rig *rig = rig_of(state);
    static struct call call;
    for (size_t length = 0; length <= 320; length += ED_LANES_MAX) {
        fill(&call);
        for (size_t i = 0; i < ED_LANES_MAX; i++)
            call.items[i].length = length + i;
        expect_right(rig, &call, ED_LANES_MAX);
        for (size_t i = 0; i < ED_LANES_MAX; i++) /* from three blocks to none in one eight */
            call.items[i].length = i % 2 == 0 ? length + i : random_below(MESSAGE_MAX + 1);
        expect_right(rig, &call, ED_LANES_MAX);
    }
}

static void calls_of_every_size_are_right(void **state)
{
    struct rig *rig = rig_of(state);
    static struct call call;
    for (size_t count = 1; count <= ED_LANES_MAX; count++) {
        fill(&call);
        for (size_t i = 0; i < ED_LANES_MAX; i++)
            call.items[i].length = random_below(301);
        expect_right(rig, &call, count);
    }
}

static void many_random_keys_and_messages_are_right(void **state)
{
    struct rig *rig = rig_of(state);
    static struct call call;
    for (unsigned round = 0; round < (rig->vector ? 250 : 10); round++) {
        fill(&call);
        for (size_t i = 0; i < ED_LANES_MAX; i++)
            call.items[i].length = random_below(301);
        expect_right(rig, &call, ED_LANES_MAX);
    }
}

static void calls_that_are_too_small_or_too_large_are_refused(void **state)
{
    struct rig *rig = rig_of(state);
    static struct call call;
    fill(&call);
    assert_int_equal(ed_lanes_sign(rig->scratch, call.items, 0), ERR_LENGTH);
    assert_int_equal(ed_lanes_sign(rig->scratch, call.items, ED_LANES_MAX + 1), ERR_LENGTH);
}

/* ---- what stays ---- */

static const struct ed_kernel *real;
static bool was_used;

static bool all_zero(const void *bytes, size_t length)
{
    const uint8_t *at = bytes;
    uint8_t any = 0;
    for (size_t i = 0; i < length; i++)
        any |= at[i];
    return any == 0;
}

static void sign_seen(void *work, struct ed_item *items, size_t count)
{
    real->sign(work, items, count);
    was_used = !all_zero(work, real->work_size);
}

static void nothing_stays_in_memory(void **state)
{
    struct rig *rig = rig_of(state);
    static struct call call;
    real = rig->kernel;
    struct ed_kernel kernel = *real;
    kernel.sign = sign_seen;
    struct ed_scratch *scratch = ed_scratch_new(&kernel);
    size_t length = scratch->size - offsetof(struct ed_scratch, work);
    assert_true(length >= kernel.work_size);
    for (size_t count = 1; count <= ED_LANES_MAX; count += 3) {
        fill(&call);
        assert_int_equal(ed_lanes_sign(scratch, call.items, count), 0);
        assert_true(was_used);
        assert_true(all_zero(scratch->work, length));
    }
    ed_scratch_free(scratch);
}

/* ---- the self-test ---- */

static void what_the_self_test_expects_is_right(void **state)
{
    static struct question question;
    uint8_t hash[32];
    (void)state;
    make_question(&question);
    for (size_t i = 0; i < ED_LANES_MAX; i++)
        sign_with_openssl(question.signatures[i], question.seeds[i], question.items[i].message,
                          question.items[i].length);
    sha256(hash, question.signatures, sizeof question.signatures);
    assert_memory_equal(hash, answer, sizeof hash);
}

static void the_self_test_passes(void **state)
{
    struct rig *rig = rig_of(state);
    assert_true(ed_kernel_test(rig->kernel));
    lanes_start(true, LANES_EVERYTHING);
    assert_int_equal(lanes_state(LANES_ED25519), has_instructions() ? LANES_READY : LANES_LACKING);
    assert_ptr_equal(lanes_ed(), has_instructions() ? &ed25519_ifma : NULL);
}

static void wrong_in_one_bit(void *work, struct ed_item *items, size_t count)
{
    real->sign(work, items, count);
    items[17].signature[2 * ED_SIZE - 1] ^= 1;
}

static void a_kernel_that_is_wrong_is_found(void **state)
{
    struct rig *rig = rig_of(state);
    real = rig->kernel;
    struct ed_kernel kernel = *real;
    kernel.sign = wrong_in_one_bit;
    assert_false(ed_kernel_test(&kernel));
}

#define FOR(rig, test)                                                                                       \
    {                                                                                                        \
#test, test, rig_start, rig_stop, rig                                                                \
    }
#define ALL(rig)                                                                                             \
    FOR(rig, the_answers_of_the_rfc_come_out),                                                               \
        FOR(rig, every_length_of_message_is_hashed_beside_every_other),                                      \
        FOR(rig, calls_of_every_size_are_right), FOR(rig, many_random_keys_and_messages_are_right),          \
        FOR(rig, calls_that_are_too_small_or_too_large_are_refused), FOR(rig, nothing_stays_in_memory),      \
        FOR(rig, what_the_self_test_expects_is_right), FOR(rig, the_self_test_passes),                       \
        FOR(rig, a_kernel_that_is_wrong_is_found)

int main(void)
{
    const struct CMUnitTest tests[] = {ALL(&rigs[0]), ALL(&rigs[1])};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
