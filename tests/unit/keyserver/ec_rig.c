#include "tests/unit/keyserver/ec_rig.h"

#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

#include "keyserver/lanes/lanes.h"
#include "tests/unit/skip.h"

static bool rig_can_run(const struct rig *rig)
{
    return !rig->vector || (lanes_features() & LANES_IFMA) == LANES_IFMA;
}

int rig_start(void **state)
{
    struct rig *rig = *state;
    if (secret_init() != 0)
        return -1;
    if (rig_can_run(rig))
        rig->kernel->prepare();
    rig->group = EC_GROUP_new_by_curve_name(rig->curve);
    rig->bn = BN_CTX_new();
    rig->n = BN_dup(EC_GROUP_get0_order(rig->group));
    rig->work = secret_new((rig->kernel->work_size + 63) / 64 * 64);
    return rig->group != NULL && rig->bn != NULL && rig->n != NULL && rig->work != NULL ? 0 : -1;
}

int rig_stop(void **state)
{
    struct rig *rig = *state;
    EC_GROUP_free(rig->group);
    BN_CTX_free(rig->bn);
    BN_free(rig->n);
    secret_free(rig->work);
    return 0;
}

struct rig *rig_of(void **state)
{
    struct rig *rig = *state;
    if (!rig_can_run(rig))
        SKIP_FOR("%s: this processor has no AVX-512 IFMA", rig->kernel->name);
    return rig;
}

/* Points that were computed before, by a nonce of at most 512 bits: the same ones go to every kernel and
 * lane. */
#define RIG_MEMORY 4096

struct rig_memory {
    int curve;
    uint8_t k[64];
    BIGNUM *r; /* the point's first coordinate modulo n */
};

static struct rig_memory *rig_memory_of(int curve, const BIGNUM *k)
{
    static struct rig_memory memory[RIG_MEMORY];
    uint8_t bytes[64], hash[32];
    assert_int_equal(BN_bn2binpad(k, bytes, sizeof bytes), sizeof bytes);
    sha256(hash, bytes, sizeof bytes);
    struct rig_memory *place = &memory[(hash[0] << 8 | hash[1]) % RIG_MEMORY];
    if (place->curve == curve && memcmp(place->k, bytes, sizeof bytes) == 0)
        return place;
    BN_free(place->r);
    *place = (struct rig_memory){.curve = curve};
    memcpy(place->k, bytes, sizeof bytes);
    return place;
}

/* R = the first coordinate of K times the generator, modulo n. */
static void rig_find_r(const struct rig *rig, BIGNUM *r, const BIGNUM *k)
{
    struct rig_memory *place = rig_memory_of(rig->curve, k);
    if (place->r == NULL) {
        EC_POINT *point = EC_POINT_new(rig->group);
        place->r = BN_new();
        assert_int_equal(EC_POINT_mul(rig->group, point, k, NULL, NULL, rig->bn), 1);
        assert_int_equal(EC_POINT_get_affine_coordinates(rig->group, point, place->r, NULL, rig->bn), 1);
        assert_int_equal(BN_nnmod(place->r, place->r, rig->n, rig->bn), 1);
        EC_POINT_free(point);
    }
    assert_non_null(BN_copy(r, place->r));
}

bool rig_sign(const struct rig *rig, uint8_t *rs, const uint8_t *key, const uint8_t *hash, const BIGNUM *k)
{
    int size = (int)rig->kernel->size;
    BIGNUM *r = BN_new(), *s = BN_new(), *d = BN_bin2bn(key, size, NULL), *h = BN_bin2bn(hash, size, NULL);
    rig_find_r(rig, r, k);
    assert_int_equal(BN_mod_mul(s, r, d, rig->n, rig->bn), 1);
    assert_int_equal(BN_mod_add(s, s, h, rig->n, rig->bn), 1);
    assert_non_null(BN_mod_inverse(d, k, rig->n, rig->bn));
    assert_int_equal(BN_mod_mul(s, s, d, rig->n, rig->bn), 1);
    assert_int_equal(BN_bn2binpad(r, rs, size), size);
    assert_int_equal(BN_bn2binpad(s, rs + size, size), size);
    bool whole = !BN_is_zero(r) && !BN_is_zero(s);
    BN_free(r);
    BN_free(s);
    BN_free(d);
    BN_free(h);
    return whole;
}

void rig_put_nonce(struct ec_nonces *nonces, size_t item, const BIGNUM *k)
{
    uint8_t bytes[8 * EC_NONCE_WORDS];
    assert_int_equal(BN_bn2binpad(k, bytes, sizeof bytes), sizeof bytes);
    for (size_t i = 0; i < EC_NONCE_WORDS; i++) {
        uint64_t word = 0;
        for (size_t j = 0; j < 8; j++)
            word = word << 8 | bytes[8 * i + j];
        nonces->word[item / EC_LANES][i][item % EC_LANES] = word;
    }
}

BIGNUM *rig_get_nonce(const struct rig *rig, const struct ec_nonces *nonces, size_t item)
{
    uint8_t bytes[8 * EC_NONCE_WORDS];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(nonces->word[item / EC_LANES][i / 8][item % EC_LANES] >> (56 - 8 * (i % 8)));
    BIGNUM *k = BN_bin2bn(bytes, sizeof bytes, NULL);
    assert_int_equal(BN_nnmod(k, k, rig->n, rig->bn), 1);
    return k;
}

void rig_random_key(const struct rig *rig, uint8_t *key)
{
    BIGNUM *d = BN_new();
    do
        assert_int_equal(BN_priv_rand_range(d, rig->n), 1);
    while (BN_is_zero(d));
    assert_int_equal(BN_bn2binpad(d, key, (int)rig->kernel->size), rig->kernel->size);
    BN_free(d);
}
