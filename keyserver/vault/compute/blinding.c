#include "keyserver/vault/compute/blinding.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "common/secret.h"
#include "keyserver/vault/keys/modulus.h"

/* Between renewals r is squared for each use, which costs two multiplications; a new pair costs an inversion.
 * So many uses make that a hundredth of the smallest private-key operation. */
#define USES_MAX 128

struct blinding {
    struct modulus n;
    uint64_t e;
    unsigned uses_left;    /* of this r and its squares */
    struct residue hide;   /* r^e; both in Montgomery form */
    struct residue reveal; /* 1 / r */
};

struct blinding *blinding_new(const struct key *key)
{
    struct blinding *blinding = calloc(1, sizeof *blinding);
    BIGNUM *e = NULL;
    if (blinding == NULL || EVP_PKEY_get_bn_param(key->pkey, OSSL_PKEY_PARAM_RSA_E, &e) != 1) {
        free(blinding);
        return NULL;
    }
    blinding->e = BN_get_word(e); /* no longer than that: key_file.c */
    BN_free(e);
    modulus_init(&blinding->n, key->modulus, key->result_size);
    return blinding;
}

void blinding_free(struct blinding *blinding)
{
    if (blinding == NULL)
        return;
    wipe(blinding, sizeof *blinding);
    free(blinding);
}

/* OUT = 1 / NUMBER modulo n, both in ordinary form. In variable time: see renew(). */
static int invert(const struct modulus *n, struct residue *out, const struct residue *number)
{
    uint8_t bytes[RSA_MODULUS_MAX];
    modulus_write(n, bytes, number);
    BIGNUM *value = BN_bin2bn(bytes, (int)n->size, NULL), *inverse = BN_new();
    modulus_write(n, bytes, &n->n);
    BIGNUM *modulus = BN_bin2bn(bytes, (int)n->size, NULL);
    BN_CTX *scratch = BN_CTX_new();
    bool done = value != NULL && modulus != NULL && scratch != NULL && inverse != NULL &&
                BN_mod_inverse(inverse, value, modulus, scratch) != NULL &&
                BN_bn2binpad(inverse, bytes, (int)n->size) == (int)n->size;
    if (done)
        modulus_read(n, out, bytes);
    BN_clear_free(value);
    BN_clear_free(inverse);
    BN_free(modulus);
    BN_CTX_free(scratch);
    wipe(bytes, sizeof bytes);
    return done ? 0 : ERR_CRYPTO;
}

/* Chooses 1 / r, uniform below n, and not r: so what is inverted is not r itself but 1 / r^e, which with the
 * private key alone leads to r. */
static int renew(struct blinding *blinding)
{
    const struct modulus *n = &blinding->n;
    struct residue power, hide;
    uint8_t random[RSA_MODULUS_MAX];
    do {
        random_bytes(random, n->size);
        modulus_read(n, &blinding->reveal, random); /* it is uniform in Montgomery form, too */
    } while (!modulus_has(n, &blinding->reveal));
    modulus_power(n, &power, &blinding->reveal, blinding->e);
    modulus_multiply(n, &power, &power, &(struct residue){{1}});
    int err = invert(n, &hide, &power);
    if (err == 0)
        modulus_multiply(n, &blinding->hide, &hide, &n->square);
    wipe(random, sizeof random);
    wipe(&power, sizeof power);
    wipe(&hide, sizeof hide);
    blinding->uses_left = err == 0 ? USES_MAX : 0;
    return err;
}

int blinding_hide(struct blinding *blinding, uint8_t *hidden, const uint8_t *ciphertext)
{
    const struct modulus *n = &blinding->n;
    struct residue number;
    if (blinding->uses_left == 0) {
        int err = renew(blinding);
        if (err != 0)
            return err;
    } else {
        modulus_multiply(n, &blinding->hide, &blinding->hide, &blinding->hide);
        modulus_multiply(n, &blinding->reveal, &blinding->reveal, &blinding->reveal);
    }
    blinding->uses_left--;
    modulus_read(n, &number, ciphertext);
    modulus_multiply(n, &number, &number, &blinding->hide);
    modulus_write(n, hidden, &number);
    return 0;
}

void blinding_reveal(const struct blinding *blinding, uint8_t *plain, const uint8_t *result)
{
    const struct modulus *n = &blinding->n;
    struct residue number;
    modulus_read(n, &number, result);
    modulus_multiply(n, &number, &number, &blinding->reveal);
    modulus_write(n, plain, &number);
    wipe(&number, sizeof number);
}
