#include "edge/provider/prf.h"

#include <openssl/crypto.h>
#include <stdbool.h>
#include <string.h>

#define BLOCK_MAX  128 /* of SHA-384 */
#define HASH_MAX   EVP_MAX_MD_SIZE
#define EXPAND_MAX 255 /* rounds (RFC 5869, 2.3) */
#define TEXT_MAX   255

/* HMAC (RFC 2104) under one key, for any number of messages. */
struct hmac {
    EVP_MD_CTX *context; /* owned */
    size_t block, size;  /* of the hash */
    uint8_t inner[BLOCK_MAX];
    uint8_t outer[BLOCK_MAX];
    bool failed;
};

static void put(struct hmac *hmac, const void *bytes, size_t length)
{
    if (!hmac->failed && length > 0)
        hmac->failed = EVP_DigestUpdate(hmac->context, bytes, length) != 1;
}

/* Begins anew; DIGEST sets the hash, NULL keeps it. */
static void digest_restart(struct hmac *hmac, const EVP_MD *digest)
{
    if (!hmac->failed)
        hmac->failed = EVP_DigestInit_ex2(hmac->context, digest, NULL) != 1;
}

static void digest_final(struct hmac *hmac, uint8_t *out)
{
    if (!hmac->failed)
        hmac->failed = EVP_DigestFinal_ex(hmac->context, out, NULL) != 1;
}

static void hmac_init(struct hmac *hmac, const EVP_MD *digest, struct prf_bytes key)
{
    uint8_t padded[BLOCK_MAX] = {0};
    int block = EVP_MD_get_block_size(digest), size = EVP_MD_get_size(digest);

    hmac->context = EVP_MD_CTX_new();
    hmac->failed = hmac->context == NULL || block <= 0 || block > BLOCK_MAX || size <= 0 || size > block;
    if (hmac->failed)
        return;
    hmac->block = (size_t)block;
    hmac->size = (size_t)size;
    digest_restart(hmac, digest);
    if (key.length > hmac->block) {
        put(hmac, key.bytes, key.length);
        digest_final(hmac, padded);
        digest_restart(hmac, NULL);
    } else if (key.length > 0) {
        memcpy(padded, key.bytes, key.length);
    }
    for (size_t i = 0; i < hmac->block; i++) {
        hmac->inner[i] = padded[i] ^ 0x36;
        hmac->outer[i] = padded[i] ^ 0x5c;
    }
    OPENSSL_cleanse(padded, sizeof padded);
    put(hmac, hmac->inner, hmac->block);
}

/* Takes the MAC of what was put; what is put next belongs to the next MAC. */
static void hmac_final(struct hmac *hmac, uint8_t out[static HASH_MAX])
{
    digest_final(hmac, out);
    digest_restart(hmac, NULL);
    put(hmac, hmac->outer, hmac->block);
    put(hmac, out, hmac->size);
    digest_final(hmac, out);
    digest_restart(hmac, NULL);
    put(hmac, hmac->inner, hmac->block);
}

static int hmac_clear(struct hmac *hmac)
{
    bool failed = hmac->failed;

    EVP_MD_CTX_free(hmac->context);
    OPENSSL_cleanse(hmac, sizeof *hmac);
    return failed ? ERR_CRYPTO : 0;
}

/* Copies the hash HASH to OUT + DONE, no more than SIZE allows; returns how many bytes are done then. */
static size_t give(const struct hmac *hmac, const uint8_t *hash, uint8_t *out, size_t done, size_t size)
{
    size_t n = size - done < hmac->size ? size - done : hmac->size;

    memcpy(out + done, hash, n);
    return done + n;
}

int prf_tls12(const EVP_MD *digest, struct prf_bytes secret, const struct prf_bytes *seeds, size_t count,
              uint8_t *out, size_t size)
{
    struct hmac hmac;
    uint8_t a[HASH_MAX] = {0}, hash[HASH_MAX];

    hmac_init(&hmac, digest, secret);
    for (size_t i = 0; i < count; i++)
        put(&hmac, seeds[i].bytes, seeds[i].length);
    for (size_t done = 0; done < size && !hmac.failed;) {
        hmac_final(&hmac, a); /* the input is the seeds at first, then the A before */
        put(&hmac, a, hmac.size);
        for (size_t i = 0; i < count; i++)
            put(&hmac, seeds[i].bytes, seeds[i].length);
        hmac_final(&hmac, hash);
        done = give(&hmac, hash, out, done, size);
        put(&hmac, a, hmac.size);
    }
    OPENSSL_cleanse(a, sizeof a);
    OPENSSL_cleanse(hash, sizeof hash);
    return hmac_clear(&hmac);
}

static void put_label(struct hmac *hmac, size_t size, struct prf_bytes prefix, struct prf_bytes label,
                      struct prf_bytes data)
{
    uint8_t head[] = {(uint8_t)(size >> 8), (uint8_t)size, (uint8_t)(prefix.length + label.length)};
    uint8_t data_length = (uint8_t)data.length;

    put(hmac, head, sizeof head);
    put(hmac, prefix.bytes, prefix.length);
    put(hmac, label.bytes, label.length);
    put(hmac, &data_length, 1);
    put(hmac, data.bytes, data.length);
}

int prf_tls13(const EVP_MD *digest, struct prf_bytes key, struct prf_bytes prefix, struct prf_bytes label,
              struct prf_bytes data, uint8_t *out, size_t size)
{
    struct hmac hmac;
    uint8_t hash[HASH_MAX];

    if (prefix.length > TEXT_MAX || label.length > TEXT_MAX - prefix.length || data.length > TEXT_MAX)
        return ERR_LENGTH;
    hmac_init(&hmac, digest, key);
    if (!hmac.failed && size > EXPAND_MAX * hmac.size) {
        (void)hmac_clear(&hmac);
        return ERR_LENGTH;
    }
    uint8_t round = 0;
    for (size_t done = 0; done < size && !hmac.failed;) {
        put(&hmac, hash, round > 0 ? hmac.size : 0);
        put_label(&hmac, size, prefix, label, data);
        round++;
        put(&hmac, &round, 1);
        hmac_final(&hmac, hash);
        done = give(&hmac, hash, out, done, size);
    }
    OPENSSL_cleanse(hash, sizeof hash);
    return hmac_clear(&hmac);
}
