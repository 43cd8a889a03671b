#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/proverr.h>
#include <openssl/rsa.h>
#include <string.h>

#include "common/secret.h"
#include "edge/provider/provider_internal.h"
#include "proto/ciphertext.h"

/* The state of one RSA decryption. */
struct decryption {
    struct provider_context context;
    int padding;             /* RSA_PKCS1_WITH_TLS_PADDING, or 0 until set: nothing else is served */
    unsigned client_version; /* ClientHello.legacy_version; 0 = not set */
};

static void *decryption_new(void *provider)
{
    return context_new(provider, sizeof(struct decryption));
}

static int decryption_set_params(void *data, const OSSL_PARAM params[])
{
    struct decryption *decryption = data;
    const OSSL_PARAM *padding = OSSL_PARAM_locate_const(params, OSSL_ASYM_CIPHER_PARAM_PAD_MODE);
    const OSSL_PARAM *version = OSSL_PARAM_locate_const(params, OSSL_ASYM_CIPHER_PARAM_TLS_CLIENT_VERSION);
    if (padding != NULL && (!OSSL_PARAM_get_int(padding, &decryption->padding) ||
                            decryption->padding != RSA_PKCS1_WITH_TLS_PADDING)) {
        decryption->padding = 0;
        ERR_raise(ERR_LIB_PROV, PROV_R_ILLEGAL_OR_UNSUPPORTED_PADDING_MODE);
        return 0;
    }
    return version == NULL || OSSL_PARAM_get_uint(version, &decryption->client_version);
}

static const OSSL_PARAM *decryption_settable_params(void *data, void *provider)
{
    static const OSSL_PARAM table[] = {
        OSSL_PARAM_utf8_string(OSSL_ASYM_CIPHER_PARAM_PAD_MODE, NULL, 0),
        OSSL_PARAM_uint(OSSL_ASYM_CIPHER_PARAM_TLS_CLIENT_VERSION, NULL),
        OSSL_PARAM_END,
    };
    (void)data;
    (void)provider;
    return table;
}

static int decryption_init(void *data, void *key_data, const OSSL_PARAM params[])
{
    struct decryption *decryption = data;
    struct remote_key *key = key_data;
    if (key == NULL || key->type != KEY_RSA) {
        ERR_raise(ERR_LIB_PROV, PROV_R_NO_KEY_SET);
        return 0;
    }
    context_set_key(&decryption->context, key);
    return params == NULL || decryption_set_params(decryption, params);
}

/* True for the parameters that libssl sets; nothing else is served. */
static bool is_of_tls(const struct decryption *decryption)
{
    return decryption->padding == RSA_PKCS1_WITH_TLS_PADDING && decryption->client_version != 0 &&
           decryption->client_version <= UINT16_MAX && decryption->context.key->size <= RSA_MODULUS_MAX;
}

/* ---- the ciphertext ---- */

/* A random number of as many bytes as the modulus, above 1 and below n, whose first byte is not 0. */
static void make_ciphertext(const struct remote_key *key, uint8_t out[static RSA_MODULUS_MAX])
{
    random_bytes(out, key->size);
    out[0] = 0;
    out[1] |= 1;
}

/* The ciphertext to ask for: the LENGTH bytes that the client sent, or, when they can be no encryption at
 * all, a random ciphertext in ROOM. So the client gets what any wrong padding gets, the same way through the
 * key server and the same failure at Finished (RFC 5246, 7.4.7.1), and no key server is asked for what it
 * refuses. The result is as long as the modulus. */
static const uint8_t *choose_ciphertext(const struct remote_key *key, const uint8_t *sent, size_t length,
                                        uint8_t room[static RSA_MODULUS_MAX])
{
    if (ciphertext_check(sent, length, key->modulus, key->size) == 0)
        return sent;
    counter_add(&provider_counters.replaced, 1);
    make_ciphertext(key, room);
    return room;
}

/* ---- the secret ---- */

static int check_secret(const struct outcome *outcome)
{
    if (outcome->status != STATUS_OK)
        return ERR_REFUSED;
    if (outcome->length == TLS_PREMASTER_SIZE)
        return 0;
    counter_add(&provider_counters.bad_length, 1);
    return ERR_LENGTH;
}

