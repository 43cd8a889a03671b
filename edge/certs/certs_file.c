#include "edge/certs/certs_file.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/contents.h"
#include "common/dangling_link.h"
#include "common/log.h"
#include "common/plain_file.h"
#include "edge/certs/certs_hint.h"
#include "edge/certs/certs_time.h"
#include "edge/provider/provider.h"

#define DNS_NAME_MAX 253

void certs_file_free(struct cert *cert)
{
    if (cert == NULL)
        return;
    for (size_t i = 0; i < cert->name_count; i++)
        free(cert->names[i]);
    free(cert->names);
    X509_free(cert->leaf);
    sk_X509_pop_free(cert->chain, X509_free);
    EVP_PKEY_free(cert->key);
    free(cert->file);
    free(cert);
}

/* ---- the bytes ---- */

static int read_all(int fd, size_t length, struct buffer *out)
{
    uint8_t *room = buffer_reserve(out, length + 1);
    size_t done = 0;
    if (room == NULL)
        return ERR_MEMORY;
    while (done < length) {
        ssize_t n = read(fd, room + done, length - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ERR_SYSTEM;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    room[done] = 0;
    buffer_commit(out, done);
    return 0;
}

static int read_file(const char *path, struct buffer *out, struct fault *fault)
{
    struct stat info;
    const char *why;
    int fd = plain_file_open(path, PLAIN_FILE_ONLY, &why);
    if (fd == ERR_NOT_FOUND && dangling_link_explain(path, fault))
        return ERR_CONFIG;
    if (fd < 0)
        return fault_set(fault, fd == ERR_CONFIG ? fd : ERR_SYSTEM, "%s: %s", path, why);
    int err = 0;
    if (fstat(fd, &info) != 0)
        err = fault_set(fault, ERR_SYSTEM, "%s: %s", path, strerror(errno));
    else if (info.st_size > CERTS_FILE_MAX)
        err = fault_set(fault, ERR_CONFIG, "%s: larger than %d bytes, the most a certificate file may have",
                        path, CERTS_FILE_MAX);
    else if ((err = read_all(fd, (size_t)info.st_size, out)) != 0)
        fault_set(fault, err, "%s: %s", path, err == ERR_SYSTEM ? strerror(errno) : err_string(err));
    close(fd);
    return err;
}

/* ---- the chain ---- */

static int add_certificate(struct cert *cert, OSSL_LIB_CTX *context, struct certs_pool *pool,
                           const unsigned char *der, long length)
{
    X509 *issuer = NULL;
    if (cert->leaf == NULL)
        return certs_pool_parse(context, der, length, &cert->leaf);
    if (sk_X509_num(cert->chain) + 1 >= CERTS_CHAIN_MAX)
        return ERR_LENGTH;
    int err = certs_pool_take(pool, context, der, length, &issuer);
    if (err == 0 && sk_X509_push(cert->chain, issuer) == 0) {
        X509_free(issuer);
        err = ERR_MEMORY;
    }
    return err;
}

/* Reads one PEM block; 1 at the end of the file. */
static int read_block(struct cert *cert, OSSL_LIB_CTX *context, struct certs_pool *pool, BIO *in)
{
    char *label = NULL, *header = NULL;
    unsigned char *der = NULL;
    long length = 0;
    int err = 0;
    if (PEM_read_bio(in, &label, &header, &der, &length) != 1) {
        err = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE ? 1 : ERR_FORMAT;
        ERR_clear_error();
        return err;
    }
    if (strcmp(label, PEM_STRING_X509) == 0 || strcmp(label, PEM_STRING_X509_OLD) == 0)
        err = add_certificate(cert, context, pool, der, length);
    OPENSSL_free(label);
    OPENSSL_free(header);
    OPENSSL_free(der);
    return err;
}

static int parse_chain(struct cert *cert, OSSL_LIB_CTX *context, struct certs_pool *pool,
                       const struct buffer *content, struct fault *fault)
{
    BIO *in = BIO_new_mem_buf(buffer_bytes(content), (int)buffer_length(content));
    int err = 0;
    cert->chain = sk_X509_new_null();
    if (in == NULL || cert->chain == NULL)
        err = ERR_MEMORY;
    while (err == 0) /* each block consumes bytes: the file's size bounds it */
        err = read_block(cert, context, pool, in);
    BIO_free(in);
    ERR_clear_error();
    if (err == 1 && cert->leaf != NULL)
        return 0;
    if (err == 1)
        return certs_hint_form(cert->file, 0, fault);
    if (err == ERR_LENGTH)
        return fault_set(fault, ERR_CONFIG, "%s: more than %d certificates; keep the leaf and its chain only",
                         cert->file, CERTS_CHAIN_MAX);
    return fault_set(fault, err == ERR_MEMORY ? err : ERR_CONFIG, "%s: damaged certificate: %s", cert->file,
                     err_string(err));
}

bool certs_file_lacks_issuer(const struct cert *cert)
{
    return sk_X509_num(cert->chain) <= 0 &&
           X509_NAME_cmp(X509_get_issuer_name(cert->leaf), X509_get_subject_name(cert->leaf)) != 0;
}

/* Most browsers fetch the missing certificate by themselves; curl and most other programs do not, so the
 * fault is noticed late. */
static void warn_chain_short(const struct cert *cert)
{
    if (certs_file_lacks_issuer(cert))
        log_finding(LOG_WARN, "certificate_chain_short", "file=%s hint=\"" CERTS_FILE_ISSUER_MISSING "\"",
                    cert->file);
}

/* Fewer and fewer clients accept a wrong order. */
static void warn_chain_order(const struct cert *cert)
{
    const X509 *below = cert->leaf;
    for (int i = 0; i < sk_X509_num(cert->chain); i++) {
        const X509 *above = sk_X509_value(cert->chain, i);
        if (X509_NAME_cmp(X509_get_issuer_name(below), X509_get_subject_name(above)) != 0) {
            log_finding(
                LOG_WARN, "certificate_chain_order",
                "file=%s certificate=%d hint=\"put the leaf first, then each issuer after what it issued\"",
                cert->file, i + 2);
            return;
        }
        below = above;
    }
}

/* With an issuer in front of its leaf the edge would show the issuer and ask for its key. */
static int check_leaf_first(const struct cert *cert, struct fault *fault)
{
    EVP_PKEY *key = X509_get0_pubkey(cert->leaf);
    for (int i = 0; i < sk_X509_num(cert->chain); i++) {
        X509 *below = sk_X509_value(cert->chain, i);
        bool names_itself = X509_NAME_cmp(X509_get_issuer_name(below), X509_get_subject_name(below)) == 0;
        if (!names_itself && X509_check_issued(cert->leaf, below) == X509_V_OK &&
            X509_verify(below, key) == 1)
            return fault_set(
                fault, ERR_CONFIG,
                "%s: certificate 1 is the issuer of certificate %d; put the leaf first, then each "
                "issuer after what it issued",
                cert->file, i + 2);
    }
    ERR_clear_error();
    return 0;
}

/* RFC 5246, 7.4.2: every certificate has a length of three bytes before it, and so has the list, after the
 * four of the header. */
static size_t message_size(const struct cert *cert)
{
    size_t size = 4 + 3 + 3 + (size_t)i2d_X509(cert->leaf, NULL);
    for (int i = 0; i < sk_X509_num(cert->chain); i++)
        size += 3 + (size_t)i2d_X509(sk_X509_value(cert->chain, i), NULL);
    return size;
}

/* ---- validity ---- */

static int64_t seconds_of(const ASN1_TIME *time)
{
    struct tm parts = {0};
    return ASN1_TIME_to_tm(time, &parts) == 1 ? (int64_t)timegm(&parts) : 0;
}

static const char *day_of(int64_t seconds, char *out, size_t size)
{
    time_t when = (time_t)seconds;
    struct tm parts;
    if (gmtime_r(&when, &parts) == NULL || strftime(out, size, "%Y-%m-%d", &parts) == 0)
        snprintf(out, size, "%lld", (long long)seconds);
    return out;
}

int certs_file_check_expiry(const struct cert *cert, struct fault *fault)
{
    char day[32];
    if (certs_time_state(cert, (int64_t)time(NULL)) != CERT_EXPIRED)
        return 0;
    return fault_set(fault, ERR_CONFIG, "%s: expired on %s; renew it, or remove the file", cert->file,
                     day_of(cert->not_after, day, sizeof day));
}

static void read_validity(struct cert *cert)
{
    cert->not_before = seconds_of(X509_get0_notBefore(cert->leaf));
    cert->not_after = seconds_of(X509_get0_notAfter(cert->leaf));
}

/* ---- names ---- */

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

bool certs_file_fold_name(char out[static CERTS_NAME_SIZE], const char *name, size_t length)
{
    if (length > 0 && name[length - 1] == '.')
        length--;
    if (length == 0 || length > DNS_NAME_MAX)
        return false;
    for (size_t i = 0; i < length; i++) {
        char c = name[i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        bool dot = c == '.' && i > 0 && name[i - 1] != '.';
        bool star = c == '*' && i == 0 && length > 2 && name[1] == '.';
        if (!dot && !star && !is_name_char(c))
            return false;
        out[i] = c;
    }
    out[length] = '\0';
    return true;
}

static int add_name(struct cert *cert, const char *text, size_t length)
{
    char folded[CERTS_NAME_SIZE];
    if (!certs_file_fold_name(folded, text, length)) {
        log_finding(LOG_WARN, "certificate_name_ignored", "file=%s error=\"not a host name\"", cert->file);
        return 0;
    }
    char **names = realloc(cert->names, (cert->name_count + 1) * sizeof *names);
    if (names == NULL)
        return ERR_MEMORY;
    cert->names = names;
    names[cert->name_count] = strdup(folded);
    if (names[cert->name_count] == NULL)
        return ERR_MEMORY;
    cert->name_count++;
    return 0;
}

static int add_common_name(struct cert *cert)
{
    const X509_NAME *subject = X509_get_subject_name(cert->leaf);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    const ASN1_STRING *text = at < 0 ? NULL : X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
    if (text == NULL)
        return 0;
    char folded[CERTS_NAME_SIZE];
    const char *bytes = (const char *)ASN1_STRING_get0_data(text);
    size_t length = (size_t)ASN1_STRING_length(text);
    return certs_file_fold_name(folded, bytes, length) ? add_name(cert, bytes, length) : 0;
}

/* The DNS names of the certificate; of one without any alternative name, as only tests and appliances have,
 * the common name. */
static int read_names(struct cert *cert, struct fault *fault)
{
    int err = 0;
    GENERAL_NAMES *names = X509_get_ext_d2i(cert->leaf, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; err == 0 && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_DNS)
            err = add_name(cert, (const char *)ASN1_STRING_get0_data(name->d.dNSName),
                           (size_t)ASN1_STRING_length(name->d.dNSName));
    }
    if (err == 0 && names == NULL)
        err = add_common_name(cert);
    GENERAL_NAMES_free(names);
    return err == 0 ? 0 : fault_set(fault, err, "%s: no memory", cert->file);
}

/* ---- all of it ---- */

static int make_key(struct cert *cert, OSSL_LIB_CTX *context, struct fault *fault)
{
    struct fault inner = {.text = ""};
    EVP_PKEY *public_key = X509_get0_pubkey(cert->leaf);
    if (public_key == NULL)
        return fault_set(fault, ERR_UNSUPPORTED, "%s: the type of its key is not known to OpenSSL",
                         cert->file);
    int type = provider_key_type(public_key), is_explicit = 0;
    if (EVP_PKEY_get_int_param(public_key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &is_explicit) ==
            1 &&
        is_explicit != 0)
        return fault_set(
            fault, ERR_UNSUPPORTED,
            "%s: the curve of its key is spelled out (explicit parameters), which clients refuse; "
            "name the curve in the key (openssl ec -param_enc named_curve) and have it issued anew",
            cert->file);
    int err = provider_key_new(context, public_key, &cert->key, cert->key_id, &inner);
    if (err != 0)
        return fault_set(fault, err, "%s: %s", cert->file, inner.text);
    cert->type = (enum key_type)type;
    return 0;
}

static int fill_cert(struct cert *cert, OSSL_LIB_CTX *context, struct certs_pool *pool,
                     const struct buffer *content, struct fault *fault)
{
    unsigned contents = contents_tell(buffer_bytes(content), buffer_length(content));
    if ((contents & CONTENTS_KEYS) != 0)
        return certs_hint_key(cert->file, fault);
    /* Nothing is read where the leaf may be in a form that is not supported. */
    if ((contents & CONTENTS_CERTIFICATE) == 0 || (contents & (CONTENTS_TRUSTED | CONTENTS_PKCS7)) != 0)
        return certs_hint_form(cert->file, contents, fault);
    int err = 0;
    (void)((err = parse_chain(cert, context, pool, content, fault)) != 0 ||
           (err = check_leaf_first(cert, fault)) != 0 || (err = read_names(cert, fault)) != 0 ||
           (err = make_key(cert, context, fault)) != 0);
    if (err != 0)
        return err;
    read_validity(cert);
    cert->message_size = message_size(cert);
    warn_chain_order(cert);
    warn_chain_short(cert);
    return 0;
}

int certs_file_load(struct cert **out, OSSL_LIB_CTX *context, struct certs_pool *pool, const char *path,
                    struct fault *fault)
{
    struct buffer content = {0};
    struct cert *cert = calloc(1, sizeof *cert);
    if (cert == NULL || (cert->file = strdup(path)) == NULL) {
        certs_file_free(cert);
        return fault_set(fault, ERR_MEMORY, "%s: no memory", path);
    }
    int err = read_file(path, &content, fault);
    if (err == 0)
        err = fill_cert(cert, context, pool, &content, fault);
    buffer_clear(&content); /* wipes: it may have been somebody's key */
    if (err != 0) {
        certs_file_free(cert);
        return err;
    }
    *out = cert;
    return 0;
}
