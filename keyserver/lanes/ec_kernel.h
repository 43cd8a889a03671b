/* What a kernel of ECDSA in lanes is: nonces, and signatures with nonces that are given.
 *
 * Two implementations from one source (ec_body.h): of the vector unit, and a portable one, which is slow, for
 * tests. Not for who wants to sign: that is ec_lanes.h. */
#ifndef KEYSERVER_LANES_EC_KERNEL_H
#define KEYSERVER_LANES_EC_KERNEL_H

#include "keyserver/lanes/ec_lanes.h"

#define EC_LANES       8
#define EC_GROUPS      (EC_LANES_MAX / EC_LANES)
#define EC_NONCE_WORDS 8
#define EC_NOISE_SIZE  32 /* fresh random bytes for each signature */

/* The nonces of a call, before they are reduced modulo n: 512 bits each, the most significant word first. */
struct ec_nonces {
    _Alignas(64) uint64_t word[EC_GROUPS][EC_NONCE_WORDS][EC_LANES];
};

/* What a kernel found out about a call, one bit an item. */
struct ec_verdict {
    uint32_t again; /* k, r or s is zero: another nonce is wanted (FIPS 186-5, 6.4.1) */
    uint32_t bad;   /* the key is zero, or not below n */
};

struct ec_kernel {
    const char *name;
    size_t size;      /* bytes of a number */
    size_t work_size; /* bytes of WORK, aligned to 64; it may contain anything before, and secrets after */
    /* Makes the multiples of the generator; once, before any other thread. */
    void (*prepare)(void);
    /* NONCES = HMAC-SHA512 with the key NOISE ‖ d over a label, ATTEMPT and the hash. NOISE has EC_NOISE_SIZE
     * bytes for each of COUNT items. */
    void (*derive)(struct ec_nonces *nonces, const struct ec_item *items, size_t count, const uint8_t *noise,
                   uint8_t attempt);
    /* Signs with NONCES modulo n. */
    struct ec_verdict (*sign)(void *work, const struct ec_nonces *nonces, struct ec_item *items,
                              size_t count);
};

/* Those of the vector unit only where it is there. */
extern const struct ec_kernel ec_p256_ifma, ec_p384_ifma;
extern const struct ec_kernel ec_p256_portable, ec_p384_portable;

/* Puts a prepared KERNEL through known answers: true when it gives them all. */
bool ec_kernel_test(const struct ec_kernel *kernel);

#endif
