#include "edge/certs/certs_level.h"

#include <openssl/err.h>
#include <openssl/sslerr.h>

#include "edge/provider/openssl_error.h"

/* The part that is too weak, by REASON of OpenSSL; NULL when REASON is about something else. */
static const char *weak_part(int reason)
{
    switch (reason) {
    case SSL_R_EE_KEY_TOO_SMALL:
        return "its key";
    case SSL_R_CA_KEY_TOO_SMALL:
        return "the key of an issuer in it";
    case SSL_R_CA_MD_TOO_WEAK:
        return "the hash of a signature in it";
    default:
        return NULL;
    }
}

int certs_level_put(SSL_CTX *tls, const struct cert *cert, struct fault *fault)
{
    char why[256];
    ERR_clear_error();
    if (SSL_CTX_use_cert_and_key(tls, cert->leaf, cert->key, cert->chain, 1) == 1 &&
        SSL_CTX_check_private_key(tls) == 1)
        return 0;
    unsigned long code = ERR_peek_error();
    const char *weak = ERR_GET_LIB(code) == ERR_LIB_SSL ? weak_part(ERR_GET_REASON(code)) : NULL;
    int level = SSL_CTX_get_security_level(tls);
    openssl_error(why, sizeof why);
    if (weak == NULL)
        return fault_set(fault, ERR_CONFIG, "%s: %s", cert->file, why);
    return fault_set(
        fault, ERR_CONFIG,
        "%s: %s is too weak for OpenSSL's security level %d (%s); have it issued anew with a stronger "
        "one, or lower the level: @SECLEVEL=%d in tls.ciphers, or in CipherString of OpenSSL's configuration",
        cert->file, weak, level, why, level - 1);
}
