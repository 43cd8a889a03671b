#include "keyserver/vault/compute/rsa_codec.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <string.h>

#include "common/secret.h"
#include "keyserver/vault/compute/emsa.h"
#include "keyserver/vault/compute/premaster.h"

static bool is_exchange(const struct crypto_input *input)
{
    return operation_mode(input->kind) != MODE_NONE;
}

static int encode(const struct crypto_input *input, const struct key *key, const struct hasher *hasher,
                  uint8_t *number)
{
    const struct scheme_info *scheme = scheme_find(input->u.sign.scheme);
    uint8_t hash[HASH_MAX];
    if (scheme == NULL || hasher_hash(hasher, hash, scheme->hash_bits, input->u.sign.content,
                                      input->u.sign.length, NULL, 0) != 0)
        return ERR_CRYPTO;
    int err = scheme->pss ? emsa_pss(number, key->bits, scheme->hash_bits, hash)
                          : emsa_pkcs1(number, key->bits, scheme->hash_bits, hash);
    return err == 0 ? 0 : ERR_CRYPTO;
}

int rsa_codec_encode(const struct crypto_input *input, const struct key *key, const struct hasher *hasher,
                     uint8_t *number)
{
    if (!is_exchange(input))
        return encode(input, key, hasher, number);
    memcpy(number, input->u.exchange.ciphertext, key->result_size);
    return 0;
}

/* master_secret = PRF(pre_master_secret, "extended master secret", session_hash) (RFC 7627, 4). */
static int derive_master(const struct crypto_input *input, EVP_KDF_CTX *prf, uint8_t *premaster,
                         uint8_t out[static TLS_MASTER_SIZE])
{
    static const char label[] = "extended master secret";
    uint8_t seed[sizeof label - 1 + TRANSCRIPT_HASH_MAX];
    char sha256_name[] = "SHA256", sha384_name[] = "SHA384";
    size_t hash_length = input->u.exchange.prf_bits / 8u;
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, hash_length == 48 ? sha384_name : sha256_name,
                                         0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, premaster, TLS_PREMASTER_SIZE),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, seed, sizeof label - 1 + hash_length),
        OSSL_PARAM_construct_end(),
    };
    memcpy(seed, label, sizeof label - 1);
    memcpy(seed + sizeof label - 1, input->u.exchange.session_hash, hash_length);
    bool done = EVP_KDF_derive(prf, out, TLS_MASTER_SIZE, params) == 1;
    EVP_KDF_CTX_reset(prf); /* wipes its copy of the secret */
    return done ? 0 : ERR_CRYPTO;
}

_Static_assert(TLS_MASTER_SIZE == TLS_PREMASTER_SIZE, "one length for both");

/* Unpads; the answer is the pre-master secret, or in bound mode the master secret that follows from it. */
static int finish_exchange(const struct crypto_input *input, const struct key *key, EVP_KDF_CTX *prf,
                           const uint8_t *plain, struct outcome *outcome)
{
    const uint8_t *ciphertext = input->u.exchange.ciphertext;
    uint16_t version = input->u.exchange.client_version;
    uint8_t premaster[TLS_PREMASTER_SIZE], fallback[TLS_PREMASTER_SIZE];
    int err = 0;
    premaster_fallback(fallback, key->fallback_secret, version, ciphertext, key->result_size);
    premaster_unpad(premaster, plain, key->result_size, version, fallback);
    if (operation_mode(input->kind) == MODE_BOUND)
        err = derive_master(input, prf, premaster, outcome->bytes);
    else
        memcpy(outcome->bytes, premaster, sizeof premaster);
    outcome->length = TLS_PREMASTER_SIZE;
    wipe(premaster, sizeof premaster);
    wipe(fallback, sizeof fallback);
    return err;
}

int rsa_codec_decode(const struct crypto_input *input, const struct key *key, EVP_KDF_CTX *prf,
                     const uint8_t *number, struct outcome *outcome)
{
    if (is_exchange(input))
        return finish_exchange(input, key, prf, number, outcome);
    memcpy(outcome->bytes, number, key->result_size);
    outcome->length = key->result_size;
    return 0;
}
