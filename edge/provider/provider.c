#include "edge/provider/provider.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "edge/provider/provider_internal.h"

#define OPENSSL_WITH_FIXES 0x30000080UL /* 3.0.8: keys that cannot be exported work everywhere */
#define PROVIDERS_MAX      8

struct provider_counters provider_counters;

void provider_stats_get(struct provider_stats *out)
{
    out->refused_locally = counter_get(&provider_counters.refused_locally);
    out->replaced = counter_get(&provider_counters.replaced);
    out->bad_length = counter_get(&provider_counters.bad_length);
    out->bad_signature = counter_get(&provider_counters.bad_signature);
}

/* ---- what OpenSSL sees ---- */

#define PROPERTIES "provider=" PROVIDER_NAME
static const OSSL_ALGORITHM key_algorithms[] = {
    {"RSA:rsaEncryption:1.2.840.113549.1.1.1", PROPERTIES, keymgmt_rsa_functions, "remote RSA key"},
    {"EC:id-ecPublicKey:1.2.840.10045.2.1", PROPERTIES, keymgmt_ec_functions, "remote EC key"},
    {"ED25519:1.3.101.112", PROPERTIES, keymgmt_ed25519_functions, "remote Ed25519 key"},
    {NULL, NULL, NULL, NULL},
};
static const OSSL_ALGORITHM signature_algorithms[] = {
    {"RSA:rsaEncryption:1.2.840.113549.1.1.1", PROPERTIES, signature_functions, "remote RSA signature"},
    {"ECDSA", PROPERTIES, signature_functions, "remote ECDSA signature"},
    {"ED25519:1.3.101.112", PROPERTIES, signature_functions, "remote Ed25519 signature"},
    {NULL, NULL, NULL, NULL},
};
static const OSSL_ALGORITHM cipher_algorithms[] = {
    {"RSA:rsaEncryption:1.2.840.113549.1.1.1", PROPERTIES, decrypt_functions, "remote RSA decryption"},
    {NULL, NULL, NULL, NULL},
};

/* Fetched only with PROVIDER_TLS_PROPERTIES. */
static const OSSL_ALGORITHM kdf_algorithms[] = {
    {"TLS1-PRF", PROPERTIES ",keyless.kdf=yes,keyless.tls=yes", kdf_prf_functions, "PRF of TLS 1.2"},
    {"TLS13-KDF", PROPERTIES ",keyless.kdf=yes,keyless.tls=yes", kdf_expand_functions, "KDF of TLS 1.3"},
    {NULL, NULL, NULL, NULL},
};

static const OSSL_ALGORITHM *query(void *provider, int operation, int *no_cache)
{
    (void)provider;
    *no_cache = 0;
    if (operation == OSSL_OP_KEYMGMT)
        return key_algorithms;
    if (operation == OSSL_OP_SIGNATURE)
        return signature_algorithms;
    if (operation == OSSL_OP_ASYM_CIPHER)
        return cipher_algorithms;
    return operation == OSSL_OP_KDF ? kdf_algorithms : NULL;
}

static const OSSL_PARAM *gettable_params(void *provider)
{
    static const OSSL_PARAM table[] = {
        OSSL_PARAM_utf8_ptr(OSSL_PROV_PARAM_NAME, NULL, 0),
        OSSL_PARAM_utf8_ptr(OSSL_PROV_PARAM_VERSION, NULL, 0),
        OSSL_PARAM_int(OSSL_PROV_PARAM_STATUS, NULL),
        OSSL_PARAM_END,
    };
    (void)provider;
    return table;
}

