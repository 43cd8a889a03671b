#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <string.h>

#include "common/bytes.h"
#include "edge/provider/provider_internal.h"

#define DER_SEQUENCE  0x30
#define DER_INTEGER   0x02
#define DER_SHORT_MAX 127
#define DER_LONG_ONE  0x81 /* a length above 127, in the byte that follows */
#define ORDER_MAX     66   /* P-521 */

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

/* Reads a DER length in its shortest form, up to 255. */
static size_t read_length(struct reader *r)
{
    size_t length = reader_u8(r);
    if (length <= DER_SHORT_MAX)
        return length;
    size_t longer = reader_u8(r);
    r->bad = r->bad || length != DER_LONG_ONE || longer <= DER_SHORT_MAX;
    return longer;
}

static bool ecdsa_valid(const uint8_t *signature, size_t length, const struct key_type_info *type)
{
    struct reader r;
    reader_init(&r, signature, length);
    uint8_t tag = reader_u8(&r);
    size_t content = read_length(&r);
    if (r.bad || tag != DER_SEQUENCE || content != reader_left(&r))
        return false;
    return integer_valid(&r, type->order, type->order_size) &&
           integer_valid(&r, type->order, type->order_size) && reader_done(&r);
}

/* RSA and EdDSA make signatures of one length. */
int verify_form(const struct remote_key *key, const uint8_t *signature, size_t length)
{
    const struct key_type_info *type = key_type_find(key->type);
    if (type == NULL)
        return ERR_LENGTH;
    bool valid = type->order != NULL ? ecdsa_valid(signature, length, type) : length == key->size;
    return valid ? 0 : ERR_LENGTH;
}

static const char *digest_of(const struct scheme_info *scheme)
{
    static const struct {
        uint16_t bits;
        const char *name;
    } digests[] = {{256, "SHA2-256"}, {384, "SHA2-384"}, {512, "SHA2-512"}};
    for (size_t i = 0; i < sizeof digests / sizeof digests[0]; i++)
        if (digests[i].bits == scheme->hash_bits)
            return digests[i].name;
    return NULL; /* the message itself is signed */
}

int verify_signature(const struct remote_key *key, const struct scheme_info *scheme, const uint8_t *signature,
                     size_t length, const uint8_t *tbs, size_t tbs_length)
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
                   EVP_DigestVerifyInit_ex(context, NULL, digest_of(scheme), key->provider->context,
                                           PROVIDER_DEFAULT_ONLY, key->public_key,
                                           scheme->pss ? params : NULL) == 1 &&
                   EVP_DigestVerify(context, signature, length, tbs, tbs_length) == 1;
    EVP_MD_CTX_free(context);
    ERR_pop_to_mark();
    return verified ? 0 : ERR_CRYPTO;
}
