#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "edge/provider/provider_internal.h"

static struct remote_key *key_new(const void *provider, const char *name)
{
    struct remote_key *key = calloc(1, sizeof *key);
    if (key == NULL)
        return NULL;
    atomic_store(&key->references, 1);
    key->provider = provider;
    key->name = name;
    return key;
}

static void *key_new_rsa(void *provider)
{
    return key_new(provider, "RSA");
}
static void *key_new_ec(void *provider)
{
    return key_new(provider, "EC");
}
static void *key_new_ed25519(void *provider)
{
    return key_new(provider, "ED25519");
}

struct remote_key *keymgmt_key_share(struct remote_key *key)
{
    atomic_fetch_add(&key->references, 1);
    return key;
}

void keymgmt_key_free(void *data)
{
    struct remote_key *key = data;
    if (key == NULL || atomic_fetch_sub(&key->references, 1) != 1)
        return;
    EVP_PKEY_free(key->public_key);
    OSSL_PARAM_free(key->exported);
    free(key);
}

/* Keys never change after the import, so a copy is one more reference. */
static void *key_dup(const void *data, int selection)
{
    union {
        const void *from;
        struct remote_key *key;
    } u = {.from = data};
    (void)selection;
    return keymgmt_key_share(u.key);
}

/* The private half counts as present: it exists, at the key server. */
static int key_has(const void *data, int selection)
{
    const struct remote_key *key = data;
    (void)selection;
    return key != NULL && key->public_key != NULL;
}

static int key_match(const void *data1, const void *data2, int selection)
{
    const struct remote_key *a = data1, *b = data2;
    if (a->public_key == NULL || b->public_key == NULL)
        return 0;
    if ((selection & OSSL_KEYMGMT_SELECT_KEYPAIR) == 0)
        return EVP_PKEY_parameters_eq(a->public_key, b->public_key) == 1;
    return EVP_PKEY_eq(a->public_key, b->public_key) == 1;
}

static int key_get_params(void *data, OSSL_PARAM params[])
{
    const struct remote_key *key = data;
    OSSL_PARAM *id = OSSL_PARAM_locate(params, KEYMGMT_PARAM_ID);
    if (key->public_key == NULL)
        return 0;
    if (id != NULL && !OSSL_PARAM_set_octet_string(id, key->id, sizeof key->id))
        return 0;
    return EVP_PKEY_get_params(key->public_key, params) == 1;
}

static const OSSL_PARAM *key_gettable_params(void *provider)
{
    static const OSSL_PARAM table[] = {
        OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_MANDATORY_DIGEST, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_EC_FIELD_TYPE, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
        OSSL_PARAM_octet_string(KEYMGMT_PARAM_ID, NULL, 0),
        OSSL_PARAM_END,
    };
    (void)provider;
    return table;
}

/* ---- in and out: the public half only ---- */

static int public_from_params(struct remote_key *key, const OSSL_PARAM params[])
{
    OSSL_PARAM *copy = OSSL_PARAM_dup(params); /* EVP_PKEY_fromdata does not promise to leave them alone */
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(key->provider->context, key->name,
                                                       PROVIDER_DEFAULT_ONLY);
    int done = copy != NULL && context != NULL && EVP_PKEY_fromdata_init(context) == 1 &&
               EVP_PKEY_fromdata(context, &key->public_key, EVP_PKEY_PUBLIC_KEY, copy) == 1;
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(copy);
    return done;
}

static int key_id_compute(struct remote_key *key)
{
    unsigned char *der = NULL;
    int length = i2d_PUBKEY(key->public_key, &der);
    int done = length > 0 && EVP_Q_digest(key->provider->context, "SHA256", PROVIDER_DEFAULT_ONLY, der,
                                          (size_t)length, key->id, NULL) == 1;
    OPENSSL_free(der);
    return done;
}

/* Only RSA keys have a modulus. */
static int keep_modulus(struct remote_key *key)
{
    BIGNUM *n = NULL;
    if (key->type != KEY_RSA)
        return 1;
    int done = key->size <= sizeof key->modulus &&
               EVP_PKEY_get_bn_param(key->public_key, OSSL_PKEY_PARAM_RSA_N, &n) == 1 &&
               BN_bn2binpad(n, key->modulus, (int)key->size) == (int)key->size;
    BN_free(n);
    return done;
}

/* A selection with the private half is refused in both directions: no private key may come in here, and when
 * libcrypto is refused the private half it lets this provider do the work. */
static int key_import(void *data, int selection, const OSSL_PARAM params[])
{
    struct remote_key *key = data;
    if (key->public_key != NULL || (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0 ||
        (selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY) == 0)
        return 0;
    if (!public_from_params(key, params))
        return 0;
    int type = provider_key_type(key->public_key);
    int size = EVP_PKEY_get_size(key->public_key);
    if (type < 0 || size <= 0 || EVP_PKEY_todata(key->public_key, EVP_PKEY_PUBLIC_KEY, &key->exported) != 1)
        return 0;
    key->type = (enum key_type)type;
    key->size = (size_t)size;
    return keep_modulus(key) && key_id_compute(key);
}

static int key_export(void *data, int selection, OSSL_CALLBACK *callback, void *user)
{
    const struct remote_key *key = data;
    if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0 || key->exported == NULL)
        return 0;
    return callback(key->exported, user);
}

static const OSSL_PARAM *key_types_rsa(int selection)
{
    static const OSSL_PARAM table[] = {
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
        OSSL_PARAM_END,
    };
    return (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0 ? NULL : table;
}

static const OSSL_PARAM *key_types_curve(int selection)
{
    static const OSSL_PARAM table[] = {
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
        OSSL_PARAM_END,
    };
    return (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0 ? NULL : table;
}

static const char *key_operation_ec(int operation)
{
    return operation == OSSL_OP_SIGNATURE ? "ECDSA" : "EC";
}

/* ---- tables ---- */

#define KEY_FUNCTIONS(make, types)                                                                           \
    FUNCTION(OSSL_FUNC_KEYMGMT_NEW, make), FUNCTION(OSSL_FUNC_KEYMGMT_FREE, keymgmt_key_free),               \
        FUNCTION(OSSL_FUNC_KEYMGMT_DUP, key_dup), FUNCTION(OSSL_FUNC_KEYMGMT_HAS, key_has),                  \
        FUNCTION(OSSL_FUNC_KEYMGMT_MATCH, key_match),                                                        \
        FUNCTION(OSSL_FUNC_KEYMGMT_GET_PARAMS, key_get_params),                                              \
        FUNCTION(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, key_gettable_params),                                    \
        FUNCTION(OSSL_FUNC_KEYMGMT_IMPORT, key_import), FUNCTION(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, types),     \
        FUNCTION(OSSL_FUNC_KEYMGMT_EXPORT, key_export), FUNCTION(OSSL_FUNC_KEYMGMT_EXPORT_TYPES, types)

const OSSL_DISPATCH keymgmt_rsa_functions[] = {
    KEY_FUNCTIONS(key_new_rsa, key_types_rsa),
    {0, NULL},
};
const OSSL_DISPATCH keymgmt_ec_functions[] = {
    KEY_FUNCTIONS(key_new_ec, key_types_curve),
    FUNCTION(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, key_operation_ec),
    {0, NULL},
};
const OSSL_DISPATCH keymgmt_ed25519_functions[] = {
    KEY_FUNCTIONS(key_new_ed25519, key_types_curve),
    {0, NULL},
};
