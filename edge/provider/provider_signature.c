#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/proverr.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "edge/provider/provider_internal.h"
#include "edge/provider/tbs.h"

/* The state of one signature. */
struct signing {
    struct provider_context context;
    unsigned hash_bits; /* 0 for Ed25519 */
    int padding;        /* RSA_PKCS1_PADDING or RSA_PKCS1_PSS_PADDING */
    bool salt_unfit;    /* PSS with a salt that is not as long as the digest was asked for */
};

/* OpenSSL spells a digest in the probe and in the signature differently. */
static const struct digest_name {
    const char *name;
    unsigned bits;
} digest_names[] = {
    {"SHA2-256", 256}, {"SHA256", 256},   {"SHA-256", 256}, {"SHA2-384", 384}, {"SHA384", 384},
    {"SHA-384", 384},  {"SHA2-512", 512}, {"SHA512", 512},  {"SHA-512", 512},
};

static const struct scheme_info *scheme_choose(const struct signing *signing)
{
    return scheme_find_for(key_type_algorithm(signing->context.key->type),
                           signing->padding == RSA_PKCS1_PSS_PADDING, signing->hash_bits);
}

/* ---- context ---- */

static void *signing_new(void *provider, const char *properties)
{
    (void)properties;
    struct signing *signing = context_new(provider, sizeof *signing);
    if (signing != NULL)
        signing->padding = RSA_PKCS1_PADDING;
    return signing;
}

static int set_padding(struct signing *signing, const OSSL_PARAM *param)
{
    int padding = 0;
    if (param->data_type == OSSL_PARAM_UTF8_STRING && param->data != NULL) {
        if (strcasecmp(param->data, OSSL_PKEY_RSA_PAD_MODE_PKCSV15) == 0)
            padding = RSA_PKCS1_PADDING;
        else if (strcasecmp(param->data, OSSL_PKEY_RSA_PAD_MODE_PSS) == 0)
            padding = RSA_PKCS1_PSS_PADDING;
    } else if (!OSSL_PARAM_get_int(param, &padding)) {
        return 0;
    }
    if (padding != RSA_PKCS1_PADDING && padding != RSA_PKCS1_PSS_PADDING) {
        ERR_raise(ERR_LIB_PROV, PROV_R_ILLEGAL_OR_UNSUPPORTED_PADDING_MODE);
        return 0;
    }
    signing->padding = padding;
    return 1;
}

/* TLS knows only salts as long as the digest (RFC 8446, 4.2.3). */
static bool salt_fits(const struct signing *signing, const OSSL_PARAM *param)
{
    int length = 0;
    if (param->data_type == OSSL_PARAM_UTF8_STRING && param->data != NULL) {
        if (strcmp(param->data, OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST) == 0)
            return true;
        length = atoi(param->data);
    } else if (!OSSL_PARAM_get_int(param, &length)) {
        return false;
    }
    return length == RSA_PSS_SALTLEN_DIGEST || (length > 0 && (unsigned)length * 8 == signing->hash_bits);
}

static int signing_set_params(void *data, const OSSL_PARAM params[])
{
    struct signing *signing = data;
    const OSSL_PARAM *padding = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE);
    const OSSL_PARAM *salt = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PSS_SALTLEN);
    if (padding != NULL && !set_padding(signing, padding))
        return 0;
    if (salt != NULL)
        signing->salt_unfit = !salt_fits(signing, salt);
    return 1;
}

static const OSSL_PARAM *signing_settable_params(void *data, void *provider)
{
    static const OSSL_PARAM table[] = {
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
        OSSL_PARAM_END,
    };
    (void)data;
    (void)provider;
    return table;
}

/* ---- signing ---- */

/* Also OpenSSL's probe of what is supported: sends no request. */
static int signing_init(void *data, const char *digest, void *key_data, const OSSL_PARAM params[])
{
    struct signing *signing = data;
    struct remote_key *key = key_data;
    unsigned bits = 0;
    if (key != NULL)
        context_set_key(&signing->context, key);
    if (signing->context.key == NULL || signing->context.key->public_key == NULL) {
        ERR_raise(ERR_LIB_PROV, PROV_R_NO_KEY_SET);
        return 0;
    }
    for (size_t i = 0; digest != NULL && i < sizeof digest_names / sizeof digest_names[0]; i++)
        if (strcasecmp(digest, digest_names[i].name) == 0)
            bits = digest_names[i].bits;
    bool wants_digest = scheme_find_for(key_type_algorithm(signing->context.key->type), false, 0) == NULL;
    bool given = digest != NULL && digest[0] != '\0';
    if (given != wants_digest || (given && bits == 0)) {
        ERR_raise(ERR_LIB_PROV, PROV_R_DIGEST_NOT_ALLOWED);
        return 0;
    }
    signing->hash_bits = bits;
    return params == NULL || signing_set_params(signing, params);
}

