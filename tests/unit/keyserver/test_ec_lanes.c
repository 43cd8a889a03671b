#include "tests/unit/keyserver/ec_rig.h"

static void noise_of_the_test(void *out, size_t length);
#define random_bytes noise_of_the_test
#include "keyserver/lanes/ec_lanes.c"
#include "tests/lib/random_below.h"
#undef random_bytes

/* Signing with nonces of its own: that signatures are good, that nonces are as they must be whatever the
 * generator does, that another is taken where one does not do, and that nothing stays in memory. */

static struct rig rigs[] = {
    {.kernel = &ec_p256_ifma, .vector = true, .curve = NID_X9_62_prime256v1},
    {.kernel = &ec_p256_portable, .vector = false, .curve = NID_X9_62_prime256v1},
    {.kernel = &ec_p384_ifma, .vector = true, .curve = NID_secp384r1},
    {.kernel = &ec_p384_portable, .vector = false, .curve = NID_secp384r1},
};

/* A generator that fails: it gives the same bytes every time. */
static bool generator_fails;

static void noise_of_the_test(void *out, size_t length)
{
    if (generator_fails)
        memset(out, 0, length);
    else
        random_bytes(out, length);
}

/* A kernel in front of the real one, which sees the nonces and spoils verdicts. */
static const struct ec_kernel *real;
static struct ec_nonces seen;
static unsigned calls, spoilt;

static struct ec_verdict sign_seen(void *work, const struct ec_nonces *nonces, struct ec_item *items,
                                   size_t count)
{
    seen = *nonces;
    struct ec_verdict verdict = real->sign(work, nonces, items, count);
    if (calls++ < spoilt)
        verdict.again |= UINT32_C(1) << (count - 1);
    return verdict;
}

static struct ec_kernel front(const struct rig *rig, unsigned spoil)
{
    struct ec_kernel kernel = *rig->kernel;
    real = rig->kernel;
    kernel.sign = sign_seen;
    calls = 0;
    spoilt = spoil;
    generator_fails = false;
    return kernel;
}

/* The public half of KEY. */
static EVP_PKEY *public_of(const struct rig *rig, const uint8_t *key)
{
    int size = (int)rig->kernel->size;
    EC_POINT *point = EC_POINT_new(rig->group);
    BIGNUM *d = BN_bin2bn(key, size, NULL);
    uint8_t public[1 + 2 * EC_SIZE_MAX];
    assert_int_equal(EC_POINT_mul(rig->group, point, d, NULL, NULL, rig->bn), 1);
    assert_int_equal(
        EC_POINT_point2oct(rig->group, point, POINT_CONVERSION_UNCOMPRESSED, public, sizeof public, rig->bn),
        1 + 2 * size);
    char curve[] = "P-256", larger[] = "P-384";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, size == 32 ? curve : larger, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, public, 1 + 2 * (size_t)size),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY *pkey = NULL;
    EVP_PKEY_CTX *make = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    assert_int_equal(EVP_PKEY_fromdata_init(make), 1);
    assert_int_equal(EVP_PKEY_fromdata(make, &pkey, EVP_PKEY_PUBLIC_KEY, params), 1);
    EVP_PKEY_CTX_free(make);
    EC_POINT_free(point);
    BN_free(d);
    return pkey;
}

static bool verifies_with(EVP_PKEY *pkey, size_t size, const uint8_t *hash, const uint8_t *rs)
{
    uint8_t der[ECDSA_DER_MAX];
    size_t length = ecdsa_der(der, rs, size);
    EVP_PKEY_CTX *verify = EVP_PKEY_CTX_new(pkey, NULL);
    assert_int_equal(EVP_PKEY_verify_init(verify), 1);
    int good = EVP_PKEY_verify(verify, der, length, hash, size);
    EVP_PKEY_CTX_free(verify);
    return good == 1;
}

