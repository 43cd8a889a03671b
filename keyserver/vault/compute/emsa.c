#include "keyserver/vault/compute/emsa.h"

#include <openssl/evp.h>
#include <stdbool.h>
#include <string.h>

#include "common/secret.h"

#define PREFIX_SIZE 19 /* of a DigestInfo before its hash */
#define PADDING_MIN 11 /* bytes of EMSA-PKCS1-v1_5 that are not DigestInfo */

struct digest {
    unsigned bits;
    const EVP_MD *(*md)(void);
    uint8_t prefix[PREFIX_SIZE]; /* RFC 8017, 9.2, note 1 */
};

#define PREFIX(length, oid, hash_size)                                                                       \
    {                                                                                                        \
        0x30, length, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, oid, 0x05,     \
            0x00, 0x04, hash_size                                                                            \
    }
static const struct digest digests[] = {
    {256, EVP_sha256, PREFIX(0x31, 0x01, 0x20)},
    {384, EVP_sha384, PREFIX(0x41, 0x02, 0x30)},
    {512, EVP_sha512, PREFIX(0x51, 0x03, 0x40)},
};

static const struct digest *find_digest(unsigned bits)
{
    for (size_t i = 0; i < sizeof digests / sizeof digests[0]; i++)
        if (digests[i].bits == bits)
            return &digests[i];
    return NULL;
}

/* Bytes of a number of BITS bits. */
static size_t bytes_of(size_t bits)
{
    return (bits + 7) / 8;
}

int emsa_pkcs1(uint8_t *out, size_t modulus_bits, unsigned hash_bits, const uint8_t *hash)
{
    const struct digest *digest = find_digest(hash_bits);
    size_t size = bytes_of(modulus_bits), hash_size = hash_bits / 8, info_size = PREFIX_SIZE + hash_size;
    if (digest == NULL)
        return ERR_UNSUPPORTED;
    if (size < info_size + PADDING_MIN)
        return ERR_LENGTH;
    memset(out, 0xff, size - info_size);
    out[0] = 0;
    out[1] = 1;
    out[size - info_size - 1] = 0;
    memcpy(out + size - info_size, digest->prefix, PREFIX_SIZE);
    memcpy(out + size - hash_size, hash, hash_size);
    return 0;
}

/* ---- PSS ---- */

struct piece {
    const uint8_t *bytes;
    size_t size;
};

/* OUT = the hash of COUNT pieces. */
static bool hash_pieces(const struct digest *digest, uint8_t *out, const struct piece *pieces, size_t count)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool done = context != NULL && EVP_DigestInit_ex2(context, digest->md(), NULL) == 1;
    for (size_t i = 0; i < count; i++)
        done = done && EVP_DigestUpdate(context, pieces[i].bytes, pieces[i].size) == 1;
    done = done && EVP_DigestFinal_ex(context, out, NULL) == 1;
    EVP_MD_CTX_free(context);
    return done;
}

/* BYTES ^= MGF1 (RFC 8017, B.2.1) of SEED, which is a hash. */
static bool mask(const struct digest *digest, uint8_t *bytes, size_t size, const uint8_t *seed)
{
    size_t hash_size = digest->bits / 8;
    uint8_t counter[4] = {0}, block[EMSA_HASH_MAX];
    for (size_t at = 0; at < size; at += hash_size) {
        const struct piece pieces[] = {{seed, hash_size}, {counter, sizeof counter}};
        if (!hash_pieces(digest, block, pieces, 2))
            return false;
        for (size_t i = 0; i < hash_size && at + i < size; i++)
            bytes[at + i] ^= block[i];
        counter[3]++; /* a modulus has less than 256 hashes */
    }
    return true;
}

/* EM = maskedDB || H || 0xbc of EM_SIZE bytes, where DB = 0 … 0 || 1 || salt, in the names of 9.1.1. */
static bool encode_pss(const struct digest *digest, uint8_t *em, size_t em_size, const uint8_t *hash,
                       const uint8_t *salt)
{
    static const uint8_t zeros[8];
    size_t hash_size = digest->bits / 8, db_size = em_size - hash_size - 1;
    uint8_t *h = em + db_size;
    const struct piece pieces[] = {{zeros, sizeof zeros}, {hash, hash_size}, {salt, hash_size}};
    memset(em, 0, db_size - hash_size);
    em[db_size - hash_size - 1] = 1;
    memcpy(em + db_size - hash_size, salt, hash_size);
    em[em_size - 1] = 0xbc;
    return hash_pieces(digest, h, pieces, 3) && mask(digest, em, db_size, h);
}

int emsa_pss_salted(uint8_t *out, size_t modulus_bits, unsigned hash_bits, const uint8_t *hash,
                    const uint8_t *salt)
{
    const struct digest *digest = find_digest(hash_bits);
    size_t em_bits = modulus_bits - 1, em_size = bytes_of(em_bits), hash_size = hash_bits / 8;
    size_t before = bytes_of(modulus_bits) - em_size; /* 1 when the highest bit of n is alone in its byte */
    if (digest == NULL)
        return ERR_UNSUPPORTED;
    if (modulus_bits == 0 || em_size < 2 * hash_size + 2)
        return ERR_LENGTH;
    out[0] = 0;
    if (!encode_pss(digest, out + before, em_size, hash, salt)) {
        wipe(out, bytes_of(modulus_bits));
        return ERR_CRYPTO;
    }
    out[before] &= (uint8_t)(0xff >> (8 * em_size - em_bits));
    return 0;
}

int emsa_pss(uint8_t *out, size_t modulus_bits, unsigned hash_bits, const uint8_t *hash)
{
    uint8_t salt[EMSA_HASH_MAX];
    random_bytes(salt, sizeof salt);
    return emsa_pss_salted(out, modulus_bits, hash_bits, hash, salt);
}
