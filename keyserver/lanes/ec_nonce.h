/* Nonces for eight signatures at once: HMAC-SHA512 (FIPS 198-1) in lanes.
 *
 *     nonce = HMAC-SHA512(noise ‖ d, "keyless" ‖ attempt ‖ hash) modulo n
 *
 * Why so: with fresh noise the key of the HMAC is as good as random whatever d and the hash are; with noise
 * that is known, or always the same, it still has d, and the nonce is a secret function of the hash, as in
 * RFC 6979. That needs four blocks, where the HMAC-DRBG of RFC 6979 needs more than twenty; and 512 bits
 * modulo n are not biased by more than 2^-128, so nothing has to be rejected. Noise and d share the first
 * block, so that what a processor does with d is never the same twice. For the files of a kernel only.
 * Nothing branches, or looks anything up, by a secret. */
#ifndef KEYSERVER_LANES_EC_NONCE_H
#define KEYSERVER_LANES_EC_NONCE_H

#include "keyserver/lanes/ec_sha512.h"
#include "keyserver/lanes/ec_words.h"

/* STATE = SHA-512 after its first block, the HMAC's key with PAD. */
static void hmac_begin(vec state[static 8], const struct block *key, uint64_t pad)
{
    struct block block;
    for (unsigned i = 0; i < BLOCK_WORDS; i++)
        block.word[i] = vec_xor(key->word[i], vec_all(pad));
    for (unsigned i = 0; i < 8; i++)
        state[i] = vec_all(sha512_start[i]);
    sha512_block(state, &block);
}

/* Ends BLOCK, the second one, after WORDS words. */
static void block_pad(struct block *block, unsigned words)
{
    block->word[words] = vec_all(SIGN_BIT);
    for (unsigned i = words + 1; i < BLOCK_WORDS - 1; i++)
        block->word[i] = vec_all(0);
    block->word[BLOCK_WORDS - 1] = vec_all(8 * (BLOCK_BYTES + 8 * words));
}

static void hmac_sha512(vec out[static 8], const struct block *key, struct block *message, unsigned words)
{
    struct block outer;
    vec state[8];
    block_pad(message, words);
    hmac_begin(state, key, UINT64_C(0x3636363636363636));
    sha512_block(state, message);
    for (unsigned i = 0; i < 8; i++)
        outer.word[i] = state[i];
    block_pad(&outer, 8);
    hmac_begin(out, key, UINT64_C(0x5c5c5c5c5c5c5c5c));
    sha512_block(out, &outer);
}

#define NONCE_LABEL   UINT64_C(0x6b65796c65737300) /* "keyless", and room for a byte */
#define NONCE_MESSAGE (1 + EC_WORDS)               /* words */
#define NOISE_WORDS   (EC_NOISE_SIZE / 8)

/* What ec_kernel's `derive` does, for one eight of items. */
static void nonce_derive_eight(uint64_t out[static EC_NONCE_WORDS][EC_LANES], const struct ec_item *items,
                               size_t count, const uint8_t *noise, uint8_t attempt)
{
    struct block key, message;
    const uint8_t *bytes[EC_LANES];
    vec words[EC_NONCE_WORDS];
    for (unsigned i = 0; i < EC_LANES; i++)
        bytes[i] = i < count ? noise + (size_t)i * EC_NOISE_SIZE : words_nothing;
    words_get(key.word, bytes, NOISE_WORDS);
    for (unsigned i = 0; i < EC_LANES; i++)
        bytes[i] = i < count ? items[i].key : words_nothing;
    words_get(key.word + NOISE_WORDS, bytes, EC_WORDS);
    for (unsigned i = NOISE_WORDS + EC_WORDS; i < BLOCK_WORDS; i++)
        key.word[i] = vec_all(0);
    message.word[0] = vec_all(NONCE_LABEL | attempt);
    for (unsigned i = 0; i < EC_LANES; i++)
        bytes[i] = i < count ? items[i].hash : words_nothing;
    words_get(message.word + 1, bytes, EC_WORDS);
    hmac_sha512(words, &key, &message, NONCE_MESSAGE);
    for (unsigned i = 0; i < EC_NONCE_WORDS; i++)
        vec_store(out[i], words[i]);
}

static void nonce_derive(struct ec_nonces *nonces, const struct ec_item *items, size_t count,
                         const uint8_t *noise, uint8_t attempt)
{
    for (size_t i = 0; i < count; i += EC_LANES)
        nonce_derive_eight(nonces->word[i / EC_LANES], items + i, count - i, noise + i * EC_NOISE_SIZE,
                           attempt);
}

#endif
