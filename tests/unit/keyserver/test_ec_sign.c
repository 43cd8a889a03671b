#include "tests/unit/keyserver/ec_rig.h"

/* Signatures with nonces that are given, by every kernel, against known answers and OpenSSL's points. */

static struct rig rigs[] = {
    {.kernel = &ec_p256_ifma, .vector = true, .curve = NID_X9_62_prime256v1},
    {.kernel = &ec_p256_portable, .vector = false, .curve = NID_X9_62_prime256v1},
    {.kernel = &ec_p384_ifma, .vector = true, .curve = NID_secp384r1},
    {.kernel = &ec_p384_portable, .vector = false, .curve = NID_secp384r1},
};

/* A call that is being put together. */
struct call {
    struct rig *rig;
    size_t count;
    struct ec_item items[EC_LANES_MAX];
    struct ec_nonces nonces;
    BIGNUM *k[EC_LANES_MAX]; /* owned */
    uint8_t keys[EC_LANES_MAX][EC_SIZE_MAX], hashes[EC_LANES_MAX][EC_SIZE_MAX];
};

/* Signs what is in CALL and compares each signature with OpenSSL's. */
static void finish_call(struct call *call)
{
    if (call->count == 0)
        return;
    struct rig *rig = call->rig;
    struct ec_verdict verdict = rig->kernel->sign(rig->work, &call->nonces, call->items, call->count);
    assert_int_equal(verdict.again, 0);
    assert_int_equal(verdict.bad, 0);
    for (size_t i = 0; i < call->count; i++) {
        uint8_t rs[2 * EC_SIZE_MAX];
        assert_true(rig_sign(rig, rs, call->keys[i], call->hashes[i], call->k[i]));
        assert_memory_equal(call->items[i].rs, rs, 2 * rig->kernel->size);
        BN_free(call->k[i]);
    }
    call->count = 0;
}

/* KEY and HASH are random where they are NULL. */
static void add(struct call *call, const BIGNUM *k, const uint8_t *key, const uint8_t *hash)
{
    size_t i = call->count++;
    random_bytes(call->hashes[i], sizeof call->hashes[i]);
    rig_random_key(call->rig, call->keys[i]);
    if (key != NULL)
        memcpy(call->keys[i], key, call->rig->kernel->size);
    if (hash != NULL)
        memcpy(call->hashes[i], hash, call->rig->kernel->size);
    call->items[i] = (struct ec_item){.key = call->keys[i], .hash = call->hashes[i]};
    rig_put_nonce(&call->nonces, i, k);
    call->k[i] = BN_new();
    assert_int_equal(BN_nnmod(call->k[i], k, call->rig->n, call->rig->bn), 1);
    if (call->count == EC_LANES_MAX)
        finish_call(call);
}

/* RFC 6979, A.2.5 and A.2.6. */
static const struct vector {
    int curve;
    const char *key, *hash, *k, *r, *s;
} vectors[] = {
    {NID_X9_62_prime256v1, "C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721",
     "AF2BDBE1AA9B6EC1E2ADE1D694F41FC71A831D0268E9891562113D8A62ADD1BF",
     "A6E3C57DD01ABE90086538398355DD4C3B17AA873382B0F24D6129493D8AAD60",
     "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716",
     "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"},
    {NID_X9_62_prime256v1, "C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721",
     "9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08",
     "D16B6AE827F17175E040871A1C7EC3500192C4C92677336EC2537ACAEE0008E0",
     "F1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367",
     "019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083"},
    {NID_secp384r1,
     "6B9D3DAD2E1B8C1C05B19875B6659F4DE23C3B667BF297BA9AA47740787137D896D5724E4C70A825F872C9EA60D2EDF5",
     "9A9083505BC92276AEC4BE312696EF7BF3BF603F4BBD381196A029F340585312313BCA4A9B5B890EFEE42C77B1EE25FE",
     "94ED910D1A099DAD3254E9242AE85ABDE4BA15168EAF0CA87A555FD56D10FBCA2907E3E83BA95368623B8C4686915CF9",
     "94EDBB92A5ECB8AAD4736E56C691916B3F88140666CE9FA73D64C4EA95AD133C81A648152E44ACF96E36DD1E80FABE46",
     "99EF4AEB15F178CEA1FE40DB2603138F130E740A19624526203B6351D0A3A94FA329C145786E679E7B82C71A38628AC8"},
    {NID_secp384r1,
     "6B9D3DAD2E1B8C1C05B19875B6659F4DE23C3B667BF297BA9AA47740787137D896D5724E4C70A825F872C9EA60D2EDF5",
     "768412320F7B0AA5812FCE428DC4706B3CAE50E02A64CAA16A782249BFE8EFC4B7EF1CCB126255D196047DFEDF17A0A9",
     "015EE46A5BF88773ED9123A5AB0807962D193719503C527B031B4C2D225092ADA71F4A459BC0DA98ADB95837DB8312EA",
     "8203B63D3C853E8D77227FB377BCF7B7B772E97892A80F36AB775D509D7A5FEB0542A7F0812998DA8F1DD3CA3CF023DB",
     "DDD0760448D42D8A43AF45AF836FCE4DE8BE06B485E9B61B827C2F13173923E06A739F040649A667BF3B828246BAA5A5"},
};

