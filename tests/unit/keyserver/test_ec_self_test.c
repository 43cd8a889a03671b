#include "tests/unit/keyserver/ec_rig.h"

#include "keyserver/lanes/ec_self_test.c"
#include "keyserver/lanes/lanes.h"

/* The self-test: that what it expects is right, that the kernels give it, and that it finds a kernel that is
 * wrong. */

static struct rig rigs[] = {
    {.kernel = &ec_p256_ifma, .vector = true, .curve = NID_X9_62_prime256v1},
    {.kernel = &ec_p256_portable, .vector = false, .curve = NID_X9_62_prime256v1},
    {.kernel = &ec_p384_ifma, .vector = true, .curve = NID_secp384r1},
    {.kernel = &ec_p384_portable, .vector = false, .curve = NID_secp384r1},
};

/* From OpenSSL's HMAC and points alone. */
static void what_is_expected_is_right(void **state)
{
    struct rig *rig = *state;
    size_t size = rig->kernel->size;
    const struct answer *answer = &answers[size == 32 ? 0 : 1];
    static struct question question;
    uint8_t hash[32];
    assert_int_equal(answer->size, size);
    make_question(&question);
    for (size_t i = 0; i < EC_LANES_MAX; i++) {
        uint8_t secret[EC_NOISE_SIZE + EC_SIZE_MAX], message[8 + EC_SIZE_MAX] = "keyless", mac[64];
        memcpy(secret, question.noise[i], EC_NOISE_SIZE);
        memcpy(secret + EC_NOISE_SIZE, question.keys[i], size);
        memcpy(message + 8, question.hashes[i], size);
        assert_non_null(
            HMAC(EVP_sha512(), secret, (int)(EC_NOISE_SIZE + size), message, 8 + size, mac, NULL));
        BIGNUM *k = BN_bin2bn(mac, sizeof mac, NULL);
        rig_put_nonce(&question.nonces, i, k);
        assert_int_equal(BN_nnmod(k, k, rig->n, rig->bn), 1);
        assert_true(
            rig_sign(rig, question.signatures + i * 2 * size, question.keys[i], question.hashes[i], k));
        BN_free(k);
    }
    sha256(hash, &question.nonces, sizeof question.nonces);
    assert_memory_equal(hash, answer->nonces, sizeof hash);
    sha256(hash, question.signatures, EC_LANES_MAX * 2 * size);
    assert_memory_equal(hash, answer->signatures, sizeof hash);
}

static void the_kernel_gives_it(void **state)
{
    struct rig *rig = rig_of(state);
    assert_true(ec_kernel_test(rig->kernel));
}

static void the_vector_unit_passes_its_self_test(void **state)
{
    (void)rig_of(state);
    lanes_start(true, LANES_EVERYTHING);
    assert_int_equal(lanes_state(LANES_P256), LANES_READY);
}

/* ---- kernels that are wrong ---- */

static const struct ec_kernel *real;

static struct ec_verdict wrong_in_one_bit(void *work, const struct ec_nonces *nonces, struct ec_item *items,
                                          size_t count)
{
    struct ec_verdict verdict = real->sign(work, nonces, items, count);
    items[17].rs[2 * real->size - 1] ^= 1;
    return verdict;
}

static struct ec_verdict never_content(void *work, const struct ec_nonces *nonces, struct ec_item *items,
                                       size_t count)
{
    struct ec_verdict verdict = real->sign(work, nonces, items, count);
    verdict.again |= 4;
    return verdict;
}

static struct ec_verdict hates_a_key(void *work, const struct ec_nonces *nonces, struct ec_item *items,
                                     size_t count)
{
    struct ec_verdict verdict = real->sign(work, nonces, items, count);
    verdict.bad |= 4;
    return verdict;
}

static void wrong_nonces(struct ec_nonces *nonces, const struct ec_item *items, size_t count,
                         const uint8_t *noise, uint8_t attempt)
{
    real->derive(nonces, items, count, noise, attempt);
    nonces->word[3][7][7] ^= 1;
}

static void a_kernel_that_is_wrong_is_found(void **state)
{
    struct rig *rig = *state;
    real = rig->kernel;
    struct ec_kernel kernel = *real;
    assert_true(ec_kernel_test(&kernel));
    kernel.sign = wrong_in_one_bit;
    assert_false(ec_kernel_test(&kernel));
    kernel.sign = never_content;
    assert_false(ec_kernel_test(&kernel));
    kernel.sign = hates_a_key;
    assert_false(ec_kernel_test(&kernel));
    kernel = *real;
    kernel.derive = wrong_nonces;
    assert_false(ec_kernel_test(&kernel));
    kernel = *real;
    kernel.size = 66; /* of which it has no answer */
    assert_false(ec_kernel_test(&kernel));
}

#define FOR(rig, test)                                                                                       \
    {                                                                                                        \
#test, test, rig_start, rig_stop, rig                                                                \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOR(&rigs[1], what_is_expected_is_right),
        FOR(&rigs[3], what_is_expected_is_right),
        FOR(&rigs[0], the_kernel_gives_it),
        FOR(&rigs[1], the_kernel_gives_it),
        FOR(&rigs[2], the_kernel_gives_it),
        FOR(&rigs[3], the_kernel_gives_it),
        FOR(&rigs[0], the_vector_unit_passes_its_self_test),
        FOR(&rigs[1], a_kernel_that_is_wrong_is_found),
        FOR(&rigs[3], a_kernel_that_is_wrong_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
