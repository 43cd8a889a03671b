/* The numbers of P-256 (FIPS 186-5; SP 800-186, 3.2.1.3), in the form that ec_field.h wants them.
 *
 * p = 2^256 - 2^224 + 2^192 + 2^96 - 1. R = 2^260; _one is R, _square R², _cube R³, modulo the prime. */
#ifndef KEYSERVER_LANES_EC_P256_H
#define KEYSERVER_LANES_EC_P256_H

#include "keyserver/lanes/ec_inverse.h"
#include "keyserver/lanes/lane_vec.h"

#define EC_BITS   256
#define EC_SIZE   32 /* bytes of a number */
#define EC_DIGITS 5  /* of 52 bits */
#define EC_ROWS   37 /* windows of seven bits that a nonce has */

static const uint64_t field_p[EC_DIGITS] = {
    UINT64_C(0xfffffffffffff), UINT64_C(0x00fffffffffff), UINT64_C(0x0000000000000),
    UINT64_C(0x0001000000000), UINT64_C(0x0ffffffff0000),
};

/* p = field_plus - field_minus, with as few digits as may be that are not zero. */
static const uint64_t field_plus[EC_DIGITS] = {
    UINT64_C(0x0000000000000), UINT64_C(0x0100000000000), UINT64_C(0x0000000000000),
    UINT64_C(0x0001000000000), UINT64_C(0x0ffffffff0000),
};

static const uint64_t field_minus[EC_DIGITS] = {1};

static const uint64_t field_one[EC_DIGITS] = {
    UINT64_C(0x0000000000010), UINT64_C(0xf000000000000), UINT64_C(0xfffffffffffff),
    UINT64_C(0xffeffffffffff), UINT64_C(0x00000000fffff),
};

static const uint64_t field_cube[EC_DIGITS] = {
    UINT64_C(0xfd0000000a000), UINT64_C(0xffffff7ffffff), UINT64_C(0xfffcffffffedf),
    UINT64_C(0x100000005ffff), UINT64_C(0x0000180000000),
};

static const uint64_t generator_x[EC_DIGITS] = {
    UINT64_C(0x30d418a9143c1), UINT64_C(0xc4fedb60179e7), UINT64_C(0x62251075ba95f),
    UINT64_C(0x5c669fb732b77), UINT64_C(0x08905f76b5375),
};

static const uint64_t generator_y[EC_DIGITS] = {
    UINT64_C(0x5357ce95560a8), UINT64_C(0x43a19e45cddf2), UINT64_C(0x21f3258b4ab8e),
    UINT64_C(0xd8552e88688dd), UINT64_C(0x0571ff18a5885),
};

static const struct ec_inverse_modulus field_inverse_modulus = {
    .digits = EC_DIGITS,
    .limbs = 5,
    .rounds = 10,
    .m = {INT64_C(0xfffffffffffffff), INT64_C(0xfffffffff), INT64_C(0x0), INT64_C(0xffff00000001000),
          INT64_C(0xffff)},
    .inverse = UINT64_C(0xfffffffffffffff),
};

#define FIELD_INVERSE UINT64_C(0x1)

static const uint64_t order_n[EC_DIGITS] = {
    UINT64_C(0x9cac2fc632551), UINT64_C(0xada7179e84f3b), UINT64_C(0xfffffffbce6fa),
    UINT64_C(0x0000fffffffff), UINT64_C(0x0ffffffff0000),
};

static const uint64_t order_minus[EC_DIGITS] = {0};

static const uint64_t order_square[EC_DIGITS] = {
    UINT64_C(0x5cc0dea6dc3ba), UINT64_C(0x192a067d8a084), UINT64_C(0xbec59615571bb),
    UINT64_C(0x1fc245b2392b6), UINT64_C(0x0e12d9559d956),
};

static const uint64_t order_cube[EC_DIGITS] = {
    UINT64_C(0x9617f757e3b0d), UINT64_C(0x73e9fd26776fc), UINT64_C(0xe93f26238f08c),
    UINT64_C(0x4d513b9246ba5), UINT64_C(0x0a54e7b437be6),
};

static const struct ec_inverse_modulus order_inverse_modulus = {
    .digits = EC_DIGITS,
    .limbs = 5,
    .rounds = 10,
    .m = {INT64_C(0x3b9cac2fc632551), INT64_C(0xe6faada7179e84f), INT64_C(0xfffffffffffffbc),
          INT64_C(0xffff00000000fff), INT64_C(0xffff)},
    .inverse = UINT64_C(0x32e375511ff43b1),
};

#define ORDER_INVERSE UINT64_C(0x1c8aaee00bc4f)

/* A number that field_fold() has seen is below this, as a multiple of p. */
#define FIELD_FOLDED 2

/* Takes off the 16 p and less that a raw number, not negative, may have, up to 2^256 + 17 2^224, which is
 * below 1.01 p: 2^256 q becomes (2^224 - 2^192 - 2^96 + 1) q. The estimate of q leaves out what the lower
 * digits carry, by which it is one too small at most, or too large when less than 2^161 is missing: much less
 * than what is added back then. */
VEC_INLINE void field_fold(vec raw[static EC_DIGITS])
{
    vec q = vec_right_signed(vec_add(raw[4], vec_right_signed(raw[3], 52)), 48);
    raw[0] = vec_add(raw[0], q);
    raw[1] = vec_subtract(raw[1], vec_left(q, 44));
    raw[3] = vec_subtract(raw[3], vec_left(q, 36));
    raw[4] = vec_subtract(raw[4], vec_subtract(vec_left(q, 48), vec_left(q, 16)));
}

#endif
