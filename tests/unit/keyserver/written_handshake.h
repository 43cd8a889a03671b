/* A TLS 1.2 handshake with RSA key exchange and extended master secret, ClientHello … ClientKeyExchange, as
 * browser and edge would send it, written down by hand, for the tests of bound mode. Not a test program by
 * itself. */
#ifndef TESTS_UNIT_KEYSERVER_WRITTEN_HANDSHAKE_H
#define TESTS_UNIT_KEYSERVER_WRITTEN_HANDSHAKE_H

#include "keyserver/vault/judge/epoch.h"
#include "tests/unit/keyserver/keys.h"

struct handshake {
    uint8_t messages[2048];
    size_t length;
};

/* ---- the whole ---- */

/* The session id that the edge of EDGE_KEY would give in epoch NUMBER. */
void handshake_session(uint8_t out[static SESSION_ID_SIZE], const uint8_t epoch_secret[static 32],
                       const uint8_t edge_key[static 32], uint64_t number);
/* A handshake with the key RSA in which a client asks for NAME (NULL: none) and encrypts PREMASTER. */
void handshake_make(struct handshake *out, EVP_PKEY *rsa, const char *name,
                    const uint8_t session_id[static SESSION_ID_SIZE],
                    const uint8_t premaster[static TLS_PREMASTER_SIZE]);
/* The rsa_master that asks for its secret; borrows HANDSHAKE. */
struct operation handshake_operation(const struct handshake *handshake, const EVP_PKEY *rsa);

#endif
