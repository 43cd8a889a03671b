#include "keyserver/vault/signer.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#include "common/secret.h"
#include "keyserver/vault/blinding.h"
#include "keyserver/vault/premaster.h"

#define SCHEMES_MAX 16 /* rows of the scheme table */

/* The cached contexts of one key. */
struct tools {
    EVP_PKEY_CTX *sign[SCHEMES_MAX];   /* owned; made at first use, by place in the scheme table */
    EVP_PKEY_CTX *verify[SCHEMES_MAX]; /* owned; RSA only */
    EVP_PKEY_CTX *raw_private;         /* owned; RSA without padding */
    EVP_PKEY_CTX *raw_public;          /* owned */
    struct blinding *blinding;         /* owned; RSA only; made at first use and after a fault */
};

struct signer {
    struct tools *tools; /* owned; one a key, by its index */
    size_t count;
    EVP_MD_CTX *message; /* owned; for Ed25519 */
    EVP_KDF_CTX *prf;    /* owned; of TLS 1.2 */
};

static const uint16_t schemes[SCHEMES_MAX] = {
    SCHEME_RSA_PKCS1_SHA256,    SCHEME_RSA_PKCS1_SHA384,
    SCHEME_RSA_PKCS1_SHA512,    SCHEME_RSA_PSS_RSAE_SHA256,
    SCHEME_RSA_PSS_RSAE_SHA384, SCHEME_RSA_PSS_RSAE_SHA512,
    SCHEME_ECDSA_P256_SHA256,   SCHEME_ECDSA_P384_SHA384,
    SCHEME_ECDSA_P521_SHA512,   SCHEME_ED25519,
};

struct signer *signer_new(const struct keystore *store)
{
    struct signer *signer = calloc(1, sizeof *signer);
    if (signer == NULL)
        return NULL;
    signer->count = keystore_count(store);
    signer->tools = calloc(signer->count + 1, sizeof *signer->tools);
    signer->message = EVP_MD_CTX_new();
    EVP_KDF *prf = EVP_KDF_fetch(NULL, "TLS1-PRF", NULL);
    signer->prf = EVP_KDF_CTX_new(prf);
    EVP_KDF_free(prf);
    if (signer->tools != NULL && signer->message != NULL && signer->prf != NULL)
        return signer;
    signer_free(signer);
    return NULL;
}

void signer_free(struct signer *signer)
{
    if (signer == NULL)
        return;
    for (size_t i = 0; signer->tools != NULL && i < signer->count; i++) {
        struct tools *tools = &signer->tools[i];
        for (size_t j = 0; j < SCHEMES_MAX; j++) {
            EVP_PKEY_CTX_free(tools->sign[j]);
            EVP_PKEY_CTX_free(tools->verify[j]);
        }
        EVP_PKEY_CTX_free(tools->raw_private);
        EVP_PKEY_CTX_free(tools->raw_public);
        blinding_free(tools->blinding);
    }
    free(signer->tools);
    EVP_MD_CTX_free(signer->message);
    EVP_KDF_CTX_free(signer->prf);
    free(signer);
}

static const EVP_MD *digest_of(const struct scheme_info *scheme)
{
    switch (scheme->hash_bits) {
    case 256:
        return EVP_sha256();
    case 384:
        return EVP_sha384();
    default:
        return EVP_sha512();
    }
}

static bool set_padding(EVP_PKEY_CTX *context, const struct scheme_info *scheme)
{
    const EVP_MD *digest = digest_of(scheme);
    if (scheme->family == FAMILY_RSA_PKCS1)
        return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) > 0 &&
               EVP_PKEY_CTX_set_signature_md(context, digest) > 0;
    if (scheme->family == FAMILY_RSA_PSS)
        return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) > 0 &&
               EVP_PKEY_CTX_set_signature_md(context, digest) > 0 &&
               EVP_PKEY_CTX_set_rsa_mgf1_md(context, digest) > 0 &&
               EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) > 0;
    return EVP_PKEY_CTX_set_signature_md(context, digest) > 0;
}

/* The context in *SLOT, made with INIT and the scheme's padding when it is not there yet; NULL on failure. */
static EVP_PKEY_CTX *scheme_context(EVP_PKEY_CTX **slot, const struct key *key,
                                    const struct scheme_info *scheme, int (*init)(EVP_PKEY_CTX *))
{
    if (*slot != NULL)
        return *slot;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, key->pkey, NULL);
    if (context == NULL || init(context) <= 0 || !set_padding(context, scheme)) {
        EVP_PKEY_CTX_free(context);
        return NULL;
    }
    *slot = context;
    return context;
}

