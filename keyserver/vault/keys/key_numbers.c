#include "keyserver/vault/keys/key_numbers.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>

#include "common/secret.h"
#include "common/secret_slot.h"
#include "keyserver/lanes/ed_lanes.h"
#include "keyserver/lanes/lanes.h"

#define FACTOR_MAX (RSA_MODULUS_MAX / 2)

/* ---- RSA ---- */

/* The factors and what belongs to them, as they go to the lanes. */
struct factors {
    uint8_t p[FACTOR_MAX], q[FACTOR_MAX];
    uint8_t dp[FACTOR_MAX], dq[FACTOR_MAX];
    uint8_t qinv[FACTOR_MAX];
};

/* The number NAME of PKEY as SIZE bytes; false when it has another size, or there is none. */
static bool get_number(const EVP_PKEY *pkey, const char *name, uint8_t *out, size_t size)
{
    BIGNUM *number = NULL;
    bool done = EVP_PKEY_get_bn_param(pkey, name, &number) == 1 &&
                BN_bn2binpad(number, out, (int)size) == (int)size;
    BN_clear_free(number);
    return done;
}

static bool get_exponent(const EVP_PKEY *pkey, uint64_t *out)
{
    BIGNUM *e = NULL;
    bool done = EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e) == 1;
    *out = done ? BN_get_word(e) : 0;
    BN_free(e);
    return done;
}

static enum batch_class rsa_class(const struct key *key)
{
    switch (key->rsa != NULL ? rsa_lanes_key_size(key->rsa) : 0) {
    case 256:
        return BATCH_RSA_2048;
    case 384:
        return BATCH_RSA_3072;
    case 512:
        return BATCH_RSA_4096;
    default:
        return BATCH_RSA_SINGLE;
    }
}

static int make_rsa_lanes(struct key *key)
{
    size_t half = key->result_size / 2;
    struct rsa_numbers numbers = {.size = key->result_size, .n = key->modulus};
    struct factors *of = secret_new(sizeof *of);
    if (of == NULL)
        return ERR_MEMORY;
    int err = get_exponent(key->pkey, &numbers.e) &&
                      get_number(key->pkey, OSSL_PKEY_PARAM_RSA_FACTOR1, of->p, half) &&
                      get_number(key->pkey, OSSL_PKEY_PARAM_RSA_FACTOR2, of->q, half) &&
                      get_number(key->pkey, OSSL_PKEY_PARAM_RSA_EXPONENT1, of->dp, half) &&
                      get_number(key->pkey, OSSL_PKEY_PARAM_RSA_EXPONENT2, of->dq, half) &&
                      get_number(key->pkey, OSSL_PKEY_PARAM_RSA_COEFFICIENT1, of->qinv, half)
                  ? 0
                  : ERR_UNSUPPORTED;
    if (err == 0) {
        numbers.p = of->p;
        numbers.q = of->q;
        numbers.dp = of->dp;
        numbers.dq = of->dq;
        numbers.qinv = of->qinv;
        err = rsa_lanes_key_new(&key->rsa, &numbers);
    }
    secret_free(of);
    return err == ERR_UNSUPPORTED ? 0 : err;
}

static int make_rsa(struct key *key, enum lanes_id lanes)
{
    int err = rsa_single_new(&key->rsa_single, key->pkey);
    if (err == 0 && lanes_state(lanes) == LANES_READY)
        err = make_rsa_lanes(key);
    key->class = rsa_class(key);
    return err;
}

/* ---- curves ---- */

static int make_scalar(struct key *key, enum lanes_id lanes)
{
    size_t size = key_number_size(key);
    if (lanes_state(lanes) != LANES_READY)
        return 0;
    key->scalar = secret_slot_new(size);
    if (key->scalar == NULL)
        return ERR_MEMORY;
    return get_number(key->pkey, OSSL_PKEY_PARAM_PRIV_KEY, key->scalar, size) ? 0 : ERR_CRYPTO;
}

static int derive_ed25519(struct key *key, enum lanes_id lanes, const uint8_t seed[static SIGN_SEED_SIZE])
{
    if (lanes_state(lanes) == LANES_READY) {
        key->ed25519_lanes = secret_slot_new(sizeof *key->ed25519_lanes);
        if (key->ed25519_lanes != NULL)
            ed_key_derive(key->ed25519_lanes, seed);
        return key->ed25519_lanes != NULL ? 0 : ERR_MEMORY;
    }
    key->ed25519 = secret_slot_new(sizeof *key->ed25519);
    if (key->ed25519 != NULL)
        sign_derive(key->ed25519, seed);
    return key->ed25519 != NULL ? 0 : ERR_MEMORY;
}

static int make_ed25519(struct key *key, enum lanes_id lanes)
{
    uint8_t seed[SIGN_SEED_SIZE];
    size_t size = sizeof seed;
    bool done = EVP_PKEY_get_raw_private_key(key->pkey, seed, &size) == 1 && size == sizeof seed;
    int err = done ? derive_ed25519(key, lanes, seed) : ERR_CRYPTO;
    wipe(seed, sizeof seed);
    return err;
}

/* What each type is computed with; LANES_NONE and no `make`: OpenSSL does all. RSA's class is that of its
 * size. */
static const struct {
    int (*make)(struct key *key, enum lanes_id lanes);
    enum batch_class class;
    enum lanes_id lanes;
} types[KEY_TYPES] = {
    [KEY_RSA] = {make_rsa, BATCH_RSA_SINGLE, LANES_RSA},
    [KEY_EC_P256] = {make_scalar, BATCH_P256, LANES_P256},
    [KEY_EC_P384] = {make_scalar, BATCH_P384, LANES_P384},
    [KEY_ED25519] = {make_ed25519, BATCH_ED25519, LANES_ED25519},
};

int key_numbers_make(struct key *key)
{
    if (key_type_find(key->type) == NULL)
        return ERR_UNSUPPORTED;
    key->class = types[key->type].class;
    return types[key->type].make == NULL ? 0 : types[key->type].make(key, types[key->type].lanes);
}

void key_numbers_free(struct key *key)
{
    rsa_single_free(key->rsa_single);
    rsa_lanes_key_free(key->rsa);
    secret_slot_free(key->scalar);
    secret_slot_free(key->ed25519);
    secret_slot_free(key->ed25519_lanes);
}
