#include "cli/trial_pki.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "cli/files.h"
#include "common/secret.h"

#define VALID_DAYS 90

static EVP_PKEY *make_rsa(void)
{
    return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
}

static EVP_PKEY *make_p256(void)
{
    return EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
}

static EVP_PKEY *make_ed25519(void)
{
    return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
}

static const struct {
    const char *file;
    EVP_PKEY *(*make)(void);
    const char *usage; /* keyUsage of the certificate */
} types[] = {
    {"rsa.pem", make_rsa, "critical,digitalSignature,keyEncipherment"},
    {"p256.pem", make_p256, "critical,digitalSignature"},
    {"ed25519.pem", make_ed25519, "critical,digitalSignature"},
};

struct authority {
    X509 *cert;
    EVP_PKEY *key;
};

static int add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    int good = extension != NULL && X509_add_ext(cert, extension, -1);
    X509_EXTENSION_free(extension);
    return good ? 0 : ERR_CRYPTO;
}

/* A certificate for KEY with everything but its extensions and signature. */
static X509 *blank_certificate(EVP_PKEY *key, const char *common_name, const X509_NAME *issuer)
{
    X509 *cert = X509_new();
    X509_NAME *name = X509_NAME_new();
    ASN1_INTEGER *serial = ASN1_INTEGER_new();
    uint64_t number;
    random_bytes(&number, sizeof number);
    int good = cert != NULL && name != NULL && serial != NULL && X509_set_version(cert, X509_VERSION_3) &&
               ASN1_INTEGER_set_uint64(serial, number >> 1) && X509_set_serialNumber(cert, serial) &&
               X509_gmtime_adj(X509_getm_notBefore(cert), -3600) != NULL &&
               X509_gmtime_adj(X509_getm_notAfter(cert), VALID_DAYS * 86400L) != NULL &&
               X509_set_pubkey(cert, key) &&
               X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)common_name, -1,
                                          -1, 0) &&
               X509_set_subject_name(cert, name) &&
               X509_set_issuer_name(cert, issuer != NULL ? issuer : name);
    X509_NAME_free(name);
    ASN1_INTEGER_free(serial);
    if (good)
        return cert;
    X509_free(cert);
    return NULL;
}

static int make_authority(struct authority *authority)
{
    authority->key = make_p256();
    if (authority->key == NULL)
        return ERR_CRYPTO;
    authority->cert = blank_certificate(authority->key, "keyless trial CA", NULL);
    X509 *cert = authority->cert;
    if (cert == NULL || add_extension(cert, cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") != 0 ||
        add_extension(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign") != 0 ||
        add_extension(cert, cert, NID_subject_key_identifier, "hash") != 0 ||
        !X509_sign(cert, authority->key, EVP_sha256()))
        return ERR_CRYPTO;
    return 0;
}

static X509 *issue(const struct authority *authority, EVP_PKEY *key, const char *host, const char *usage)
{
    char names[600];
    snprintf(names, sizeof names, "DNS:%s,DNS:*.%s,IP:127.0.0.1", host, host);
    X509 *cert = blank_certificate(key, host, X509_get_subject_name(authority->cert));
    if (cert != NULL &&
        add_extension(cert, authority->cert, NID_basic_constraints, "critical,CA:FALSE") == 0 &&
        add_extension(cert, authority->cert, NID_key_usage, usage) == 0 &&
        add_extension(cert, authority->cert, NID_ext_key_usage, "serverAuth") == 0 &&
        add_extension(cert, authority->cert, NID_subject_alt_name, names) == 0 &&
        add_extension(cert, authority->cert, NID_subject_key_identifier, "hash") == 0 &&
        add_extension(cert, authority->cert, NID_authority_key_identifier, "keyid") == 0 &&
        X509_sign(cert, authority->key, EVP_sha256()))
        return cert;
    X509_free(cert);
    return NULL;
}

/* Writes what BIO holds as a new file. */
static int save(BIO *bio, const char *path, mode_t mode, struct fault *fault)
{
    char *content = NULL;
    long length = BIO_get_mem_data(bio, &content);
    return length <= 0 ? ERR_CRYPTO : files_make(path, mode, content, (size_t)length, fault);
}

/* CERT, and behind it its ISSUER unless that is NULL. */
static int save_chain(X509 *cert, X509 *issuer, const char *path, struct fault *fault)
{
    BIO *bio = BIO_new(BIO_s_mem());
    int err = bio != NULL && PEM_write_bio_X509(bio, cert) &&
                      (issuer == NULL || PEM_write_bio_X509(bio, issuer))
                  ? save(bio, path, 0644, fault)
                  : ERR_CRYPTO;
    BIO_free(bio);
    return err;
}

static int save_key(EVP_PKEY *key, const char *path, struct fault *fault)
{
    BIO *bio = BIO_new(BIO_s_secmem());
    int err = bio != NULL && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL)
                  ? save(bio, path, 0400, fault)
                  : ERR_CRYPTO;
    BIO_free(bio);
    return err;
}

static int make_one(const struct authority *authority, size_t type, const char *key_folder,
                    const char *cert_folder, const char *host, struct fault *fault)
{
    char key_path[FILES_PATH_MAX], cert_path[FILES_PATH_MAX];
    int err = files_path(key_path, key_folder, types[type].file, fault);
    if (err == 0)
        err = files_path(cert_path, cert_folder, types[type].file, fault);
    if (err != 0)
        return err;
    EVP_PKEY *key = types[type].make();
    X509 *cert = key == NULL ? NULL : issue(authority, key, host, types[type].usage);
    err = cert == NULL ? ERR_CRYPTO : save_key(key, key_path, fault);
    if (err == 0)
        err = save_chain(cert, authority->cert, cert_path, fault);
    X509_free(cert);
    EVP_PKEY_free(key);
    return err;
}

int trial_pki_make(const char *ca_file, const char *key_folder, const char *cert_folder, const char *host,
                   struct fault *fault)
{
    struct authority authority = {0};
    fault_set(fault, 0, "%s", "");
    int err = make_authority(&authority);
    if (err == 0)
        err = save_chain(authority.cert, NULL, ca_file, fault);
    for (size_t i = 0; err == 0 && i < sizeof types / sizeof types[0]; i++)
        err = make_one(&authority, i, key_folder, cert_folder, host, fault);
    if (err == ERR_CRYPTO && fault != NULL && fault->text[0] == 0)
        fault_set(fault, err, "OpenSSL could not make a test certificate for '%s': %s", host,
                  ERR_reason_error_string(ERR_get_error()));
    X509_free(authority.cert);
    EVP_PKEY_free(authority.key);
    return err;
}
