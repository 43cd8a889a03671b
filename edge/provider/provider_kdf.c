/* TLS1-PRF (RFC 5246, 5) and TLS13-KDF (RFC 8446, 7.1), as libssl asks for them in contexts with
 * PROVIDER_TLS_PROPERTIES: four times a handshake, or twenty. What libssl asks for is computed here (prf.c),
 * but for the derivation of a master secret from the token of a deferred decryption (provider.h), for which
 * the key server is asked; whatever else one may ask of such a KDF goes to the default provider's
 * implementation. */
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/proverr.h>
#include <stdlib.h>
#include <string.h>

#include "edge/provider/prf.h"
#include "edge/provider/provider_internal.h"

_Static_assert(TLS_MASTER_SIZE == TLS_PREMASTER_SIZE, "decrypt_fetch_secret() is for both");

/* What the derived bytes are for, by the label in front of the seeds. */
enum label { LABEL_OTHER, LABEL_MASTER, LABEL_EXTENDED_MASTER };

/* The state of one derivation. */
struct derivation {
    const struct provider *provider;
    EVP_KDF *kdf;       /* borrowed; the default provider's */
    EVP_KDF_CTX *inner; /* owned; of it, with every parameter so far; NULL before there was one */
    void *deferred;     /* borrowed; the decryption whose token the secret is; NULL: any other secret */
    enum label label;
};

/* ---- life ---- */

static void derivation_free(void *data)
{
    struct derivation *derivation = data;
    if (derivation == NULL)
        return;
    EVP_KDF_CTX_free(derivation->inner);
    free(derivation);
}

static struct derivation *derivation_with(const struct provider *provider, EVP_KDF *kdf)
{
    struct derivation *derivation = calloc(1, sizeof *derivation);
    if (derivation == NULL)
        return NULL;
    derivation->provider = provider;
    derivation->kdf = kdf;
    return derivation;
}

static void *derivation_new(void *data)
{
    const struct provider *provider = data;
    return derivation_with(provider, provider->prf);
}

static void *expansion_new(void *data)
{
    const struct provider *provider = data;
    return derivation_with(provider, provider->expand);
}

/* NULL where the default's context cannot be copied (OpenSSL 3.0). */
static void *derivation_dup(void *data)
{
    const struct derivation *derivation = data;
    struct derivation *copy = derivation_with(derivation->provider, derivation->kdf);
    if (copy == NULL)
        return NULL;
    copy->deferred = derivation->deferred;
    copy->label = derivation->label;
    if (derivation->inner != NULL && (copy->inner = EVP_KDF_CTX_dup(derivation->inner)) == NULL) {
        derivation_free(copy);
        return NULL;
    }
    return copy;
}

/* The context of the default provider's KDF; NULL without memory. */
static EVP_KDF_CTX *inner_of(struct derivation *derivation)
{
    if (derivation->inner == NULL)
        derivation->inner = EVP_KDF_CTX_new(derivation->kdf);
    return derivation->inner;
}

static void derivation_reset(void *data)
{
    struct derivation *derivation = data;
    EVP_KDF_CTX_free(derivation->inner);
    derivation->inner = NULL;
    derivation->deferred = NULL;
    derivation->label = LABEL_OTHER;
}

/* ---- parameters ---- */

static enum label label_of(const OSSL_PARAM *seed)
{
    static const struct {
        const char *text;
        enum label label;
    } labels[] = {{"master secret", LABEL_MASTER}, {"extended master secret", LABEL_EXTENDED_MASTER}};
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++)
        if (seed->data != NULL && seed->data_size == strlen(labels[i].text) &&
            memcmp(seed->data, labels[i].text, seed->data_size) == 0)
            return labels[i].label;
    return LABEL_OTHER;
}

static void *find_deferred(const struct provider *provider, const OSSL_PARAM *secret)
{
    const struct provider_deferral *deferral = provider->transport.deferral;
    return deferral != NULL && secret->data != NULL ? deferral->find(secret->data, secret->data_size) : NULL;
}

/* Notes whether the secret among PARAMS is a token, and what is derived from it: libssl gives the label as
 * the first of the seeds, on its own. */
static void note_secret_and_label(struct derivation *derivation, const OSSL_PARAM params[])
{
    const OSSL_PARAM *secret = OSSL_PARAM_locate_const(params, OSSL_KDF_PARAM_SECRET);
    const OSSL_PARAM *seed = OSSL_PARAM_locate_const(params, OSSL_KDF_PARAM_SEED);
    if (secret != NULL)
        derivation->deferred = find_deferred(derivation->provider, secret);
    if (seed != NULL)
        derivation->label = label_of(seed);
}

static int derivation_set_params(void *data, const OSSL_PARAM params[])
{
    struct derivation *derivation = data;
    if (params == NULL)
        return 1;
    note_secret_and_label(derivation, params);
    return inner_of(derivation) != NULL && EVP_KDF_CTX_set_params(derivation->inner, params);
}

