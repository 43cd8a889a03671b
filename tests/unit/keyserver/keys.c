#include "tests/unit/keyserver/keys.h"

#include <limits.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

/* ---- making them ---- */

/* The key of the primes P and Q, which are taken, with e = 65537. */
static EVP_PKEY *keys_rsa_of(BIGNUM *p, BIGNUM *q)
{
    enum { N, E, D, P, Q, DP, DQ, QINV, P1, Q1, PHI, COUNT };
    static const char *const names[] = {
        "n", "e", "d", "rsa-factor1", "rsa-factor2", "rsa-exponent1", "rsa-exponent2", "rsa-coefficient1"};
    BIGNUM *number[COUNT] = {[P] = p, [Q] = q};
    BN_CTX *scratch = BN_CTX_new();
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    EVP_PKEY *pkey = NULL;
    for (size_t i = 0; i < COUNT; i++)
        number[i] = number[i] != NULL ? number[i] : BN_new();
    assert_true(BN_set_word(number[E], 65537) && BN_sub(number[P1], p, BN_value_one()) &&
                BN_sub(number[Q1], q, BN_value_one()) && BN_mul(number[N], p, q, scratch) &&
                BN_mul(number[PHI], number[P1], number[Q1], scratch) &&
                BN_mod_inverse(number[D], number[E], number[PHI], scratch) != NULL &&
                BN_nnmod(number[DP], number[D], number[P1], scratch) &&
                BN_nnmod(number[DQ], number[D], number[Q1], scratch) &&
                BN_mod_inverse(number[QINV], q, p, scratch) != NULL);
    for (size_t i = 0; i <= QINV; i++)
        assert_int_equal(OSSL_PARAM_BLD_push_BN(build, names[i], number[i]), 1);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    assert_true(EVP_PKEY_fromdata_init(context) > 0 &&
                EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_KEYPAIR, params) > 0);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    EVP_PKEY_CTX_free(context);
    BN_CTX_free(scratch);
    for (size_t i = 0; i < COUNT; i++)
        BN_free(number[i]);
    return pkey;
}

EVP_PKEY *keys_rsa(size_t bits)
{
    static size_t made[3];
    BIGNUM *p = NULL, *q = NULL;
    bool known = bits >= 2048 && bits <= 4096 && bits % 1024 == 0;
    if (known && primes_find_pair(bits / 2, made[bits / 1024 - 2]++, &p, &q))
        return keys_rsa_of(p, q);
    EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", bits);
    assert_non_null(pkey);
    return pkey;
}

EVP_PKEY *keys_ec(const char *group)
{
    EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", group);
    assert_non_null(pkey);
    return pkey;
}

EVP_PKEY *keys_edwards(const char *type)
{
    EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, type);
    assert_non_null(pkey);
    return pkey;
}

void keys_id(const EVP_PKEY *pkey, uint8_t id[static KEY_ID_SIZE])
{
    unsigned char *der = NULL;
    int length = i2d_PUBKEY(pkey, &der);
    assert_true(length > 0);
    sha256(id, der, (size_t)length);
    OPENSSL_free(der);
}

/* ---- their files ---- */

void keys_make_folder(char path[static KEYS_PATH_SIZE])
{
    strcpy(path, "/tmp/test_keys.XXXXXX");
    assert_non_null(mkdtemp(path));
}

void keys_remove_folder(const char *path)
{
    char file[KEYS_PATH_SIZE + NAME_MAX + 2];
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.' || strlen(entry->d_name) > 2)
            (void)(unlink(file) == 0 || rmdir(file) == 0);
    }
    closedir(dir);
    assert_int_equal(rmdir(path), 0);
}

FILE *keys_file(const char *folder, const char *name)
{
    char path[KEYS_PATH_SIZE + NAME_MAX + 2];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fchmod(fileno(file), 0600), 0);
    return file;
}

