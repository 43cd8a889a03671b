#include "tests/unit/edge/provider_rig.h"

#include <stdatomic.h>

OSSL_LIB_CTX *library;
EVP_PKEY *remote[PRIVATE_KEYS];
_Atomic unsigned asked;
struct operation last_operation;
void (*spoil)(struct outcome *outcome);
int transport_error;

static int transport(const struct operation *operation, struct outcome *outcome)
{
    atomic_fetch_add(&asked, 1);
    last_operation = *operation;
    if (transport_error != 0)
        return transport_error;
    int error = remote_keys_answer(operation, outcome);
    if (spoil != NULL)
        spoil(outcome);
    return error;
}

EVP_PKEY *remote_of(OSSL_LIB_CTX *context, EVP_PKEY *key, const uint8_t *id)
{
    uint8_t found[KEY_ID_SIZE];
    struct fault fault = {.text = ""};
    EVP_PKEY *out = NULL;
    assert_int_equal(provider_key_new(context, key, &out, found, &fault), 0);
    assert_memory_equal(found, id, KEY_ID_SIZE);
    return out;
}

void open_with(uint32_t verify)
{
    struct fault fault = {.text = ""};
    const struct provider_transport way = {.perform = transport};
    assert_int_equal(provider_context_new(&library, &way, verify, &fault), 0);
    for (int i = 0; i < PRIVATE_KEYS; i++)
        remote[i] = remote_of(library, private_keys[i].key, private_keys[i].id);
    asked = 0;
    spoil = NULL;
    transport_error = 0;
}

int setup(void **state)
{
    (void)state;
    open_with(ALL_VERIFIED);
    return 0;
}

int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < PRIVATE_KEYS; i++)
        EVP_PKEY_free(remote[i]);
    provider_context_free(library);
    ERR_clear_error();
    return 0;
}

const uint8_t *content(void)
{
    static uint8_t bytes[CONTENT_LENGTH];
    memset(bytes, ' ', 64);
    memcpy(bytes + 64, "TLS 1.3, server CertificateVerify", 34);
    memset(bytes + 98, 0xab, 32);
    return bytes;
}

const struct way ways[WAYS] = {
    {RSA_KEY, "SHA256", true, SCHEME_RSA_PSS_RSAE_SHA256},
    {RSA_KEY, "SHA2-384", true, SCHEME_RSA_PSS_RSAE_SHA384},
    {RSA_KEY, "SHA512", true, SCHEME_RSA_PSS_RSAE_SHA512},
    {P256_KEY, "SHA256", false, SCHEME_ECDSA_P256_SHA256},
    {P384_KEY, "SHA384", false, SCHEME_ECDSA_P384_SHA384},
    {ED25519_KEY, NULL, false, SCHEME_ED25519},
};

size_t sign(const struct way *way, EVP_PKEY *key, const uint8_t *tbs, size_t length, uint8_t out[RESULT_MAX])
{
    size_t size = RESULT_MAX;
    EVP_PKEY_CTX *options = NULL;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool done = EVP_DigestSignInit_ex(context, &options, way->digest, library, NULL, key, NULL) == 1;
    if (done && way->pss)
        done = EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) > 0 &&
               EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) > 0;
    done = done && EVP_DigestSign(context, out, &size, tbs, length) == 1;
    EVP_MD_CTX_free(context);
    return done ? size : 0;
}

size_t sign_content(const struct way *way)
{
    uint8_t signature[RESULT_MAX];
    return sign(way, remote[way->key], content(), CONTENT_LENGTH, signature);
}

uint8_t forged[RESULT_MAX];
size_t forged_length;

void forge(struct outcome *outcome)
{
    memcpy(outcome->bytes, forged, forged_length);
    outcome->length = (uint16_t)forged_length;
}

/* INTEGER of LENGTH content bytes, all FIRST then FILL, at the end of the forged signature. */
static void put_integer(const uint8_t *bytes, size_t length)
{
    forged[forged_length++] = 0x02;
    forged[forged_length++] = (uint8_t)length;
    memcpy(forged + forged_length, bytes, length);
    forged_length += length;
    forged[1] = (uint8_t)(forged_length - 2);
}

bool taken(const uint8_t *r, size_t r_length, const uint8_t *s, size_t s_length)
{
    forged[0] = 0x30;
    forged_length = 2;
    put_integer(r, r_length);
    put_integer(s, s_length);
    spoil = forge;
    return sign_content(&ways[3]) > 0;
}