static EVP_PKEY_CTX *raw_context(EVP_PKEY_CTX **slot, const struct key *key, int (*init)(EVP_PKEY_CTX *))
{
    if (*slot != NULL)
        return *slot;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, key->pkey, NULL);
    if (context == NULL || init(context) <= 0 || EVP_PKEY_CTX_set_rsa_padding(context, RSA_NO_PADDING) <= 0) {
        EVP_PKEY_CTX_free(context);
        return NULL;
    }
    *slot = context;
    return context;
}

static size_t place_of(uint16_t scheme)
{
    size_t place = 0;
    while (place < SCHEMES_MAX - 1 && schemes[place] != scheme)
        place++;
    return place;
}

static int sign_ed25519(struct signer *signer, const struct key *key, const uint8_t *content, size_t length,
                        struct outcome *outcome)
{
    size_t size = RESULT_MAX;
    EVP_MD_CTX_reset(signer->message);
    if (EVP_DigestSignInit_ex(signer->message, NULL, NULL, NULL, NULL, key->pkey, NULL) != 1 ||
        EVP_DigestSign(signer->message, outcome->bytes, &size, content, length) != 1)
        return ERR_CRYPTO;
    outcome->length = (uint16_t)size;
    return 0;
}

static int sign_hashed(struct tools *tools, const struct key *key, const struct scheme_info *scheme,
                       const uint8_t *content, size_t length, struct outcome *outcome)
{
    uint8_t hash[EVP_MAX_MD_SIZE];
    unsigned hash_length = 0;
    size_t size = RESULT_MAX, place = place_of(scheme->scheme);
    EVP_PKEY_CTX *sign = scheme_context(&tools->sign[place], key, scheme, EVP_PKEY_sign_init);
    if (sign == NULL || EVP_Digest(content, length, hash, &hash_length, digest_of(scheme), NULL) != 1 ||
        EVP_PKEY_sign(sign, outcome->bytes, &size, hash, hash_length) <= 0 || size > key->result_size)
        return ERR_CRYPTO;
    if (key->type == KEY_RSA) {
        EVP_PKEY_CTX *verify = scheme_context(&tools->verify[place], key, scheme, EVP_PKEY_verify_init);
        if (verify == NULL || EVP_PKEY_verify(verify, outcome->bytes, size, hash, hash_length) != 1)
            return ERR_CRYPTO;
    }
    outcome->length = (uint16_t)size;
    return 0;
}

static int perform_signature(struct signer *signer, const struct key *key, const struct task *task,
                             struct outcome *outcome)
{
    const struct scheme_info *scheme = scheme_find(task->u.sign.scheme);
    if (scheme == NULL)
        return ERR_CRYPTO;
    if (scheme->family == FAMILY_ED25519)
        return sign_ed25519(signer, key, task->u.sign.content, task->u.sign.length, outcome);
    return sign_hashed(&signer->tools[key->index], key, scheme, task->u.sign.content, task->u.sign.length,
                       outcome);
}

/* RESULT = HIDDEN ^ d, if RESULT ^ e is HIDDEN again. */
static int hidden_operation(struct tools *tools, const struct key *key, const uint8_t *hidden,
                            uint8_t *result)
{
    uint8_t again[RSA_MODULUS_MAX];
    size_t size = key->result_size, again_size = sizeof again;
    EVP_PKEY_CTX *private = raw_context(&tools->raw_private, key, EVP_PKEY_decrypt_init);
    EVP_PKEY_CTX *public = raw_context(&tools->raw_public, key, EVP_PKEY_encrypt_init);
    bool good = private != NULL && public != NULL &&
                EVP_PKEY_decrypt(private, result, &size, hidden, key->result_size) > 0 &&
                size == key->result_size && EVP_PKEY_encrypt(public, again, &again_size, result, size) > 0 &&
                again_size == size && same_bytes(again, hidden, size);
    wipe(again, sizeof again); /* of a faulty result it tells as much as that does */
    return good ? 0 : ERR_CRYPTO;
}

/* PLAIN = CIPHERTEXT ^ d, checked against the public key before it is more than a random number. OpenSSL sees
 * such numbers only: its time, and the return codes here, tell of the key and of faults at most, and nothing
 * of what the plaintext contains. After a fault the blinding is made anew, as it might be what was hit. */
