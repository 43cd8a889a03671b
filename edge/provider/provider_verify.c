#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <string.h>

#include "common/bytes.h"
#include "edge/provider/provider_internal.h"

#define ED25519_SIGNATURE_SIZE 64
#define DER_SEQUENCE           0x30
#define DER_INTEGER            0x02
#define DER_SHORT_MAX          127 /* longest length in one byte; P-384 needs at most 102 */
#define ORDER_MAX              48

/* Orders of the curves, SEC 2. */
static const uint8_t order_p256[32] = {
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
};
static const uint8_t order_p384[ORDER_MAX] = {
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf,
    0x58, 0x1a, 0x0d, 0xb2, 0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73,
};

/* A DER INTEGER in its shortest form, positive, and below ORDER of SIZE bytes. */
static bool integer_valid(struct reader *r, const uint8_t *order, size_t size)
{
    uint8_t padded[ORDER_MAX] = {0};
    uint8_t tag = reader_u8(r);
    size_t length = reader_u8(r);
    const uint8_t *bytes = reader_bytes(r, length);
    if (r->bad || tag != DER_INTEGER || length == 0 || (bytes[0] & 0x80) != 0)
        return false;
    if (bytes[0] == 0) {
        if (length == 1 || (bytes[1] & 0x80) == 0)
            return false; /* zero, or a leading zero that is not needed */
        bytes++;
        length--;
    }
    if (length > size)
        return false;
    memcpy(padded + size - length, bytes, length);
    return memcmp(padded, order, size) < 0;
}

static bool ecdsa_valid(const uint8_t *signature, size_t length, const uint8_t *order, size_t size)
{
    struct reader r;
    reader_init(&r, signature, length);
    uint8_t tag = reader_u8(&r);
    size_t content = reader_u8(&r);
    if (r.bad || tag != DER_SEQUENCE || content > DER_SHORT_MAX || content != reader_left(&r))
        return false;
    return integer_valid(&r, order, size) && integer_valid(&r, order, size) && reader_done(&r);
}

int verify_form(const struct remote_key *key, const uint8_t *signature, size_t length)
{
    bool valid = false;
    if (key->type == KEY_RSA)
        valid = length == key->size;
    else if (key->type == KEY_ED25519)
        valid = length == ED25519_SIGNATURE_SIZE;
    else if (key->type == KEY_EC_P256)
        valid = ecdsa_valid(signature, length, order_p256, sizeof order_p256);
    else if (key->type == KEY_EC_P384)
        valid = ecdsa_valid(signature, length, order_p384, sizeof order_p384);
    return valid ? 0 : ERR_LENGTH;
}

int verify_signature(const struct remote_key *key, const struct signature_form *form,
                     const uint8_t *signature, size_t length, const uint8_t *tbs, size_t tbs_length)
{
    char digest_salt[] = OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST;
    char pss[] = OSSL_PKEY_RSA_PAD_MODE_PSS;
    OSSL_PARAM params[] = {
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, pss, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, digest_salt, 0),
        OSSL_PARAM_END,
    };
    ERR_set_mark(); /* OpenSSL's reason says nothing useful about a wrong signature; the caller reports it */
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    int verified = context != NULL &&
                   EVP_DigestVerifyInit_ex(context, NULL, form->digest, key->provider->context,
                                           PROVIDER_DEFAULT_ONLY, key->public_key,
                                           form->pss ? params : NULL) == 1 &&
                   EVP_DigestVerify(context, signature, length, tbs, tbs_length) == 1;
    EVP_MD_CTX_free(context);
    ERR_pop_to_mark();
    return verified ? 0 : ERR_CRYPTO;
}