/* Makes the typed operation for TBS; an error for what a TLS server does not sign. */
static int operation_of(const struct signing *signing, const struct scheme_info *scheme, const uint8_t *tbs,
                        size_t length, struct operation *operation)
{
    if (scheme == NULL || tbs_parse(operation, scheme->scheme, tbs, length) != 0)
        return ERR_FORMAT;
    /* In TLS 1.3 an ECDSA scheme names the curve as well. */
    if (operation_find(operation->kind)->tls13 && scheme->tls13_key != signing->context.key->type)
        return ERR_FORMAT;
    memcpy(operation->key_id, signing->context.key->id, KEY_ID_SIZE);
    return 0;
}

/* Always checks the form; verifies the signature where the configuration says so. */
static int outcome_check(const struct signing *signing, const struct scheme_info *scheme,
                         const struct outcome *outcome, const uint8_t *tbs, size_t length)
{
    const struct remote_key *key = signing->context.key;
    if (outcome->length > sizeof outcome->bytes || verify_form(key, outcome->bytes, outcome->length) != 0) {
        counter_add(&provider_counters.bad_length, 1);
        return ERR_LENGTH;
    }
    if ((signing->context.provider->verify & (1u << key->type)) == 0)
        return 0;
    if (verify_signature(key, scheme, outcome->bytes, outcome->length, tbs, length) != 0) {
        counter_add(&provider_counters.bad_signature, 1);
        return ERR_CRYPTO;
    }
    return 0;
}

static int sign_remotely(const struct signing *signing, const uint8_t *tbs, size_t length,
                         struct outcome *outcome)
{
    struct operation operation = {0};
    const struct scheme_info *scheme = signing->salt_unfit ? NULL : scheme_choose(signing);
    if (operation_of(signing, scheme, tbs, length, &operation) != 0) {
        counter_add(&provider_counters.refused_locally, 1);
        ERR_raise_data(ERR_LIB_PROV, PROV_R_FAILED_TO_SIGN, "not what a TLS server signs");
        return 0;
    }
    int err = signing->context.provider->transport.perform(&operation, outcome);
    if (err == 0 && outcome->status != STATUS_OK) {
        ERR_raise_data(ERR_LIB_PROV, PROV_R_FAILED_TO_SIGN, "key server: %s", status_name(outcome->status));
        return 0;
    }
    if (err == 0)
        err = outcome_check(signing, scheme, outcome, tbs, length);
    if (err != 0)
        ERR_raise_data(ERR_LIB_PROV, PROV_R_FAILED_TO_SIGN, "remote key: %s", err_string(err));
    return err == 0;
}

static int signing_sign(void *data, unsigned char *signature, size_t *signature_length, size_t signature_size,
                        const unsigned char *tbs, size_t length)
{
    const struct signing *signing = data;
    struct outcome outcome = {.status = STATUS_UNAVAILABLE};
    if (signing->context.key == NULL) {
        ERR_raise(ERR_LIB_PROV, PROV_R_NO_KEY_SET);
        return 0;
    }
    if (signature == NULL) {
        *signature_length = signing->context.key->size;
        return 1;
    }
    int done = sign_remotely(signing, tbs, length, &outcome);
    if (done && outcome.length > signature_size) {
        ERR_raise(ERR_LIB_PROV, PROV_R_OUTPUT_BUFFER_TOO_SMALL);
        done = 0;
    }
    if (done) {
        memcpy(signature, outcome.bytes, outcome.length);
        *signature_length = outcome.length;
    }
    return done;
}

const OSSL_DISPATCH signature_functions[] = {
    FUNCTION(OSSL_FUNC_SIGNATURE_NEWCTX, signing_new),
    FUNCTION(OSSL_FUNC_SIGNATURE_FREECTX, context_free),
    FUNCTION(OSSL_FUNC_SIGNATURE_DUPCTX, context_dup),
    FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, signing_init),
    FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, signing_sign),
    FUNCTION(OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, signing_set_params),
    FUNCTION(OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, signing_settable_params),
    {0, NULL},
};
