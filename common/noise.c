#include "common/noise.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "common/secret.h"

#define PROTOCOL_NAME "Noise_IKpsk2_25519_ChaChaPoly_SHA256"
#define NONCE_SIZE    12
#define REKEY_NONCE   UINT64_MAX /* reserved by section 5.1: no message is ever sealed with it */

/* ---- cipher state, section 5.1 ---- */

/* Four zero bytes, then the counter, little endian (section 12.3). */
static void make_nonce(uint8_t out[static NONCE_SIZE], uint64_t counter)
{
    memset(out, 0, 4);
    for (size_t i = 0; i < 8; i++)
        out[4 + i] = (uint8_t)(counter >> (8 * i));
}

static int seal(struct noise_cipher *c, const uint8_t *ad, size_t ad_length, const uint8_t *in, size_t length,
                uint8_t *out)
{
    uint8_t nonce[NONCE_SIZE];
    if (c->counter == REKEY_NONCE)
        return ERR_CRYPTO;
    make_nonce(nonce, c->counter++);
    crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, in, length, ad, ad_length, NULL, nonce, c->key);
    wipe_registers(); /* they may hold parts of the plaintext */
    return 0;
}

static int unseal(struct noise_cipher *c, const uint8_t *ad, size_t ad_length, const uint8_t *in,
                  size_t length, uint8_t *out)
{
    uint8_t nonce[NONCE_SIZE];
    if (c->counter == REKEY_NONCE || length < NOISE_TAG_SIZE)
        return ERR_CRYPTO;
    make_nonce(nonce, c->counter);
    if (crypto_aead_chacha20poly1305_ietf_decrypt(out, NULL, NULL, in, length, ad, ad_length, nonce,
                                                  c->key) != 0)
        return ERR_CRYPTO;
    c->counter++;
    return 0;
}

int noise_seal(struct noise_cipher *c, const uint8_t *in, size_t length, uint8_t *out)
{
    return seal(c, NULL, 0, in, length, out);
}

int noise_open(struct noise_cipher *c, const uint8_t *in, size_t length, uint8_t *out)
{
    return unseal(c, NULL, 0, in, length, out);
}

void noise_rekey(struct noise_cipher *c)
{
    static const uint8_t zeros[NOISE_KEY_SIZE];
    uint8_t nonce[NONCE_SIZE], sealed[NOISE_KEY_SIZE + NOISE_TAG_SIZE];
    make_nonce(nonce, REKEY_NONCE);
    crypto_aead_chacha20poly1305_ietf_encrypt(sealed, NULL, zeros, sizeof zeros, NULL, 0, NULL, nonce,
                                              c->key);
    memcpy(c->key, sealed, sizeof c->key);
    wipe(sealed, sizeof sealed);
}

void noise_cipher_clear(struct noise_cipher *c)
{
    wipe(c, sizeof *c);
}

/* ---- symmetric state, section 5.2 ---- */

static void mix_hash(struct noise_handshake *h, const void *bytes, size_t length)
{
    crypto_hash_sha256_state state;
    crypto_hash_sha256_init(&state);
    crypto_hash_sha256_update(&state, h->hash, sizeof h->hash);
    crypto_hash_sha256_update(&state, bytes, length);
    crypto_hash_sha256_final(&state, h->hash);
}

/* COUNT outputs (2 or 3) of HKDF (section 4.3) from the chaining key and INPUT. */
static void expand(const struct noise_handshake *h, const uint8_t *input, size_t length,
                   uint8_t out[static 3][NOISE_HASH_SIZE], size_t count)
{
    uint8_t temporary[NOISE_HASH_SIZE], block[NOISE_HASH_SIZE + 1];
    hmac_sha256(temporary, h->chaining_key, sizeof h->chaining_key, input, length);
    block[0] = 1;
    hmac_sha256(out[0], temporary, sizeof temporary, block, 1);
    for (size_t i = 1; i < count; i++) {
        memcpy(block, out[i - 1], NOISE_HASH_SIZE);
        block[NOISE_HASH_SIZE] = (uint8_t)(i + 1);
        hmac_sha256(out[i], temporary, sizeof temporary, block, sizeof block);
    }
    wipe(temporary, sizeof temporary);
    wipe(block, sizeof block);
}