static int expansion_set_params(void *data, const OSSL_PARAM params[])
{
    struct derivation *derivation = data;
    if (params == NULL)
        return 1;
    return inner_of(derivation) != NULL && EVP_KDF_CTX_set_params(derivation->inner, params);
}

static int derivation_get_params(void *data, OSSL_PARAM params[])
{
    struct derivation *derivation = data;
    return inner_of(derivation) != NULL && EVP_KDF_CTX_get_params(derivation->inner, params);
}

static const OSSL_PARAM *derivation_settable_params(void *data, void *provider)
{
    (void)data;
    return EVP_KDF_settable_ctx_params(((const struct provider *)provider)->prf);
}

static const OSSL_PARAM *derivation_gettable_params(void *data, void *provider)
{
    (void)data;
    return EVP_KDF_gettable_ctx_params(((const struct provider *)provider)->prf);
}

static const OSSL_PARAM *expansion_settable_params(void *data, void *provider)
{
    (void)data;
    return EVP_KDF_settable_ctx_params(((const struct provider *)provider)->expand);
}

static const OSSL_PARAM *expansion_gettable_params(void *data, void *provider)
{
    (void)data;
    return EVP_KDF_gettable_ctx_params(((const struct provider *)provider)->expand);
}

/* ---- what libssl asks for ---- */

/* One of the hashes that TLS 1.2 and 1.3 are used with today; NULL for others. */
static const EVP_MD *find_digest(const struct provider *provider, const OSSL_PARAM *name)
{
    static const struct {
        const char *name;
        enum provider_digest digest;
    } names[] = {{"SHA2-256", DIGEST_SHA256},
                 {"SHA256", DIGEST_SHA256},
                 {"SHA2-384", DIGEST_SHA384},
                 {"SHA384", DIGEST_SHA384}};
    if (name->data_type != OSSL_PARAM_UTF8_STRING || name->data == NULL)
        return NULL;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name->data, names[i].name) == 0)
            return provider->digest[names[i].digest];
    return NULL;
}

static struct prf_bytes bytes_of(const OSSL_PARAM *param)
{
    return (struct prf_bytes){.bytes = param->data, .length = param->data != NULL ? param->data_size : 0};
}

/* TLS 1.2: a digest, a secret and seeds. False when it is something else. */
static bool derive_here(const struct derivation *derivation, unsigned char *out, size_t size,
                        const OSSL_PARAM *params)
{
    const EVP_MD *digest = NULL;
    struct prf_bytes secret = {0}, seeds[PRF_SEEDS_MAX];
    size_t count = 0, total = 0;
    for (; params != NULL && params->key != NULL; params++) {
        if (strcmp(params->key, OSSL_KDF_PARAM_SEED) == 0 && count < PRF_SEEDS_MAX) {
            seeds[count] = bytes_of(params);
            total += seeds[count++].length;
        } else if (strcmp(params->key, OSSL_KDF_PARAM_SECRET) == 0) {
            secret = bytes_of(params);
        } else if (strcmp(params->key, OSSL_KDF_PARAM_DIGEST) == 0) {
            digest = find_digest(derivation->provider, params);
        } else {
            return false;
        }
    }
    return derivation->inner == NULL && digest != NULL && secret.length > 0 && total > 0 && size > 0 &&
           prf_tls12(digest, secret, seeds, count, out, size) == 0;
}

/* TLS 1.3: an expansion. False when it is something else, an extraction for example. */
static bool expand_here(const struct derivation *derivation, unsigned char *out, size_t size,
                        const OSSL_PARAM *params)
{
    enum { KEY, PREFIX, LABEL, DATA, TEXTS };
    static const char *const names[TEXTS] = {OSSL_KDF_PARAM_KEY, OSSL_KDF_PARAM_PREFIX, OSSL_KDF_PARAM_LABEL,
                                             OSSL_KDF_PARAM_DATA};
    struct prf_bytes texts[TEXTS] = {{0}};
    const EVP_MD *digest = NULL;
    int mode = -1;
    for (; params != NULL && params->key != NULL; params++) {
        size_t i = 0;
        while (i < TEXTS && strcmp(params->key, names[i]) != 0)
            i++;
        if (i < TEXTS)
            texts[i] = bytes_of(params);
        else if (strcmp(params->key, OSSL_KDF_PARAM_DIGEST) == 0)
            digest = find_digest(derivation->provider, params);
        else if (strcmp(params->key, OSSL_KDF_PARAM_MODE) != 0 || !OSSL_PARAM_get_int(params, &mode))
            return false;
    }
    return derivation->inner == NULL && digest != NULL && mode == EVP_KDF_HKDF_MODE_EXPAND_ONLY &&
           texts[KEY].length > 0 && texts[PREFIX].length > 0 && texts[LABEL].length > 0 && size > 0 &&
           prf_tls13(digest, texts[KEY], texts[PREFIX], texts[LABEL], texts[DATA], out, size) == 0;
}

/* ---- from a token ---- */