static int get_params(void *provider, OSSL_PARAM params[])
{
    OSSL_PARAM *name = OSSL_PARAM_locate(params, OSSL_PROV_PARAM_NAME);
    OSSL_PARAM *version = OSSL_PARAM_locate(params, OSSL_PROV_PARAM_VERSION);
    OSSL_PARAM *status = OSSL_PARAM_locate(params, OSSL_PROV_PARAM_STATUS);
    (void)provider;
    return (name == NULL || OSSL_PARAM_set_utf8_ptr(name, PROVIDER_NAME)) &&
           (version == NULL || OSSL_PARAM_set_utf8_ptr(version, KEYLESS_VERSION)) &&
           (status == NULL || OSSL_PARAM_set_int(status, 1));
}

static const OSSL_DISPATCH provider_functions[] = {
    FUNCTION(OSSL_FUNC_PROVIDER_TEARDOWN, free),
    FUNCTION(OSSL_FUNC_PROVIDER_GETTABLE_PARAMS, gettable_params),
    FUNCTION(OSSL_FUNC_PROVIDER_GET_PARAMS, get_params),
    FUNCTION(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query),
    {0, NULL},
};

static int provider_start(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out,
                          void **provider)
{
    (void)handle;
    (void)in;
    *out = provider_functions;
    *provider = calloc(1, sizeof(struct provider));
    return *provider != NULL;
}

/* ---- the context around it ---- */

struct loaded {
    OSSL_PROVIDER *provider[PROVIDERS_MAX];
    size_t count;
};

static int collect(OSSL_PROVIDER *provider, void *user)
{
    struct loaded *loaded = user;
    if (loaded->count < PROVIDERS_MAX)
        loaded->provider[loaded->count++] = provider;
    return 1;
}

/* Called while the default provider, which owns them, is still loaded. */
static void drop_fetched(struct provider *provider)
{
    EVP_KDF_free(provider->prf);
    EVP_KDF_free(provider->expand);
    for (size_t i = 0; i < PROVIDER_DIGESTS; i++)
        EVP_MD_free(provider->digest[i]);
    provider->prf = provider->expand = NULL;
    memset(provider->digest, 0, sizeof provider->digest);
}

static bool fetch(struct provider *provider, OSSL_LIB_CTX *context)
{
    provider->prf = EVP_KDF_fetch(context, "TLS1-PRF", PROVIDER_DEFAULT_ONLY);
    provider->expand = EVP_KDF_fetch(context, "TLS13-KDF", PROVIDER_DEFAULT_ONLY);
    provider->digest[DIGEST_SHA256] = EVP_MD_fetch(context, "SHA2-256", PROVIDER_DEFAULT_ONLY);
    provider->digest[DIGEST_SHA384] = EVP_MD_fetch(context, "SHA2-384", PROVIDER_DEFAULT_ONLY);
    return provider->prf != NULL && provider->expand != NULL && provider->digest[DIGEST_SHA256] != NULL &&
           provider->digest[DIGEST_SHA384] != NULL;
}

void provider_context_free(OSSL_LIB_CTX *context)
{
    struct loaded loaded = {.count = 0};
    if (context == NULL)
        return;
    /* The context does not drop the references that loading gave. */
    OSSL_PROVIDER_do_all(context, collect, &loaded);
    while (loaded.count > 0) {
        OSSL_PROVIDER *one = loaded.provider[--loaded.count];
        if (strcmp(OSSL_PROVIDER_get0_name(one), PROVIDER_NAME) == 0)
            drop_fetched(OSSL_PROVIDER_get0_provider_ctx(one));
        OSSL_PROVIDER_unload(one);
    }
    OSSL_LIB_CTX_free(context);
}

/* Loaded after `default`, which must win wherever both offer a name. */
static struct provider *providers_load(OSSL_LIB_CTX *context)
{
    if (OSSL_PROVIDER_add_builtin(context, PROVIDER_NAME, provider_start) != 1)
        return NULL;
    OSSL_PROVIDER *loaded = OSSL_PROVIDER_load(context, PROVIDER_NAME);
    if (loaded == NULL || EVP_set_default_properties(context, "?" PROVIDER_DEFAULT_ONLY) != 1)
        return NULL;
    struct provider *provider = OSSL_PROVIDER_get0_provider_ctx(loaded);
    return fetch(provider, context) ? provider : NULL;
}