static void set_cipher_key(struct noise_handshake *h, const uint8_t key[static NOISE_KEY_SIZE])
{
    memcpy(h->cipher.key, key, NOISE_KEY_SIZE);
    h->cipher.counter = 0;
    h->has_key = true;
}

static void mix_key(struct noise_handshake *h, const uint8_t input[static NOISE_KEY_SIZE])
{
    uint8_t out[3][NOISE_HASH_SIZE];
    expand(h, input, NOISE_KEY_SIZE, out, 2);
    memcpy(h->chaining_key, out[0], sizeof h->chaining_key);
    set_cipher_key(h, out[1]);
    wipe(out, sizeof out);
}

static void mix_key_and_hash(struct noise_handshake *h, const uint8_t input[static NOISE_KEY_SIZE])
{
    uint8_t out[3][NOISE_HASH_SIZE];
    expand(h, input, NOISE_KEY_SIZE, out, 3);
    memcpy(h->chaining_key, out[0], sizeof h->chaining_key);
    mix_hash(h, out[1], NOISE_HASH_SIZE);
    set_cipher_key(h, out[2]);
    wipe(out, sizeof out);
}

static int encrypt_and_hash(struct noise_handshake *h, const uint8_t *in, size_t length, uint8_t *out)
{
    assert(h->has_key); /* in IKpsk2 a DH or an `e` stands before everything that is encrypted */
    int err = seal(&h->cipher, h->hash, sizeof h->hash, in, length, out);
    if (err == 0)
        mix_hash(h, out, length + NOISE_TAG_SIZE);
    return err;
}

/* IN and OUT do not overlap: the ciphertext is hashed after it was opened. */
static int decrypt_and_hash(struct noise_handshake *h, const uint8_t *in, size_t length, uint8_t *out)
{
    assert(h->has_key);
    int err = unseal(&h->cipher, h->hash, sizeof h->hash, in, length, out);
    if (err == 0)
        mix_hash(h, in, length);
    return err;
}

/* ---- tokens, section 5.3; numbered by the message pattern that uses them ---- */

/* `es`, `ss`, `ee`, `se`: one Diffie-Hellman result into the keys. */
static int mix_dh(struct noise_handshake *h, const struct identity *own,
                  const uint8_t peer[static NOISE_KEY_SIZE])
{
    uint8_t shared[NOISE_KEY_SIZE];
    int err = crypto_scalarmult(shared, own->secret, peer) != 0 ? ERR_CRYPTO : 0;
    if (err == 0)
        mix_key(h, shared);
    wipe(shared, sizeof shared);
    return err;
}

/* `e`: with a psk modifier the public key is mixed into the keys as well (section 9.2). */
static void mix_ephemeral(struct noise_handshake *h, const uint8_t public[static NOISE_KEY_SIZE])
{
    mix_hash(h, public, NOISE_KEY_SIZE);
    mix_key(h, public);
}

static void write_ephemeral(struct noise_handshake *h, uint8_t *out)
{
    if (sodium_is_zero(h->ephemeral.secret, sizeof h->ephemeral.secret))
        random_bytes(h->ephemeral.secret, sizeof h->ephemeral.secret);
    identity_derive(&h->ephemeral);
    memcpy(out, h->ephemeral.public, NOISE_KEY_SIZE);
    mix_ephemeral(h, h->ephemeral.public);
}

static void read_ephemeral(struct noise_handshake *h, const uint8_t *in)
{
    memcpy(h->peer_ephemeral, in, NOISE_KEY_SIZE);
    mix_ephemeral(h, h->peer_ephemeral);
}

/* The start both sides share: name, prologue, and the pre-message `<- s`. */
static void init(struct noise_handshake *h, const void *prologue, size_t prologue_length,
                 const struct identity *self, const uint8_t responder[static NOISE_KEY_SIZE])
{
    memset(h, 0, sizeof *h);
    sha256(h->hash, PROTOCOL_NAME, sizeof PROTOCOL_NAME - 1);
    memcpy(h->chaining_key, h->hash, sizeof h->chaining_key);
    h->self = *self;
    mix_hash(h, prologue, prologue_length);
    mix_hash(h, responder, NOISE_KEY_SIZE);
}

