/* Noise_IKpsk2_25519_ChaChaPoly_SHA256 (Noise specification, revision 34) as a pure state machine.
 *
 * The initiator (an edge) knows the responder's (key server's) static public key. Message 1 carries `e, es,
 * s, ss`, message 2 `e, ee, se, psk`. No I/O, no clock, no allocation; randomness only for the ephemeral key.
 * An object belongs to one thread at a time. Every error is final: clear the handshake and drop the
 * connection. */
#ifndef COMMON_NOISE_H
#define COMMON_NOISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/identity.h"

#define NOISE_KEY_SIZE      32
#define NOISE_HASH_SIZE     32
#define NOISE_TAG_SIZE      16
#define NOISE_MESSAGE1_SIZE 96 /* e 32, s 32 + tag 16, empty payload + tag 16 */
#define NOISE_MESSAGE2_SIZE 48 /* e 32, empty payload + tag 16 */
#define NOISE_MESSAGE_MAX   65535
#define NOISE_PLAINTEXT_MAX (NOISE_MESSAGE_MAX - NOISE_TAG_SIZE)

/* One direction of a transport (CipherState, section 5.1). */
struct noise_cipher {
    uint8_t key[NOISE_KEY_SIZE];
    uint64_t counter;
};

struct noise_handshake {
    uint8_t chaining_key[NOISE_HASH_SIZE];
    uint8_t hash[NOISE_HASH_SIZE]; /* h; after the last message it names the channel */
    struct noise_cipher cipher;    /* of the symmetric state */
    bool has_key;                  /* the symmetric state has a cipher key */
    struct identity self;          /* own static pair */
    struct identity ephemeral;     /* own ephemeral pair */
    uint8_t peer[NOISE_KEY_SIZE];  /* peer's static public key */
    uint8_t peer_ephemeral[NOISE_KEY_SIZE];
};

/* Starts the initiator's side with the responder's static public key PEER. */
void noise_initiator_init(struct noise_handshake *h, const void *prologue, size_t prologue_length,
                          const struct identity *self, const uint8_t peer[static NOISE_KEY_SIZE]);
void noise_responder_init(struct noise_handshake *h, const void *prologue, size_t prologue_length,
                          const struct identity *self);
/* Wipes everything. */
void noise_handshake_clear(struct noise_handshake *h);

/* Message 1. PAYLOAD may be NULL with length 0 (the channel sends none; the published vectors do). OUT holds
 * NOISE_MESSAGE1_SIZE + PAYLOAD_LENGTH bytes. A fresh ephemeral key is made unless the test has put one in
 * `ephemeral` (a secret that is not all zero). ERR_CRYPTO when a Diffie-Hellman result is all zero. */
int noise_write_message1(struct noise_handshake *h, const void *payload, size_t payload_length,
                         uint8_t *out) MUST_USE;
/* Reads message 1 of LENGTH bytes (≥ NOISE_MESSAGE1_SIZE); PAYLOAD holds LENGTH - NOISE_MESSAGE1_SIZE bytes.
 * On success h->peer is the initiator's static key, authenticated by `ss`. */
int noise_read_message1(struct noise_handshake *h, const uint8_t *message, size_t length,
                        uint8_t *payload) MUST_USE;
/* Message 2, NOISE_MESSAGE2_SIZE + PAYLOAD_LENGTH bytes, with the pre-shared key of this initiator. */
int noise_write_message2(struct noise_handshake *h, const uint8_t psk[static NOISE_KEY_SIZE],
                         const void *payload, size_t payload_length, uint8_t *out) MUST_USE;
int noise_read_message2(struct noise_handshake *h, const uint8_t psk[static NOISE_KEY_SIZE],
                        const uint8_t *message, size_t length, uint8_t *payload) MUST_USE;

/* Ends the handshake (section 5.2, Split) and wipes its secrets; h->hash stays. TO_RESPONDER is what the
 * initiator sends with. */
void noise_split(struct noise_handshake *h, struct noise_cipher *to_responder,
                 struct noise_cipher *to_initiator);

/* Seals LENGTH bytes into OUT, which holds LENGTH + NOISE_TAG_SIZE and may be IN itself. ERR_CRYPTO when the
 * counter is used up. */
int noise_seal(struct noise_cipher *c, const uint8_t *in, size_t length, uint8_t *out) MUST_USE;
/* Opens LENGTH bytes into OUT (LENGTH - NOISE_TAG_SIZE bytes; may be IN). ERR_CRYPTO: no plaintext in OUT (it
 * may have been zeroed), counter unchanged. */
int noise_open(struct noise_cipher *c, const uint8_t *in, size_t length, uint8_t *out) MUST_USE;
/* Rekey (section 4.2): a one-way step of the key; the counter goes on. */
void noise_rekey(struct noise_cipher *c);
void noise_cipher_clear(struct noise_cipher *c);

#endif
