#include "keyserver/vault/key_file.h"

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <string.h>

#include "common/identity.h"
#include "common/secret.h"
#include "keyserver/vault/rsa_check.h"

#define KEY_FILE_MAX 65536 /* bytes */

static const struct {
    const char *openssl; /* name of the algorithm */
    const char *group;   /* name of the curve, or NULL */
    enum key_type type;
    int bits_min, bits_max;
} types[] = {
    {"RSA", NULL, KEY_RSA, 2048, 4096},
    {"EC", "prime256v1", KEY_EC_P256, 256, 256},
    {"EC", "secp384r1", KEY_EC_P384, 384, 384},
    {"ED25519", NULL, KEY_ED25519, 0, 256},
};

/* An encrypted file has no one to ask for its passphrase. */
static int refuse_passphrase(char *out, size_t size, size_t *length, const OSSL_PARAM parameters[],
                             void *user)
{
    (void)out;
    (void)size;
    (void)parameters;
    *(bool *)user = true;
    *length = 0;
    return 0;
}

/* The first private key among the objects of CONTENT: a PEM file may hold parameters or a certificate before
 * it. */
static EVP_PKEY *decode(const struct buffer *content, bool *encrypted)
{
    EVP_PKEY *pkey = NULL;
    BIO *bio = BIO_new_mem_buf(buffer_bytes(content), (int)buffer_length(content));
    OSSL_DECODER_CTX *decoder = OSSL_DECODER_CTX_new_for_pkey(&pkey, NULL, NULL, NULL,
                                                              OSSL_KEYMGMT_SELECT_PRIVATE_KEY, NULL, NULL);
    *encrypted = false;
    if (bio != NULL && decoder != NULL &&
        OSSL_DECODER_CTX_set_passphrase_cb(decoder, refuse_passphrase, encrypted))
        for (long left = BIO_pending(bio), before = left + 1; left > 0 && left < before;) {
            if (OSSL_DECODER_from_bio(decoder, bio) == 1 && pkey != NULL)
                break;
            before = left;
            left = BIO_pending(bio);
        }
    OSSL_DECODER_CTX_free(decoder);
    BIO_free(bio);
    return pkey;
}

static bool has_text(const struct buffer *content, const char *text)
{
    return buffer_length(content) > 0 &&
           memmem(buffer_bytes(content), buffer_length(content), text, strlen(text)) != NULL;
}

/* Why nothing came out of the decoder. */
static int explain(const char *path, const struct buffer *content, bool encrypted, struct fault *fault)
{
    if (encrypted || has_text(content, "ENCRYPTED"))
        return fault_set(
            fault, ERR_CONFIG,
            "%s: encrypted, and nobody is asked for a passphrase; run: openssl pkey -in %s -out NEW", path,
            path);
    if (has_text(content, "BEGIN CERTIFICATE") || has_text(content, "BEGIN PUBLIC KEY"))
        return fault_set(
            fault, ERR_CONFIG,
            "%s: holds no private key; certificates and public keys belong on the edge, move it there", path);
    return fault_set(fault, ERR_CONFIG,
                     "%s: not a private key in PEM or DER; look at it with: openssl pkey -in %s -noout", path,
                     path);
}

static int find_type(struct key *key, const char *path, struct fault *fault)
{
    char group[64] = "";
    int bits = EVP_PKEY_get_bits(key->pkey);
    (void)EVP_PKEY_get_group_name(key->pkey, group, sizeof group, NULL);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (!EVP_PKEY_is_a(key->pkey, types[i].openssl) ||
            (types[i].group != NULL && strcmp(types[i].group, group) != 0) || bits < types[i].bits_min ||
            bits > types[i].bits_max)
            continue;
        key->type = types[i].type;
        key->bits = (uint16_t)bits;
        key->result_size = (uint16_t)EVP_PKEY_get_size(key->pkey);
        return 0;
    }
    return fault_set(fault, ERR_UNSUPPORTED,
                     "%s: a key of type %s%s%s with %d bits cannot be used; RSA of 2048 to 4096 bits, P-256, "
                     "P-384 and Ed25519 can",
                     path, EVP_PKEY_get0_type_name(key->pkey), group[0] ? " " : "", group, bits);
}

/* n as bytes, and a public exponent that makes RSA a permutation. */
static int take_modulus(struct key *key, const char *path, struct fault *fault)
{
    BIGNUM *n = NULL, *e = NULL;
    int err = 0;
    if (key->bits % 8 != 0)
        err = fault_set(fault, ERR_UNSUPPORTED, "%s: a modulus of %u bits is no whole number of bytes", path,
                        key->bits);
    else if (!EVP_PKEY_get_bn_param(key->pkey, OSSL_PKEY_PARAM_RSA_N, &n) ||
             !EVP_PKEY_get_bn_param(key->pkey, OSSL_PKEY_PARAM_RSA_E, &e) ||
             BN_bn2binpad(n, key->modulus, key->result_size) != key->result_size)
        err = fault_set(fault, ERR_CRYPTO, "%s: its numbers cannot be read", path);
    else if (!BN_is_odd(e) || BN_is_one(e) || BN_num_bits(e) > 64)
        err = fault_set(fault, ERR_UNSUPPORTED,
                        "%s: its public exponent is unusual; make a key with the exponent 65537", path);
    BN_free(n);
    BN_free(e);
    return err;
}

static int take_id(struct key *key, const char *path, struct fault *fault)
{
    unsigned char *der = NULL;
    int length = i2d_PUBKEY(key->pkey, &der);
    if (length <= 0)
        return fault_set(fault, ERR_CRYPTO, "%s: has no public half", path);
    sha256(key->id, der, (size_t)length);
    OPENSSL_free(der);
    return 0;
}

/* Private and public half must belong together: a wrong pair would make signatures that give the key away. */
static int check_pair(struct key *key, const char *path, struct fault *fault)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, key->pkey, NULL);
    bool good = key->type == KEY_RSA ? rsa_check_numbers(key->pkey)
                                     : context != NULL && EVP_PKEY_pairwise_check(context) == 1;
    EVP_PKEY_CTX_free(context);
    return good ? 0
                : fault_set(fault, ERR_CRYPTO,
                            "%s: its private and public halves do not belong together; take it from a backup",
                            path);
}

int key_file_load(struct key *key, const char *path, struct fault *fault)
{
    struct buffer content = {0};
    bool encrypted;
    int err = identity_read_secret_file(path, KEY_FILE_MAX, &content, fault);
    if (err != 0)
        return err;
    key->pkey = decode(&content, &encrypted);
    if (key->pkey == NULL)
        err = explain(path, &content, encrypted, fault);
    buffer_clear(&content);
    if (err == 0 && (err = find_type(key, path, fault)) == 0 && (err = check_pair(key, path, fault)) == 0 &&
        (err = take_id(key, path, fault)) == 0 && key->type == KEY_RSA)
        err = take_modulus(key, path, fault);
    ERR_clear_error();
    if (err != 0) {
        EVP_PKEY_free(key->pkey);
        key->pkey = NULL;
    }
    return err;
}
