/* One certificate file: reads it, refuses what an edge must not have, makes the remote key. Knows nothing of
 * other files. Start-up only. */
#ifndef EDGE_CERTS_CERTS_FILE_H
#define EDGE_CERTS_CERTS_FILE_H

#include "edge/certs/certs.h"
#include "edge/certs/certs_pool.h"

#define CERTS_FILE_MAX  (1024 * 1024) /* bytes */
#define CERTS_CHAIN_MAX 16            /* certificates in one file */

/* Loads PATH; what follows the leaf comes out of POOL. ERR_CONFIG, ERR_UNSUPPORTED, ERR_SYSTEM or ERR_MEMORY
 * with a fault that names the file and its hint. A chain that is out of order or lacks its issuer is logged
 * as a warning. Whether it is valid now is not checked (certs_time.h). */
int certs_file_load(struct cert **out, OSSL_LIB_CTX *context, struct certs_pool *pool, const char *path,
                    struct fault *fault) MUST_USE;
void certs_file_free(struct cert *cert);

/* ERR_CONFIG when CERT has expired by now, with a fault that names the file and its hint. */
int certs_file_check_expiry(const struct cert *cert, struct fault *fault) MUST_USE;

/* True when the file has the leaf alone, and the leaf is not its own issuer. */
bool certs_file_lacks_issuer(const struct cert *cert);
#define CERTS_FILE_ISSUER_MISSING                                                                            \
    "the issuer's certificate is missing: clients that do not have it refuse; append the intermediate "      \
    "certificates, or take the authority's fullchain file"

/* Puts NAME (LENGTH bytes, untrusted) in lower case and without a final dot into OUT of CERTS_NAME_SIZE.
 * False when it cannot be a DNS name. */
#define CERTS_NAME_SIZE 256
bool certs_file_fold_name(char out[static CERTS_NAME_SIZE], const char *name, size_t length);

#endif
