#include "keyserver/vault/keys/rsa_check.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdint.h>

#include "common/secret.h"

enum number { N, E, D, P, Q, DP, DQ, QINV, NUMBERS };

static const char *const names[NUMBERS] = {
    [N] = OSSL_PKEY_PARAM_RSA_N,          [E] = OSSL_PKEY_PARAM_RSA_E,
    [D] = OSSL_PKEY_PARAM_RSA_D,          [P] = OSSL_PKEY_PARAM_RSA_FACTOR1,
    [Q] = OSSL_PKEY_PARAM_RSA_FACTOR2,    [DP] = OSSL_PKEY_PARAM_RSA_EXPONENT1,
    [DQ] = OSSL_PKEY_PARAM_RSA_EXPONENT2, [QINV] = OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
};

/* A B = 1 modulo M? */
static bool inverse(const BIGNUM *a, const BIGNUM *b, const BIGNUM *m, BN_CTX *scratch)
{
    BIGNUM *product = BN_secure_new();
    bool good = product != NULL && BN_mod_mul(product, a, b, m, scratch) == 1 && BN_is_one(product);
    BN_clear_free(product);
    return good;
}

/* The conditions that one prime P of the two has to do with. */
static bool half_fits(const BIGNUM *e, const BIGNUM *d, const BIGNUM *p, const BIGNUM *dp, BN_CTX *scratch)
{
    BIGNUM *order = BN_secure_new();
    bool good = order != NULL && BN_copy(order, p) != NULL && BN_sub_word(order, 1) == 1 &&
                BN_num_bits(order) > 1 && BN_cmp(dp, order) < 0 && inverse(e, d, order, scratch) &&
                inverse(e, dp, order, scratch);
    BN_clear_free(order);
    return good;
}

static bool numbers_fit(BIGNUM *number[NUMBERS], BN_CTX *scratch)
{
    BIGNUM *product = BN_secure_new();
    bool good = product != NULL && BN_mul(product, number[P], number[Q], scratch) == 1 &&
                BN_cmp(product, number[N]) == 0 && BN_is_odd(number[E]) && !BN_is_one(number[E]) &&
                half_fits(number[E], number[D], number[P], number[DP], scratch) &&
                half_fits(number[E], number[D], number[Q], number[DQ], scratch) &&
                BN_cmp(number[QINV], number[P]) < 0 && inverse(number[Q], number[QINV], number[P], scratch);
    BN_clear_free(product);
    return good;
}

static bool signature_verifies(EVP_PKEY *pkey)
{
    uint8_t content[32], signature[1024];
    size_t length = sizeof signature;
    EVP_MD_CTX *sign = EVP_MD_CTX_new(), *verify = EVP_MD_CTX_new();
    random_bytes(content, sizeof content);
    bool good = sign != NULL && verify != NULL && EVP_PKEY_get_size(pkey) <= (int)sizeof signature &&
                EVP_DigestSignInit_ex(sign, NULL, "SHA256", NULL, NULL, pkey, NULL) == 1 &&
                EVP_DigestSign(sign, signature, &length, content, sizeof content) == 1 &&
                EVP_DigestVerifyInit_ex(verify, NULL, "SHA256", NULL, NULL, pkey, NULL) == 1 &&
                EVP_DigestVerify(verify, signature, length, content, sizeof content) == 1;
    EVP_MD_CTX_free(sign);
    EVP_MD_CTX_free(verify);
    wipe(signature, sizeof signature);
    return good;
}

bool rsa_check_numbers(EVP_PKEY *pkey)
{
    BIGNUM *number[NUMBERS] = {NULL};
    BN_CTX *scratch = BN_CTX_secure_new();
    bool good = scratch != NULL;
    for (int i = 0; good && i < NUMBERS; i++)
        good = EVP_PKEY_get_bn_param(pkey, names[i], &number[i]) == 1;
    good = good && numbers_fit(number, scratch) && signature_verifies(pkey);
    for (int i = 0; i < NUMBERS; i++)
        BN_clear_free(number[i]);
    BN_CTX_free(scratch);
    return good;
}