static int private_operation(struct tools *tools, const struct key *key, const uint8_t *ciphertext,
                             uint8_t *plain)
{
    uint8_t hidden[RSA_MODULUS_MAX], result[RSA_MODULUS_MAX];
    if (tools->blinding == NULL)
        tools->blinding = blinding_new(key);
    int err = tools->blinding == NULL ? ERR_CRYPTO : blinding_hide(tools->blinding, hidden, ciphertext);
    if (err == 0)
        err = hidden_operation(tools, key, hidden, result);
    if (err == 0) {
        blinding_reveal(tools->blinding, plain, result);
    } else {
        blinding_free(tools->blinding);
        tools->blinding = NULL;
    }
    wipe(hidden, sizeof hidden);
    wipe(result, sizeof result);
    return err;
}

static int perform_premaster(struct signer *signer, const struct key *key, const struct task *task,
                             uint8_t out[static TLS_PREMASTER_SIZE])
{
    const uint8_t *ciphertext = task->u.exchange.ciphertext;
    uint16_t version = task->u.exchange.client_version;
    uint8_t plain[RSA_MODULUS_MAX], fallback[TLS_PREMASTER_SIZE];
    int err = private_operation(&signer->tools[key->index], key, ciphertext, plain);
    if (err == 0) {
        premaster_fallback(fallback, key->fallback_secret, version, ciphertext, key->result_size);
        premaster_unpad(out, plain, key->result_size, version, fallback);
    }
    wipe(plain, sizeof plain);
    wipe(fallback, sizeof fallback);
    return err;
}

/* master_secret = PRF(pre_master_secret, "extended master secret", session_hash) (RFC 7627, 4). */
static int derive_master(struct signer *signer, const struct task *task, uint8_t *premaster,
                         uint8_t out[static TLS_MASTER_SIZE])
{
    static const char label[] = "extended master secret";
    uint8_t seed[sizeof label - 1 + TRANSCRIPT_HASH_MAX];
    char sha256_name[] = "SHA256", sha384_name[] = "SHA384";
    size_t hash_length = task->u.exchange.prf_bits / 8u;
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, hash_length == 48 ? sha384_name : sha256_name,
                                         0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, premaster, TLS_PREMASTER_SIZE),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, seed, sizeof label - 1 + hash_length),
        OSSL_PARAM_construct_end(),
    };
    memcpy(seed, label, sizeof label - 1);
    memcpy(seed + sizeof label - 1, task->u.exchange.session_hash, hash_length);
    bool done = EVP_KDF_derive(signer->prf, out, TLS_MASTER_SIZE, params) == 1;
    EVP_KDF_CTX_reset(signer->prf); /* wipes its copy of the secret */
    return done ? 0 : ERR_CRYPTO;
}

static int perform_exchange(struct signer *signer, const struct key *key, const struct task *task,
                            struct outcome *outcome)
{
    uint8_t premaster[TLS_PREMASTER_SIZE];
    int err = perform_premaster(signer, key, task, premaster);
    if (err == 0 && task->kind == OP_RSA_MASTER)
        err = derive_master(signer, task, premaster, outcome->bytes);
    else if (err == 0)
        memcpy(outcome->bytes, premaster, sizeof premaster);
    outcome->length = TLS_PREMASTER_SIZE;
    wipe(premaster, sizeof premaster);
    return err;
}

_Static_assert(TLS_MASTER_SIZE == TLS_PREMASTER_SIZE, "one length for both");

static void perform_one(struct signer *signer, struct signer_item *item)
{
    const struct task *task = item->task;
    bool exchange = task->kind == OP_RSA_PREMASTER || task->kind == OP_RSA_MASTER;
    *item->outcome = (struct outcome){.status = STATUS_OK};
    item->err = exchange ? perform_exchange(signer, item->key, task, item->outcome)
                         : perform_signature(signer, item->key, task, item->outcome);
    ERR_clear_error();
    if (item->err == 0)
        return;
    wipe(item->outcome, sizeof *item->outcome);
    item->outcome->status = STATUS_UNAVAILABLE;
}

struct batch_size signer_batch(enum work work)
{
    (void)work;
    return (struct batch_size){1, 1};
}

void signer_perform(struct signer *signer, struct signer_item *items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        perform_one(signer, &items[i]);
}
