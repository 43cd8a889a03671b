/* Issuer certificates seen while a folder is loaded, each kept once: thousands of chains share a handful of
 * them, and to parse one costs as much as a leaf. Start-up only. */
#ifndef EDGE_CERTS_CERTS_POOL_H
#define EDGE_CERTS_CERTS_POOL_H

#include <openssl/x509.h>

#include "common/err.h"

/* Zero-initialised is empty. */
struct certs_pool {
    struct certs_pool_entry *entries; /* owned table */
};

/* The certificate of exactly LENGTH bytes DER, parsed at most once: *OUT is a reference the caller frees.
 * ERR_FORMAT, ERR_MEMORY. */
int certs_pool_take(struct certs_pool *pool, OSSL_LIB_CTX *context, const unsigned char *der, long length,
                    X509 **out) MUST_USE;
/* Parses without the pool, for leaves. */
int certs_pool_parse(OSSL_LIB_CTX *context, const unsigned char *der, long length, X509 **out) MUST_USE;
void certs_pool_clear(struct certs_pool *pool);

#endif