int provider_context_new(OSSL_LIB_CTX **out, const struct provider_transport *transport, uint32_t verify,
                         struct fault *fault)
{
    OSSL_LIB_CTX *context = OSSL_LIB_CTX_new();
    if (context == NULL)
        return fault_set(fault, ERR_MEMORY, "OpenSSL: no memory for a library context");
    if (OSSL_PROVIDER_load(context, "default") == NULL) {
        OSSL_LIB_CTX_free(context);
        return fault_set(fault, ERR_CRYPTO, "OpenSSL cannot load its default provider");
    }
    struct provider *provider = providers_load(context);
    if (provider == NULL) {
        char reason[256];
        ERR_error_string_n(ERR_peek_last_error(), reason, sizeof reason);
        ERR_clear_error();
        provider_context_free(context);
        return fault_set(fault, ERR_CRYPTO, "OpenSSL cannot load the provider of remote keys: %s", reason);
    }
    if (OpenSSL_version_num() < OPENSSL_WITH_FIXES)
        log_event(LOG_WARN, "openssl_old", "version=\"%s\" hint=\"use OpenSSL 3.0.8 or newer\"",
                  OpenSSL_version(OPENSSL_VERSION));
    provider->context = context;
    provider->transport = *transport;
    provider->verify = verify;
    *out = context;
    return 0;
}

/* ---- keys ---- */

int provider_key_type(EVP_PKEY *key)
{
    char group[64] = "";
    (void)EVP_PKEY_get_group_name(key, group, sizeof group, NULL);
    for (enum key_type type = KEY_RSA; type < KEY_TYPES; type++) {
        const struct key_type_info *info = key_type_find(type);
        if (EVP_PKEY_is_a(key, key_algorithm_name(info->algorithm)) &&
            key_type_fits(info, group, EVP_PKEY_get_bits(key)))
            return (int)type;
    }
    return ERR_UNSUPPORTED;
}

static EVP_PKEY *key_from(OSSL_LIB_CTX *context, EVP_PKEY *public_key, const char *name)
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params = NULL;
    EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_from_name(context, name, PROPERTIES);
    if (maker == NULL || EVP_PKEY_todata(public_key, EVP_PKEY_PUBLIC_KEY, &params) != 1 ||
        EVP_PKEY_fromdata_init(maker) != 1 ||
        EVP_PKEY_fromdata(maker, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        key = NULL;
    OSSL_PARAM_free(params);
    EVP_PKEY_CTX_free(maker);
    return key;
}

int provider_key_new(OSSL_LIB_CTX *context, EVP_PKEY *public_key, EVP_PKEY **out,
                     uint8_t key_id[static KEY_ID_SIZE], struct fault *fault)
{
    size_t length = 0;
    int type = provider_key_type(public_key);
    if (type < 0) {
        char types[KEY_TYPES_TEXT_SIZE];
        const char *name = EVP_PKEY_get0_type_name(public_key);
        return fault_set(fault, ERR_UNSUPPORTED, "%s key of %d bits is not supported; use %s",
                         name == NULL ? "unknown" : name, EVP_PKEY_get_bits(public_key),
                         key_types_text(types, "or"));
    }
    EVP_PKEY *key = key_from(context, public_key,
                             key_algorithm_name(key_type_algorithm((enum key_type)type)));
    if (key == NULL ||
        EVP_PKEY_get_octet_string_param(key, KEYMGMT_PARAM_ID, key_id, KEY_ID_SIZE, &length) != 1 ||
        length != KEY_ID_SIZE) {
        EVP_PKEY_free(key);
        ERR_clear_error();
        return fault_set(fault, ERR_CRYPTO, "OpenSSL does not take the public key");
    }
    *out = key;
    return 0;
}
