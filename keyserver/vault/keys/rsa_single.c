#include "keyserver/vault/keys/rsa_single.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "common/secret.h"
#include "common/secret_slot.h"
#include "keyserver/vault/keys/modulus.h"

/* One of the two halves. OpenSSL has its factor once more. */
struct half {
    struct modulus factor;
    BIGNUM *factor_number;  /* owned; this and what follows */
    BIGNUM *exponent;       /* d modulo (factor - 1) */
    BN_MONT_CTX *reduction; /* modulo the factor */
};

struct rsa_single {
    struct modulus n;
    struct half p, q;
    struct residue qinv;    /* 1 / q modulo p, in Montgomery form */
    BIGNUM *n_number, *e;   /* owned; this and what follows */
    BN_MONT_CTX *reduction; /* modulo n */
};

/* The residues of one number, below n, modulo the factors. */
struct residues {
    struct residue p, q, quotient;
};

/* All that an operation works on, and none of it on a stack: a number beside its residue modulo a factor
 * gives that factor away to whoever sees both, and a stack can be looked at from outside
 * (perf_event_open(2)). */
struct rsa_single_scratch {
    BN_CTX *numbers; /* owned */
    struct residue number;
    struct residues of;
    uint8_t bytes[RSA_MODULUS_MAX]; /* on the way to and from OpenSSL */
};

/* ---- making ---- */

/* Owned by the caller, in OpenSSL's secure heap where there is one; NULL on failure. */
static BIGNUM *get_number(const EVP_PKEY *pkey, const char *name)
{
    BIGNUM *number = BN_secure_new();
    if (number != NULL && EVP_PKEY_get_bn_param(pkey, name, &number) == 1)
        return number;
    BN_clear_free(number);
    return NULL;
}

static BN_MONT_CTX *reduction_for(const BIGNUM *modulus, BN_CTX *scratch)
{
    BN_MONT_CTX *reduction = BN_MONT_CTX_new();
    if (reduction != NULL && modulus != NULL && BN_MONT_CTX_set(reduction, modulus, scratch) == 1)
        return reduction;
    BN_MONT_CTX_free(reduction);
    return NULL;
}

static bool set_modulus(struct modulus *m, const BIGNUM *number)
{
    uint8_t bytes[RSA_MODULUS_MAX];
    int size = BN_num_bytes(number);
    bool done = size <= (int)sizeof bytes && BN_bn2binpad(number, bytes, size) == size;
    if (done)
        modulus_init(m, bytes, (size_t)size);
    wipe(bytes, sizeof bytes);
    return done;
}

static bool make_half(struct half *half, const EVP_PKEY *pkey, const char *factor, const char *exponent,
                      BN_CTX *scratch)
{
    half->factor_number = get_number(pkey, factor);
    half->exponent = get_number(pkey, exponent);
    half->reduction = reduction_for(half->factor_number, scratch);
    return half->exponent != NULL && half->reduction != NULL &&
           set_modulus(&half->factor, half->factor_number);
}

static bool make_qinv(struct rsa_single *key, const EVP_PKEY *pkey)
{
    const struct modulus *p = &key->p.factor;
    uint8_t bytes[RSA_MODULUS_MAX];
    BIGNUM *number = get_number(pkey, OSSL_PKEY_PARAM_RSA_COEFFICIENT1);
    bool done = number != NULL && BN_bn2binpad(number, bytes, (int)p->size) == (int)p->size;
    if (done) {
        modulus_read(p, &key->qinv, bytes);
        modulus_multiply(p, &key->qinv, &key->qinv, &p->square);
    }
    BN_clear_free(number);
    wipe(bytes, sizeof bytes);
    return done;
}

static bool fill_key(struct rsa_single *key, const EVP_PKEY *pkey, BN_CTX *scratch)
{
    key->n_number = get_number(pkey, OSSL_PKEY_PARAM_RSA_N);
    key->e = get_number(pkey, OSSL_PKEY_PARAM_RSA_E);
    key->reduction = reduction_for(key->n_number, scratch);
    return key->e != NULL && key->reduction != NULL && set_modulus(&key->n, key->n_number) &&
           make_half(&key->p, pkey, OSSL_PKEY_PARAM_RSA_FACTOR1, OSSL_PKEY_PARAM_RSA_EXPONENT1, scratch) &&
           make_half(&key->q, pkey, OSSL_PKEY_PARAM_RSA_FACTOR2, OSSL_PKEY_PARAM_RSA_EXPONENT2, scratch) &&
           make_qinv(key, pkey);
}

int rsa_single_new(struct rsa_single **out, const EVP_PKEY *pkey)
{
    struct rsa_single *key = secret_slot_new(sizeof *key);
    BN_CTX *scratch = BN_CTX_secure_new();
    int err = key == NULL || scratch == NULL ? ERR_MEMORY : fill_key(key, pkey, scratch) ? 0 : ERR_CRYPTO;
    BN_CTX_free(scratch);
    if (err == 0)
        *out = key;
    else
        rsa_single_free(key);
    return err;
}

static void clear_half(struct half *half)
{
    BN_clear_free(half->factor_number);
    BN_clear_free(half->exponent);
    BN_MONT_CTX_free(half->reduction);
}

void rsa_single_free(struct rsa_single *key)
{
    if (key == NULL)
        return;
    clear_half(&key->p);
    clear_half(&key->q);
    BN_free(key->n_number);
    BN_free(key->e);
    BN_MONT_CTX_free(key->reduction);
    secret_slot_free(key);
}

