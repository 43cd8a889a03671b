/* ECDSA in lanes: up to thirty-two signatures at once, each with a private key of its own.
 *
 * Eight signatures share every instruction, and all of a call share the two inversions (FIPS 186-5, 6.4.1).
 * Neither a branch nor an address depends on a key, a nonce or a hash. Does no hashing of messages. A
 * kernel is for any thread once it is prepared; a scratch is for one thread at a time. */
#ifndef KEYSERVER_LANES_EC_LANES_H
#define KEYSERVER_LANES_EC_LANES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define EC_LANES_MAX                                                                                         \
    32                    /* signatures in a call; eight cost as much as one, the inversions always the same \
                           */
#define EC_SIZE_MAX    48 /* bytes of a number, for the larger curve */
#define EC_ATTEMPTS    4  /* nonces that are tried for a call; that the second is needed will not be seen */
#define ECDSA_DER_MAX  (2 * (EC_SIZE_MAX + 3) + 2)
#define ECDSA_DER_P256 72 /* bytes, at most */
#define ECDSA_DER_P384 104

/* One signature. Numbers are big-endian and have as many bytes as the curve's order: 32 for P-256, 48 for
 * P-384. */
struct ec_item {
    const uint8_t *key;          /* d, borrowed: 1 … n - 1 */
    const uint8_t *hash;         /* the leftmost bytes of a longer one; borrowed */
    uint8_t rs[2 * EC_SIZE_MAX]; /* gets r, and s behind it without a gap */
};

struct ec_kernel;
struct ec_scratch;

/* All memory that the signatures of one thread work in, all zero between calls; KERNEL must be prepared. NULL
 * without memory. */
struct ec_scratch *ec_scratch_new(const struct ec_kernel *kernel);
void ec_scratch_free(struct ec_scratch *scratch); /* NULL is allowed */

/* Signs COUNT items. The nonce of each is a function of fresh random bytes, of its key and of its hash that
 * is as good as random while the random bytes or the key is unknown: a generator that fails, or repeats
 * itself, gives deterministic signatures, no key (the aim of RFC 6979, 3.6). 0; ERR_LENGTH unless COUNT is 1
 * … EC_LANES_MAX; or ERR_CRYPTO, with every signature zero, when a key is not in its range. That a result is
 * right is not checked. */
int ec_lanes_sign(struct ec_scratch *scratch, struct ec_item *items, size_t count) MUST_USE;

/* OUT = the ECDSA-Sig-Value of r and s in RS (RFC 3279, 2.2.3), of SIZE bytes each, SIZE ≤ EC_SIZE_MAX.
 * Returns how many bytes that are; at most 2 (SIZE + 3) + 2. */
size_t ecdsa_der(uint8_t out[static ECDSA_DER_MAX], const uint8_t *rs, size_t size);

#endif