static void published_answers(void **state)
{
    struct rig *rig = rig_of(state);
    struct ec_item items[EC_LANES_MAX];
    struct ec_nonces nonces;
    uint8_t key[EC_SIZE_MAX], hash[EC_SIZE_MAX], answer[2 * EC_SIZE_MAX];
    int size = (int)rig->kernel->size, found = 0;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        BIGNUM *k = NULL;
        if (vectors[i].curve != rig->curve)
            continue;
        assert_int_equal(hex_decode(key, (size_t)size, vectors[i].key), 0);
        assert_int_equal(hex_decode(hash, (size_t)size, vectors[i].hash), 0);
        assert_int_equal(hex_decode(answer, (size_t)size, vectors[i].r), 0);
        assert_int_equal(hex_decode(answer + size, (size_t)size, vectors[i].s), 0);
        assert_int_not_equal(BN_hex2bn(&k, vectors[i].k), 0);
        for (size_t j = 0; j < EC_LANES_MAX; j++) { /* in every lane */
            items[j] = (struct ec_item){.key = key, .hash = hash};
            rig_put_nonce(&nonces, j, k);
        }
        struct ec_verdict verdict = rig->kernel->sign(rig->work, &nonces, items, EC_LANES_MAX);
        assert_int_equal(verdict.again | verdict.bad, 0);
        for (size_t j = 0; j < EC_LANES_MAX; j++)
            assert_memory_equal(items[j].rs, answer, 2 * (size_t)size);
        BN_free(k);
        found++;
    }
    assert_true(found >= 2);
}

/* From the smallest and from the largest on, and around each power of two. */
static void nonces_at_the_edges(void **state)
{
    struct call call = {.rig = rig_of(state)};
    BIGNUM *k = BN_new();
    for (unsigned i = 1; i <= 150; i++) { /* more than a window of the comb */
        assert_int_equal(BN_set_word(k, i), 1);
        add(&call, k, NULL, NULL);
        assert_int_equal(BN_sub(k, call.rig->n, k), 1);
        add(&call, k, NULL, NULL);
    }
    for (int i = 1; i < BN_num_bits(call.rig->n); i++) {
        BN_zero(k);
        assert_int_equal(BN_set_bit(k, i), 1);
        for (int more = -1; more <= 1; more++) {
            BIGNUM *near = BN_dup(k);
            assert_int_equal(more < 0 ? BN_sub_word(near, 1) : BN_add_word(near, (BN_ULONG)more), 1);
            add(&call, near, NULL, NULL);
            BN_free(near);
        }
    }
    finish_call(&call);
    BN_free(k);
}

/* Each point of each row of the table, with either sign: all windows of the comb are the same. */
static void every_point_of_the_table(void **state)
{
    struct call call = {.rig = rig_of(state)};
    int bits = BN_num_bits(call.rig->n);
    BIGNUM *k = BN_new();
    for (unsigned window = 0; window < 128; window++) {
        assert_int_equal(BN_one(k), 1); /* odd: it is not turned round */
        for (int bit = 1; bit < bits - 1; bit++)
            if (window >> (bit - 1) % 7 & 1)
                assert_int_equal(BN_set_bit(k, bit), 1);
        assert_true(BN_cmp(k, call.rig->n) < 0);
        add(&call, k, NULL, NULL);
        assert_int_equal(BN_set_bit(k, bits - 1), 1); /* the highest window too, as far as there is room */
        add(&call, k, NULL, NULL);
        assert_int_equal(BN_sub(k, call.rig->n, k), 1); /* even, or the same again: it is turned round */
        if (!BN_is_negative(k))
            add(&call, k, NULL, NULL);
    }
    finish_call(&call);
    BN_free(k);
}