static bool verifies(const struct rig *rig, const uint8_t *key, const uint8_t *hash, const uint8_t *rs)
{
    EVP_PKEY *pkey = public_of(rig, key);
    bool good = verifies_with(pkey, rig->kernel->size, hash, rs);
    EVP_PKEY_free(pkey);
    return good;
}

struct call {
    struct ec_item items[EC_LANES_MAX];
    uint8_t keys[EC_LANES_MAX][EC_SIZE_MAX], hashes[EC_LANES_MAX][EC_SIZE_MAX];
};

static void fill(const struct rig *rig, struct call *call)
{
    memset(call, 0, sizeof *call);
    for (size_t i = 0; i < EC_LANES_MAX; i++) {
        rig_random_key(rig, call->keys[i]);
        random_bytes(call->hashes[i], sizeof call->hashes[i]);
        call->items[i].key = call->keys[i];
        call->items[i].hash = call->hashes[i];
    }
}

static void signatures_of_every_size_of_call_verify(void **state)
{
    struct rig *rig = rig_of(state);
    struct ec_scratch *scratch = ec_scratch_new(rig->kernel);
    size_t size = rig->kernel->size;
    EVP_PKEY *pkeys[EC_LANES_MAX];
    struct call call;
    generator_fails = false;
    assert_non_null(scratch);
    fill(rig, &call);
    for (size_t i = 0; i < EC_LANES_MAX; i++)
        pkeys[i] = public_of(rig, call.keys[i]);
    for (size_t count = 1; count <= EC_LANES_MAX; count++) {
        random_bytes(call.hashes, sizeof call.hashes);
        assert_int_equal(ec_lanes_sign(scratch, call.items, count), 0);
        for (size_t i = 0; i < count; i++)
            assert_true(verifies_with(pkeys[i], size, call.hashes[i], call.items[i].rs));
        size_t one = random_below((uint32_t)count);
        call.hashes[one][0] ^= 1; /* and this would be found */
        assert_false(verifies_with(pkeys[one], size, call.hashes[one], call.items[one].rs));
    }
    for (size_t i = 0; i < EC_LANES_MAX; i++)
        EVP_PKEY_free(pkeys[i]);
    ec_scratch_free(scratch);
    ec_scratch_free(NULL);
}

static void calls_that_are_too_small_or_too_large_are_refused(void **state)
{
    struct rig *rig = rig_of(state);
    struct ec_scratch *scratch = ec_scratch_new(rig->kernel);
    struct call call;
    fill(rig, &call);
    assert_int_equal(ec_lanes_sign(scratch, call.items, 0), ERR_LENGTH);
    assert_int_equal(ec_lanes_sign(scratch, call.items, EC_LANES_MAX + 1), ERR_LENGTH);
    ec_scratch_free(scratch);
}

static bool all_zero(const void *bytes, size_t length)
{
    const uint8_t *at = bytes;
    uint8_t any = 0;
    for (size_t i = 0; i < length; i++)
        any |= at[i];
    return any == 0;
}

static bool scratch_is_clean(const struct ec_scratch *scratch)
{
    size_t kept = offsetof(struct ec_scratch, nonces);
    return all_zero((const uint8_t *)scratch + kept, scratch->size - kept);
}

static void nothing_stays_in_memory(void **state)
{
    struct rig *rig = rig_of(state);
    struct ec_kernel kernel = front(rig, 0);
    struct ec_scratch *scratch = ec_scratch_new(&kernel);
    struct call call;
    assert_true(scratch_is_clean(scratch));
    for (size_t count = 1; count <= EC_LANES_MAX; count += 3) {
        fill(rig, &call);
        assert_int_equal(ec_lanes_sign(scratch, call.items, count), 0);
        assert_true(scratch_is_clean(scratch));
        assert_false(all_zero(&seen, sizeof seen)); /* there was something */
    }
    memset(call.keys[1], 0, EC_SIZE_MAX);
    assert_int_equal(ec_lanes_sign(scratch, call.items, 2), ERR_CRYPTO);
    assert_true(scratch_is_clean(scratch));
    ec_scratch_free(scratch);
}