/* ---- the private operation ---- */

int rsa_single_scratch_new(struct rsa_single_scratch **out)
{
    struct rsa_single_scratch *scratch = secret_new(sizeof *scratch);
    *out = scratch;
    if (scratch == NULL)
        return ERR_MEMORY;
    scratch->numbers = BN_CTX_secure_new();
    if (scratch->numbers != NULL)
        return 0;
    rsa_single_scratch_free(scratch);
    *out = NULL;
    return ERR_MEMORY;
}

void rsa_single_scratch_free(struct rsa_single_scratch *scratch)
{
    if (scratch == NULL)
        return;
    BN_CTX_free(scratch->numbers);
    secret_free(scratch);
}

/* The number OUT of OpenSSL is that of M's length in RESIDUE. BYTES are room for it. */
static bool put_residue(BIGNUM *out, const struct modulus *m, const struct residue *residue, uint8_t *bytes)
{
    modulus_write(m, bytes, residue);
    bool done = BN_bin2bn(bytes, (int)m->size, out) != NULL;
    wipe(bytes, m->size);
    return done;
}

static bool get(struct residue *out, const struct modulus *m, const BIGNUM *number, uint8_t *bytes)
{
    bool done = BN_bn2binpad(number, bytes, (int)m->size) == (int)m->size;
    if (done)
        modulus_read(m, out, bytes);
    wipe(bytes, m->size);
    return done;
}

/* Raises both at once, which on some processors costs much less than one after the other. BASES and POWERS
 * are two numbers each. */
static bool raise(const struct rsa_single *key, struct rsa_single_scratch *scratch, BIGNUM *const bases[2],
                  BIGNUM *const powers[2])
{
    struct residues *of = &scratch->of;
    uint8_t *bytes = scratch->bytes;
    const struct half *p = &key->p, *q = &key->q;
    return put_residue(bases[0], &p->factor, &of->p, bytes) &&
           put_residue(bases[1], &q->factor, &of->q, bytes) &&
           BN_mod_exp_mont_consttime_x2(powers[0], bases[0], p->exponent, p->factor_number, p->reduction,
                                        powers[1], bases[1], q->exponent, q->factor_number, q->reduction,
                                        scratch->numbers) == 1 &&
           get(&of->p, &p->factor, powers[0], bytes) && get(&of->q, &q->factor, powers[1], bytes);
}

/* With numbers of OpenSSL's, which are zero again when it returns. */
static bool raise_with(const struct rsa_single *key, struct rsa_single_scratch *scratch)
{
    BIGNUM *numbers[4] = {NULL};
    bool done = true;
    BN_CTX_start(scratch->numbers);
    for (size_t i = 0; i < 4; i++)
        done = (numbers[i] = BN_CTX_get(scratch->numbers)) != NULL && done;
    done = done && raise(key, scratch, numbers, numbers + 2);
    for (size_t i = 0; i < 4; i++)
        if (numbers[i] != NULL)
            BN_clear(numbers[i]);
    BN_CTX_end(scratch->numbers);
    return done;
}

static void split(const struct rsa_single *key, struct residues *out, const struct residue *number)
{
    modulus_reduce(&key->p.factor, &out->p, number, key->n.limbs);
    modulus_reduce(&key->q.factor, &out->q, number, key->n.limbs);
}

/* OUT = q' + q ((p' - q') / q modulo p), for the residues p' and q' (Garner 1959). */
static void join_residues(const struct rsa_single *key, struct residue *out, struct residues *of)
{
    const struct modulus *p = &key->p.factor, *q = &key->q.factor;
    struct residue *quotient = &of->quotient;
    modulus_reduce(p, quotient, &of->q, q->limbs);
    modulus_subtract(p, quotient, &of->p, quotient);
    modulus_multiply(p, quotient, quotient, &key->qinv);
    residue_multiply_add(out, quotient, p->limbs, &q->n, q->limbs, &of->q);
}

int rsa_single_private(const struct rsa_single *key, struct rsa_single_scratch *scratch, uint8_t *out,
                       const uint8_t *in)
{
    struct residue *number = &scratch->number;
    modulus_read(&key->n, number, in);
    split(key, &scratch->of, number);
    wipe(number, sizeof *number);
    wipe_stack(); /* of the divisions */
    int err = raise_with(key, scratch) ? 0 : ERR_CRYPTO;
    if (err == 0) {
        join_residues(key, number, &scratch->of);
        modulus_write(&key->n, out, number);
    }
    wipe(number, sizeof *number);
    wipe(&scratch->of, sizeof scratch->of);
    wipe_stack();
    return err;
}

/* ---- the public operation ---- */

int rsa_single_public(const struct rsa_single *key, struct rsa_single_scratch *room, uint8_t *out,
                      const uint8_t *in)
{
    BN_CTX *scratch = room->numbers;
    BN_CTX_start(scratch);
    BIGNUM *base = BN_CTX_get(scratch), *power = BN_CTX_get(scratch);
    bool done = power != NULL && BN_bin2bn(in, (int)key->n.size, base) != NULL &&
                BN_mod_exp_mont(power, base, key->e, key->n_number, scratch, key->reduction) == 1 &&
                BN_bn2binpad(power, out, (int)key->n.size) == (int)key->n.size;
    if (power != NULL) {
        BN_clear(base);
        BN_clear(power);
    }
    BN_CTX_end(scratch);
    return done ? 0 : ERR_CRYPTO;
}
