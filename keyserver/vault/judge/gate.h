/* The gate: typed fields in, an input out. What does not have the form that TLS gives it is refused; there is
 * no other way to a private-key operation. Pure but for OpenSSL's curve arithmetic and hashes; any thread
 * after gate_start(). */
#ifndef KEYSERVER_VAULT_JUDGE_GATE_H
#define KEYSERVER_VAULT_JUDGE_GATE_H

#include "keyserver/rules/refusal.h"
#include "keyserver/vault/keys/keystore.h"
#include "keyserver/vault/request/crypto_input.h"
#include "keyserver/vault/request/transcript.h"

/* Once, before the first check: prepares the curves. */
int gate_start(void) MUST_USE;
void gate_stop(void);

/* May KEY do OPERATION, and are all of its fields what TLS would put there? REFUSAL_NONE with the input in
 * OUT, else REFUSAL_SCHEME or REFUSAL_STRUCTURE.
 *
 * sign_tls13 (RFC 8446, 4.4.3): a TLS 1.3 scheme of the key's very type, a hash of 32 or 48 bytes. sign_tls12
 * (RFC 5246, 7.4.3; RFC 8422, 5.4): a SHA-2 scheme of the key's family, named-curve parameters of exact
 * length whose point is on the curve, uncompressed, not of low order. rsa_premaster: a ciphertext as long as
 * the modulus with a value above 1 and below n - 1. rsa_master: the same, out of a transcript that parses;
 * SEEN receives it, pointing into the operation's messages. */
enum refusal gate_pass(const struct operation *operation, const struct key *key, struct crypto_input *out,
                       struct transcript *seen);

#endif
