/* Any bytes in the folder of certificates are a certificate with a remote key, or a fault that names the
 * file. Most inputs are a good certificate with some bytes of its DER changed; the rest is a file as it
 * stands. */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/log.h"
#include "common/secret.h"
#include "edge/certs/certs_file.h"
#include "edge/provider/provider.h"

#define DER_MAX 1024

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static OSSL_LIB_CTX *library;
static uint8_t good[DER_MAX]; /* a certificate, the same at every start */
static size_t good_length;

static void must(bool holds)
{
    if (!holds)
        abort();
}

static int no_transport(const struct operation *operation, struct outcome *outcome)
{
    (void)operation, (void)outcome;
    return ERR_UNSUPPORTED;
}

static void make_good(void)
{
    static const uint8_t secret[32] = {1};
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, secret, sizeof secret);
    X509 *cert = X509_new();
    X509_EXTENSION *names = X509V3_EXT_conf_nid(
        NULL, NULL, NID_subject_alt_name,
        "DNS:www.example.com,DNS:*.example.com,IP:192.0.2.1,email:a@b.example");
    must(key != NULL && cert != NULL && names != NULL);
    X509_NAME *subject = X509_get_subject_name(cert);
    must(X509_set_version(cert, X509_VERSION_3) == 1);
    must(ASN1_INTEGER_set(X509_get_serialNumber(cert), 7) == 1);
    must(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const uint8_t *)"www", -1, -1, 0) == 1);
    must(X509_set_issuer_name(cert, subject) == 1 && X509_set_pubkey(cert, key) == 1);
    must(ASN1_TIME_set_string(X509_getm_notBefore(cert), "20200101000000Z") == 1);
    must(ASN1_TIME_set_string(X509_getm_notAfter(cert), "99991231235959Z") == 1);
    must(X509_add_ext(cert, names, -1) == 1 && X509_sign(cert, key, NULL) > 0);
    int size = i2d_X509(cert, NULL);
    uint8_t *at = good;
    must(size > 0 && size <= DER_MAX && i2d_X509(cert, &at) == size);
    good_length = (size_t)size;
    X509_EXTENSION_free(names);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static int load(const uint8_t *bytes, size_t length, size_t *names)
{
    char path[64];
    struct cert *cert = NULL;
    struct certs_pool pool = {0};
    struct fault fault = {{0}};
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    must(fd >= 0 && write(fd, bytes, length) == (ssize_t)length);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int err = certs_file_load(&cert, library, &pool, path, &fault);
    if (err != 0) {
        must(cert == NULL && strncmp(fault.text, path, strlen(path)) == 0);
    } else {
        char folded[CERTS_NAME_SIZE];
        must(cert->leaf != NULL && cert->key != NULL && provider_key_type(cert->key) == (int)cert->type);
        for (size_t i = 0; i < cert->name_count; i++) { /* the names are names, in their one form */
            must(certs_file_fold_name(folded, cert->names[i], strlen(cert->names[i])));
            must(strcmp(folded, cert->names[i]) == 0);
        }
        *names = cert->name_count;
        certs_file_free(cert);
    }
    certs_pool_clear(&pool);
    close(fd);
    return err;
}

/* DER as PEM, COUNT times: a leaf and its chain. */
static int load_der(const uint8_t *der, size_t length, unsigned count, size_t *names)
{
    char *text = NULL;
    BIO *out = BIO_new(BIO_s_mem());
    for (unsigned i = 0; i < count; i++)
        must(PEM_write_bio(out, PEM_STRING_X509, "", der, (long)length) > 0);
    long size = BIO_get_mem_data(out, &text);
    int err = load((const uint8_t *)text, (size_t)size, names);
    BIO_free(out);
    return err;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    size_t names = 0;
    struct fault fault;
    (void)argc;
    (void)argv;
    log_init("fuzz", LOG_ERROR, LOG_LOGFMT);
    must(secret_init() == 0 &&
         provider_context_new(&library, &(struct provider_transport){.perform = no_transport}, 0, &fault) ==
             0);
    make_good();
    must(load_der(good, good_length, 2, &names) == 0 && names == 2);
    return 0;
}

/* INPUT: a byte; 0 … 31: how many certificates, then changes, each a place of two bytes and a mask; above:
 * the rest is the file. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    uint8_t der[DER_MAX];
    size_t names;
    if (length < 1)
        return 0;
    const uint8_t *at = bytes + 1, *end = bytes + length;
    if (bytes[0] >= 32) {
        (void)load(at, (size_t)(end - at), &names);
        return 0;
    }
    memcpy(der, good, good_length);
    for (; end - at >= 3; at += 3)
        der[((size_t)at[0] << 8 | at[1]) % good_length] ^= at[2];
    (void)load_der(der, good_length, bytes[0], &names);
    return 0;
}
