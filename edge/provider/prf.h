/* The key derivations of TLS over HMAC: the PRF of TLS 1.2 and the expansion of TLS 1.3. A handshake has up
 * to twenty of them, each of a few hashes over a few dozen bytes: here they share one hash context, while
 * OpenSSL's own make and free objects in four layers for every hash. Knows no keys, no handshakes. Pure; any
 * thread. */
#ifndef EDGE_PROVIDER_PRF_H
#define EDGE_PROVIDER_PRF_H

#include <openssl/evp.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define PRF_SEEDS_MAX 8

/* Bytes to be read; borrowed. */
struct prf_bytes {
    const void *bytes; /* may be NULL when LENGTH is 0 */
    size_t length;
};

/* P_hash of SECRET and the SEEDS one after the other (RFC 5246, 5): fills OUT of SIZE bytes. ERR_CRYPTO. */
int prf_tls12(const EVP_MD *digest, struct prf_bytes secret, const struct prf_bytes *seeds, size_t count,
              uint8_t *out, size_t size) MUST_USE;

/* HKDF-Expand (RFC 5869, 2.3) of KEY with the HkdfLabel of SIZE, PREFIX, LABEL and DATA (RFC 8446, 7.1):
 * fills OUT of SIZE bytes. ERR_LENGTH when SIZE exceeds the hash's 255-fold, or a text its byte of length;
 * ERR_CRYPTO. */
int prf_tls13(const EVP_MD *digest, struct prf_bytes key, struct prf_bytes prefix, struct prf_bytes label,
              struct prf_bytes data, uint8_t *out, size_t size) MUST_USE;

#endif