/* 512 bits are reduced modulo n, so that n + 1 is 1. */
static void nonces_that_are_longer(void **state)
{
    struct call call = {.rig = rig_of(state)};
    BIGNUM *k = BN_new(), *most = BN_new();
    assert_int_equal(BN_set_bit(most, 512), 1);
    assert_int_equal(BN_sub_word(most, 1), 1);
    add(&call, most, NULL, NULL);
    assert_int_equal(BN_copy(k, call.rig->n) != NULL && BN_add_word(k, 1), 1);
    add(&call, k, NULL, NULL);
    for (int i = BN_num_bits(call.rig->n); i < 512; i++) {
        BN_zero(k);
        assert_int_equal(BN_set_bit(k, i), 1);
        add(&call, k, NULL, NULL);
    }
    for (int i = 0; i < 100; i++) {
        assert_int_equal(BN_rand(k, 512, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY), 1);
        add(&call, k, NULL, NULL);
    }
    finish_call(&call);
    BN_free(k);
    BN_free(most);
}

/* OUT = n + DIFFERENCE, or without n that alone. */
static void put_number(const struct rig *rig, uint8_t *out, bool from_n, int difference)
{
    BIGNUM *number = from_n ? BN_dup(rig->n) : BN_new();
    if (difference < 0)
        assert_int_equal(BN_sub_word(number, (BN_ULONG)-difference), 1);
    else
        assert_int_equal(BN_add_word(number, (BN_ULONG)difference), 1);
    assert_int_equal(BN_bn2binpad(number, out, (int)rig->kernel->size), rig->kernel->size);
    BN_free(number);
}

static void keys_and_hashes_at_the_edges(void **state)
{
    struct call call = {.rig = rig_of(state)};
    uint8_t keys[4][EC_SIZE_MAX], hashes[7][EC_SIZE_MAX];
    BIGNUM *k = BN_new();
    put_number(call.rig, keys[0], false, 1);
    put_number(call.rig, keys[1], false, 2);
    put_number(call.rig, keys[2], true, -1);
    put_number(call.rig, keys[3], true, -2);
    put_number(call.rig, hashes[0], false, 0);
    put_number(call.rig, hashes[1], false, 1);
    put_number(call.rig, hashes[2], true, -1);
    put_number(call.rig, hashes[3], true, 0); /* the same as zero */
    put_number(call.rig, hashes[4], true, 1);
    memset(hashes[5], 0xff, EC_SIZE_MAX);
    random_bytes(hashes[6], EC_SIZE_MAX);
    for (size_t i = 0; i < 4 * 7; i++) {
        assert_int_equal(BN_rand(k, 512, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY), 1);
        add(&call, k, keys[i % 4], hashes[i / 4]);
        assert_int_equal(BN_set_word(k, 1 + i), 1);
        add(&call, k, keys[i % 4], hashes[i / 4]);
    }
    finish_call(&call);
    BN_free(k);
}

/* Random nonce NUMBER of 512 bits: of as many as a call takes, the same ones in each test and each lane. */
static const BIGNUM *some_nonce(size_t number)
{
    static BIGNUM *nonces[EC_LANES_MAX];
    BIGNUM **k = &nonces[number % EC_LANES_MAX];
    if (*k == NULL)
        assert_int_equal((*k = BN_new()) != NULL && BN_rand(*k, 512, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY), 1);
    return *k;
}

/* Every number of items, so that lanes are empty; what they hold does not matter. */
static void calls_of_every_size(void **state)
{
    struct call call = {.rig = rig_of(state)};
    for (size_t count = 1; count <= EC_LANES_MAX; count++) {
        random_bytes(&call.nonces, sizeof call.nonces);
        for (size_t i = 0; i < count; i++)
            add(&call, some_nonce(i + count), NULL, NULL);
        finish_call(&call);
        memset(&call.nonces, 0, sizeof call.nonces);
    }
}

/* In one lane: a nonce that is zero modulo n, or a hash that makes s zero; the others are signed. */
static void what_needs_another_nonce_is_told_and_hurts_nobody_else(void **state)
{
    struct rig *rig = rig_of(state);
    BIGNUM *h = BN_new(), *zero = BN_new();
    struct call call = {.rig = rig};
    for (size_t bad = 0; bad < 2 * EC_LANES_MAX - 2; bad++) {
        size_t place = bad % (EC_LANES_MAX - 1);
        uint8_t rs[2 * EC_SIZE_MAX];
        for (size_t i = 0; i < EC_LANES_MAX - 1; i++)
            add(&call, some_nonce(i + bad), NULL, NULL);
        if (bad == place) {
            rig_put_nonce(&call.nonces, place, place % 2 ? rig->n : zero);
        } else { /* hash = -r d, as s = 0 wants it: that of the hash 0 is r d / k */
            memset(call.hashes[place], 0, EC_SIZE_MAX);
            assert_true(rig_sign(rig, rs, call.keys[place], call.hashes[place], call.k[place]));
            assert_non_null(BN_bin2bn(rs + rig->kernel->size, (int)rig->kernel->size, h));
            assert_int_equal(BN_mod_mul(h, h, call.k[place], rig->n, rig->bn), 1);
            assert_int_equal(BN_sub(h, rig->n, h), 1);
            assert_int_equal(BN_bn2binpad(h, call.hashes[place], (int)rig->kernel->size), rig->kernel->size);
        }
        struct ec_verdict verdict = rig->kernel->sign(rig->work, &call.nonces, call.items, call.count);
        assert_int_equal(verdict.again, UINT32_C(1) << place);
        assert_int_equal(verdict.bad, 0);
        for (size_t i = 0; i < call.count; i++) {
            if (i != place) {
                assert_true(rig_sign(rig, rs, call.keys[i], call.hashes[i], call.k[i]));
                assert_memory_equal(call.items[i].rs, rs, 2 * rig->kernel->size);
            }
            BN_free(call.k[i]);
        }
        call.count = 0;
    }
    BN_free(h);
    BN_free(zero);
}

