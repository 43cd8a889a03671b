/* Certificates: which one answers which name. A folder of PEM chains (sub-folders too: NAME.pem,
 * NAME/fullchain.pem), no keys. Immutable once loaded; any thread may look up.
 *
 * Certificates with the same names but different key types stand side by side (RSA and ECDSA); the most
 * specific name wins: exact, then wildcard of one label, then the default. Which of several certificates for
 * a name answers depends on the time (certs_time.h) and is decided at each look-up: a certificate whose time
 * has not come takes over when it comes, and a clock that was wrong at the start does no lasting harm. */
#ifndef EDGE_CERTS_CERTS_H
#define EDGE_CERTS_CERTS_H

#include <openssl/ssl.h>

#include "proto/operation.h"

/* One certificate chain with its remote key. */
struct cert {
    char *file;             /* owned */
    X509 *leaf;             /* owned */
    STACK_OF(X509) * chain; /* owned; what follows the leaf */
    EVP_PKEY *key;          /* owned; of the provider */
    uint8_t key_id[KEY_ID_SIZE];
    enum key_type type;
    size_t message_size; /* bytes of the Certificate message of TLS 1.2 that shows the chain */
    int64_t not_before;  /* seconds since 1970 */
    int64_t not_after;   /* seconds since 1970 */
    char **names;        /* owned; DNS names in lower case */
    size_t name_count;
};

/* The certificates that answer a name at a time: at most one a key type. Names with the same certificates
 * share a set.
 */
struct cert_set {
    const struct cert *of_type[KEY_TYPES]; /* by enum key_type; NULL for none */
    size_t index;                          /* of certs_set_at() */
};

struct certs;

/* Where certificates come from, and which are good; all of it borrowed. */
struct certs_source {
    OSSL_LIB_CTX *context; /* of the provider, for their keys */
    SSL_CTX *trial;        /* takes each that OpenSSL lets be shown; NULL: whether it does is not asked */
    const char *folder;
    /* Whose certificate answers unknown or absent names. NULL: the first by file name that has not expired;
     * "": none, such clients are refused with unrecognized_name. */
    const char *default_name;
    bool strict; /* for -t: a bad file, or one that has expired, fails the load, after the last one */
};

/* Loads every *.pem, *.crt, *.cer below the folder. A bad file (no certificate, unsupported key, one that is
 * too weak for OpenSSL's security level, or one that holds a private key, which no edge may have) is reported
 * with its hint in the log and skipped, counted in certs_skipped. Another file that looks like a certificate
 * is reported and counted as well, and fails nothing. None at all is an error. */
int certs_load(struct certs **out, const struct certs_source *from, struct fault *fault) MUST_USE;
void certs_free(struct certs *certs);

/* The set that answers NAME (untrusted, any case; NULL = the client sent none) at NOW, in seconds since 1970;
 * NULL when there is none and no default. A wildcard's valid certificate is preferred to an exact one that is
 * not valid. */
const struct cert_set *certs_find(const struct certs *certs, const char *name, int64_t now);

/* The names one by one: the first after NULL, NULL after the last. A default without a name comes last. */
struct certs_name;
const struct certs_name *certs_name_next(const struct certs *certs, const struct certs_name *name);
const char *certs_name_text(const struct certs_name *name);
const struct cert_set *certs_name_at(const struct certs_name *name, int64_t now);

size_t certs_count(const struct certs *certs);
size_t certs_skipped(const struct certs *certs);
const struct cert *certs_at(const struct certs *certs, size_t index);
/* Every distinct set, for what is made once a set. */
size_t certs_set_count(const struct certs *certs);
const struct cert_set *certs_set_at(const struct certs *certs, size_t index);

#endif
