#include "edge/certs/certs_pool.h"

#include <stdlib.h>

#include "common/secret.h"

/* The keys of the table are hashes of the operator's files already, so its plain hash cannot be flooded. */
#define HASH_NONFATAL_OOM 1
#define HASH_FUNCTION     HASH_FNV
#include <uthash.h>

#define FINGERPRINT_SIZE 32

struct certs_pool_entry {
    uint8_t fingerprint[FINGERPRINT_SIZE]; /* SHA-256 of the DER */
    X509 *certificate;                     /* owned reference */
    UT_hash_handle hh;
};

int certs_pool_parse(OSSL_LIB_CTX *context, const unsigned char *der, long length, X509 **out)
{
    X509 *made = X509_new_ex(context, NULL);
    const unsigned char *at = der;
    if (made == NULL)
        return ERR_MEMORY;
    if (d2i_X509(&made, &at, length) == NULL || at != der + length) {
        X509_free(made);
        return ERR_FORMAT;
    }
    *out = made;
    return 0;
}

static int entry_add(struct certs_pool *pool, const uint8_t *fingerprint, X509 *certificate)
{
    struct certs_pool_entry *entry = calloc(1, sizeof *entry);
    if (entry == NULL)
        return ERR_MEMORY;
    memcpy(entry->fingerprint, fingerprint, FINGERPRINT_SIZE);
    entry->certificate = certificate;
    HASH_ADD(hh, pool->entries, fingerprint, FINGERPRINT_SIZE, entry);
    if (entry->hh.tbl == NULL || X509_up_ref(certificate) != 1) {
        if (entry->hh.tbl != NULL)
            HASH_DEL(pool->entries, entry);
        free(entry);
        return ERR_MEMORY;
    }
    return 0;
}

int certs_pool_take(struct certs_pool *pool, OSSL_LIB_CTX *context, const unsigned char *der, long length,
                    X509 **out)
{
    uint8_t fingerprint[FINGERPRINT_SIZE];
    struct certs_pool_entry *entry = NULL;
    X509 *made = NULL;
    sha256(fingerprint, der, (size_t)length);
    HASH_FIND(hh, pool->entries, fingerprint, FINGERPRINT_SIZE, entry);
    if (entry != NULL) {
        *out = entry->certificate;
        return X509_up_ref(entry->certificate) == 1 ? 0 : ERR_MEMORY;
    }
    int err = certs_pool_parse(context, der, length, &made);
    if (err == 0 && (err = entry_add(pool, fingerprint, made)) != 0)
        X509_free(made);
    if (err == 0)
        *out = made;
    return err;
}

void certs_pool_clear(struct certs_pool *pool)
{
    struct certs_pool_entry *entry, *next;
    HASH_ITER(hh, pool->entries, entry, next)
    {
        HASH_DEL(pool->entries, entry);
        X509_free(entry->certificate);
        free(entry);
    }
}