static void one_bad_key_and_nothing_is_signed(void **state)
{
    struct rig *rig = rig_of(state);
    struct ec_kernel kernel = front(rig, 0);
    struct ec_scratch *scratch = ec_scratch_new(&kernel);
    struct call call;
    fill(rig, &call);
    memset(call.keys[9], 0xff, EC_SIZE_MAX);
    assert_int_equal(ec_lanes_sign(scratch, call.items, 10), ERR_CRYPTO);
    assert_int_equal(calls, 1);
    for (size_t i = 0; i < 10; i++)
        assert_true(all_zero(call.items[i].rs, sizeof call.items[i].rs));
    assert_int_equal(ec_lanes_sign(scratch, call.items, 9), 0);
    ec_scratch_free(scratch);
}

/* Also with a generator that repeats itself: the attempt is part of the nonce. */
static void another_nonce_is_taken_where_one_does_not_do(void **state)
{
    struct rig *rig = rig_of(state);
    struct call call;
    for (unsigned spoil = 0; spoil <= EC_ATTEMPTS; spoil++) {
        struct ec_kernel kernel = front(rig, spoil);
        struct ec_scratch *scratch = ec_scratch_new(&kernel);
        generator_fails = true;
        fill(rig, &call);
        int err = ec_lanes_sign(scratch, call.items, 11);
        assert_int_equal(err, spoil < EC_ATTEMPTS ? 0 : ERR_CRYPTO);
        assert_int_equal(calls, spoil < EC_ATTEMPTS ? spoil + 1 : EC_ATTEMPTS);
        for (size_t i = 0; i < 11; i++) {
            if (err == 0)
                assert_true(verifies(rig, call.keys[i], call.hashes[i], call.items[i].rs));
            else
                assert_true(all_zero(call.items[i].rs, sizeof call.items[i].rs));
        }
        struct ec_nonces last = seen;
        calls = 0;
        spoilt = 0;
        assert_int_equal(ec_lanes_sign(scratch, call.items, 11), 0);
        BIGNUM *one = rig_get_nonce(rig, &last, 10), *other = rig_get_nonce(rig, &seen, 10);
        assert_int_equal(BN_cmp(one, other) == 0,
                         spoil == 0); /* the first attempt has the same nonce again */
        BN_free(one);
        BN_free(other);
        ec_scratch_free(scratch);
    }
}

/* ---- nonces ---- */

#define NONCES (64 * EC_LANES_MAX)
static uint8_t nonces[NONCES][EC_SIZE_MAX];

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, EC_SIZE_MAX);
}

/* The nonces of the call before into the list at AT. */
static void keep(const struct rig *rig, size_t at, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        BIGNUM *k = rig_get_nonce(rig, &seen, i);
        memset(nonces[at + i], 0, EC_SIZE_MAX);
        assert_int_equal(BN_bn2binpad(k, nonces[at + i], (int)rig->kernel->size), rig->kernel->size);
        BN_free(k);
    }
}

static void expect_no_repeats(size_t count)
{
    qsort(nonces, count, sizeof nonces[0], compare);
    for (size_t i = 1; i < count; i++)
        assert_memory_not_equal(nonces[i - 1], nonces[i], EC_SIZE_MAX);
}

/* Each bit of as many nonces as there are is set in half of them: six standard deviations off would be met
 * once in a million runs. */
static void expect_no_bias(const struct rig *rig, size_t count)
{
    for (size_t bit = 0; bit < 8 * rig->kernel->size; bit++) {
        double set = 0;
        for (size_t i = 0; i < count; i++)
            set += nonces[i][bit / 8] >> bit % 8 & 1;
        double off = set - (double)count / 2;
        assert_true(off * off < 6 * 6 * (double)count / 4);
    }
}

