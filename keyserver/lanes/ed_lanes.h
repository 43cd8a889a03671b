/* Ed25519 in lanes (RFC 8032, 5.1): up to thirty-two signatures at once, each with a private key of its own.
 *
 * Eight signatures share every instruction, and all of a call share the one inversion. Neither a branch nor
 * an address depends on a key or a nonce, nor on a message but for its length. Does not verify. A kernel is
 * for any thread once it is prepared; a scratch is for one thread at a time. */
#ifndef KEYSERVER_LANES_ED_LANES_H
#define KEYSERVER_LANES_ED_LANES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define ED_LANES_MAX 32 /* signatures in a call; eight cost little more than one */
#define ED_SIZE      32 /* bytes of a number, of an encoded point, and of a seed */

/* A private key, as it is when the seed has been hashed (RFC 8032, 5.1.5). */
struct ed_key {
    uint8_t scalar[ED_SIZE]; /* little-endian, clamped */
    uint8_t prefix[ED_SIZE];
    uint8_t public[ED_SIZE];
};

/* One signature. */
struct ed_item {
    const struct ed_key *key;       /* borrowed */
    const uint8_t *message;         /* borrowed; NULL is allowed when it is empty */
    size_t length;                  /* bytes of it */
    uint8_t signature[2 * ED_SIZE]; /* gets R and S */
};

struct ed_kernel;
struct ed_scratch;

/* The key that follows from SEED. Once a key, not in lanes. */
void ed_key_derive(struct ed_key *key, const uint8_t seed[static ED_SIZE]);

/* All memory that the signatures of one thread work in, all zero between calls; KERNEL must be prepared. NULL
 * without memory. */
struct ed_scratch *ed_scratch_new(const struct ed_kernel *kernel);
void ed_scratch_free(struct ed_scratch *scratch); /* NULL is allowed */

/* Signs COUNT items (RFC 8032, 5.1.6). Lanes wait for the one with the longest message. ERR_LENGTH unless
 * COUNT is 1 … ED_LANES_MAX. That a result is right is not checked. */
int ed_lanes_sign(struct ed_scratch *scratch, struct ed_item *items, size_t count) MUST_USE;

#endif
