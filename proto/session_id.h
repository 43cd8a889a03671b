/* The session id that an edge puts into its ServerHello so that the key server will complete the handshake
 * (rsa_master): 16 random bytes and their MAC under the edge's epoch key. It stands in the transcript, and so
 * in the master secret (RFC 7627): a recorded session carries an epoch that is over, and no other session id
 * gives its secret.
 *
 * Which epochs are live is not known here. Pure; any thread. */
#ifndef PROTO_SESSION_ID_H
#define PROTO_SESSION_ID_H

#include <stdbool.h>
#include <stdint.h>

#define EPOCH_KEY_SIZE         32
#define SESSION_ID_SIZE        32
#define SESSION_ID_RANDOM_SIZE 16

/* OUT = RANDOM ‖ first 16 bytes of HMAC-SHA256(KEY, "keyless session id" ‖ RANDOM). */
void session_id_make(uint8_t out[static SESSION_ID_SIZE], const uint8_t key[static EPOCH_KEY_SIZE],
                     const uint8_t random[static SESSION_ID_RANDOM_SIZE]);
/* True when ID was made with KEY. */
bool session_id_check(const uint8_t id[static SESSION_ID_SIZE], const uint8_t key[static EPOCH_KEY_SIZE]);

#endif