/* What the token stands for: the extended master secret or the pre-master secret. */
static int fetch_deferred(const struct derivation *derivation, bool extended,
                          uint8_t secret[static TLS_PREMASTER_SIZE])
{
    const struct provider *provider = derivation->provider;
    struct operation operation;
    int err = provider->transport.deferral->resolve(derivation->deferred, extended, &operation);
    return err != 0 ? err : decrypt_fetch_secret(provider, &operation, secret);
}

/* The key server's answer is the master secret itself. */
static int derive_extended_master(const struct derivation *derivation, unsigned char *out, size_t size)
{
    return size == TLS_MASTER_SIZE ? fetch_deferred(derivation, true, out) : ERR_LENGTH;
}

/* Derives from the pre-master secret, with the seeds that are set already. */
static int derive_master(const struct derivation *derivation, unsigned char *out, size_t size)
{
    uint8_t premaster[TLS_PREMASTER_SIZE];
    const OSSL_PARAM params[] = {
        OSSL_PARAM_octet_string(OSSL_KDF_PARAM_SECRET, premaster, sizeof premaster),
        OSSL_PARAM_END,
    };
    int err = fetch_deferred(derivation, false, premaster);
    if (err == 0 && EVP_KDF_derive(derivation->inner, out, size, params) != 1)
        err = ERR_CRYPTO;
    OPENSSL_cleanse(premaster, sizeof premaster);
    return err;
}

/* The token is good for one attempt: whatever comes of it, nothing else is derived from it. */
static int derive_from_token(struct derivation *derivation, unsigned char *out, size_t size)
{
    int err = ERR_REFUSED;
    if (derivation->label == LABEL_EXTENDED_MASTER)
        err = derive_extended_master(derivation, out, size);
    else if (derivation->label == LABEL_MASTER)
        err = derive_master(derivation, out, size);
    derivation->provider->transport.deferral->forget(derivation->deferred);
    derivation->deferred = NULL;
    if (err != 0)
        ERR_raise_data(ERR_LIB_PROV, PROV_R_FAILED_TO_DECRYPT, "remote key");
    return err == 0;
}

static int derivation_derive(void *data, unsigned char *out, size_t size, const OSSL_PARAM params[])
{
    struct derivation *derivation = data;
    if (params != NULL)
        note_secret_and_label(derivation, params);
    if (derivation->deferred == NULL && derive_here(derivation, out, size, params))
        return 1;
    if (inner_of(derivation) == NULL)
        return 0;
    if (derivation->deferred == NULL)
        return EVP_KDF_derive(derivation->inner, out, size, params);
    return EVP_KDF_CTX_set_params(derivation->inner, params) == 1 && derive_from_token(derivation, out, size);
}

static int expansion_derive(void *data, unsigned char *out, size_t size, const OSSL_PARAM params[])
{
    struct derivation *derivation = data;
    if (expand_here(derivation, out, size, params))
        return 1;
    return inner_of(derivation) != NULL && EVP_KDF_derive(derivation->inner, out, size, params);
}

const OSSL_DISPATCH kdf_prf_functions[] = {
    FUNCTION(OSSL_FUNC_KDF_NEWCTX, derivation_new),
    FUNCTION(OSSL_FUNC_KDF_FREECTX, derivation_free),
    FUNCTION(OSSL_FUNC_KDF_DUPCTX, derivation_dup),
    FUNCTION(OSSL_FUNC_KDF_RESET, derivation_reset),
    FUNCTION(OSSL_FUNC_KDF_DERIVE, derivation_derive),
    FUNCTION(OSSL_FUNC_KDF_SET_CTX_PARAMS, derivation_set_params),
    FUNCTION(OSSL_FUNC_KDF_SETTABLE_CTX_PARAMS, derivation_settable_params),
    FUNCTION(OSSL_FUNC_KDF_GET_CTX_PARAMS, derivation_get_params),
    FUNCTION(OSSL_FUNC_KDF_GETTABLE_CTX_PARAMS, derivation_gettable_params),
    {0, NULL},
};
const OSSL_DISPATCH kdf_expand_functions[] = {
    FUNCTION(OSSL_FUNC_KDF_NEWCTX, expansion_new),
    FUNCTION(OSSL_FUNC_KDF_FREECTX, derivation_free),
    FUNCTION(OSSL_FUNC_KDF_DUPCTX, derivation_dup),
    FUNCTION(OSSL_FUNC_KDF_RESET, derivation_reset),
    FUNCTION(OSSL_FUNC_KDF_DERIVE, expansion_derive),
    FUNCTION(OSSL_FUNC_KDF_SET_CTX_PARAMS, expansion_set_params),
    FUNCTION(OSSL_FUNC_KDF_SETTABLE_CTX_PARAMS, expansion_settable_params),
    FUNCTION(OSSL_FUNC_KDF_GET_CTX_PARAMS, derivation_get_params),
    FUNCTION(OSSL_FUNC_KDF_GETTABLE_CTX_PARAMS, expansion_gettable_params),
    {0, NULL},
};
