/* The numbers of edwards25519 (RFC 8032, 5.1), in the form that ec_field.h wants them.
 *
 * p = 2^255 - 19, and numbers modulo p are as they are; those modulo the order L are in Montgomery form, with
 * R = 2^260; _square is R², _cube R³. */
#ifndef KEYSERVER_LANES_ED_25519_H
#define KEYSERVER_LANES_ED_25519_H

#include "keyserver/lanes/ec_inverse.h"
#include "keyserver/lanes/lane_vec.h"

#define EC_BITS   256
#define EC_SIZE   32 /* bytes of a number */
#define EC_DIGITS 5  /* of 52 bits */
#define EC_ROWS   43 /* windows of six bits that a nonce has */

static const uint64_t field_p[EC_DIGITS] = {
    UINT64_C(0xfffffffffffed), UINT64_C(0xfffffffffffff), UINT64_C(0xfffffffffffff),
    UINT64_C(0xfffffffffffff), UINT64_C(0x07fffffffffff),
};

static const uint64_t field_zero[EC_DIGITS] = {0};
static const uint64_t field_one[EC_DIGITS] = {1};
static const uint64_t field_cube[EC_DIGITS] = {1};

static const uint64_t generator_x[EC_DIGITS] = {
    UINT64_C(0x62d608f25d51a), UINT64_C(0x609525a7b2c95), UINT64_C(0xdd6dc5c692cc7),
    UINT64_C(0x53fec0a4e231f), UINT64_C(0x0216936d3cd6e),
};

static const uint64_t generator_y[EC_DIGITS] = {
    UINT64_C(0x6666666666658), UINT64_C(0x6666666666666), UINT64_C(0x6666666666666),
    UINT64_C(0x6666666666666), UINT64_C(0x0666666666666),
};

/* 2 d, of the curve -x² + y² = 1 + d x² y². */
static const uint64_t curve_2d[EC_DIGITS] = {
    UINT64_C(0x69b9426b2f159), UINT64_C(0x9a8283b156ebd), UINT64_C(0xef3d13000e014),
    UINT64_C(0xfce7198e80f2e), UINT64_C(0x02406d9dc56df),
};

static const struct ec_inverse_modulus field_inverse_modulus = {
    .digits = EC_DIGITS,
    .limbs = 5,
    .rounds = 10,
    .m = {INT64_C(0xfffffffffffffed), INT64_C(0xfffffffffffffff), INT64_C(0xfffffffffffffff),
          INT64_C(0xfffffffffffffff), INT64_C(0x7fff)},
    .inverse = UINT64_C(0x9435e50d79435e5),
};

static const uint64_t order_n[EC_DIGITS] = {
    UINT64_C(0x2631a5cf5d3ed), UINT64_C(0xdea2f79cd6581), UINT64_C(0x000000014def9),
    UINT64_C(0x0000000000000), UINT64_C(0x0100000000000),
};

static const uint64_t order_minus[EC_DIGITS] = {0};

static const uint64_t order_square[EC_DIGITS] = {
    UINT64_C(0x9d265e952d13b), UINT64_C(0xd63c715bea69f), UINT64_C(0x5be65cb687604),
    UINT64_C(0x3dceec73d217f), UINT64_C(0x009411b7c309a),
};

static const uint64_t order_cube[EC_DIGITS] = {
    UINT64_C(0x4f516a4e30429), UINT64_C(0xd71e63305a553), UINT64_C(0x5b6514d3c593a),
    UINT64_C(0x78065dc6c04ec), UINT64_C(0x000b773599cec),
};

#define ORDER_INVERSE UINT64_C(0x51da312547e1b)

#define FIELD_HAS_FOLD

/* OUT = SUM modulo p, raw, not negative and below 2^255 + 2^216 ("1.01"), for a product of two numbers below
 * 2^260 whose digits have not been carried, below 2^60. The upper half, normal, times 2^260 = 608; what then
 * is above 2^255, times 19. */
VEC_INLINE void field_fold_product(vec out[static EC_DIGITS], vec sum[static 2 * EC_DIGITS])
{
    const vec mask = vec_all((UINT64_C(1) << 52) - 1), by = vec_all(608);
#define FOLD_CARRY(i)                                                                                        \
    sum[(i) + 1] = vec_add(sum[(i) + 1], vec_right(sum[i], 52));                                             \
    sum[i] = vec_and(sum[i], mask)
    FOLD_CARRY(5);
    FOLD_CARRY(6);
    FOLD_CARRY(7);
    FOLD_CARRY(8);
#undef FOLD_CARRY
    out[0] = vec_add_low(sum[0], sum[5], by);
    out[1] = vec_add_low(vec_add_high(sum[1], sum[5], by), sum[6], by);
    out[2] = vec_add_low(vec_add_high(sum[2], sum[6], by), sum[7], by);
    out[3] = vec_add_low(vec_add_high(sum[3], sum[7], by), sum[8], by);
    out[4] = vec_add_low(vec_add_high(sum[4], sum[8], by), sum[9], by);
    vec above = vec_add_high(vec_all(0), sum[9], by);
    above = vec_add(vec_right(out[4], 47), vec_left(above, 5));
    out[4] = vec_and(out[4], vec_all((UINT64_C(1) << 47) - 1));
    out[0] = vec_add_low(out[0], above, vec_all(19));
}

#endif
