/* RSA in lanes: up to eight private-key operations at once, each with a key of its own, each blinded, checked
 * against the public key, and let go alone.
 *
 * What the vault promises of one operation (blinding.h, signer.h) holds for each of eight: the numbers that
 * a private exponent meets are random; a result that does not lead back to what was asked is wiped; neither a
 * branch nor an address depends on a key, on a plaintext or on how many zeros it begins with. Does no
 * padding. A key is for any thread; a scratch and a blinding are each for one thread. */
#ifndef KEYSERVER_LANES_RSA_LANES_H
#define KEYSERVER_LANES_RSA_LANES_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "keyserver/lanes/rsa_kernel.h"

#define RSA_LANES_EXPONENT 65537
#define RSA_LANES_SIZE_MAX 512 /* bytes of the longest modulus */

/* The numbers of an RSA private key (RFC 8017, 3.2), big-endian with leading zeros; borrowed. */
struct rsa_numbers {
    size_t size; /* bytes of n; all others but e have half as many */
    uint64_t e;
    const uint8_t *n;
    const uint8_t *p, *q;
    const uint8_t *dp, *dq;
    const uint8_t *qinv; /* 1 / q modulo p */
};

struct rsa_lanes_key;
struct rsa_lanes_blinding;
struct rsa_lanes_scratch;
struct rsa_kernel;

/* Prepares a key. ERR_UNSUPPORTED unless n has 2048, 3072 or 4096 bits, p and q exactly half as many, all
 * three are odd, e is 65537, and the others are in their range; ERR_MEMORY. That the numbers belong together
 * is not looked at: with wrong ones every operation gives ERR_CRYPTO. */
int rsa_lanes_key_new(struct rsa_lanes_key **out, const struct rsa_numbers *numbers) MUST_USE;
void rsa_lanes_key_free(struct rsa_lanes_key *key);         /* wipes; NULL is allowed */
size_t rsa_lanes_key_size(const struct rsa_lanes_key *key); /* bytes of n */

/* What one thread needs to blind with KEY, which is borrowed; 10 KB. NULL without memory. */
struct rsa_lanes_blinding *rsa_lanes_blinding_new(const struct rsa_lanes_key *key);
void rsa_lanes_blinding_free(struct rsa_lanes_blinding *blinding); /* wipes; NULL is allowed */

/* All memory that operations of one thread work in, about 120 KB, all zero between calls. KERNEL comes from
 * lanes_rsa(). NULL without memory. */
struct rsa_lanes_scratch *rsa_lanes_scratch_new(const struct rsa_kernel *kernel);
void rsa_lanes_scratch_free(struct rsa_lanes_scratch *scratch); /* NULL is allowed */

/* One operation. The same key and blinding may be in several items of a call. */
struct rsa_lanes_item {
    struct rsa_lanes_blinding *blinding; /* and so the key; borrowed */
    const uint8_t *in;                   /* as many bytes as n, below n; borrowed */
    uint8_t *out;                        /* gets as many; borrowed; may be the same as IN */
    int err;                             /* gets 0; or ERR_CRYPTO, and OUT is all zero */
};

/* OUT = IN ^ d modulo n for each of COUNT (1 … LANES) items, whose keys are of one size. An item whose result
 * does not pass its check gives ERR_CRYPTO, for itself alone, and gets a new blinding. The time has to
 * do with the size only and with whether COUNT is above LANES / 2, which takes twice as long. It is twice as
 * long, too, when a new blinding has to be made: the first time, once in RSA_LANES_USES calls, and after a
 * fault. */
void rsa_lanes_perform(struct rsa_lanes_scratch *scratch, struct rsa_lanes_item *items, size_t count);
#define RSA_LANES_USES 128 /* of a random number and its squares */

#endif
