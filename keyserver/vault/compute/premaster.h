/* The TLS pre-master secret inside an RSA plaintext: taken out in constant time, or replaced by a
 * deterministic fallback.
 *
 * Nothing here branches, indexes memory or returns anything that depends on the plaintext: who asks cannot
 * tell, by answer, length or time, whether the padding was right (RFC 5246, 7.4.7.1; Bleichenbacher 1998;
 * Klima, Pokorny, Rosa 2003). Pure. */
#ifndef KEYSERVER_VAULT_COMPUTE_PREMASTER_H
#define KEYSERVER_VAULT_COMPUTE_PREMASTER_H

#include "common/secret.h"
#include "proto/operation.h"

/* What is answered in place of a pre-master: CLIENT_VERSION, then 46 bytes of HMAC-SHA256 under the key's
 * fallback SECRET over version and ciphertext. Deterministic, so that asking again, or asking a replica,
 * tells nothing; with the version in it, because otherwise two versions asked of one ciphertext would give
 * the same 46 bytes exactly when its padding is wrong. */
void premaster_fallback(uint8_t out[static TLS_PREMASTER_SIZE], const uint8_t secret[static SHA256_SIZE],
                        uint16_t client_version, const uint8_t *ciphertext, size_t length);

/* PLAIN is the raw result of the private operation, LENGTH (≥ RSA_MODULUS_MIN) bytes as long as the modulus:
 * 00 02, at least eight non-zero bytes, zero, client version, 46 bytes (RFC 8017, 7.2.2; RFC 5246, 7.4.7.1).
 * OUT becomes the last 48 bytes when all of that holds, else FALLBACK. */
void premaster_unpad(uint8_t out[static TLS_PREMASTER_SIZE], const uint8_t *plain, size_t length,
                     uint16_t client_version, const uint8_t fallback[static TLS_PREMASTER_SIZE]);

#endif
