#include "keyserver/vault/keys/key_cost.h"

#include <openssl/asn1t.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

/* A number that is missing, negative or has more than 64 bits is too large. */
static uint64_t number(const ASN1_INTEGER *integer)
{
    uint64_t value;
    return integer != NULL && ASN1_INTEGER_get_uint64(&value, integer) == 1 ? value : UINT64_MAX;
}

static enum key_cost cost_of_iterations(const ASN1_INTEGER *iterations)
{
    return number(iterations) > KEY_COST_ITERATIONS ? KEY_COST_MANY_ITERATIONS : KEY_COST_FAIR;
}

static enum key_cost cost_of_pbkdf2(const ASN1_TYPE *parameters)
{
    PBKDF2PARAM *pbkdf2 = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBKDF2PARAM), parameters);
    enum key_cost cost = pbkdf2 != NULL ? cost_of_iterations(pbkdf2->iter) : KEY_COST_FAIR;
    PBKDF2PARAM_free(pbkdf2);
    return cost;
}

static enum key_cost cost_of_scrypt(const ASN1_TYPE *parameters)
{
    SCRYPT_PARAMS *scrypt = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(SCRYPT_PARAMS), parameters);
    if (scrypt == NULL)
        return KEY_COST_FAIR;
    uint64_t n = number(scrypt->costParameter), r = number(scrypt->blockSize),
             p = number(scrypt->parallelizationParameter);
    SCRYPT_PARAMS_free(scrypt);
    if (n > KEY_COST_MEMORY || r > KEY_COST_MEMORY || p > KEY_COST_MEMORY ||
        128 * r * (n + 2) > KEY_COST_MEMORY || 128 * r * (n + 2 + p) > KEY_COST_MEMORY)
        return KEY_COST_MUCH_MEMORY;
    return n * r * p > KEY_COST_SCRYPT ? KEY_COST_MUCH_SCRYPT : KEY_COST_FAIR;
}

static enum key_cost cost_of_pbes2(const ASN1_TYPE *parameters)
{
    PBE2PARAM *pbes2 = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBE2PARAM), parameters);
    enum key_cost cost = KEY_COST_FAIR;
    if (pbes2 != NULL && OBJ_obj2nid(pbes2->keyfunc->algorithm) == NID_id_pbkdf2)
        cost = cost_of_pbkdf2(pbes2->keyfunc->parameter);
    else if (pbes2 != NULL && OBJ_obj2nid(pbes2->keyfunc->algorithm) == NID_id_scrypt)
        cost = cost_of_scrypt(pbes2->keyfunc->parameter);
    PBE2PARAM_free(pbes2);
    return cost;
}

/* PBES1 and the schemes of PKCS #12. */
static enum key_cost cost_of_pbe(const ASN1_TYPE *parameters)
{
    PBEPARAM *pbe = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBEPARAM), parameters);
    enum key_cost cost = pbe != NULL ? cost_of_iterations(pbe->iter) : KEY_COST_FAIR;
    PBEPARAM_free(pbe);
    return cost;
}

/* Of EncryptedPrivateKeyInfo, which has the form of X509_SIG. What is none of these fails in OpenSSL, too,
 * and costs nothing. */
static enum key_cost cost_of_encrypted(const X509_SIG *encrypted)
{
    const X509_ALGOR *algorithm;
    X509_SIG_get0(encrypted, &algorithm, NULL);
    if (algorithm->parameter == NULL)
        return KEY_COST_FAIR;
    return OBJ_obj2nid(algorithm->algorithm) == NID_pbes2 ? cost_of_pbes2(algorithm->parameter)
                                                          : cost_of_pbe(algorithm->parameter);
}

/* Element by element, as the decoder goes through them. */
static enum key_cost cost_of_der(const uint8_t *der, long length)
{
    const uint8_t *at = der, *end = der + length;
    enum key_cost cost = KEY_COST_FAIR;
    while (cost == KEY_COST_FAIR && at < end) {
        const uint8_t *content = at;
        long size;
        int tag, class;
        X509_SIG *encrypted = d2i_X509_SIG(NULL, &at, end - at);
        if (encrypted != NULL) {
            cost = cost_of_encrypted(encrypted);
            X509_SIG_free(encrypted);
        } else if ((ASN1_get_object(&content, &size, &tag, &class, end - at) & 0x80) == 0) {
            at = content + size; /* behind it; of indefinite length: into it */
        } else {
            break;
        }
    }
    return cost;
}

static enum key_cost cost_of_pem(const uint8_t *bytes, int length)
{
    enum key_cost cost = KEY_COST_FAIR;
    BIO *bio = BIO_new_mem_buf(bytes, length);
    for (long left = length, before = left + 1; bio != NULL && cost == KEY_COST_FAIR && left < before;) {
        char *name = NULL, *header = NULL;
        unsigned char *der = NULL;
        long size = 0;
        if (PEM_read_bio(bio, &name, &header, &der, &size) == 1)
            cost = cost_of_der(der, size);
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_clear_free(der, (size_t)size);
        before = left;
        left = BIO_pending(bio);
    }
    BIO_free(bio);
    return cost;
}

enum key_cost key_cost_of(const uint8_t *bytes, size_t length)
{
    if (length == 0 || length > INT32_MAX)
        return KEY_COST_FAIR;
    enum key_cost cost = cost_of_pem(bytes, (int)length);
    if (cost == KEY_COST_FAIR)
        cost = cost_of_der(bytes, (long)length);
    ERR_clear_error();
    return cost;
}
