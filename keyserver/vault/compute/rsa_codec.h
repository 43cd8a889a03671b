/* RSA inputs: what an input is as a number for the private-key operation, and what its result is for TLS.
 *
 * Not the operation itself, which is the signer's, in lanes or by OpenSSL; and not a judge. Hasher and PRF
 * are the thread's. */
#ifndef KEYSERVER_VAULT_COMPUTE_RSA_CODEC_H
#define KEYSERVER_VAULT_COMPUTE_RSA_CODEC_H

#include "keyserver/vault/keys/keystore.h"
#include "keyserver/vault/request/crypto_input.h"
#include "keyserver/vault/request/hasher.h"

/* NUMBER = the ciphertext, or the encoded message of a signature (RFC 8017, 9): key->result_size bytes, below
 * the modulus. ERR_CRYPTO. */
int rsa_codec_encode(const struct crypto_input *input, const struct key *key, const struct hasher *hasher,
                     uint8_t *number) MUST_USE;
/* Fills OUTCOME from NUMBER ^ d: a signature, a pre-master secret, or with PRF (of TLS 1.2) the master secret
 * that follows from it. What it does, and in which time, has nothing to do with a plaintext. ERR_CRYPTO. */
int rsa_codec_decode(const struct crypto_input *input, const struct key *key, EVP_KDF_CTX *prf,
                     const uint8_t *number, struct outcome *outcome) MUST_USE;

#endif