void noise_initiator_init(struct noise_handshake *h, const void *prologue, size_t prologue_length,
                          const struct identity *self, const uint8_t peer[static NOISE_KEY_SIZE])
{
    init(h, prologue, prologue_length, self, peer);
    memcpy(h->peer, peer, sizeof h->peer);
}

void noise_responder_init(struct noise_handshake *h, const void *prologue, size_t prologue_length,
                          const struct identity *self)
{
    init(h, prologue, prologue_length, self, self->public);
}

void noise_handshake_clear(struct noise_handshake *h)
{
    wipe(h, sizeof *h);
}

/* -> e, es, s, ss */
int noise_write_message1(struct noise_handshake *h, const void *payload, size_t payload_length, uint8_t *out)
{
    uint8_t *at = out;
    write_ephemeral(h, at);
    at += NOISE_KEY_SIZE;
    int err = mix_dh(h, &h->ephemeral, h->peer);
    if (err == 0)
        err = encrypt_and_hash(h, h->self.public, NOISE_KEY_SIZE, at);
    at += NOISE_KEY_SIZE + NOISE_TAG_SIZE;
    if (err == 0)
        err = mix_dh(h, &h->self, h->peer);
    if (err == 0)
        err = encrypt_and_hash(h, payload, payload_length, at);
    return err;
}

int noise_read_message1(struct noise_handshake *h, const uint8_t *message, size_t length, uint8_t *payload)
{
    const uint8_t *at = message;
    if (length < NOISE_MESSAGE1_SIZE || length > NOISE_MESSAGE_MAX)
        return ERR_LENGTH;
    read_ephemeral(h, at);
    at += NOISE_KEY_SIZE;
    int err = mix_dh(h, &h->self, h->peer_ephemeral);
    if (err == 0)
        err = decrypt_and_hash(h, at, NOISE_KEY_SIZE + NOISE_TAG_SIZE, h->peer);
    at += NOISE_KEY_SIZE + NOISE_TAG_SIZE;
    if (err == 0)
        err = mix_dh(h, &h->self, h->peer);
    if (err == 0)
        err = decrypt_and_hash(h, at, (size_t)(message + length - at), payload);
    return err;
}

/* <- e, ee, se, psk */
int noise_write_message2(struct noise_handshake *h, const uint8_t psk[static NOISE_KEY_SIZE],
                         const void *payload, size_t payload_length, uint8_t *out)
{
    write_ephemeral(h, out);
    int err = mix_dh(h, &h->ephemeral, h->peer_ephemeral);
    if (err == 0)
        err = mix_dh(h, &h->ephemeral, h->peer);
    if (err != 0)
        return err;
    mix_key_and_hash(h, psk);
    return encrypt_and_hash(h, payload, payload_length, out + NOISE_KEY_SIZE);
}

int noise_read_message2(struct noise_handshake *h, const uint8_t psk[static NOISE_KEY_SIZE],
                        const uint8_t *message, size_t length, uint8_t *payload)
{
    if (length < NOISE_MESSAGE2_SIZE || length > NOISE_MESSAGE_MAX)
        return ERR_LENGTH;
    read_ephemeral(h, message);
    int err = mix_dh(h, &h->ephemeral, h->peer_ephemeral);
    if (err == 0)
        err = mix_dh(h, &h->self, h->peer_ephemeral);
    if (err != 0)
        return err;
    mix_key_and_hash(h, psk);
    return decrypt_and_hash(h, message + NOISE_KEY_SIZE, length - NOISE_KEY_SIZE, payload);
}

void noise_split(struct noise_handshake *h, struct noise_cipher *to_responder,
                 struct noise_cipher *to_initiator)
{
    uint8_t out[3][NOISE_HASH_SIZE], hash[NOISE_HASH_SIZE];
    expand(h, NULL, 0, out, 2);
    memcpy(to_responder->key, out[0], sizeof to_responder->key);
    memcpy(to_initiator->key, out[1], sizeof to_initiator->key);
    to_responder->counter = to_initiator->counter = 0;
    wipe(out, sizeof out);
    memcpy(hash, h->hash, sizeof hash);
    noise_handshake_clear(h);
    memcpy(h->hash, hash, sizeof hash);
}