/* One key and one hash in all items: all that differs is the noise. */
static void one_key_and_hash_get_a_new_nonce_every_time(void **state)
{
    struct rig *rig = rig_of(state);
    struct ec_kernel kernel = front(rig, 0);
    struct ec_scratch *scratch = ec_scratch_new(&kernel);
    struct call call;
    fill(rig, &call);
    for (size_t i = 1; i < EC_LANES_MAX; i++) {
        call.items[i].key = call.keys[0];
        call.items[i].hash = call.hashes[0];
    }
    for (size_t at = 0; at < NONCES; at += EC_LANES_MAX) {
        assert_int_equal(ec_lanes_sign(scratch, call.items, EC_LANES_MAX), 0);
        keep(rig, at, EC_LANES_MAX);
    }
    expect_no_bias(rig, NONCES);
    expect_no_repeats(NONCES);
    ec_scratch_free(scratch);
}

/* A generator that fails, and hashes or keys that differ by one bit: no nonce is there twice. The same of
 * both is the same signature. */
static void without_noise_nonces_follow_from_key_and_hash(void **state)
{
    struct rig *rig = rig_of(state);
    struct ec_kernel kernel = front(rig, 0);
    struct ec_scratch *scratch = ec_scratch_new(&kernel);
    struct call call, first;
    size_t bits = 8 * rig->kernel->size, at = 0;
    generator_fails = true;
    fill(rig, &call);
    for (size_t i = 1; i < EC_LANES_MAX; i++) {
        memcpy(call.keys[i], call.keys[0], EC_SIZE_MAX);
        memcpy(call.hashes[i], call.hashes[0], EC_SIZE_MAX);
    }
    assert_int_equal(ec_lanes_sign(scratch, call.items, EC_LANES_MAX), 0);
    keep(rig, at++, 1);
    for (size_t i = 1; i < EC_LANES_MAX; i++)
        assert_memory_equal(call.items[i].rs, call.items[0].rs, 2 * rig->kernel->size);
    for (size_t i = 0; i < EC_LANES_MAX; i++)
        call.keys[i][0] &= 0x3f; /* in its range with any bit the other way */
    first = call;
    for (size_t bit = 2; bit < bits; bit += EC_LANES_MAX / 2) {
        for (size_t i = 0; i < EC_LANES_MAX / 2; i++) {
            size_t turned = bit + i < bits ? bit + i : bits - 1;
            memcpy(call.keys[2 * i], first.keys[0], EC_SIZE_MAX);
            memcpy(call.hashes[2 * i + 1], first.hashes[0], EC_SIZE_MAX);
            call.keys[2 * i][turned / 8] ^= (uint8_t)(0x80 >> turned % 8);
            call.hashes[2 * i + 1][turned / 8] ^= (uint8_t)(0x80 >> turned % 8);
        }
        assert_int_equal(ec_lanes_sign(scratch, call.items, EC_LANES_MAX), 0);
        keep(rig, at, bit + EC_LANES_MAX / 2 <= bits ? EC_LANES_MAX : 2 * (bits - bit));
        at += bit + EC_LANES_MAX / 2 <= bits ? EC_LANES_MAX : 2 * (bits - bit);
    }
    assert_true(at >= 2 * (bits - 2));
    expect_no_bias(rig, at);
    expect_no_repeats(at);
    ec_scratch_free(scratch);
}

#define FOR(rig, test)                                                                                       \
    {                                                                                                        \
#test, test, rig_start, rig_stop, rig                                                                \
    }
#define ALL(rig)                                                                                             \
    FOR(rig, signatures_of_every_size_of_call_verify),                                                       \
        FOR(rig, calls_that_are_too_small_or_too_large_are_refused), FOR(rig, nothing_stays_in_memory),      \
        FOR(rig, one_bad_key_and_nothing_is_signed), FOR(rig, another_nonce_is_taken_where_one_does_not_do), \
        FOR(rig, one_key_and_hash_get_a_new_nonce_every_time),                                               \
        FOR(rig, without_noise_nonces_follow_from_key_and_hash)

int main(void)
{
    const struct CMUnitTest tests[] = {ALL(&rigs[0]), ALL(&rigs[1]), ALL(&rigs[2]), ALL(&rigs[3])};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