static void keys_out_of_range_are_told(void **state)
{
    struct rig *rig = rig_of(state);
    struct call call = {.rig = rig};
    BIGNUM *k = BN_new();
    assert_int_equal(BN_set_word(k, 77), 1);
    for (size_t i = 0; i < EC_LANES_MAX - 1; i++)
        add(&call, k, NULL, NULL);
    memset(call.keys[1], 0, EC_SIZE_MAX);
    put_number(rig, call.keys[7], true, 0);
    put_number(rig, call.keys[8], true, -1); /* good */
    put_number(rig, call.keys[9], true, 1);
    memset(call.keys[30], 0xff, EC_SIZE_MAX);
    struct ec_verdict verdict = rig->kernel->sign(rig->work, &call.nonces, call.items, call.count);
    assert_int_equal(verdict.bad, 1u << 1 | 1u << 7 | 1u << 9 | 1u << 30);
    for (size_t i = 0; i < call.count; i++)
        BN_free(call.k[i]);
    BN_free(k);
}

/* The HMAC as OpenSSL makes it, in every lane and for calls of every size. */
static void nonces_are_the_hmac_of_noise_key_and_hash(void **state)
{
    struct rig *rig = rig_of(state);
    size_t size = rig->kernel->size;
    struct ec_item items[EC_LANES_MAX];
    struct ec_nonces nonces;
    uint8_t key[EC_LANES_MAX][EC_SIZE_MAX], hash[EC_LANES_MAX][EC_SIZE_MAX],
        noise[EC_LANES_MAX][EC_NOISE_SIZE];
    for (size_t count = 1; count <= EC_LANES_MAX; count++) {
        uint8_t attempt = (uint8_t)(count % EC_ATTEMPTS);
        random_bytes(key, sizeof key);
        random_bytes(hash, sizeof hash);
        random_bytes(noise, sizeof noise);
        for (size_t i = 0; i < count; i++)
            items[i] = (struct ec_item){.key = key[i], .hash = hash[i]};
        rig->kernel->derive(&nonces, items, count, noise[0], attempt);
        for (size_t i = 0; i < count; i++) {
            uint8_t secret[EC_NOISE_SIZE + EC_SIZE_MAX], message[8 + EC_SIZE_MAX] = "keyless", mac[64];
            memcpy(secret, noise[i], EC_NOISE_SIZE);
            memcpy(secret + EC_NOISE_SIZE, key[i], size);
            message[7] = attempt;
            memcpy(message + 8, hash[i], size);
            assert_non_null(
                HMAC(EVP_sha512(), secret, (int)(EC_NOISE_SIZE + size), message, 8 + size, mac, NULL));
            for (size_t j = 0; j < sizeof mac; j++)
                assert_int_equal(nonces.word[i / EC_LANES][j / 8][i % EC_LANES] >> (56 - 8 * (j % 8)) & 0xff,
                                 mac[j]);
        }
    }
}

#define FOR(rig, test)                                                                                       \
    {                                                                                                        \
#test, test, rig_start, rig_stop, rig                                                                \
    }
#define ALL(rig)                                                                                             \
    FOR(rig, published_answers), FOR(rig, nonces_at_the_edges), FOR(rig, every_point_of_the_table),          \
        FOR(rig, nonces_that_are_longer), FOR(rig, keys_and_hashes_at_the_edges),                            \
        FOR(rig, calls_of_every_size), FOR(rig, what_needs_another_nonce_is_told_and_hurts_nobody_else),     \
        FOR(rig, keys_out_of_range_are_told), FOR(rig, nonces_are_the_hmac_of_noise_key_and_hash)

int main(void)
{
    const struct CMUnitTest tests[] = {ALL(&rigs[0]), ALL(&rigs[1]), ALL(&rigs[2]), ALL(&rigs[3])};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
