#include "cli/given_pairs.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "cli/files.h"
#include "common/contents.h"

static int no_passphrase(char *out, int size, int writes, void *subject)
{
    (void)out;
    (void)size;
    (void)writes;
    (void)subject;
    return -1;
}

static EVP_PKEY *parse_key(const struct files_content *content)
{
    const unsigned char *at = content->bytes;
    BIO *in = BIO_new_mem_buf(content->bytes, (int)content->length);
    EVP_PKEY *key = in != NULL ? PEM_read_bio_PrivateKey(in, NULL, no_passphrase, NULL) : NULL;
    BIO_free(in);
    if (key == NULL)
        key = d2i_AutoPrivateKey(NULL, &at, (long)content->length);
    ERR_clear_error();
    return key;
}

static bool comes_once(const char *file)
{
    struct stat info;
    return stat(file, &info) == 0 && !S_ISREG(info.st_mode);
}

/* *KEY stays NULL for one that is encrypted, or comes through a pipe. */
static int read_key(EVP_PKEY **key, const char *file, struct fault *fault)
{
    struct files_content content;
    *key = NULL;
    if (comes_once(file))
        return 0;
    int err = files_read(&content, file, fault);
    if (err != 0)
        return err;
    size_t count = contents_count_keys(content.bytes, content.length);
    bool encrypted = (contents_tell(content.bytes, content.length) & CONTENTS_ENCRYPTED) != 0;
    *key = encrypted || count > 1 ? NULL : parse_key(&content);
    files_content_clear(&content);
    if (count > 1)
        return fault_set(
            fault, ERR_CONFIG,
            "--key %s: %zu private keys are in it; the key server takes one from a file, so give "
            "each its own",
            file, count);
    return *key != NULL || encrypted
               ? 0
               : fault_set(fault, ERR_CONFIG, "--key %s: no private key can be read in it; is it whole?",
                           file);
}

/* *LEAF stays NULL for one that comes through a pipe. */
static int read_leaf(X509 **leaf, const char *file, struct fault *fault)
{
    struct files_content content;
    *leaf = NULL;
    if (comes_once(file))
        return 0;
    int err = files_read(&content, file, fault);
    if (err != 0)
        return err;
    BIO *in = BIO_new_mem_buf(content.bytes, (int)content.length);
    *leaf = in != NULL ? PEM_read_bio_X509(in, NULL, no_passphrase, NULL) : NULL;
    BIO_free(in);
    ERR_clear_error();
    files_content_clear(&content);
    return *leaf != NULL ? 0
                         : fault_set(fault, ERR_CONFIG,
                                     "--cert %s: no certificate can be read in it; is it whole?", file);
}

/* Sets *FOUND when the key in FILE is LEAF's, or may be, being encrypted. */
static int try_key(bool *found, const X509 *leaf, const char *file, struct fault *fault)
{
    EVP_PKEY *key = NULL;
    int err = read_key(&key, file, fault);
    if (err == 0)
        *found = key == NULL || X509_check_private_key(leaf, key) == 1;
    EVP_PKEY_free(key);
    ERR_clear_error();
    return err;
}

int given_pairs_check(const char *const *keys, size_t key_count, const char *const *certs, size_t cert_count,
                      struct fault *fault)
{
    int err = 0;
    for (size_t i = 0; err == 0 && i < key_count; i++) {
        EVP_PKEY *key = NULL;
        err = read_key(&key, keys[i], fault);
        EVP_PKEY_free(key);
    }
    for (size_t i = 0; err == 0 && i < cert_count; i++) {
        X509 *leaf = NULL;
        err = read_leaf(&leaf, certs[i], fault);
        bool found = err == 0 && leaf == NULL;
        for (size_t j = 0; err == 0 && !found && j < key_count; j++)
            err = try_key(&found, leaf, keys[j], fault);
        X509_free(leaf);
        if (err == 0 && !found)
            err = fault_set(fault, ERR_CONFIG,
                            "--cert %s: its private key is in no file of --key, so that no connection could "
                            "be served with it; give that key, too, or leave the certificate out",
                            certs[i]);
    }
    return err;
}
