#include "keyserver/vault/keys/openssl_ready.h"

#include <stdbool.h>

#include <openssl/conf.h>
#include <openssl/crypto.h>
#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/evp.h>

static bool has_digest(const char *name)
{
    EVP_MD *digest = EVP_MD_fetch(NULL, name, NULL);
    EVP_MD_free(digest);
    return digest != NULL;
}

static bool has_key_type(const char *name)
{
    EVP_KEYMGMT *type = EVP_KEYMGMT_fetch(NULL, name, NULL);
    EVP_KEYMGMT_free(type);
    return type != NULL;
}

static bool has_decoder(const char *name)
{
    OSSL_DECODER *decoder = OSSL_DECODER_fetch(NULL, name, "input=der");
    OSSL_DECODER_free(decoder);
    return decoder != NULL;
}

/* Ed25519 is not among them: libsodium computes it, and OpenSSL's FIPS provider may lack it. */
static const struct {
    bool (*has)(const char *name);
    const char *name;
    const char *what;
} needed[] = {
    {has_digest, "SHA2-256", "SHA-256"},
    {has_digest, "SHA2-384", "SHA-384"},
    {has_key_type, "RSA", "RSA"},
    {has_key_type, "EC", "elliptic curves"},
    {has_decoder, "RSA", "decoder of RSA keys"},
    {has_decoder, "EC", "decoder of keys of elliptic curves"},
};

int openssl_ready_check(struct fault *fault)
{
    size_t count = sizeof needed / sizeof needed[0], i = 0;
    while (i < count && needed[i].has(needed[i].name))
        i++;
    ERR_clear_error();
    if (i == count)
        return 0;
    char *path = CONF_get1_default_config_file();
    int err = fault_set(fault, ERR_CONFIG,
                        "OpenSSL has no %s: its configuration, %s, activates other providers without the "
                        "default one, or asks for a property (default_properties) that none has; write "
                        "'default = default_sect' into its section of providers and 'activate = 1' into "
                        "[default_sect], or name another file in the environment: OPENSSL_CONF",
                        needed[i].what, path != NULL ? path : "openssl.cnf");
    OPENSSL_free(path);
    return err;
}
