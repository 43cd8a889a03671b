/* The gate: typed fields in, the bytes to be signed out. What does not have the form that TLS gives it is
 * refused; there is no other way to a signature. Pure but for OpenSSL's curve arithmetic; any thread after
 * gate_start(). */
#ifndef KEYSERVER_VAULT_GATE_H
#define KEYSERVER_VAULT_GATE_H

#include "keyserver/vault/keystore.h"
#include "keyserver/wall/wall.h"

#define GATE_CONTENT_MAX (2 * TLS_RANDOM_SIZE + KEY_EXCHANGE_PARAMS_MAX)

/* Once, before the first check: prepares the curves. */
int gate_start(void) MUST_USE;
void gate_stop(void);

/* May KEY do OPERATION, and are all of its fields what TLS would put there? REFUSAL_NONE, REFUSAL_SCHEME or
 * REFUSAL_STRUCTURE.
 *
 * sign_tls13 (RFC 8446, 4.4.3): a TLS 1.3 scheme of the key's very type, a hash of 32 or 48 bytes. sign_tls12
 * (RFC 5246, 7.4.3; RFC 8422, 5.4): a SHA-2 scheme of the key's family, named-curve parameters of exact
 * length whose point is on the curve, uncompressed, not of low order. rsa_premaster: a ciphertext as long as
 * the modulus with a value above 1 and below n - 1. */
enum wall_refusal gate_check(const struct operation *operation, const struct key *key);

/* Builds what is signed for a checked OP_SIGN_TLS13 or OP_SIGN_TLS12; returns its length. */
size_t gate_build(const struct operation *operation, uint8_t out[static GATE_CONTENT_MAX]);

#endif
