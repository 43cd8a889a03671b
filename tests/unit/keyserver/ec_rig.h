/* ECDSA as OpenSSL's numbers and points have it, with a nonce that is given, to hold the kernels against. Not
 * a test program by itself. */
#ifndef TESTS_UNIT_KEYSERVER_EC_RIG_H
#define TESTS_UNIT_KEYSERVER_EC_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/hmac.h>

#include "common/bytes.h"
#include "common/secret.h"
#include "keyserver/lanes/ec_kernel.h"

/* One kernel under test, and the curve as OpenSSL has it. */
struct rig {
    const struct ec_kernel *kernel;
    bool vector; /* needs the instructions */
    int curve;
    EC_GROUP *group; /* owned */
    BIGNUM *n;       /* owned */
    BN_CTX *bn;      /* owned */
    void *work;      /* owned */
};

int rig_start(void **state);
int rig_stop(void **state);
/* For the first line of a test: ends it where the machine lacks what the kernel needs. */
struct rig *rig_of(void **state);
/* RS = the signature of HASH by KEY with the nonce K, all of them numbers of the curve's size; false when r
 * or s is zero. */
bool rig_sign(const struct rig *rig, uint8_t *rs, const uint8_t *key, const uint8_t *hash, const BIGNUM *k);
/* The nonce K, which may be larger than n, for ITEM of a call. */
void rig_put_nonce(struct ec_nonces *nonces, size_t item, const BIGNUM *k);
/* The nonce of ITEM, reduced modulo n. */
BIGNUM *rig_get_nonce(const struct rig *rig, const struct ec_nonces *nonces, size_t item);
/* A key that is in its range. */
void rig_random_key(const struct rig *rig, uint8_t *key);

#endif