void keys_write(const char *folder, const char *name, const EVP_PKEY *pkey)
{
    FILE *file = keys_file(folder, name);
    const char *dot = strrchr(name, '.');
    if (dot != NULL && strcmp(dot, ".der") == 0)
        assert_int_equal(i2d_PKCS8PrivateKey_fp(file, pkey, NULL, NULL, 0, NULL, NULL), 1);
    else
        assert_int_equal(PEM_write_PKCS8PrivateKey(file, pkey, NULL, NULL, 0, NULL, NULL), 1);
    assert_int_equal(fclose(file), 0);
}

void keys_write_text(const char *folder, const char *name, const char *text)
{
    FILE *file = keys_file(folder, name);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* ---- what is asked of them ---- */

struct operation keys_tls13(const EVP_PKEY *pkey, uint16_t scheme, uint16_t hash_length)
{
    struct operation operation = {.kind = OP_SIGN_TLS13};
    keys_id(pkey, operation.key_id);
    operation.u.sign_tls13.scheme = scheme;
    operation.u.sign_tls13.hash_length = hash_length;
    random_bytes(operation.u.sign_tls13.hash, TRANSCRIPT_HASH_MAX);
    return operation;
}

size_t keys_share(uint16_t curve, uint8_t out[static 133])
{
    static const char *const names[] = {
        [CURVE_P256] = "P-256", [CURVE_P384] = "P-384", [CURVE_P521] = "P-521"};
    EVP_PKEY *pkey = curve == CURVE_X25519 ? keys_edwards("X25519")
                     : curve == CURVE_X448 ? keys_edwards("X448")
                                           : keys_ec(names[curve]);
    unsigned char *encoded = NULL;
    size_t length = EVP_PKEY_get1_encoded_public_key(pkey, &encoded);
    assert_in_range(length, 32, 133);
    memcpy(out, encoded, length);
    OPENSSL_free(encoded);
    EVP_PKEY_free(pkey);
    return length;
}

struct operation keys_tls12(const EVP_PKEY *pkey, uint16_t scheme, uint16_t curve)
{
    struct operation operation = {.kind = OP_SIGN_TLS12};
    uint8_t *params = operation.u.sign_tls12.params;
    keys_id(pkey, operation.key_id);
    operation.u.sign_tls12.scheme = scheme;
    random_bytes(operation.u.sign_tls12.client_random, TLS_RANDOM_SIZE);
    random_bytes(operation.u.sign_tls12.server_random, TLS_RANDOM_SIZE);
    size_t length = keys_share(curve, params + 4);
    params[0] = 3;
    params[1] = (uint8_t)(curve >> 8);
    params[2] = (uint8_t)curve;
    params[3] = (uint8_t)length;
    operation.u.sign_tls12.params_length = (uint16_t)(length + 4);
    return operation;
}

void keys_encrypt_raw(EVP_PKEY *pkey, const uint8_t *block, uint8_t *out)
{
    size_t k = (size_t)EVP_PKEY_get_size(pkey), size = RSA_MODULUS_MAX;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    assert_true(EVP_PKEY_encrypt_init(context) > 0);
    assert_true(EVP_PKEY_CTX_set_rsa_padding(context, RSA_NO_PADDING) > 0);
    assert_true(EVP_PKEY_encrypt(context, out, &size, block, k) > 0);
    assert_int_equal(size, k);
    EVP_PKEY_CTX_free(context);
}

void keys_pad(uint8_t *block, size_t k, const uint8_t secret[static TLS_PREMASTER_SIZE])
{
    random_bytes(block, k);
    for (size_t i = 2; i < k - TLS_PREMASTER_SIZE - 1; i++)
        block[i] |= 1;
    block[0] = 0;
    block[1] = 2;
    block[k - TLS_PREMASTER_SIZE - 1] = 0;
    memcpy(block + k - TLS_PREMASTER_SIZE, secret, TLS_PREMASTER_SIZE);
}

struct operation keys_premaster(EVP_PKEY *pkey, uint16_t version, const uint8_t *block)
{
    struct operation operation = {.kind = OP_RSA_PREMASTER};
    keys_id(pkey, operation.key_id);
    operation.u.rsa_premaster.client_version = version;
    operation.u.rsa_premaster.ciphertext_length = (uint16_t)EVP_PKEY_get_size(pkey);
    keys_encrypt_raw(pkey, block, operation.u.rsa_premaster.ciphertext);
    return operation;
}

void keys_spoil(uint8_t *block, size_t k, unsigned kind)
{
    const struct {
        size_t at;
        uint8_t value;
    } change[KEYS_SPOILT] = {
        {0, 1},      /* the first byte */
        {1, 1},      /* block type 01 */
        {1, 0},      /* block type 00 */
        {2, 0},      /* no padding */
        {9, 0},      /* seven bytes of padding */
        {10, 0},     /* eight, and a long secret */
        {k - 50, 0}, /* a secret one longer */
        {k - 49, 7}, /* no separator where it should be: a secret that is shorter */
        {k - 48, 2}, /* version */
        {k - 47, 1}, /* version */
        {k / 2, 0},  /* a zero in the middle of the padding */
    };
    if (kind < 11)
        block[change[kind].at] = change[kind].value;
    else if (kind == 11)
        memset(block + 2, 9, k - 2); /* no zero at all */
    else
        memset(block, kind == 12 ? 0 : 0x11, k); /* a small number; a large one */
    if (kind == 7)
        block[k - 48] = 0;
    if (kind == 12)
        block[k - 1] = 2;
}

/* ---- what comes back ---- */

size_t keys_content(const struct operation *operation, uint8_t out[static 256])
{
    size_t at = 0;
    if (operation->kind == OP_SIGN_TLS13) {
        memset(out, ' ', 64);
        memcpy(out + 64, "TLS 1.3, server CertificateVerify", 34);
        at = 64 + 34;
        memcpy(out + at, operation->u.sign_tls13.hash, operation->u.sign_tls13.hash_length);
        return at + operation->u.sign_tls13.hash_length;
    }
    memcpy(out, operation->u.sign_tls12.client_random, 32);
    memcpy(out + 32, operation->u.sign_tls12.server_random, 32);
    memcpy(out + 64, operation->u.sign_tls12.params, operation->u.sign_tls12.params_length);
    return 64 + (size_t)operation->u.sign_tls12.params_length;
}

struct crypto_input keys_input(const struct operation *operation)
{
    struct crypto_input input = {.kind = operation->kind};
    uint8_t content[256];
    if (operation->kind == OP_RSA_PREMASTER) {
        input.u.exchange.client_version = operation->u.rsa_premaster.client_version;
        input.u.exchange.ciphertext_length = operation->u.rsa_premaster.ciphertext_length;
        memcpy(input.u.exchange.ciphertext, operation->u.rsa_premaster.ciphertext,
               operation->u.rsa_premaster.ciphertext_length);
        return input;
    }
    input.u.sign.scheme = operation->kind == OP_SIGN_TLS13 ? operation->u.sign_tls13.scheme
                                                           : operation->u.sign_tls12.scheme;
    input.u.sign.length = (uint16_t)keys_content(operation, content);
    memcpy(input.u.sign.content, content, input.u.sign.length);
    return input;
}

bool keys_verify(EVP_PKEY *pkey, const struct operation *operation, uint16_t scheme, const uint8_t *signature,
                 size_t length)
{
    uint8_t content[256];
    size_t content_length = keys_content(operation, content);
    const struct scheme_info *info = scheme_find(scheme);
    static const char *const digests[] = {[0] = NULL, [2] = "SHA256", [3] = "SHA384", [5] = "SHA512"};
    EVP_MD_CTX *message = EVP_MD_CTX_new();
    EVP_PKEY_CTX *context = NULL;
    assert_non_null(info);
    assert_int_equal(
        EVP_DigestVerifyInit_ex(message, &context, digests[info->hash_bits / 100], NULL, NULL, pkey, NULL),
        1);
    if (info->pss) {
        assert_true(EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) > 0);
        assert_true(EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) > 0);
    }
    bool good = EVP_DigestVerify(message, signature, length, content, content_length) == 1;
    EVP_MD_CTX_free(message);
    ERR_clear_error();
    return good;
}
