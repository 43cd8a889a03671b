#include "keyserver/vault/judge/curve.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/obj_mac.h>
#include <string.h>

#define X25519_SIZE 32
#define X448_SIZE   56

struct weierstrass {
    uint16_t named_curve;
    int nid;
    size_t point_size; /* 04, x, y */
    EC_GROUP *group;   /* owned; read only once made */
};

static struct weierstrass weierstrass[] = {
    {23, NID_X9_62_prime256v1, 65, NULL},
    {24, NID_secp384r1, 97, NULL},
    {25, NID_secp521r1, 133, NULL},
};
#define WEIERSTRASS_COUNT (sizeof weierstrass / sizeof weierstrass[0])

/* Points of order 1, 2, 4 and 8 on Curve25519 and its twist, little-endian, with the values that reduce to
 * them: with any of these the shared secret is all zero whatever the other side does (RFC 7748, section 7).
 */
static const uint8_t x25519_low_order[][X25519_SIZE] = {
    {0},
    {1},
    {0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a,
     0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
    {0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b,
     0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57},
};

int curve_start(void)
{
    for (size_t i = 0; i < WEIERSTRASS_COUNT; i++) {
        if (weierstrass[i].group == NULL)
            weierstrass[i].group = EC_GROUP_new_by_curve_name(weierstrass[i].nid);
        if (weierstrass[i].group == NULL)
            return ERR_CRYPTO;
    }
    return 0;
}

void curve_stop(void)
{
    for (size_t i = 0; i < WEIERSTRASS_COUNT; i++) {
        EC_GROUP_free(weierstrass[i].group);
        weierstrass[i].group = NULL;
    }
}

static bool on_curve(const struct weierstrass *curve, const uint8_t *point, size_t length)
{
    if (length != curve->point_size || point[0] != 0x04)
        return false;
    EC_POINT *parsed = EC_POINT_new(curve->group);
    /* Checks that the coordinates are reduced and satisfy the equation; the point at infinity has another
     * form. */
    bool good = parsed != NULL && EC_POINT_oct2point(curve->group, parsed, point, length, NULL) == 1;
    EC_POINT_free(parsed);
    ERR_clear_error();
    return good;
}

/* True when the little-endian field element of SIZE bytes is p - 1, p or p + 1, given what its bytes are but
 * for the first: REST. */
static bool near_prime(const uint8_t *value, size_t size, const uint8_t *prime)
{
    return memcmp(value + 1, prime + 1, size - 1) == 0 && (uint8_t)(value[0] - prime[0] + 1) <= 2;
}

static bool x25519_good(const uint8_t *point, size_t length)
{
    uint8_t value[X25519_SIZE], prime[X25519_SIZE];
    if (length != X25519_SIZE)
        return false;
    memcpy(value, point, sizeof value);
    value[31] &= 0x7f; /* receivers ignore it (RFC 7748, section 5) */
    memset(prime, 0xff, sizeof prime);
    prime[0] = 0xed;
    prime[31] = 0x7f;
    for (size_t i = 0; i < sizeof x25519_low_order / sizeof x25519_low_order[0]; i++)
        if (memcmp(value, x25519_low_order[i], sizeof value) == 0)
            return false;
    return !near_prime(value, sizeof value, prime);
}

/* p = 2^448 - 2^224 - 1. The values of low order are 0, 1 and p - 1, and what reduces to them: p, p + 1. p +
 * 1 carries beyond the first byte. */
static bool x448_good(const uint8_t *point, size_t length)
{
    uint8_t prime[X448_SIZE], after[X448_SIZE] = {0};
    static const uint8_t zero[X448_SIZE];
    if (length != X448_SIZE)
        return false;
    memset(prime, 0xff, sizeof prime);
    prime[28] = 0xfe;
    memset(after + 28, 0xff, sizeof after - 28); /* p + 1 = 2^448 - 2^224 */
    if (memcmp(point + 1, zero + 1, sizeof zero - 1) == 0 && point[0] <= 1)
        return false;
    if (memcmp(point + 1, prime + 1, sizeof prime - 1) == 0 && point[0] >= 0xfe)
        return false;
    return memcmp(point, after, sizeof after) != 0;
}

bool curve_has_point(uint16_t named_curve, const uint8_t *point, size_t length)
{
    if (named_curve == 29)
        return x25519_good(point, length);
    if (named_curve == 30)
        return x448_good(point, length);
    for (size_t i = 0; i < WEIERSTRASS_COUNT; i++)
        if (weierstrass[i].named_curve == named_curve)
            return on_curve(&weierstrass[i], point, length);
    return false;
}
