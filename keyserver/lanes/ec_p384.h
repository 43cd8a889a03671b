/* The numbers of P-384 (FIPS 186-5; SP 800-186, 3.2.1.4), in the form that ec_field.h wants them.
 *
 * p = 2^384 - 2^128 - 2^96 + 2^32 - 1. R = 2^416; _one is R, _square R², _cube R³, modulo the prime. */
#ifndef KEYSERVER_LANES_EC_P384_H
#define KEYSERVER_LANES_EC_P384_H

#include "keyserver/lanes/ec_inverse.h"
#include "keyserver/lanes/lane_vec.h"

#define EC_BITS   384
#define EC_SIZE   48 /* bytes of a number */
#define EC_DIGITS 8  /* of 52 bits */
#define EC_ROWS   55 /* windows of seven bits that a nonce has */

static const uint64_t field_p[EC_DIGITS] = {
    UINT64_C(0x00000ffffffff), UINT64_C(0xff00000000000), UINT64_C(0xffffffeffffff),
    UINT64_C(0xfffffffffffff), UINT64_C(0xfffffffffffff), UINT64_C(0xfffffffffffff),
    UINT64_C(0xfffffffffffff), UINT64_C(0x00000000fffff),
};

/* p = field_plus - field_minus, with as few digits as may be that are not zero. */
static const uint64_t field_plus[EC_DIGITS] = {
    UINT64_C(0x00000ffffffff), UINT64_C(0x0000000000000), UINT64_C(0x0000000000000),
    UINT64_C(0x0000000000000), UINT64_C(0x0000000000000), UINT64_C(0x0000000000000),
    UINT64_C(0x0000000000000), UINT64_C(0x0000000100000),
};

static const uint64_t field_minus[EC_DIGITS] = {
    UINT64_C(0x0000000000000), UINT64_C(0x0100000000000), UINT64_C(0x0000001000000),
    UINT64_C(0x0000000000000), UINT64_C(0x0000000000000), UINT64_C(0x0000000000000),
    UINT64_C(0x0000000000000), UINT64_C(0x0000000000000),
};

static const uint64_t field_one[EC_DIGITS] = {
    UINT64_C(0x0000100000000), UINT64_C(0xffffffffff000), UINT64_C(0x0000000ffffff),
    UINT64_C(0x0000000000010), UINT64_C(0x0000000000000), UINT64_C(0x0000000000000),
    UINT64_C(0x0000000000000), UINT64_C(0x0000000000000),
};

static const uint64_t field_cube[EC_DIGITS] = {
    UINT64_C(0x00005fffffffd), UINT64_C(0xfc00000000000), UINT64_C(0xffffffbffffff),
    UINT64_C(0x000600000008f), UINT64_C(0xcfffffffe0000), UINT64_C(0x000005fffffff),
    UINT64_C(0xffd0000000300), UINT64_C(0x00000000fffff),
};

static const uint64_t generator_x[EC_DIGITS] = {
    UINT64_C(0x607664d3aadc2), UINT64_C(0xfa3dd07565fc8), UINT64_C(0xe1e26a4ee117b),
    UINT64_C(0x3afc541b4d6e6), UINT64_C(0x459a30eff879c), UINT64_C(0x4ede2b6454868),
    UINT64_C(0x513812ff72361), UINT64_C(0x00000000299e1),
};

static const uint64_t generator_y[EC_DIGITS] = {
    UINT64_C(0xaf93c2b78abc2), UINT64_C(0x6e23043dad1f8), UINT64_C(0xd385481a72d55),
    UINT64_C(0xe7562e83b050c), UINT64_C(0x968f4ffd98bad), UINT64_C(0x69a840c6c3521),
    UINT64_C(0x5e9dd80022639), UINT64_C(0x000000005a15c),
};

static const struct ec_inverse_modulus field_inverse_modulus = {
    .digits = EC_DIGITS,
    .limbs = 7,
    .rounds = 15,
    .m = {INT64_C(0xffffffff), INT64_C(0xffffff000000000), INT64_C(0xffffffffffffeff),
          INT64_C(0xfffffffffffffff), INT64_C(0xfffffffffffffff), INT64_C(0xfffffffffffffff),
          INT64_C(0xffffff)},
    .inverse = UINT64_C(0xffffffeffffffff),
};

#define FIELD_INVERSE UINT64_C(0x100000001)

static const uint64_t order_n[EC_DIGITS] = {
    UINT64_C(0xc196accc52973), UINT64_C(0xb248b0a77aece), UINT64_C(0x4372ddf581a0d),
    UINT64_C(0xffffc7634d81f), UINT64_C(0xfffffffffffff), UINT64_C(0xfffffffffffff),
    UINT64_C(0xfffffffffffff), UINT64_C(0x00000000fffff),
};

static const uint64_t order_minus[EC_DIGITS] = {0};

static const uint64_t order_square[EC_DIGITS] = {
    UINT64_C(0x34124f50ddb2d), UINT64_C(0xc974971bd0d8d), UINT64_C(0x2118942bfd3cc),
    UINT64_C(0x9f43be8072178), UINT64_C(0x5bf030606de60), UINT64_C(0x0d49174aab1cc),
    UINT64_C(0xb7a28266895d4), UINT64_C(0x000000003fb05),
};

static const uint64_t order_cube[EC_DIGITS] = {
    UINT64_C(0xfab24b3595fbb), UINT64_C(0x53c529db19181), UINT64_C(0xd405adad51873),
    UINT64_C(0x6d616ff0dc666), UINT64_C(0xf9991e8ee0b32), UINT64_C(0xb48eb63b55de7),
    UINT64_C(0x17b5dbd3f41ed), UINT64_C(0x0000000095226),
};

static const struct ec_inverse_modulus order_inverse_modulus = {
    .digits = EC_DIGITS,
    .limbs = 7,
    .rounds = 15,
    .m = {INT64_C(0xcec196accc52973), INT64_C(0x1a0db248b0a77ae), INT64_C(0x34d81f4372ddf58),
          INT64_C(0xffffffffffffc76), INT64_C(0xfffffffffffffff), INT64_C(0xfffffffffffffff),
          INT64_C(0xffffff)},
    .inverse = UINT64_C(0x12b9f76177023bb),
};

#define ORDER_INVERSE UINT64_C(0x46089e88fdc45)

/* A number that field_fold() has seen is below this, as a multiple of p. */
#define FIELD_FOLDED 8

/* Nothing needs to be taken off: R has room for 2^32 p. */
VEC_INLINE void field_fold(vec raw[static EC_DIGITS])
{
    (void)raw;
}

#endif