int decrypt_fetch_secret(const struct provider *provider, const struct operation *operation,
                         uint8_t secret[static TLS_PREMASTER_SIZE])
{
    struct outcome outcome = {.status = STATUS_UNAVAILABLE};
    int err = provider->transport.perform(operation, &outcome);
    if (err == 0)
        err = check_secret(&outcome);
    if (err == 0)
        memcpy(secret, outcome.bytes, TLS_PREMASTER_SIZE);
    OPENSSL_cleanse(&outcome, sizeof outcome);
    return err;
}

/* The decryption of CIPHERTEXT, which is as long as the modulus. */
static void make_operation(const struct decryption *decryption, const uint8_t *ciphertext,
                           struct operation *out)
{
    const struct remote_key *key = decryption->context.key;
    *out = (struct operation){.kind = OP_RSA_PREMASTER};
    memcpy(out->key_id, key->id, KEY_ID_SIZE);
    out->u.rsa_premaster.client_version = (uint16_t)decryption->client_version;
    out->u.rsa_premaster.ciphertext_length = (uint16_t)key->size;
    memcpy(out->u.rsa_premaster.ciphertext, ciphertext, key->size);
}

/* 1 when OUT is now a token, 0 when OPERATION is to be performed, or a negative error. */
static int defer(const struct provider *provider, const struct operation *operation,
                 uint8_t out[static TLS_PREMASTER_SIZE])
{
    const struct provider_deferral *deferral = provider->transport.deferral;
    return deferral != NULL ? deferral->defer(operation, out) : 0;
}

/* Every failure gives the same error: it depends on the key server's state, never on the ciphertext. */
static int decrypt(const struct decryption *decryption, const uint8_t *sent, size_t length,
                   uint8_t out[static TLS_PREMASTER_SIZE])
{
    uint8_t room[RSA_MODULUS_MAX];
    struct operation operation;
    if (!is_of_tls(decryption)) {
        counter_add(&provider_counters.refused_locally, 1);
        return ERR_REFUSED;
    }
    make_operation(decryption, choose_ciphertext(decryption->context.key, sent, length, room), &operation);
    int deferred = defer(decryption->context.provider, &operation, out);
    if (deferred != 0)
        return deferred > 0 ? 0 : deferred;
    return decrypt_fetch_secret(decryption->context.provider, &operation, out);
}

static int decryption_decrypt(void *data, unsigned char *out, size_t *out_length, size_t out_size,
                              const unsigned char *in, size_t in_length)
{
    const struct decryption *decryption = data;
    if (decryption->context.key == NULL) {
        ERR_raise(ERR_LIB_PROV, PROV_R_NO_KEY_SET);
        return 0;
    }
    *out_length = TLS_PREMASTER_SIZE;
    if (out == NULL)
        return 1;
    if (out_size >= TLS_PREMASTER_SIZE && decrypt(decryption, in, in_length, out) == 0)
        return 1;
    ERR_raise_data(ERR_LIB_PROV, PROV_R_FAILED_TO_DECRYPT, "remote key");
    return 0;
}

const OSSL_DISPATCH decrypt_functions[] = {
    FUNCTION(OSSL_FUNC_ASYM_CIPHER_NEWCTX, decryption_new),
    FUNCTION(OSSL_FUNC_ASYM_CIPHER_FREECTX, context_free),
    FUNCTION(OSSL_FUNC_ASYM_CIPHER_DUPCTX, context_dup),
    FUNCTION(OSSL_FUNC_ASYM_CIPHER_DECRYPT_INIT, decryption_init),
    FUNCTION(OSSL_FUNC_ASYM_CIPHER_DECRYPT, decryption_decrypt),
    FUNCTION(OSSL_FUNC_ASYM_CIPHER_SET_CTX_PARAMS, decryption_set_params),
    FUNCTION(OSSL_FUNC_ASYM_CIPHER_SETTABLE_CTX_PARAMS, decryption_settable_params),
    {0, NULL},
};
